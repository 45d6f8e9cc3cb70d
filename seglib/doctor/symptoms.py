"""The measured quantities from which diagnoses are made. None means: not measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from seglib.doctor.prediction_symptoms import ModelSymptoms, PredictionSymptoms, Readings
from seglib.structures import Categories


@dataclass
class SplitSymptoms:
    """One split of a data set.

    Attributes:
        split: "train" or "val".
        file: the annotation file; empty if it cannot be read.
        faults: as `seglib data check` words them.
        notes: as `seglib data check` words them.
        images: number of images that could be read.
        objects: number of objects in them, without crowds.
        crowds: number of crowds in them.
        categories: None if the annotations cannot be read.
        objects_by_class: number of objects by class name.
        boxes: mean IoU of annotated boxes with those of the masks, under readings of the boxes.
        masks: the same, under readings of the masks instead of the boxes.
        outlines: mean brightness gradient along the outlines of masks, divided by that of the
            whole image.
        blank: number of images of a single colour.
        sides: median over the objects of √area, in px; None without objects.
    """

    split: str
    file: str = ""
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    images: int = 0
    objects: int = 0
    crowds: int = 0
    categories: Categories | None = None
    objects_by_class: Counter[str] = field(default_factory=Counter)
    boxes: Readings | None = None
    masks: Readings | None = None
    outlines: Readings | None = None
    blank: int = 0
    sides: float | None = None


@dataclass
class LogSymptoms:
    """How a training run went. Losses are means over a tenth of the steps.

    Attributes:
        steps: number of finished steps.
        planned: number of steps in the settings.
        first: loss of the first tenth.
        last: loss of the last tenth.
        lowest: lowest loss of any tenth.
        before_last: loss of the last tenth but one.
        not_finite: number of steps with a NaN or infinite loss.
        damaged: number of lines that are not JSON records.
        lr: highest learning rate of the schedule.
        optimizer: "adamw" or "sgd".
        batch_size: images per step.
        usual_lr: learning rate of the same paradigm's shipped checkpoint; None if there is none
            or its optimizer is another one.
        usual_images: number of images that this checkpoint saw, repetitions included.
    """

    steps: int
    planned: int | None = None
    first: float = 0.0
    last: float = 0.0
    lowest: float = 0.0
    before_last: float = 0.0
    not_finite: int = 0
    damaged: int = 0
    lr: float | None = None
    optimizer: str = "adamw"
    batch_size: int = 1
    usual_lr: float | None = None
    usual_images: int | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether steps are missing at the end."""
        return self.planned is not None and self.steps < self.planned


@dataclass
class WeightSymptoms:
    """A model's file.

    Attributes:
        fault: why it cannot be loaded; the other fields are then empty.
        is_missing: whether that is because a run's folder has no model yet.
        model: the paradigm in the file.
        wanted: the paradigm that the run's settings name, if they could be read.
        categories: what its labels mean.
        trained_on: name of the data set, if the file says so.
        vectors: number of biases and normalisation parameters.
        as_at_start: number of those that have exactly the values of a new model.
        dead: names of matrices and kernels that are all zeros, unlike those of a new model.
        image_size: longer side in px to which the model resizes images; None if it does not.
    """

    fault: str = ""
    is_missing: bool = False
    model: str = ""
    wanted: str | None = None
    categories: Categories | None = None
    trained_on: str = ""
    vectors: int = 0
    as_at_start: int = 0
    dead: list[str] = field(default_factory=list)
    image_size: int | None = None


@dataclass
class Symptoms:
    """Everything that was measured in one examination.

    Attributes:
        dataset: the name of the data set.
        faults: what could not be read, as (file or option, message).
        splits: the symptoms of each split of the data set.
        log: the symptoms of the run's log.
        weights: the symptoms of the model's file.
        model: the symptoms of the model's figures.
        predictions: the symptoms of the model's predictions, or of those in a file.
    """

    dataset: str = ""
    faults: list[tuple[str, str]] = field(default_factory=list)
    splits: list[SplitSymptoms] = field(default_factory=list)
    log: LogSymptoms | None = None
    weights: WeightSymptoms | None = None
    model: ModelSymptoms | None = None
    predictions: PredictionSymptoms | None = None
