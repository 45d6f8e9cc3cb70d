"""Grading of untrusted notebooks: `seglib grade` and `seglib check`.

What must stay secret is absent: the student's process contains the answers, and neither checks nor
expected values. The grader calls the student's functions there and judges what they return here.

A class:

    submissions    finds the notebooks of a class in files, folders and archives
    plan           how they are marked, and which assignment each belongs to
    classroom      checks the reference, then marks what is not marked yet
    workers        several submissions at a time
    saved_marks    the marks on disk, from which an interrupted run resumes

One submission:

    splice         takes the answers out of it, and puts them into the trusted notebook
    scoring        runs the assignment here, and computes the marks
    marks          what was earned for each task, and why points were lost
    cases          runs the checks, case by case
    session        the student's process, started again when a function has ended it
    remote         the student's functions, as the grader calls them
    check          the visible checks of a student's own notebook

The sandbox, and what passes through its wall:

    sandbox        runs a notebook, and ends it when it uses too much
    isolation      what it can see: bubblewrap's command line
    limits         what it may use
    inside         the first program in it: sets the limits, runs the notebook under nbval
    serve          the notebook's last cell: it answers the grader's calls
    forbidden      refuses there what an answer must not call
    protocol       the messages between the two: plain values, without pickle
    packing        turns values into a message
    unpacking      turns a message into values, and trusts nothing in it

Results:

    reports        what students read, and the tables of a class
    class_summary  where a class loses its points, and why
    progress       a student's own record of solved tasks
    gradescope     packs an assignment for Gradescope

This package imports nothing by itself, since the student's process imports it too.
"""
