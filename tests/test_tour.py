"""`seglib tour`: the pictures, the tables and the files, on tiny networks; slow, the whole tour."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch
from PIL import Image

from seglib import comparison, pretrained
from seglib.cli import tour as command
from seglib.comparison.files import (
    FILES,
    as_json,
    pictures_figure,
    tables_figure,
    write_tour,
)
from seglib.comparison.markdown import markdown
from seglib.comparison.page import page
from seglib.comparison.pictures import KINDS, choose_pictures
from seglib.comparison.tables import accuracy_table, cost_table, recorded, trained
from seglib.comparison.tour import Plan, Stop, Tour, best, take_tour
from seglib.data.datasets import load_dataset
from seglib.errors import SeglibError
from seglib.models import build_model
from seglib.structures import Instances, Prediction
from tests.fakes import CATEGORIES, tiny_fcn
from tests.figures import words
from tests.helpers import ROOT, assert_refused, run_cli
from tests.modelling import masks_target

SMALL = {"width": 8, "fpn_width": 16, "box_hidden": 16, "mask_width": 8}
RECORDS = {
    "fcn": {
        "command": "seglib train fcn --init runs/fcn-16s --out runs/fcn-8s",
        "minutes": 17.0,
        "evaluated": "300 images of val",
        "figures": {"mean_iou": 0.5, "pixel_accuracy": 0.7},
    },
    "mask_rcnn": {
        "command": "seglib train mask_rcnn --out a/b && seglib train mask_rcnn --init a/b",
        "minutes": 57.7,
        "cpu_minutes": 41.3,
        "evaluated": "300 images of val",
        "figures": {"mask_AP": 0.25, "mask_AP50": 0.5, "mask_APs": None},
    },
}


@pytest.fixture(scope="module")
def dataset(squares):
    return load_dataset(squares, split="val", cache=True)


@pytest.fixture(scope="module")
def taken(dataset) -> tuple[Tour, list[tuple[int, str]]]:
    """A tour of two tiny networks without training, and the progress that it told."""
    torch.manual_seed(0)
    models = {
        "fcn": tiny_fcn(),
        "mask_rcnn": build_model("mask_rcnn", CATEGORIES, image_size=48, **SMALL),
    }
    told: list[tuple[int, str]] = []
    plan = Plan(pictures=3, scored=2, rounds=1)
    tour = take_tour(models, RECORDS, dataset, plan, lambda *step: told.append(step))
    return tour, told


def test_a_tour_shows_every_picture_to_every_model(taken):
    tour, _ = taken
    assert [stop.title for stop in tour.stops] == ["FCN", "Mask R-CNN"]
    assert [stop.shown for stop in tour.stops] == ["label map", "instances"]
    for stop in tour.stops:
        assert len(stop.predictions) == len(tour.pictures) == 3
        assert stop.milliseconds > 0
        assert stop.multiply_adds > 0
    assert tour.stops[0].parameters == sum(p.numel() for p in tiny_fcn().parameters())
    assert set(tour.stops[0].measured) >= {"mean_iou"}
    assert set(tour.stops[1].measured) >= {"mask_AP", "mask_APs"}


def test_each_network_shows_as_many_instances_as_there_are_objects(taken):
    tour, _ = taken
    for picture, prediction in zip(tour.pictures, tour.stops[1].predictions, strict=True):
        assert len(prediction.instances) <= len(picture.target) == 1
    many = Instances(torch.rand(30, 4), torch.linspace(1, 0, 30), torch.ones(30, dtype=torch.int64))
    whole = Prediction((4, 4), CATEGORIES, instances=many, proposals=many)
    assert torch.equal(best(whole, 7).instances.scores, many.scores[:7])
    assert torch.equal(best(whole, 7).proposals.scores, many.scores[:10])


def test_every_picture_is_predicted_even_with_fewer_rounds_and_the_bar_ends_full(taken):
    tour, told = taken
    assert tour.rounds == 2
    done = [number for number, _ in told]
    assert done == sorted(done)
    assert done[-1] == Plan(pictures=3, scored=2, rounds=2).predictions(models=2)
    assert {note for _, note in told} == {"all in turns", "FCN", "Mask R-CNN"}


def test_pictures_are_chosen_by_what_they_contain(dataset):
    chosen = choose_pictures(dataset, 5)
    ids = [picture.target.image_id for picture in chosen]
    assert len(set(ids)) == 5
    assert [picture.kind for picture in chosen] == [*KINDS, "overlap"]
    assert [picture.target.image_id for picture in choose_pictures(dataset, 5)] == ids
    with pytest.raises(SeglibError, match="choose 1 to 6 pictures, not 7"):
        choose_pictures(dataset, 7)


def test_kinds_count_what_they_say():
    masks = torch.zeros(3, 20, 20, dtype=torch.bool)
    masks[0, :4, :4] = masks[1, 2:6, :4] = True  # they share half of each
    masks[2, 10:, 10:] = True
    target = masks_target(masks, [1, 1, 2])
    ranges = {"all": (0, 1e9), "small": (0, 20), "medium": (20, 90), "large": (90, 1e9)}
    found = {kind: score(target, ranges) for kind, score in KINDS.items()}
    assert found == {
        "overlap": pytest.approx(8 / 24),
        "small objects": 2,
        "large objects": -1,
        "same class": 1,
    }


def test_tables_distinguish_recorded_from_measured_figures(taken):
    tour, _ = taken
    accuracy, cost = accuracy_table(tour), cost_table(tour)
    assert accuracy.headings[1:7] == ["AP", "AP50", "small", "medium", "large", "mean IoU"]
    fcn, mask_rcnn = accuracy.rows
    assert fcn[:8] == ["FCN", "–", "–", "–", "–", "–", "0.500", "–"]
    assert mask_rcnn[:4] == ["Mask R-CNN", "0.250", "0.500", "–"]
    assert fcn[-1] == f"IoU {tour.stops[0].measured['mean_iou']:.3f}"
    assert mask_rcnn[-1].startswith("AP ")
    assert '300 images of val. Measured now, in the column "now": the first 2' in accuracy.notes[0]
    assert [row[-1] for row in cost.rows] == ["17 min", "41 CPU min"]
    assert cost.notes[1:] == [
        "For FCN, the record has elapsed minutes on a CPU.",
        "These began with another checkpoint, whose training is not counted: FCN (fcn-16s).",
    ]
    for table in (accuracy, cost):
        assert {len(row) for row in table.rows} == {len(table.headings)}


def test_minutes_on_a_gpu_are_not_called_minutes_of_a_cpu(taken):
    stop: Stop = taken[0].stops[1]
    record = {**stop.record, "device": "cuda", "minutes": 9.9}
    assert trained(replace(stop, record=record)) == "10 GPU min"
    record |= {"device": "cpu", "device_minutes": {"cuda": 10.9, "cpu": 28.8}}
    assert trained(replace(stop, record=record)) == "11 GPU min + 29 CPU min"


def test_a_row_per_picture_and_a_column_per_paradigm(taken):
    tour, _ = taken
    fig = pictures_figure(tour)
    assert len(fig.axes) == 3 * 4
    assert [axes.get_title() for axes in fig.axes[:4]] == [
        "Image", "Truth", "FCN\nlabel map", "Mask R-CNN\ninstances",
    ]  # fmt: skip
    kinds = [axes.get_ylabel() for axes in fig.axes[::4]]
    assert kinds == [picture.kind for picture in tour.pictures]
    assert {"Accuracy", "Cost", "41 CPU min", "0.250"} <= set(words(tables_figure(tour)))


def test_the_page_is_self_contained_and_names_its_command(taken):
    tour, _ = taken
    html = page(tour, {"command": "seglib tour <&>", "versions": {"torch": "2.4"}})
    assert "<code>seglib tour &lt;&amp;&gt;</code> (torch 2.4)" in html
    assert html.count("<img ") == html.count(' alt="') == 3 * 4
    assert not re.search(r"(src|href)=\"(?!data:image/)", html)
    assert html.count("<table>") == html.count("</table>") == 2
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_the_text_has_the_tables_and_describes_the_picture(taken):
    tour, _ = taken
    text = markdown(tour, {"command": "seglib tour", "versions": {"torch": "2.4"}}, "a/b.png")
    assert "Mask R-CNN: instances).](a/b.png)" in text
    assert "Made by `seglib tour` (torch 2.4)." in text
    rows = [line for line in text.splitlines() if line.startswith("| Mask R-CNN")]
    assert rows[0].startswith("| Mask R-CNN | 0.250 | 0.500 | – | – | – | – | – | – | AP ")
    assert rows[1].endswith("| 41 CPU min |")


def test_all_files_are_written_and_the_json_has_the_numbers(taken, tmp_path):
    tour, _ = taken
    paths = write_tour(tour, tmp_path / "new" / "tour", "seglib tour")
    assert [path.name for path in paths] == list(FILES)
    assert all(Image.open(path).size[0] > 400 for path in paths if path.suffix == ".png")
    content = json.loads((tmp_path / "new/tour/tour.json").read_text(encoding="utf-8"))
    assert content["command"] == "seglib tour"
    assert set(content["versions"]) == {"seglib", "torch", "python"}
    numbers = json.loads(json.dumps(as_json(tour), allow_nan=False))
    assert {key: content[key] for key in numbers} == numbers
    assert content["models"][1]["on_record"]["figures"]["mask_AP50"] == 0.5
    assert content["models"][0]["began_from"] == "fcn-16s"


def test_the_command_prints_both_tables_and_where_the_files_are(taken, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_take", lambda images, limit: taken[0])
    result = run_cli("tour", "--out", tmp_path, "--images", 3, "--limit", 2)
    assert result.exit_code == 0, result.output
    for text in ("Accuracy", "Cost", "Mask R-CNN", "Measured now", *FILES):
        assert text in result.output
    assert "0.250 0.500" in result.output  # as narrow as a console is: nothing is cut off
    assert "…" not in result.output
    assert "seglib tour --images 3 --limit 2" in (tmp_path / "tour.html").read_text("utf-8")


def test_a_folder_that_is_a_file_is_refused_before_anything_runs(tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(command, "_take", lambda images, limit: pytest.fail("it ran"))
    assert_refused(run_cli("tour", "--out", tmp_path / "taken"), "is a file, not a folder")


def test_the_results_on_the_site_are_those_on_record():
    text = (ROOT / "book" / "results.md").read_text("utf-8")
    for name, title in comparison.TITLES.items():
        known = pretrained.record(name)
        rows = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
        assert rows[0].startswith(f"| {title} | {' | '.join(recorded(known))} | ")
        assert rows[1].startswith(f"| {title} | {known['parameters'] / 1e6:.2f} M | ")
    assert "](images/tour.png)" in text
    assert (ROOT / "book" / "images" / "tour.png").stat().st_size < 400_000


@pytest.mark.slow
def test_the_whole_tour(tmp_path):
    result = run_cli("tour", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "tour.json").read_text("utf-8"))
    assert [model["title"] for model in content["models"]] == list(comparison.TITLES.values())
    for model in content["models"]:
        known = pretrained.record(model["name"])
        assert model["measured_now"]["parameters"] == known["parameters"]
        assert model["on_record"]["figures"] == known["figures"]
        for name in ("mask_AP", "mean_iou", "mask_AR@100"):
            if name in known["figures"]:  # twenty images vary, but not that much
                now = model["measured_now"]["figures"][name]
                assert now == pytest.approx(known["figures"][name], abs=0.1)
    assert (tmp_path / "tour.html").stat().st_size < 1_500_000
