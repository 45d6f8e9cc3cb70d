"""What is measured of predictions and of the model that made them; None means not measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Readings:
    """How well the same values fit the truth under different readings of them.

    Attributes:
        as_is: the fit, usually in 0…1, when they are read as the format prescribes.
        otherwise: the fit for each other reading, such as "read as corners (x0, y0, x1, y1)".
        count: number of true objects, pairs or images over which the means were taken.
    """

    as_is: float
    otherwise: dict[str, float]
    count: int

    @property
    def best(self) -> tuple[str, float]:
        """The name and the fit of the best other reading; ("", 0) if there is none."""
        return max(self.otherwise.items(), key=lambda item: item[1], default=("", 0.0))


@dataclass
class PredictionSymptoms:
    """Predictions compared with the truth of a few images. IoUs ignore classes.

    Attributes:
        images: number of images with objects to find.
        predictions: number of predictions for them.
        records: number of records in the whole file; None for a model's own predictions.
        unreadable: fault → number of records that have it.
        unknown_images: number of records whose image the data set does not list.
        unknown_classes: number of records whose category id the data set does not list.
        scores: (lowest, highest), None without predictions.
        distinct_scores: number of different scores.
        covered: number of images, of `images`, with at least one prediction.
        repeated: share of predictions whose IoU with a better one of their class exceeds 0.7.
        located: number of true objects whose IoU with a predicted box is at least 0.5.
        image_ids: mean IoU of true boxes with predicted ones, under readings of the image ids.
        boxes: mean IoU of true boxes with predicted ones, under readings of the boxes.
        masks: mean IoU of true masks with predicted ones, under readings of the masks.
        classes: share of the located objects whose class is right, under readings of the classes.
        pixels: share of object pixels whose class is right (semantic maps only).
        empty: share of object pixels predicted as background (semantic maps only).
    """

    images: int = 0
    predictions: int = 0
    records: int | None = None
    unreadable: Counter[str] = field(default_factory=Counter)
    unknown_images: int = 0
    unknown_classes: int = 0
    scores: tuple[float, float] | None = None
    distinct_scores: int = 0
    covered: int = 0
    repeated: float = 0.0
    located: int = 0
    image_ids: Readings | None = None
    boxes: Readings | None = None
    masks: Readings | None = None
    classes: Readings | None = None
    pixels: Readings | None = None
    empty: float | None = None


@dataclass
class ModelSymptoms:
    """What a model scores on a few images, as it is and with changed settings.

    Attributes:
        fault: why it could not be scored.
        figure: the name of the figure, such as "mask_AP50".
        value: the figure as the model is; nan where there was nothing to find.
        images: number of images.
        inputs: the figure with other normalisations of the images.
        thresholds: the figure and the number of predictions without score thresholds.
        lowered: name → value of the thresholds that were set to 0 for that.
        predictions: number of predictions as the model is; None for semantic maps.
    """

    fault: str = ""
    figure: str = ""
    value: float = 0.0
    images: int = 0
    inputs: Readings | None = None
    thresholds: tuple[float, int] | None = None
    lowered: dict[str, float] = field(default_factory=dict)
    predictions: int | None = None
