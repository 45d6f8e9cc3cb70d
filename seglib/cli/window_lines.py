"""What `seglib eval` prints beside the figures of a model that slides a window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder
    from seglib.models.deepmask import DeepMask

SHOWN = ("mask_AR@10", "mask_AR@100", "mask_AR@1000")


def window_lines(
    network: DeepMask, data: CocoFolder, limit: int | None, figures: dict[str, float]
) -> tuple[list[str], dict[str, Any]]:
    """The baseline and the ceiling of the model's windows, in words and as JSON values."""
    from seglib.metrics.window_proposals import mean_mask_baseline, window_ceiling

    baseline = mean_mask_baseline(network, data, limit)
    ceiling = window_ceiling(network, data, limit)
    values = {
        name: {"baseline": baseline[name], "ceiling": ceiling[name]}
        | _ratios(figures.get(name, math.nan), baseline[name], ceiling[name])
        for name in ceiling
        if ceiling[name] > 0
    }
    shown = [name for name in SHOWN if name in values]
    cells = network.config.mask_size
    lines = [
        f"{kind}: {text}: " + ", ".join(f"{name} {values[name][kind]:.3f}" for name in shown)
        for kind, text in (
            ("baseline", "the same windows with the mean training mask in random order"),
            ("ceiling", f"a perfect network with these windows and {cells} x {cells} masks"),
        )
    ]
    lines += [
        f"{name}: {values[name]['times']:.1f} times the baseline, {values[name]['share']:.3f} of "
        f"the ceiling, on these {len(data)} images"
        for name in shown
        if "times" in values[name]
    ]
    return lines, values


def _ratios(figure: float, baseline: float, ceiling: float) -> dict[str, float]:
    if math.isnan(figure) or baseline <= 0:
        return {}
    return {"times": figure / baseline, "share": figure / ceiling}
