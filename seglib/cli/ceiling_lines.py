"""The lines in which `seglib eval` compares a model with a perfect network of its output form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder
    from seglib.models.base import Segmenter, Task

# The figures that are printed; records contain all of them.
SHOWN: dict[Task, tuple[str, ...]] = {
    "semantic": ("mean_iou",),
    "panoptic": ("PQ",),
    "instances": ("mask_AP",),
    "proposals": ("mask_AR@10", "mask_AR@100", "mask_AR@1000"),
}


def ceiling_lines(
    network: Segmenter,
    data: CocoFolder,
    limit: int | None,
    figures: dict[str, float],
    size: int | None,
) -> tuple[list[str], dict[str, Any]]:
    """Compare a model's figures with those of a perfect network of its form on the same images.

    Args:
        network: the model.
        data: the data set on which it was evaluated.
        limit: use only the first `limit` images; None uses all.
        figures: the model's own figures.
        size: longer side of the images in pixels; None if they keep their own sizes.

    Returns:
        lines to print, and for each figure a dict: "ceiling", "share" (the model's figure divided
        by the ceiling), the numbers of the output form and, if there is a baseline, "baseline" and
        "times" (the model's figure divided by the baseline). Both are empty if there was nothing
        to find.
    """
    if not any(math.isfinite(value) for value in figures.values()):
        return [], {}
    form = network.output_form
    ceiling, baseline = _bounds(network, data, limit)
    values = {
        name: {**form.numbers, **place}
        for name, most in ceiling.items()
        if (place := _place(figures.get(name, math.nan), baseline.get(name), most))
    }
    shown = [name for task in network.tasks for name in SHOWN.get(task, ()) if name in values]
    images = f"on these {len(data)} images"
    if baseline:
        return _bracket(form.baseline, form.ceiling, shown, values, images), values
    if "semantic" in network.tasks:  # what a grid over the image loses depends on its size
        images = f"{images} {_pixels(data, size)}"
    lines = [
        f"ceiling: {form.ceiling} reaches {name} {values[name]['ceiling']:.3f} {images}; "
        f"this model reaches {values[name]['share']:.3f} of it"
        for name in shown
    ]
    return lines, values


def _bounds(
    network: Segmenter, data: CocoFolder, limit: int | None
) -> tuple[dict[str, float], dict[str, float]]:
    """The figures of the model's ceiling and of its baseline; no figures if it has no baseline."""
    from seglib.cli.progress import Bar
    from seglib.metrics.ceilings import model_baseline, model_ceiling

    with Bar(f"ceiling of {network.name}", "images", len(data)) as bar:
        ceiling = model_ceiling(network, data, limit, lambda done, _: bar.update(done))
    if not network.output_form.baseline:
        return ceiling.figures, {}
    with Bar(f"baseline of {network.name}", "images", len(data)) as bar:
        baseline = model_baseline(network, data, limit, lambda done, _: bar.update(done))
    return ceiling.figures, {} if baseline is None else baseline.figures


def _place(reached: float, baseline: float | None, ceiling: float) -> dict[str, float]:
    """A figure's relation to its baseline and its ceiling; empty if nothing was scored."""
    share = share_of(reached, ceiling)
    if share is None:
        return {}
    if baseline is None:
        return {"ceiling": ceiling, "share": share}
    times = {"times": reached / baseline} if baseline > 0 else {}
    return {"baseline": baseline, "ceiling": ceiling, "share": share, **times}


def _bracket(
    baseline: str, ceiling: str, shown: list[str], values: dict[str, dict[str, float]], images: str
) -> list[str]:
    """A line for the baseline, one for the ceiling, then one for each figure of the model."""
    if not shown:
        return []
    lines = [
        f"{kind}: {text}: " + ", ".join(f"{name} {values[name][kind]:.3f}" for name in shown)
        for kind, text in (("baseline", baseline), ("ceiling", ceiling))
    ]
    for name in shown:
        times = values[name].get("times")
        above = "" if times is None else f"{times:.1f} times the baseline, "
        share = f"{values[name]['share']:.3f} of the ceiling"
        lines.append(f"{name}: this model reaches {above}{share} {images}")
    return lines


def _pixels(data: CocoFolder, size: int | None) -> str:
    sides = {size} if size else {max(data.record(i).size) for i in data.image_ids}
    return f"at {sides.pop()} px" if len(sides) == 1 else "at their own sizes"


def share_of(reached: float, ceiling: float) -> float | None:
    """The share of its ceiling that a figure reaches; None if there was nothing to find."""
    return reached / ceiling if ceiling > 0 and math.isfinite(reached) else None
