"""Assignments: student notebooks built from masters, and what checking one finds."""

from seglib.grading.assignments import assignment_names, build, solved, student
from seglib.grading.checks import CheckResult, run_checks

__all__ = ["CheckResult", "assignment_names", "build", "run_checks", "solved", "student"]
