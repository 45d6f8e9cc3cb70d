"""Figures show what they claim, are reproducible, and leave no state behind."""

from __future__ import annotations

import base64
import io
import itertools
import sys
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

import seglib.plotting as plotting
from seglib.errors import SeglibError
from seglib.ops.convolution import conv2d
from seglib.plotting import panels, style
from seglib.plotting.overlays import short_name
from seglib.plotting.png import encode_png
from seglib.plotting.segments import map_color
from seglib.structures import Categories, Category, Instances, Panoptic, Prediction, Target
from seglib.training import History, Progress
from tests.figures import words

CATEGORIES = Categories(
    [
        Category(1, 16, "bird"),
        Category(2, 18, "dog"),
        Category(3, 187, "sky-other-merged", is_thing=False),
    ]
)


def scene() -> tuple[torch.Tensor, Target]:
    """Two touching dogs and a bird under a sky, 40 x 60, one pixel column ignored."""
    image = torch.linspace(0, 1, 3 * 40 * 60).reshape(3, 40, 60)
    masks = torch.zeros(3, 40, 60, dtype=torch.bool)
    masks[0, 20:35, 5:20] = True
    masks[1, 20:35, 20:40] = True
    masks[2, 3:10, 40:55] = True
    labels = torch.tensor([2, 2, 1])
    semantic = torch.zeros(40, 60, dtype=torch.int64)
    semantic[:15] = 3
    segment_map = (semantic == 3).long() * 4
    for number, (mask, label) in enumerate(zip(masks, labels, strict=True), 1):
        semantic[mask] = label
        segment_map[mask] = number
    semantic[:, 59] = 255
    panoptic = Panoptic(
        segment_map, torch.tensor([1, 2, 3, 4]), torch.tensor([2, 2, 1, 3]), torch.zeros(4).bool()
    )
    boxes = torch.tensor([[5.0, 20, 20, 35], [20, 20, 40, 35], [40, 3, 55, 10]])
    crowd = torch.tensor([False, False, False])
    area = masks.flatten(1).sum(1).float()
    return image, Target(boxes, labels, masks, crowd, area, (40, 60), 1, semantic, panoptic)


class Dataset:
    """Three times the scene."""

    categories = CATEGORIES

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Target]:
        return scene()


def titles(fig: plotting.Figure) -> list[str]:
    return [axes.get_title() for axes in fig.axes]


def every_figure() -> dict[str, plotting.Figure]:
    """One figure of each kind."""
    image, target = scene()
    kernel = torch.tensor([[1.0, 0, -1]] * 3)
    small = torch.arange(25.0).reshape(5, 5)
    prediction = Prediction((40, 60), CATEGORIES, semantic=target.semantic)
    mask = target.masks[0, 18:26, 2:12]
    return {
        "images": plotting.show_images([image, image[0]], ["a", "b"]),
        "heat": plotting.show_heatmap(small, "heat"),
        "sample": plotting.show_sample(image, target, CATEGORIES),
        "prediction": plotting.show_prediction(image, prediction),
        "compare": plotting.compare(image, {"Truth": target}, CATEGORIES),
        "grid": plotting.dataset_grid(Dataset(), 2),
        "semantic": plotting.show_semantic(image, target, CATEGORIES),
        "panoptic": plotting.show_panoptic(image, target, CATEGORIES),
        "training": plotting.training_curve([3.0, 2, 1], {"mean IoU": [(1, 0.2), (3, 0.6)]}),
        "layers": plotting.layer_profile({"plain": [1.0, 0.1]}, title="gradients"),
        "bars": plotting.bars({"dog": 0.5, "bird": 0.9}, title="IoU"),
        "histogram": plotting.histogram({"a": small, "b": small * 2}, title="areas"),
        "pr": plotting.precision_recall(np.array([1, 0.5]), np.array([0.5, 0.5])),
        "staircase": plotting.ap_staircase([0.9, 0.8], [True, False], 2),
        "confusion": plotting.confusion_heatmap(np.eye(3) * 4, ["a", "b", "c"]),
        "step": plotting.convolution_step(small, kernel, torch.ones(3, 3), (1, 1)),
        "kernels": plotting.show_kernels({"edge": kernel}),
        "maps": plotting.feature_maps(small[None]),
        "sizes": plotting.show_output_sizes(5, [{"kernel": 3}]),
        "im2col": plotting.show_im2col(4, 3),
        "transposed": plotting.show_transposed_convolution(torch.ones(2, 2), kernel),
        "bilinear": plotting.show_bilinear_kernel(4),
        "field": plotting.show_receptive_field(image, (5, 5, 20, 20), image[0]),
        "growth": plotting.show_field_growth([3, 7], [1, 2]),
        "pixels": plotting.show_mask_pixels(mask, "mask"),
        "rle": plotting.show_rle(mask),
        "polygon": plotting.show_polygon([[1, 1, 6, 1, 6, 5]], (7, 8)),
        "iou": plotting.show_iou(target.masks[0], target.masks[1]),
        "timeline": plotting.timeline("FCN"),
        "vgg": plotting.vgg_diagram(),
        "residual": plotting.residual_diagram(),
        "resnet": plotting.resnet_diagram(),
        "fpn": plotting.fpn_diagram(),
        "fcn": plotting.fcn_diagram(),
        "tasks": plotting.task_comparison(image, target, CATEGORIES),
        "five": plotting.five_tasks(image, target, CATEGORIES),
        "scores": plotting.score_maps(image, {"8s": target.semantic}, target.semantic, CATEGORIES),
        "touching": plotting.touching_instances(image, target, target.semantic, CATEGORIES, 2),
    }


