"""What `seglib eval` prints beside the figures of a model that slides a window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglib.metrics.dataset import LabelledImages
    from seglib.models.deepmask import DeepMask

SHOWN = ("mask_AR@10", "mask_AR@100", "mask_AR@1000")


def share_of(reached: float, ceiling: float) -> float | None:
    """How much of its ceiling a figure reaches; None where there was nothing to find."""
    return reached / ceiling if ceiling > 0 and math.isfinite(reached) else None


def window_lines(
    network: DeepMask, data: LabelledImages, limit: int | None, figures: dict[str, float]
) -> tuple[list[str], dict[str, Any]]:
    """The baseline and the ceiling of the model's windows, in words and as JSON values."""
    from seglib.metrics.window_proposals import mean_mask_baseline, window_ceiling

    baseline = mean_mask_baseline(network, data, limit)
    ceiling = window_ceiling(network, data, limit)
    values: dict[str, dict[str, float]] = {}
    for name in ceiling:
        reached = share_of(figures.get(name, math.nan), ceiling[name])
        if reached is None:
            continue
        values[name] = {"baseline": baseline[name], "ceiling": ceiling[name], "share": reached}
        if baseline[name] > 0:
            values[name]["times"] = figures[name] / baseline[name]
    shown = [name for name in SHOWN if name in values]
    if not shown:
        return [], values
    cells = network.config.mask_size
    kinds = {
        "baseline": "the same windows with the mean training mask in random order",
        "ceiling": f"a perfect network with these windows and {cells} x {cells} masks",
    }
    lines = [
        f"{kind}: {text}: " + ", ".join(f"{name} {values[name][kind]:.3f}" for name in shown)
        for kind, text in kinds.items()
    ]
    for name in shown:
        times = values[name].get("times")
        above = "" if times is None else f"{times:.1f} times the baseline, "
        share = f"{values[name]['share']:.3f} of the ceiling"
        lines.append(f"{name}: this model reaches {above}{share} on these {len(data)} images")
    return lines, values
