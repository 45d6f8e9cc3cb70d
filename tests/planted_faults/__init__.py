"""Faults as users make them, planted in files, for `seglib doctor`."""

from tests.planted_faults.checkpoints import CHECKPOINT_FAULTS
from tests.planted_faults.data import DATA_FAULTS
from tests.planted_faults.fault import Fault
from tests.planted_faults.predictions import PREDICTION_FAULTS

FAULTS = (*DATA_FAULTS, *PREDICTION_FAULTS, *CHECKPOINT_FAULTS)

__all__ = ["FAULTS", "Fault"]
