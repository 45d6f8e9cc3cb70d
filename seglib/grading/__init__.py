"""Grading of notebooks that nobody has to trust: `seglib grade` and `seglib check`.

What must stay secret is absent: the student's process contains the answers, and neither checks nor
expected values. The grader calls the student's functions there and judges what they return here.

    submissions    finds the notebooks of a class in files, folders and archives
    splice         takes the answers out of one, and puts them into the trusted notebook
    sandbox        runs that in bubblewrap, under nbval, with limits (`inside` sets them)
    serve          the notebook's last cell: it answers the grader's calls
    forbidden      refuses there what an answer must not call
    protocol       what travels between the two: plain values, without pickle
    remote         the student's functions, as the grader calls them
    cases          runs the checks, case by case
    scoring        the marks of one submission
    classroom      marks a class: several at a time, saved one by one
    progress       a student's own record of solved tasks
    gradescope     packs an assignment for Gradescope
    reports        what students read, and the tables of a class
    class_summary  where a class loses its points, and why

This package imports nothing by itself, since the student's process imports it too.
"""
