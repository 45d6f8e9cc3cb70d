"""Compare the paradigms: recorded accuracy, size, arithmetic and time."""

from seglib.comparison.operations import multiply_adds
from seglib.comparison.records import TITLES, record_table, time_table
from seglib.comparison.timing import medians, ratios, seconds, seconds_in_turns

__all__ = [
    "TITLES",
    "medians",
    "multiply_adds",
    "ratios",
    "record_table",
    "seconds",
    "seconds_in_turns",
    "time_table",
]
