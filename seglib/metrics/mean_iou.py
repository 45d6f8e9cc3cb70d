"""How good a labelling of pixels is: the four figures of the FCN paper from one matrix.

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
    """Count how often each true label met each predicted one.

    Args:
        prediction: integer [...] labels 0…num_classes - 1, of any shape.
        truth: integer [...] of the same shape, or `ignore`, where nothing is counted.
        num_classes: labels, background included.
        ignore: the true label of pixels that do not count.

    Returns:
        int64 [num_classes, num_classes]: row the true label, column the predicted one.

    Raises:
        SeglibError: different shapes, or a label out of range.
    """
    if prediction.shape != truth.shape:
        raise SeglibError(
            f"predicted labels {list(prediction.shape)} and true ones {list(truth.shape)} "
            "must have one shape: predict at the original size"
        )
    counted = truth != ignore
    true, predicted = truth[counted].long(), prediction[counted].long()
    for name, labels in (("true", true), ("predicted", predicted)):
        if labels.numel() and not 0 <= labels.min() <= labels.max() < num_classes:
            raise SeglibError(
                f"{name} labels run {int(labels.min())}…{int(labels.max())}, "
                f"expected 0…{num_classes - 1} (and {ignore} for ignored truth)"
            )
    # Each pair of labels is one number; counting the numbers fills the table in one pass.
    pairs = true * num_classes + predicted
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def pixel_accuracy(confusion: Tensor) -> float:
    """The share of pixels that are right: flattering where one class fills the picture."""
    return float(confusion.trace().double() / confusion.sum())


def class_accuracy(confusion: Tensor) -> Tensor:
    """Of each class's true pixels, the share found: float64 [C], nan for a class never true."""
    return confusion.diagonal().double() / confusion.sum(dim=1)


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class: float64 [C], nan where neither true nor predicted."""
    right = confusion.diagonal().double()
    return right / (confusion.sum(dim=0) + confusion.sum(dim=1) - right)


def mean_accuracy(confusion: Tensor) -> float:
    """The mean of `class_accuracy`, every class weighing the same."""
    return float(class_accuracy(confusion).nanmean())


def mean_iou(confusion: Tensor) -> float:
    """The mean of `class_iou`: the field's main figure. Classes absent from both are left out."""
    return float(class_iou(confusion).nanmean())


def freq_weighted_iou(confusion: Tensor) -> float:
    """`class_iou` weighed by how many pixels each class truly has."""
    share = confusion.sum(dim=1).double() / confusion.sum()
    return float((share * class_iou(confusion)).nansum())


@dataclass(frozen=True)
class SemanticResult:
    """The FCN paper's figures, all in 0…1; nan where nothing was counted.

    Attributes:
        pixel_accuracy, mean_accuracy, mean_iou, freq_weighted_iou: see the functions above.
        class_iou: by name, "background" first; nan for a class neither true nor predicted.
        class_accuracy: by name; nan for a class never true.
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
    """Gathers label maps image by image, then gives the four figures and the IoU by class.

    Args:
        categories: their labels are 1…C; 0 is background and counts as a class of its own.
    """

    def __init__(self, categories: Categories) -> None:
        self.categories = categories
        self.confusion = torch.zeros(len(categories) + 1, len(categories) + 1, dtype=torch.int64)

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Add one image: int [H, W] labels 0…C; the truth may hold 255 for pixels not counted."""
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
