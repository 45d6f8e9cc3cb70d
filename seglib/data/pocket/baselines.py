"""Baselines that use only colour: Pocket COCO is worth learning only if they score low."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval
from scipy.cluster.vq import kmeans2
from scipy.ndimage import label

from seglib.data.coco import CocoFolder
from seglib.data.pocket.statistics import load_image, read
from seglib.structures import BACKGROUND, IGNORE

MIN_AREA = 40
CLUSTERS = (6, 10, 16)
LEVELS = 16
"""Levels per colour channel that the classifier distinguishes."""


def cluster_average_precision(folder: Path | str, split: str, limit: int | None = None) -> float:
    """Class-agnostic mask AP of the connected components of colour clusters, for the best k.

    The pixels of every image are clustered (k-means in RGB); each connected piece of a cluster is
    a proposal, large ones first. Ignoring the classes favours the method.

    Args:
        folder: folder of a Pocket COCO split.
        split: name of the split.
        limit: use only the first `limit` images.
    """
    coco = read(Path(folder) / "annotations" / f"instances_{split}.json")
    image_ids = sorted(coco.imgs)[:limit]
    return max(_average_precision(coco, Path(folder), split, image_ids, k) for k in CLUSTERS)


def _average_precision(
    coco: Any, folder: Path, split: str, image_ids: list[int], clusters: int
) -> float:
    found: list[dict[str, Any]] = []
    for image_id in image_ids:
        image = load_image(folder, split, coco.imgs[image_id])
        for mask in color_segments(image, clusters):
            segment = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            record = {"image_id": image_id, "category_id": 1, "segmentation": segment}
            found.append(record | {"score": float(mask.mean())})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(found), "segm")
        evaluation.params.useCats = 0
        evaluation.params.imgIds = image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def color_segments(image: NDArray[np.uint8], clusters: int) -> list[NDArray[np.bool_]]:
    """The connected pieces of the colour clusters with at least 40 px, bool [H, W] each."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    _, assigned = kmeans2(pixels, clusters, minit="++", rng=0, missing="warn")
    cluster_map = assigned.reshape(image.shape[:2])
    masks = []
    for cluster in range(clusters):
        pieces, count = label(cluster_map == cluster)
        areas = np.bincount(pieces.ravel(), minlength=count + 1)
        masks += [pieces == i for i in range(1, count + 1) if areas[i] >= MIN_AREA]
    return masks


def color_classifier_mean_iou(
    train: CocoFolder, test: CocoFolder, train_images: int = 400, test_images: int = 300
) -> float:
    """Mean IoU of predicting the best class for every colour, learned from a training split.

    Colours are counted in 16³ bins. Two rules are tried, the most frequent class of a bin and the
    class of which the bin makes up the largest share; the better one counts.

    Args:
        train: data set in which colours are counted.
        test: data set on which the rules are evaluated.
        train_images: use only the first images of `train`.
        test_images: use only the first images of `test`.
    """
    classes = len(train.categories) + 1
    counts = np.zeros((LEVELS**3, classes))
    for bins, truth in _pixels(train, train_images):
        np.add.at(counts, (bins, truth), 1)
    share = (counts + 0.1) / (counts.sum(axis=0, keepdims=True) + 0.1 * len(counts))
    share[:, BACKGROUND] = 0
    rules = (counts.argmax(axis=1), share.argmax(axis=1))
    confusions = [np.zeros((classes, classes)) for _ in rules]
    for bins, truth in _pixels(test, test_images):
        for confusion, rule in zip(confusions, rules, strict=True):
            np.add.at(confusion, (truth, rule[bins]), 1)
    return max(_mean_iou(confusion) for confusion in confusions)


def _pixels(
    dataset: CocoFolder, limit: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(colour bins [P], labels [P]) per image, without ignored pixels."""
    for index in range(min(limit, len(dataset))):
        image, target = dataset[index]
        assert target.semantic is not None  # Pocket COCO is annotated everywhere
        red, green, blue = (image * (LEVELS - 1e-3)).to(torch.int64).numpy()
        bins, truth = (red * LEVELS + green) * LEVELS + blue, target.semantic.numpy()
        known = truth != IGNORE
        yield bins[known], truth[known]


def _mean_iou(confusion: NDArray[np.float64]) -> float:
    hits = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return float((hits[union > 0] / union[union > 0]).mean())
