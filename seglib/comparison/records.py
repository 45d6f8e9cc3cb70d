"""The lessons' growing table of paradigms: recorded figures of shipped checkpoints, and times."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from seglib.comparison.timing import ratios, seconds_in_turns
from seglib.models.base import Segmenter
from seglib.pretrained import record

# The paradigms as figures and tables name them.
TITLES = {
    "fcn": "FCN",
    "deepmask": "DeepMask",
    "mask_rcnn": "Mask R-CNN",
    "cascade_rcnn": "Cascade R-CNN",
    "yolact": "YOLACT",
    "solo": "SOLO",
    "polarmask": "PolarMask",
    "detr": "DETR",
    "maskformer": "MaskFormer",
}
# Mask AP over all IoU thresholds, at IoU 0.5, and by object size.
MASK_PARTS = {
    "mask_AP": "AP",
    "mask_AP50": "AP50",
    "mask_APs": "small",
    "mask_APm": "medium",
    "mask_APl": "large",
}
ROUNDS = 5


def record_table(names: Sequence[str]) -> str:
    """Accuracy, size and training time of shipped checkpoints that predict instances.

    The text is the same on every machine: mask AP and its parts on the 300 validation images, the
    number of parameters, and the minutes that the training took.

    Args:
        names: shipped checkpoints, one per row.
    """
    heading = "".join(f"{part:>7}" for part in MASK_PARTS.values())
    lines = [f"{'':14}{heading}{'parameters':>13}  training"]
    for name in names:
        entry = record(name)
        figures = "".join(f"{entry['figures'][part]:7.3f}" for part in MASK_PARTS)
        spent = minutes_by_device(entry).items()
        trained = " + ".join(
            f"{minutes:.0f} min on a {'CPU' if device == 'cpu' else 'GPU'}"
            for device, minutes in spent
        )
        lines.append(f"{TITLES[name]:14}{figures}{entry['parameters']:13,}  {trained}")
    return "\n".join(lines)


def minutes_by_device(entry: Mapping[str, Any]) -> dict[str, float]:
    """Elapsed minutes of a record's training, per device, such as "cpu" or "cuda"."""
    return entry.get("device_minutes") or {entry.get("device") or "cpu": entry["minutes"]}


def time_table(models: Mapping[str, Segmenter], image: Tensor, rounds: int = ROUNDS) -> str:
    """The time that each model needs for one image, as a multiple of the first model's.

    The text differs from run to run and from machine to machine.

    Args:
        models: name of the paradigm → model.
        image: float [3, H, W] in 0…1.
        rounds: number of predictions per model, in turns; the median ratio is shown.
    """
    calls = {name: partial(model.predict, [image]) for name, model in models.items()}
    reference = next(iter(calls))
    shares = ratios(seconds_in_turns(calls, rounds), reference)
    lines = [f"{'':14}   time per image, {TITLES[reference]} = 1"]
    lines += [f"{TITLES[name]:14}{statistics.median(each):7.1f}" for name, each in shares.items()]
    return "\n".join(lines)