def test_figures_are_labelled_small_and_leave_no_state() -> None:
    before = dict(mpl.rcParams)
    for name, fig in every_figure().items():
        assert any(titles(fig)) or fig.get_suptitle() or name == "grid", name
        assert len(fig.png()) < 200_000, name
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def test_the_same_figure_gives_the_same_bytes() -> None:
    image, target = scene()
    for draw in (
        lambda: plotting.show_semantic(image, target, CATEGORIES),
        lambda: plotting.timeline("FCN"),
        lambda: plotting.training_curve(np.linspace(2, 1, 50).tolist()),
    ):
        fig = draw()
        first = fig.png()
        assert first == fig.png() == draw().png()


def shown(fig: plotting.Figure) -> tuple[bytes, dict[str, Any], str]:
    """What a notebook shows of a figure: its PNG, the metadata of that, and its text."""
    data, metadata = fig._repr_mimebundle_()
    return base64.b64decode(data["image/png"]), metadata.get("image/png", {}), data["text/plain"]


def test_a_figure_displays_itself_as_png_with_its_title_as_text() -> None:
    png, _, text = shown(plotting.timeline())
    assert png.startswith(b"\x89PNG")
    assert "From a convolution to masks by query" in text


def test_a_light_figure_is_shown_at_twice_the_resolution_and_the_same_width() -> None:
    fig = plotting.training_curve(np.linspace(2, 1, 50).tolist())
    before = fig.png()
    png, metadata, _ = shown(fig)
    coarse, fine = (Image.open(io.BytesIO(data)) for data in (before, png))
    assert fine.size == (2 * coarse.width, 2 * coarse.height)
    assert metadata == {"width": coarse.width}
    assert len(png) <= panels.FINE_LIMIT
    assert shown(fig)[0] == png
    assert fig.png() == before


@pytest.mark.parametrize(("side", "heavy"), [(115, False), (200, True)])
def test_a_figure_too_heavy_for_that_is_shown_as_it_is(side: int, heavy: bool) -> None:
    noise = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    fig = plotting.show_images([noise])
    assert (len(fig.png()) > panels.FINE_LIMIT) == heavy
    png, metadata, _ = shown(fig)
    assert len(encode_png(fig.pixels(2))) > panels.FINE_LIMIT
    assert png == fig.png()
    assert metadata == {}


def test_a_finer_figure_has_the_same_layout() -> None:
    """Areas of one colour lie at the same places, to half a pixel."""
    black = torch.zeros(3, 50, 50)
    for size in (2.9, 2.005):  # 2.005 inches: not a whole number of pixels
        fig = plotting.show_images([black] * 2, ["a", "b"], panel=size, caption="these")
        coarse, fine = ((fig.pixels(n) == 0).all(-1) for n in (1, 2))
        assert fine.shape == (2 * coarse.shape[0], 2 * coarse.shape[1])
        for axis in (0, 1):
            ends = [np.flatnonzero(drawn.mean(axis) > 0.5)[[0, -1]] for drawn in (coarse, fine)]
            assert np.abs(ends[1] - (2 * ends[0] + [0, 1])).max() <= 2


def test_heavy_pictures_are_reduced_but_paper_and_marks_keep_their_colours() -> None:
    noise = torch.rand(3, 400, 400, generator=torch.Generator().manual_seed(0))
    fig = plotting.show_images([noise, noise], ["a", "b"])
    fig.axes[0].plot([100, 300], [200, 200], color=style.GREEN, linewidth=8)
    pixels = fig.pixels()
    assert len(fig.png()) < 0.6 * len(encode_png(pixels))
    drawn = np.asarray(Image.open(io.BytesIO(fig.png())).convert("RGB"))
    for kept in ((255, 255, 255), style.rgb(2)):
        places = (pixels == kept).all(-1)
        assert places.sum() > 500
        assert (drawn[places] == kept).all()


def drawn(fig: plotting.Figure) -> np.ndarray:
    """Its pixels; afterwards the positions of its texts are known."""
    return fig.pixels()


def empty_rows(pixels: np.ndarray) -> list[int]:
    """Lengths of the runs of white rows, from the top."""
    white = (pixels == 255).all((1, 2))
    return [len(list(run)) for is_white, run in itertools.groupby(white) if is_white]


