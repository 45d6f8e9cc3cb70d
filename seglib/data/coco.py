"""A folder in COCO format as a dataset of (image, target) pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from seglib.data.coco_json import (
    Annotation,
    ImageRecord,
    InstanceFile,
    PanopticFile,
    read_instances,
    read_panoptic,
)
from seglib.data.images import read_image, read_segment_ids
from seglib.data.sample_cache import PackedSample
from seglib.data.targets import (
    build_panoptic,
    build_target,
    semantic_from_masks,
    semantic_from_panoptic,
)
from seglib.data.transforms import resize_sample
from seglib.errors import SeglibError
from seglib.structures import (
    BACKGROUND,
    COCO_AREA_RANGES,
    IGNORE,
    AreaRanges,
    Categories,
    Category,
    Target,
)

Sample = tuple[Tensor, Target]
MAX_SIZE = 8192  # px of the longer side; such an image needs 800 MB of memory


class CocoFolder(Dataset[Sample]):
    """Images with their COCO annotations; `dataset[i]` is (image float32 [3, H, W], Target).

    The semantic map of a target comes from the panoptic annotation if there is one (things and
    stuff; unlabelled and crowd pixels are ignored), otherwise from the objects (things and
    background; crowd pixels are ignored, and smaller objects lie on top). With more than 254
    categories there is none, since a label map cannot distinguish them.

    A target contains what a model can learn from; its `truth` contains what the file says, for
    evaluations. With `size`, both are in the coordinates of the resized image, `truth` in float64.

    Attributes:
        name: the name in tables and captions, such as "pocket".
        split: "train" or "val".
        categories: what the labels mean: things, and stuff if there is a panoptic annotation.
        image_ids: COCO ids in the order of the dataset.
        area_ranges: the ranges of object size that metrics report separately.
        size: px of the longer side, or None for the original sizes.
        notes: what was left out or assumed, for the user to read.
    """

    def __init__(
        self,
        images_dir: Path | str,
        annotations_json: Path | str,
        panoptic: tuple[Path | str, Path | str] | None = None,
        *,
        name: str | None = None,
        split: str = "val",
        categories: Sequence[str] | None = None,
        size: int | None = None,
        limit: int | None = None,
        area_ranges: AreaRanges = COCO_AREA_RANGES,
        cache: bool = False,
        notes: Iterable[str] = (),
        faults: list[str] | None = None,
    ) -> None:
        """Read and check the annotations; images are read on access.

        Args:
            images_dir: the folder that the images' `file_name`s refer to.
            annotations_json: the instance annotations.
            panoptic: (panoptic JSON, folder of its PNGs), or None.
            name: shown in tables; the folder's name by default.
            split: shown in tables.
            categories: keep only these, by name, and only the images that show one of them;
                everything else is background.
            size: resize image and target so that the longer side has this many px.
            limit: keep only the first `limit` images.
            area_ranges: px² ranges by name.
            cache: keep every sample in memory once it has been read (one byte per colour value,
                one bit per mask pixel).
            notes: placed before the notes of the reader.
            faults: receives the messages about faulty records, which are then left out; without
                it, the first fault is raised.

        Raises:
            SeglibError: annotations that are missing or malformed, an unknown category name, or
                no image left.
        """
        if limit is not None and limit < 1:
            raise SeglibError(f"limit must be at least 1, not {limit}")
        if size is not None and not 1 <= size <= MAX_SIZE:
            raise SeglibError(f"size must be between 1 and {MAX_SIZE} px, not {size}")
        self.images_dir = Path(images_dir)
        self._file: InstanceFile = read_instances(Path(annotations_json), faults)
        self._panoptic: PanopticFile | None = None
        if panoptic is not None:
            self._panoptic_dir = Path(panoptic[1])
            self._panoptic = read_panoptic(Path(panoptic[0]), faults)
            _check_same_categories(self._file, self._panoptic)
        self.name = name or self.images_dir.name
        self.split = split
        self.size = size
        self.area_ranges = dict(area_ranges)
        self.notes = [*notes, *self._file.notes]
        known = self._panoptic.categories if self._panoptic else self._file.categories
        self.categories = known if categories is None else _select_categories(known, categories)
        if not self.categories.fit_label_maps:
            self.notes.append(
                f"there are no label maps, since these can only distinguish {IGNORE - 1} "
                f"categories, not {len(self.categories)}"
            )
        self._labels = {c.coco_id: c.label for c in self.categories}
        self._is_selection = categories is not None
        self.image_ids = [i for i in self._file.images if not self._is_selection or self._shows(i)]
        self.image_ids = self.image_ids[:limit]
        self._cache: dict[int, PackedSample] | None = {} if cache else None
        if not self.image_ids:
            raise SeglibError(f"{self._file.path} lists no image of the chosen categories")

    def __len__(self) -> int:
        return len(self.image_ids)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            SeglibError: a missing, truncated or mismatched file, or a malformed annotation; the
                message names it.
        """
        image_id = self.image_ids[index]
        if self._cache is None:
            image, target = self._read(image_id)
        else:
            if image_id not in self._cache:
                self._cache[image_id] = PackedSample.pack(*self._read(image_id))
            image, target = self._cache[image_id].unpack()
        return image.float().div_(255), target

    def __repr__(self) -> str:
        size = f", {self.size} px" if self.size else ""
        counts = f"{len(self.categories.things)} things, {len(self.categories.stuff)} stuff"
        return f"<{self.name} {self.split}: {len(self)} images{size}, {counts}>"

    def record(self, image_id: int) -> ImageRecord:
        """The `images` entry of an image; raises SeglibError for an id not in the dataset."""
        if image_id not in self._file.images:
            raise SeglibError(f"{self._file.path} lists no image {image_id}")
        return self._file.images[image_id]

    def image_path(self, image_id: int) -> Path:
        """The file of an image."""
        return self.images_dir / self.record(image_id).file_name

    def annotations(self, image_id: int) -> list[Annotation]:
        """The COCO records of an image's objects, unchanged."""
        return self._file.annotations[self.record(image_id).id]

    @property
    def has_panoptic(self) -> bool:
        """Whether targets have a panoptic map, and semantic maps include stuff."""
        return self._panoptic is not None

    @property
    def annotations_path(self) -> Path:
        """The instance JSON that was read."""
        return self._file.path

    def select(self, image_ids: Sequence[int]) -> CocoFolder:
        """The same dataset with only these images, in this order."""
        missing = set(image_ids) - set(self.image_ids)
        if missing or not image_ids:
            raise SeglibError(f"{self.name} {self.split} has no image {sorted(missing)}")
        selection = CocoFolder.__new__(CocoFolder)
        selection.__dict__.update(self.__dict__)
        selection.image_ids = list(image_ids)
        return selection

    def check(
        self,
        visit: Callable[[Target], object] | None = None,
        watch: Callable[[Sequence[int]], Iterable[int]] = iter,
    ) -> list[str]:
        """Read every sample and return the messages of all errors found.

        Args:
            visit: called with the target of each sample that could be read.
            watch: iterates over the image ids, for instance with a progress bar.
        """
        faults = []
        for image_id in watch(self.image_ids):
            try:
                _, target = self._read(image_id)
            except SeglibError as error:
                faults.append(str(error))
            else:
                if visit is not None:
                    visit(target)
        return faults

    def _shows(self, image_id: int) -> bool:
        """Whether the image has an object or segment of the selected categories."""
        found = {a["category_id"] for a in self._file.annotations[image_id]}
        if self._panoptic is not None and image_id in self._panoptic.entries:
            segments = self._panoptic.entries[image_id]["segments_info"]
            found |= {segment["category_id"] for segment in segments}
        return not found.isdisjoint(self._labels)

    def _read(self, image_id: int) -> Sample:
        """The resized sample, its image as uint8."""
        record = self._file.images[image_id]
        image = read_image(self.image_path(image_id), record.size)
        try:
            target = build_target(self._file.annotations[image_id], record, self._labels)
        except SeglibError as error:
            raise SeglibError(f"{self._file.path}: image {image_id}: {error}") from error
        if self._panoptic is not None:
            target = self._with_panoptic(self._panoptic, target)
        elif self.categories.fit_label_maps:
            target.semantic = semantic_from_masks(target.masks, target.labels, target.iscrowd)
        if self.size is not None and self.size != max(record.size):
            resized, target = resize_sample(image.float() / 255, target, self.size)
            image = resized.mul(255).round().byte()
        return image, target

    def _with_panoptic(self, file: PanopticFile, target: Target) -> Target:
        entry = file.entries.get(target.image_id)
        if entry is None:
            raise SeglibError(f"{file.path} has no entry for image {target.image_id}: add it")
        ids = read_segment_ids(self._panoptic_dir / entry["file_name"], target.size)
        panoptic = build_panoptic(ids, entry, self._labels)
        if not self.categories.fit_label_maps:
            return replace(target, panoptic=panoptic)
        semantic = semantic_from_panoptic(panoptic)
        if self._is_selection:  # segments of other categories are background, not unlabelled
            semantic[(panoptic.segment_map == 0) & (ids != 0)] = BACKGROUND
        return replace(target, panoptic=panoptic, semantic=semantic)


def _select_categories(categories: Categories, names: Sequence[str]) -> Categories:
    """The named categories with new contiguous labels, in the order of the full set."""
    labels = {categories.by_name(name).label for name in names}
    kept = [category for category in categories if category.label in labels]
    return Categories(replace(c, label=label) for label, c in enumerate(kept, start=1))


def _check_same_categories(instances: InstanceFile, panoptic: PanopticFile) -> None:
    by_coco_id: dict[int, Category] = {c.coco_id: c for c in panoptic.categories}
    for category in instances.categories:
        other = by_coco_id.get(category.coco_id)
        if other is None or other.name != category.name:
            raise SeglibError(
                f"{panoptic.path}: category {category.coco_id} is {other.name if other else None!r}"
                f", but {category.name!r} in {instances.path}: the two files do not belong together"
            )
