"""Mean IoU and its relatives: the FCN paper's four figures, all from one confusion matrix.

Every pixel of the data set is counted once in a table of true against predicted labels, the
confusion matrix; all four figures are sums over its rows, columns and diagonal (Long et al.
2015, section 5, "Metrics").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.structures import IGNORE, Categories

BACKGROUND_NAME = "background"


def confusion_matrix(
    prediction: Tensor, truth: Tensor, num_classes: int, ignore: int = IGNORE
) -> Tensor:
    """Count the pixels of each pair of true and predicted label.

    Args:
        prediction: integer [...] labels 0…num_classes - 1, of any shape.
        truth: integer labels of the same shape; `ignore` marks pixels that do not count.
        num_classes: number of labels, background included.
        ignore: see `truth`.

    Returns:
        int64 [num_classes, num_classes]: row the true label, column the predicted one.

    Raises:
        SeglibError: different shapes, or a label out of range.
    """
    if prediction.shape != truth.shape:
        raise SeglibError(
            f"predicted labels {list(prediction.shape)} and true labels {list(truth.shape)} "
            "must have the same shape: predict at the original size"
        )
    counted = truth != ignore
    true, predicted = truth[counted].long(), prediction[counted].long()
    for name, labels in (("true", true), ("predicted", predicted)):
        if labels.numel() and not 0 <= labels.min() <= labels.max() < num_classes:
            raise SeglibError(
                f"{name} labels run {int(labels.min())}…{int(labels.max())}, "
                f"expected 0…{num_classes - 1} (and {ignore} for ignored truth)"
            )
    # Each pair of labels is one number, so that one count fills the whole table.
    pairs = true * num_classes + predicted  # [N]
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def pixel_accuracy(confusion: Tensor) -> float:
    """The share of correctly labelled pixels, which is high wherever one class fills the image."""
    return float(confusion.trace().double() / confusion.sum())


def class_accuracy(confusion: Tensor) -> Tensor:
    """The share of each class's true pixels that is found: float64 [C], nan if it has none."""
    return confusion.diagonal().double() / confusion.sum(dim=1)


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class: float64 [C], nan where neither true nor predicted."""
    true_positives = confusion.diagonal().double()
    return true_positives / (confusion.sum(dim=0) + confusion.sum(dim=1) - true_positives)


def mean_accuracy(confusion: Tensor) -> float:
    """The mean of `class_accuracy`, every class with the same weight."""
    return float(class_accuracy(confusion).nanmean())


def mean_iou(confusion: Tensor) -> float:
    """The mean of `class_iou`, the field's main figure, over classes that are true or predicted."""
    return float(class_iou(confusion).nanmean())


def freq_weighted_iou(confusion: Tensor) -> float:
    """The mean of `class_iou`, weighted by each class's number of true pixels."""
    share = confusion.sum(dim=1).double() / confusion.sum()
    return float((share * class_iou(confusion)).nansum())


@dataclass(frozen=True)
class SemanticResult:
    """The FCN paper's figures, all in 0…1; nan where nothing was counted.

    Attributes:
        pixel_accuracy, mean_accuracy, mean_iou, freq_weighted_iou: see the functions above.
        class_iou: the IoU by name, "background" first; nan for a class neither true nor predicted.
        class_accuracy: the accuracy by name; nan for a class without true pixels.
        confusion: int64 [C+1, C+1], row the true label, column the predicted one.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    freq_weighted_iou: float
    class_iou: dict[str, float]
    class_accuracy: dict[str, float]
    confusion: Tensor


class SemanticEvaluator:
    """Collects label maps image by image, and computes the four figures and each class's IoU.

    Args:
        categories: their labels are 1…C; 0 is background and counts as a class of its own.
    """

    def __init__(self, categories: Categories) -> None:
        self.categories = categories
        self.confusion = torch.zeros(len(categories) + 1, len(categories) + 1, dtype=torch.int64)

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Add one image: int [H, W] labels 0…C; a true label of 255 leaves its pixel out."""
        self.confusion += confusion_matrix(
            prediction.cpu(), truth.cpu(), num_classes=len(self.categories) + 1
        )

    def compute(self) -> SemanticResult:
        """The figures over all images so far."""
        names = (BACKGROUND_NAME, *self.categories.names)
        confusion = self.confusion.clone()
        return SemanticResult(
            pixel_accuracy=pixel_accuracy(confusion),
            mean_accuracy=mean_accuracy(confusion),
            mean_iou=mean_iou(confusion),
            freq_weighted_iou=freq_weighted_iou(confusion),
            class_iou=dict(zip(names, class_iou(confusion).tolist(), strict=True)),
            class_accuracy=dict(zip(names, class_accuracy(confusion).tolist(), strict=True)),
            confusion=confusion,
        )
