"""Wrong solutions: one file per assignment, named like its master.

Each file contains `WRONG`: for each solution cell, faults in words, and for each fault the text of
the reference solution that is replaced, and its replacement.
"""