@pytest.mark.parametrize("shape", [(40, 40), (40, 60), (60, 30)])
def test_no_empty_strip_is_left_around_pictures_and_captions(shape: tuple[int, int]) -> None:
    picture = torch.zeros(3, *shape)
    for count, columns in ((1, 1), (3, 3), (4, 2)):
        bare = plotting.show_images([picture] * count, columns=columns)
        told = plotting.show_images(
            [picture] * count, ["a"] * count, columns=columns, title="all", caption="these"
        )
        assert max(empty_rows(drawn(bare))) <= 20
        assert max(empty_rows(drawn(told))) <= 20


def test_a_strip_is_cut_without_making_the_picture_smaller() -> None:
    fig = plotting.show_images([torch.zeros(3, 50, 50)] * 2, panel=2.9, caption="these")
    black = (drawn(fig) == 0).all(-1)
    # Panels of 290 pixels, 3 of them free on either side.
    assert abs(int(black.any(0).sum()) - 2 * 284) <= 2
    assert abs(int(black.any(1).sum()) - 284) <= 2


def test_titles_of_two_lines_lie_inside_the_figure_and_above_their_pictures() -> None:
    picture = torch.zeros(3, 50, 50)
    for title in ("", "over all"):
        fig = plotting.show_images([picture] * 4, ["two\nlines", "one"] * 2, columns=2, title=title)
        drawn(fig)
        boxes = [axes.title.get_window_extent() for axes in fig.axes]
        assert all(b.y0 >= 0 and b.y1 <= fig.bbox.height for b in boxes)
        pictures = [axes.get_window_extent() for axes in fig.axes]
        assert not any(a.overlaps(b) for a in boxes for b in pictures)


def test_titles_wider_than_their_pictures_get_smaller_together_or_break() -> None:
    picture = torch.zeros(3, 50, 50)
    long = "a title that is far too long for so narrow a picture"
    for names in (["the best of all: 1.00", "seen", "true"], [long, "b", long]):
        fig = plotting.show_images([picture] * 3, names, panel=1.8)
        drawn(fig)
        boxes = [axes.title.get_window_extent() for axes in fig.axes]
        assert all(b.x0 >= 0 and b.x1 <= fig.bbox.width for b in boxes)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        assert len({axes.title.get_fontsize() for axes in fig.axes}) == 1
    assert fig.axes[0].get_title().count("\n") == 1


def test_a_drawing_is_short_and_its_areas_keep_their_colours() -> None:
    fig = plotting.timeline(["FCN", "SOLO", "DETR"])
    pixels = fig.pixels()
    kept = np.asarray(Image.open(io.BytesIO(fig.png())).convert("RGB")).astype(int)
    assert np.abs(kept - pixels).max() <= 20
    areas = (pixels == pixels[:, 4:5]).all(
        -1
    )  # pixels with the colour of the left edge: background and lanes
    assert areas.mean() > 0.5
    np.testing.assert_array_equal(kept[areas], pixels[areas])
    whole = io.BytesIO()
    Image.fromarray(pixels).save(whole, "PNG", optimize=True)
    assert len(fig.png()) < 0.6 * len(whole.getvalue())


# --- colour vision -------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab_seen(shade: str, eye: np.ndarray) -> np.ndarray:
    """CIE Lab coordinates of a colour, as seen with the given colour vision."""
    channels = np.array(to_rgb(shade))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(eye @ linear, 0, 1) / (TO_XYZ @ np.ones(3))
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["normal", "d", "p"])
def test_palette_can_be_told_apart(eye: np.ndarray) -> None:
    seen = [lab_seen(shade, eye) for shade in plotting.PALETTE]
    # 10 is several times the just noticeable difference (2.3).
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10


def test_the_simulation_itself_confuses_red_and_green() -> None:
    red, green = (lab_seen(shade, DEUTERANOPIA) for shade in ("#C04040", "#707000"))
    plain_red, plain_green = (lab_seen(shade, np.eye(3)) for shade in ("#C04040", "#707000"))
    assert np.linalg.norm(red - green) < 0.5 * np.linalg.norm(plain_red - plain_green)


def test_colors_are_distinct_and_ink_is_readable() -> None:
    assert len({plotting.color(i) for i in range(35)}) == 35
    assert style.ink_on("#000000") == "white"
    assert style.ink_on("#F0E442") != "white"


# --- overlays ------------------------------------------------------------------------------


def test_overlay_enlarges_small_images_and_paints_only_where_masks_are() -> None:
    image, target = scene()
    painted = plotting.overlay(image, target, CATEGORIES, names=False, boxes=False, side=120)
    assert painted.shape == (80, 120, 3)
    assert painted.dtype == np.uint8
    plain = plotting.overlay(image, target[torch.zeros(3).bool()], CATEGORIES, side=120)
    changed = (painted != plain).any(-1)
    assert changed[44:66, 14:36].all()
    assert not changed[36, 60:].any()


