"""Why is my AP 0? Examines a run, a checkpoint, a data set or predictions, and names causes.

symptoms   what is measured, as plain numbers
measures   how it is measured
diagnoses  small functions that turn symptoms into findings
examine    the three examinations: of a data set, of a checkpoint or run, of predictions
"""

from seglib.doctor.examine import examine_checkpoint, examine_dataset, examine_predictions
from seglib.doctor.findings import Finding, Report

__all__ = [
    "Finding",
    "Report",
    "examine_checkpoint",
    "examine_dataset",
    "examine_predictions",
]
