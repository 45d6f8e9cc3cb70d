"""Grading of notebooks that nobody has to trust: `seglib grade` and `seglib check`.

What must stay secret is absent: the student's process contains the answers, and neither checks nor
expected values. The grader calls the student's functions there and judges what they return here.

    splice    takes the answers out of a submission, and puts them into the trusted notebook
    sandbox   runs that notebook under nbval, in bubblewrap and with limits (`inside` sets them)
    serve     the notebook's last cell: it answers the grader's calls
    protocol  what travels between the two: plain values, without pickle
    remote    the student's functions, as the grader calls them
    cases     runs the checks, case by case
    scoring   the marks of one submission

This package imports nothing by itself, since the student's process imports it too.
"""