def test_compare_leaves_out_the_boxes_on_request() -> None:
    image, target = scene()
    figures = [
        plotting.compare(image, {"": target}, CATEGORIES, boxes=drawn) for drawn in (True, False)
    ]
    with_boxes, without = (fig.axes[1].images[0].get_array() for fig in figures)
    overlay = plotting.overlay(
        image, target, CATEGORIES, boxes=False, side=without.shape[1], shrink=True
    )
    assert np.array_equal(without, overlay)
    assert not np.array_equal(with_boxes, without)


def test_overlay_keeps_a_large_image_and_can_shrink_it_for_a_panel() -> None:
    image = torch.rand(3, 100, 200)
    labels = torch.zeros(100, 200, dtype=torch.int64)
    assert plotting.overlay(image, labels, CATEGORIES, side=64).shape == (100, 200, 3)
    assert plotting.overlay(image, labels, CATEGORIES, side=64, shrink=True).shape == (32, 64, 3)


def test_overlay_leaves_out_low_scores_and_takes_the_first_filled_layer() -> None:
    image, target = scene()
    scores = torch.tensor([0.9, 0.4, 0.8])
    instances = Instances(target.boxes, scores, target.labels, target.masks)
    prediction = Prediction((40, 60), CATEGORIES, instances=instances)
    kept = Prediction((40, 60), CATEGORIES, instances=instances[scores >= 0.5])
    np.testing.assert_array_equal(
        plotting.overlay(image, prediction), plotting.overlay(image, kept, min_score=0)
    )
    with pytest.raises(SeglibError, match="semantic is empty"):
        plotting.overlay(image, prediction, layer="semantic")


def test_overlay_refuses_a_mask_of_another_size() -> None:
    with pytest.raises(SeglibError, match="does not fit"):
        plotting.overlay(torch.zeros(3, 8, 8), torch.ones(9, 8, dtype=torch.int64), CATEGORIES)


