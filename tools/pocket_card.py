"""Write the data card of Pocket COCO: figures and measured statistics.

    python tools/pocket_card.py

Replaces data/pocket/CARD.md and the pictures in data/pocket/card/.
"""

from __future__ import annotations

from pathlib import Path

import torch

from seglib.data import CocoFolder, load_dataset
from seglib.data.assets import checkout_root
from seglib.data.pocket import VERSION, published_hash
from seglib.data.pocket.baselines import cluster_average_precision, color_classifier_mean_iou
from seglib.data.pocket.statistics import OCCLUDED_FROM, Statistics, measure
from seglib.metrics.ceilings import mask_ceiling, semantic_ceiling
from seglib.plotting import dataset_grid, show_images
from seglib.structures import Target

# Shares of COCO 2017's objects by COCO's size bins (32², 96² px): Lin et al. 2014, cocodataset.org.
COCO_SIZES = {"small": 0.41, "medium": 0.34, "large": 0.24}


def main() -> None:
    """Draw the figures, measure, and write the card."""
    root = checkout_root()
    assert root is not None, "run this in a checkout"
    folder = root / "data" / "pocket"
    (folder / "card").mkdir(exist_ok=True)
    dataset = load_dataset("pocket", split="val")
    pictures = {
        "scenes": dataset_grid(dataset, list(range(40, 56)), layer=None, columns=4),
        "annotated": dataset_grid(dataset, list(range(40, 48)), layer="instances", columns=4),
        "classes": show_images(*gallery(dataset), columns=6, panel=1.6),
    }
    for name, figure in pictures.items():
        (folder / "card" / f"{name}.png").write_bytes(figure.png())
    text = card(measure(folder, "val"), baselines_and_ceilings(folder, dataset))
    (folder / "CARD.md").write_text(text, encoding="utf-8")


def gallery(dataset: CocoFolder, per_class: int = 2) -> tuple[list[torch.Tensor], list[str]]:
    """Crops of the largest objects of each thing class that lie inside their image, with names."""
    best: dict[int, list[tuple[float, torch.Tensor]]] = {}
    for image, target in (dataset[i] for i in range(len(dataset))):
        for row in range(len(target)):
            if not target.iscrowd[row] and inside(target, row):
                crop = square_crop(image, target.boxes[row])
                best.setdefault(int(target.labels[row]), []).append((float(target.area[row]), crop))
    crops, names = [], []
    for label, found in sorted(best.items()):
        found.sort(key=lambda pair: -pair[0])
        crops += [crop for _, crop in found[:per_class]]
        names += [dataset.categories.by_label(label).name] * min(per_class, len(found))
    return crops, names


def inside(target: Target, row: int) -> bool:
    """Whether an object's box lies inside its image without touching the border."""
    x0, y0, x1, y1 = target.boxes[row].tolist()
    height, width = target.size
    return min(x0, y0) > 1 and x1 < width - 1 and y1 < height - 1


def square_crop(image: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """The square around a box, with a margin, resized to [3, 64, 64]."""
    x0, y0, x1, y1 = box.tolist()
    half = 0.55 * max(x1 - x0, y1 - y0)
    center_x, center_y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = max(0, round(center_x - half)), max(0, round(center_y - half))
    cut = image[:, top : round(center_y + half), left : round(center_x + half)]
    return torch.nn.functional.interpolate(cut[None], (64, 64), mode="bilinear")[0]


def baselines_and_ceilings(folder: Path, dataset: CocoFolder) -> dict[str, float]:
    """The scores of the colour baselines, and the ceilings of the output forms."""
    train = load_dataset("pocket", split="train")
    return {
        "clusters": cluster_average_precision(folder, "val"),
        "colors": color_classifier_mean_iou(train, dataset),
        **{f"stride {s}": semantic_ceiling(dataset, s) for s in (32, 16, 8, 4)},
        "masks, stride 4": mask_ceiling(dataset, stride=4),
        "masks, 28×28 in the box": mask_ceiling(dataset, roi_size=28),
    }


def table(counted: Statistics) -> str:
    """The Markdown table of the statistics."""
    mean = sum(counted.per_image) / counted.images
    rows = [
        "| | Pocket COCO, validation | COCO 2017 |",
        "| --- | --- | --- |",
        f"| annotations per image, mean | {mean:.1f} ({min(counted.per_image)}–{max(counted.per_image)}) | 7.7 |",
        *(
            f"| {name} objects | {counted.sizes[name]:.0%} | {COCO_SIZES[name]:.0%} |"
            for name in COCO_SIZES
        ),
        f"| partly occluded by others (more than {OCCLUDED_FROM:.0%} of the object) | {counted.occluded:.0%} | – |",
        f"| truncated by the border | {counted.truncated:.0%} | – |",
        f"| touching another object of their class | {counted.touching:.0%} | – |",
        f"| visible in several parts | {counted.several_parts:.0%} | – |",
        f"| with a hole | {counted.with_hole:.0%} | – |",
        f"| crowds | {counted.crowds} in {counted.images} images | 1% of annotations |",
        f"| smallest annotation | {counted.smallest_area} px² | – |",
    ]
    return "\n".join(rows)


def card(counted: Statistics, reached: dict[str, float]) -> str:
    """The Markdown text of the card."""
    classes = ", ".join(f"{name} {count}" for name, count in counted.per_class.items())
    ceilings = "\n".join(
        f"| {name} | {value:.3f} |"
        for name, value in reached.items()
        if name not in ("clusters", "colors")
    )
    return f"""# Data card: Pocket COCO, version {VERSION}

Procedurally generated scenes of 128 × 128 pixels in COCO's own format, with COCO's category ids:
12 thing classes, 4 stuff classes, masks, boxes, crowds and panoptic maps. It is the default data
set of every lesson. This file is generated by `python tools/pocket_card.py`.

![Sixteen scenes](card/scenes.png)

![Eight scenes with masks, boxes and names](card/annotated.png)

![Two objects of each class](card/classes.png)

## Contents

{counted.images} validation images are committed ({counted.objects} objects); 4,000 training images
are generated on first use. Any number can be generated: a scene is a function of seed and index.

{table(counted)}

Each data set has its own size bins: Pocket's end at 16² and 40² px, COCO's at 32² and 96² px.
Objects per class: {classes}.

## What colour alone achieves

| method | score | limit |
| --- | --- | --- |
| k-means on colours, then connected components, ignoring classes: mask AP | {reached["clusters"]:.4f} | 0.10 |
| the best class for each colour (16³ bins, 400 training images): mean IoU | {reached["colors"]:.3f} | 0.35 |

## What a perfect network could achieve

The form of a network's output limits its score. The ceilings are the mean IoU for class scores at
a given stride, and the mask AP for masks:

| output | ceiling |
| --- | --- |
{ceilings}

## Reproducibility

Masks and annotations are the same on every machine, since geometry is rounded to a grid before it
is drawn. Shading uses floating point, so pixels may differ by one grey level. SHA-256 of masks and
annotations: training `{(published_hash("train") or "")[:16]}…`, validation
`{(published_hash("val") or "")[:16]}…`, in full in `seglib/data/pocket/manifest.json`.

## Intended use and limits

For teaching, and for tests that must run anywhere. It is not a benchmark: scores on it say nothing
about photographs. It shows no real person and is free of third-party rights; the licence is
CC BY 4.0.
"""


if __name__ == "__main__":
    main()
