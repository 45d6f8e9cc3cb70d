"""What `seglib eval` prints beside a model's figures: those of a perfect network of its form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder
    from seglib.models.base import Segmenter
    from seglib.models.deepmask import DeepMask

SHOWN = ("mask_AR@10", "mask_AR@100", "mask_AR@1000")  # of a model that slides a window


def ceiling_lines(
    network: Segmenter,
    data: CocoFolder,
    limit: int | None,
    figures: dict[str, float],
    size: int | None,
) -> tuple[list[str], dict[str, Any]]:
    """The ceiling of the model's output form on these images, in words and as JSON values."""
    if network.name == "deepmask":
        return _window_lines(cast("DeepMask", network), data, limit, figures)
    cells = getattr(network, "mask_size", None)
    if cells is not None and "mask_AP" in figures:
        return _roi_lines(data, cells, limit, figures["mask_AP"])
    stride = getattr(network, "output_stride", None)
    if "semantic" not in network.tasks or stride is None or "mean_iou" not in figures:
        return [], {}
    seen = network.config.image_size
    if seen is not None and seen != size:
        return [f"ceiling: known at the size that the model sees; add --size {seen}"], {}
    return _semantic_lines(data, stride, limit, size, figures["mean_iou"])


def _semantic_lines(
    data: CocoFolder, stride: int, limit: int | None, size: int | None, reached: float
) -> tuple[list[str], dict[str, Any]]:
    """The ceiling of coarse logits that are upsampled."""
    from seglib.metrics.ceilings import semantic_ceiling

    ceiling = semantic_ceiling(data, stride, limit)
    sides = {size} if size else {max(data.record(i).size) for i in data.image_ids}
    pixels = f"at {sides.pop()} px" if len(sides) == 1 else "at their own sizes"
    share = share_of(reached, ceiling)
    if share is None:
        return [], {}
    line = (
        f"ceiling: a perfect network with logits of stride {stride} reaches mean_iou "
        f"{ceiling:.3f} on these {len(data)} images {pixels}; this model reaches {share:.3f} of it"
    )
    return [line], {"mean_iou": {"stride": stride, "ceiling": ceiling, "share": share}}


def _roi_lines(
    data: CocoFolder, cells: int, limit: int | None, reached: float
) -> tuple[list[str], dict[str, Any]]:
    """The ceiling of masks that are small squares inside boxes."""
    from seglib.metrics.ceilings import mask_ceiling

    ceiling = mask_ceiling(data, roi_size=cells, limit=limit)
    share = share_of(reached, ceiling)
    if share is None:
        return [], {}
    line = (
        f"ceiling: a perfect detector with {cells} x {cells} masks in its boxes reaches mask_AP "
        f"{ceiling:.3f} on these {len(data)} images; this model reaches {share:.3f} of it"
    )
    return [line], {"mask_AP": {"cells": cells, "ceiling": ceiling, "share": share}}


def _window_lines(
    network: DeepMask, data: CocoFolder, limit: int | None, figures: dict[str, float]
) -> tuple[list[str], dict[str, Any]]:
    """The baseline and the ceiling of the model's windows, in words and as JSON values."""
    from seglib.metrics.ceilings import model_baseline, model_ceiling

    measured = model_baseline(network, data, limit)
    baseline = {} if measured is None else measured.figures
    ceiling = model_ceiling(network, data, limit).figures
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


def share_of(reached: float, ceiling: float) -> float | None:
    """How much of its ceiling a figure reaches; None where there was nothing to find."""
    return reached / ceiling if ceiling > 0 and math.isfinite(reached) else None