def test_tags_never_overlap() -> None:
    from seglib.plotting.canvas import Canvas

    canvas = Canvas(np.zeros((60, 60, 3), np.uint8), side=300)
    drawn = [canvas.tag("umbrella", (10, 10, 30, 30), (0, 100, 200)) for _ in range(30)]
    assert drawn[0] is True
    assert drawn[-1] is False
    for a, b in itertools.combinations(canvas.tags, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize(
    "picture",
    [torch.ones(3, 4, 5), np.full((4, 5, 3), 255, np.uint8), torch.ones(4, 5), torch.ones(1, 4, 5)],
)
def test_every_kind_of_image_is_accepted(picture: object) -> None:
    from seglib.plotting.canvas import as_rgb

    assert as_rgb(picture).shape == (4, 5, 3)
    assert (as_rgb(picture) == 255).all()


def test_a_shape_that_is_not_an_image_is_refused() -> None:
    with pytest.raises(SeglibError, match=r"\[2, 4, 5\]"):
        plotting.show_images([torch.ones(2, 4, 5)])
    with pytest.raises(SeglibError, match="at least one"):
        plotting.show_images([])


def test_instances_are_coloured_one_by_one_or_by_class() -> None:
    image, target = scene()
    plain = {"names": False, "boxes": False, "side": 60}
    for by_class, alike in ((False, False), (True, True)):
        painted = plotting.overlay(image * 0, target, CATEGORIES, by_class=by_class, **plain)
        first, second, bird = painted[27, 12], painted[27, 30], painted[6, 47]
        assert (first == second).all() == alike  # two dogs
        assert (first != bird).any()


# --- label maps ----------------------------------------------------------------------------


def test_label_maps_have_one_colour_per_class_and_a_legend() -> None:
    image, target = scene()
    painted = plotting.paint_labels(target.semantic)
    assert tuple(painted[25, 10]) == plotting.class_color(2)
    assert tuple(painted[0, 0]) == plotting.class_color(3)
    legend = plotting.show_semantic(image, target, CATEGORIES).axes[2].get_legend()
    names = {text.get_text() for text in legend.get_texts()}
    assert names == {"background", "sky", "dog", "bird", "ignored"}


def test_touching_objects_are_counted() -> None:
    image, target = scene()
    fig = plotting.touching_instances(image, target, target.semantic, CATEGORIES, 2)
    assert titles(fig) == ["Truth: 2 objects", "Pixels labelled dog", "Connected: 1 region"]


def test_score_maps_take_scores_or_labels() -> None:
    image, target = scene()
    scores = torch.zeros(4, 5, 8)
    scores[2] = 1
    fig = plotting.score_maps(image, {"8s": scores}, target.semantic, CATEGORIES)
    drawn = fig.axes[1].get_images()[0].get_array()
    assert drawn.shape == (5, 8, 3)
    assert tuple(drawn[0, 0]) == map_color(2)


def test_score_maps_list_the_classes_by_label_and_outline_a_region() -> None:
    truth = torch.full((20, 20), 3)
    truth[:4], truth[4:10] = 2, 1  # by size: 3, 1, 2
    mark = torch.zeros(20, 20, dtype=torch.bool)
    mark[5:9, 5:9] = True
    image, coarse = torch.zeros(3, 20, 20), truth[::5, ::5]
    fig = plotting.score_maps(image, {"8s": truth, "32s": coarse}, truth, CATEGORIES, mark=mark)
    legend = next(axes.get_legend() for axes in fig.axes if axes.get_legend())
    named = [text.get_text() for text in legend.get_texts()]
    assert named == [short_name(CATEGORIES.by_label(label).name) for label in (1, 2, 3)]
    outlined = [any(len(c.get_paths()) for c in axes.collections) for axes in fig.axes[:4]]
    assert outlined == [True, True, False, True]  # the coarse map has another resolution


def test_score_maps_name_a_small_patch_of_one_map_but_no_speck() -> None:
    truth = torch.ones(100, 100, dtype=torch.long)
    patch, speck = truth.clone(), truth.clone()
    patch[:4, :4], speck[0, :2] = 2, 3
    maps = {"32s": truth, "16s": patch, "8s": speck}
    fig = plotting.score_maps(torch.zeros(3, 100, 100), maps, truth, CATEGORIES)
    legend = next(axes.get_legend() for axes in fig.axes if axes.get_legend())
    named = [text.get_text() for text in legend.get_texts()]
    assert named == [CATEGORIES.by_label(label).name for label in (1, 2)]


def test_tasks_without_panoptic_truth_show_three_pictures() -> None:
    image, target = scene()
    assert len(plotting.task_comparison(image, target, CATEGORIES).axes) == 4
    target.panoptic = None
    assert len(plotting.task_comparison(image, target, CATEGORIES).axes) == 3


def test_five_tasks_name_each_class_once_and_box_each_object_in_its_own_colour() -> None:
    image, target = scene()
    fig = plotting.five_tasks(image, target, CATEGORIES)
    assert len(titles(fig)) == 6
    assert [t.get_text() for t in fig.axes[1].texts] == ["bird\ndog"]
    boxed = fig.axes[2].get_images()[0].get_array()
    assert all((boxed == style.rgb(i)).all(-1).any() for i in range(3))
    assert [name.split(":")[0] for name in titles(fig)] == [
        "The image",
        "Classification",
        "Detection",
        "Semantic",
        "Instance",
        "Panoptic",
    ]
    target.panoptic = None
    assert len([t for t in titles(plotting.five_tasks(image, target, CATEGORIES)) if t]) == 5


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_an_object_keeps_its_colour_in_every_task(order: list[int]) -> None:
    image, target = scene()
    assert target.panoptic is not None
    p = target.panoptic
    target.panoptic = Panoptic(p.segment_map, p.ids[order], p.labels[order], p.iscrowd[order])
    first, second, bird = (style.rgb(i) for i in range(3))
    compared = plotting.task_comparison(image, target, CATEGORIES).axes[1:]
    five = plotting.five_tasks(image, target, CATEGORIES).axes[3:]
    for semantic, instances, panoptic in (compared, five):
        shown = [axes.get_images()[0].get_array() for axes in (semantic, instances, panoptic)]
        for pixels in shown[1:]:
            assert all((pixels == shade).all(-1).any() for shade in (first, second, bird))
        # Both dogs have the colour of the first.
        assert [(shown[0] == shade).all(-1).any() for shade in (first, second, bird)] == [1, 0, 1]


# --- curves and scores ---------------------------------------------------------------------


def test_smoothing_keeps_a_line_straight_and_a_constant_constant() -> None:
    from seglib.plotting.curves import smooth

    np.testing.assert_allclose(smooth([2.0] * 9, 4), 2)
    np.testing.assert_allclose(smooth(np.arange(9.0), 3)[1:-1], np.arange(1, 8))


def test_training_curve_draws_losses_metrics_and_ceiling() -> None:
    fig = plotting.training_curve([3.0, 2, 1], {"mean IoU": [(1, 0.2), (3, 0.6)]}, ceiling=0.9)
    np.testing.assert_allclose(fig.axes[0].get_lines()[0].get_ydata(), [3, 2, 1])
    np.testing.assert_allclose(fig.axes[1].get_lines()[0].get_xdata(), [1, 3])
    assert "ceiling" in words(fig)
    assert plotting.training_curve([1.0], measure="error").axes[0].get_ylabel() == "error"


def test_a_training_curve_labels_the_smoothed_line() -> None:
    raw, smoothed = (axes := plotting.training_curve([4.0, 2, 0], window=3).axes[0]).lines
    np.testing.assert_allclose(raw.get_ydata(), [4, 2, 0])
    np.testing.assert_allclose(smoothed.get_ydata(), [3, 2, 1])
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["each step", "smoothed"]
    assert [h.get_alpha() for h in axes.get_legend().get_lines()] == [raw.get_alpha(), None]


def test_legends_are_next_to_the_curves_and_name_them() -> None:
    losses = {"right": [2.0, 0.1], "labels shuffled": [2.0, 2.0]}
    metrics = {"mask AP": [(1, 0.2), (2, 0.9)], "box AP": [(1, 0.9), (2, 0.1)]}
    fig = plotting.training_curve(losses, metrics, window=1, ceiling=0.95)
    drawn(fig)
    wanted = (["right", "labels shuffled"], ["mask AP", "box AP", "ceiling"])
    for axes, names in zip(fig.axes, wanted, strict=True):
        legend = axes.get_legend()
        assert [text.get_text() for text in legend.get_texts()] == names
        lines = {line.get_label(): line.get_color() for line in axes.get_lines()}
        assert [handle.get_color() for handle in legend.get_lines()] == [lines[n] for n in names]
        box = legend.get_window_extent()
        assert not any(box.overlaps(other.get_window_extent()) for other in fig.axes)
        assert box.x1 <= fig.bbox.width
    alone = plotting.training_curve([2.0, 1.0], {"accuracy": [(1, 0.2), (2, 0.9)]})
    assert [axes.get_legend() for axes in alone.axes] == [None, None]
    assert [axes.get_ylabel() for axes in alone.axes] == ["loss", "accuracy"]


def test_history_curve_picks_the_metrics_that_were_measured() -> None:
    history = History(losses=[2.0, 1.0], validation=[{"step": 2, "mean_iou": 0.5}])
    fig = plotting.history_curve(history, ("mean_iou", "AP"))
    np.testing.assert_allclose(fig.axes[1].get_lines()[0].get_ydata(), [0.5])
    assert len(plotting.history_curve(history, ("AP",)).axes) == 1


def test_live_curve_records_and_draws_at_fixed_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from seglib.plotting import live as module

    class Display:
        shown: ClassVar[list[tuple[str, int]]] = []

        def display(self, fig: plotting.Figure, display_id: bool) -> Display:
            self.shown.append(("display", len(fig.axes[0].get_lines()[0].get_ydata())))
            return self

        def update(self, fig: plotting.Figure) -> None:
            self.shown.append(("update", len(fig.axes[0].get_lines()[0].get_ydata())))

    monkeypatch.setattr(module, "_notebook", Display)
    with plotting.LiveCurve(steps=10, redraws=2) as live:
        for step in range(9):
            live.update(step, loss=1 / (step + 1), mean_iou=0.1)
        live(Progress(step=10, steps=10, loss=0.1, losses={}, lr=0.1, seconds=1))
    assert Display.shown == [("display", 5), ("update", 10), ("update", 10)]
    assert live.losses[-1] == 0.1
    assert live.metrics["mean IoU"][0] == (1, 0.1)


def test_layer_profile_draws_a_line_for_each_network() -> None:
    fig = plotting.layer_profile({"plain": [1.0, 0.1, 0.01], "residual": [1.0, 1.0]}, ylabel="norm")
    axes = fig.axes[0]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert drawn["plain"] == [[1, 1.0], [2, 0.1], [3, 0.01]]
    assert drawn["residual"] == [[1, 1.0], [2, 1.0]]
    assert (axes.get_yscale(), axes.get_ylabel()) == ("log", "norm")


def test_bars_are_sorted_and_a_missing_class_is_marked_absent() -> None:
    fig = plotting.bars({"dog": 0.5, "bird": 0.9, "sky": float("nan")})
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["bird", "dog", "sky"]
    assert "absent" in words(fig)


def test_bars_keep_the_order_of_names_on_request() -> None:
    fig = plotting.bars({"small": 0.5, "medium": 0.9, "large": 0.7}, ranked=False)
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == [
        "small",
        "medium",
        "large",
    ]


def test_bars_and_ceilings_look_as_in_the_legend() -> None:
    fig = plotting.bars({"dog": 0.5, "bird": 0.02}, ceiling={"dog": 0.9, "bird": 0.05})
    axes = fig.axes[0]
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["reached", "ceiling"]
    bar, mark = legend.legend_handles
    assert to_rgb(bar.get_facecolor()) == to_rgb(axes.patches[0].get_facecolor())
    marks = axes.collections[0]
    assert to_rgb(mark.get_edgecolor()[0]) == to_rgb(marks.get_edgecolor()[0])
    assert to_rgb(mark.get_edgecolor()[0]) == to_rgb(style.VERMILION)
    assert marks.get_offsets()[:, 0].tolist() == [0.9, 0.05]
    drawn(fig)
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    # A value is written inside its bar or, if the bar is short, beyond the mark: never on it.
    places = {t.get_text(): (t.get_position()[0], t.get_ha()) for t in axes.texts}
    assert places["0.50"][0] < 0.5
    assert places["0.50"][1] == "right"
    assert places["0.02"][0] > 0.05


def test_histogram_shares_sum_to_one() -> None:
    fig = plotting.histogram({"a": np.arange(10), "b": np.arange(5)}, bins=5)
    heights = [sum(p.get_height() for p in c.patches) for c in fig.axes[0].containers[1::2]]
    np.testing.assert_allclose(heights, 1)


def test_staircase_writes_the_average_precision_of_five_detections() -> None:
    fig = plotting.ap_staircase([0.95, 0.9, 0.8, 0.7, 0.6], [1, 0, 1, 1, 0], 4)
    # Precision 1 up to recall 0.25 (26 samples), then 0.75 up to recall 0.75 (50 samples).
    expected = (26 * 1 + 50 * 0.75) / 101
    assert titles(fig)[1] == f"AP = {expected:.3f}, the mean of 101 samples"
    cells = [c.get_text().get_text() for c in fig.axes[0].tables[0].get_celld().values()]
    assert cells.count("FP") == 2


def test_confusion_leaves_out_empty_classes_and_normalises_rows() -> None:
    counts = np.array([[6, 2, 0], [0, 4, 0], [0, 0, 0]])
    fig = plotting.confusion_heatmap(counts, ["sky", "dog", "boat"])
    np.testing.assert_allclose(fig.axes[0].get_images()[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert "boat" not in words(fig)
    fig.canvas.draw()
    assert fig.axes[1].get_yticklabels()[-1].get_text() == "100"  # per cent, as in the cells
    with pytest.raises(SeglibError, match="2 names"):
        plotting.confusion_heatmap(counts, ["a", "b"])


# --- convolution ---------------------------------------------------------------------------


def test_convolution_step_marks_the_cells_and_writes_the_sum() -> None:
    image = torch.arange(25.0).reshape(5, 5)
    kernel = torch.tensor([[0.0, 1, 0], [1, 0, -1], [0, 0, 0]])
    output = conv2d(image[None, None], kernel[None, None], padding=1)[0, 0]
    fig = plotting.convolution_step(image, kernel, output, (0, 0), padding=1)
    assert fig.get_supxlabel().replace("\n", " ") == "0·1 + 0·1 + 1·(−1)  =  −1"
    shown = [t.get_text() for t in fig.axes[2].texts if t.get_text() not in ("", "→")]
    assert shown == ["−1"]
    with pytest.raises(SeglibError, match="outside"):
        plotting.convolution_step(image, kernel, output, (5, 0), padding=1)


def test_tapped_cells_agree_with_the_convolution() -> None:
    from seglib.plotting.convolution import tapped_cells

    image = torch.randn(9, 9, dtype=torch.float64)
    kernel = torch.randn(3, 2, dtype=torch.float64)
    output = conv2d(image[None, None], kernel[None, None], None, 2, 1, 2)[0, 0]
    padded = torch.nn.functional.pad(image, (4, 4, 4, 4))
    cells = tapped_cells((3, 1), (3, 2), 2, 1, 2)
    total = sum(padded[r + 4, c + 4] * w for (r, c), w in zip(cells, kernel.flatten(), strict=True))
    torch.testing.assert_close(total, output[3, 1])


def test_output_sizes_are_written() -> None:
    fig = plotting.show_output_sizes(6, [{"kernel": 3, "stride": 2, "padding": 1}])
    assert titles(fig) == ["kernel 3, stride 2, padding 1\n6×6 → 3×3"]
    with pytest.raises(SeglibError):
        plotting.show_output_sizes(2, [{"kernel": 5}])


def test_im2col_picture_numbers_the_columns() -> None:
    fig = plotting.show_im2col(3, 2, column=1)
    assert [t.get_text() for t in fig.axes[1].texts[:4]] == ["1", "2", "4", "5"]


def test_transposed_convolution_adds_overlapping_stamps() -> None:
    fig = plotting.show_transposed_convolution([[1, 2], [3, 4]], np.ones((3, 3)), stride=2)
    assert [t.get_text() for t in fig.axes[2].texts].count("10") == 1


@pytest.mark.parametrize("size", [4, 8])
def test_the_bilinear_kernel_is_the_product_of_the_tents_beside_it(size: int) -> None:
    kernel, tent = plotting.show_bilinear_kernel(size).axes
    bars = [bar.get_height() for bar in tent.patches]
    numbers = [float(t.get_text()) for t in kernel.texts]
    np.testing.assert_allclose(np.outer(bars, bars).ravel(), numbers, atol=0.006)
    line = tent.get_lines()[0]
    assert line.get_ydata().tolist() == [0, 1, 0]
    # Every bar's top lies on one of the two straight lines.
    np.testing.assert_allclose(np.interp(range(size), line.get_xdata(), line.get_ydata()), bars)
    assert (tent.get_xlabel(), tent.get_ylabel()) == ("column", "weight")


def test_receptive_field_frame_has_its_size() -> None:
    fig = plotting.show_receptive_field(torch.zeros(3, 40, 40), (5, 6, 25, 36))
    frame = fig.axes[0].patches[0]
    assert (frame.get_width(), frame.get_height()) == (20, 30)


def test_an_inner_box_is_dashed_in_the_heat_map_alone() -> None:
    image = torch.zeros(3, 40, 40)
    fig = plotting.show_receptive_field(image, (5, 6, 25, 36), image[0], inner=(9, 8, 19, 28))
    dashed = [[p for p in axes.patches if p.get_linestyle() == "--"] for axes in fig.axes]
    assert dashed[0] == []
    assert (dashed[1][0].get_width(), dashed[1][0].get_height()) == (10, 20)


# --- masks and networks --------------------------------------------------------------------


def test_rle_writes_its_counts_down_the_columns() -> None:
    mask = np.zeros((3, 3), bool)
    mask[1:, 1] = True
    fig = plotting.show_rle(mask)
    assert "[4, 2, 3]" in fig.get_supxlabel()
    assert [t.get_text() for t in fig.axes[1].texts] == ["4", "2", "3"]


def test_polygon_counts_its_pixels() -> None:
    assert titles(plotting.show_polygon([[1, 1, 5, 1, 5, 4, 1, 4]], (6, 7)))[0].endswith(
        "12 pixels"
    )


def test_a_polygon_frames_cells_whose_rows_and_columns_can_be_read() -> None:
    axes = plotting.show_polygon([[1, 1, 5, 1, 5, 4]], (6, 7), framed=[(2, 3)]).axes[0]
    (frame,) = axes.collections[-1].get_paths()
    assert frame.vertices.min(0).tolist() == [2.5, 1.5]  # x, y
    assert (len(axes.get_xticks()), len(axes.get_yticks())) == (7, 6)


def test_iou_of_boxes_and_masks_is_written() -> None:
    assert titles(plotting.show_iou([0, 0, 4, 2], [2, 0, 6, 2])) == ["IoU = 4 / 12 = 0.33"]
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert titles(plotting.show_iou(a, b)) == ["IoU = 4 / 12 = 0.33"]
    assert titles(plotting.show_iou([0, 0, 1, 1], [2, 2, 3, 3])) == ["IoU = 0 / 2 = 0.00"]


def test_timeline_names_every_paradigm_and_refuses_unknown_ones() -> None:
    shown = words(plotting.timeline(["FCN", "SOLO"]))
    for name in ("R-CNN", "DeepMask", "Cascade R-CNN", "YOLACT", "PolarMask", "Mask2Former"):
        assert name in shown
    with pytest.raises(SeglibError, match="FPNN"):
        plotting.timeline("FPNN")


def test_timeline_uses_years_of_conferences_and_says_so() -> None:
    fig = plotting.timeline("FCN", caption="Filled: yours.")
    years = {t.get_text(): t.get_position()[0] for t in fig.axes[0].texts}
    # Preprints of VGG and FCN are of 2014, of Cascade R-CNN of 2017, of SOLO of 2019.
    assert [years[n] for n in ("VGG", "FCN", "Cascade R-CNN", "SOLO")] == [2015, 2015, 2018, 2020]
    first, second = fig.get_supxlabel().split("\n")
    assert first == "Filled: yours."
    assert "year is that of the conference" in second
    assert plotting.timeline().get_supxlabel() == second


def test_timeline_names_do_not_cover_each_other() -> None:
    fig = plotting.timeline()
    fig.pixels()
    boxes = [t.get_window_extent() for t in fig.axes[0].texts if t.get_bbox_patch() is not None]
    assert len(boxes) == 17
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_flow_diagram_joins_named_boxes() -> None:
    blocks = [plotting.Block("in"), plotting.Block("out")]
    assert {"in", "out"} <= set(words(plotting.flow_diagram(blocks)))
    with pytest.raises(SeglibError, match="middle"):
        plotting.flow_diagram(blocks, [("in", "middle")])
    with pytest.raises(SeglibError, match="share a name"):
        plotting.flow_diagram([blocks[0], blocks[0]])


def test_fcn_diagrams_have_the_skips_of_their_variant() -> None:
    assert "score8" in words(plotting.fcn_diagram("8s"))
    assert "score8" not in words(plotting.fcn_diagram("16s"))
    assert "score16" not in words(plotting.fcn_diagram("32s"))


@pytest.mark.parametrize(("variant", "sums"), [("32s", 0), ("16s", 1), ("8s", 2)])
def test_fcn_diagrams_draw_one_sum_per_skip(variant: str, sums: int) -> None:
    texts = [text.get_text() for text in plotting.fcn_diagram(variant).axes[0].texts]
    assert texts.count("+") == sums


def test_text_stays_inside_the_boxes_of_diagrams() -> None:
    fig = plotting.vgg_diagram()
    fig.pixels()
    boxes = [patch.get_window_extent() for patch in fig.axes[0].patches if patch.get_fill()]
    names = [t for t in fig.axes[0].texts if t.get_fontweight() == "bold"]
    inside = [
        any(b.x0 <= e.x0 and e.x1 <= b.x1 for b in boxes)
        for t in names
        for e in [t.get_window_extent()]
    ]
    assert len(inside) == 7
    assert all(inside)
