"""`seglib weights` against a local server, with small random networks under the official names."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.models import detection, segmentation

from seglib import pretrained
from seglib.data import fetch
from seglib.models import model_names
from seglib.pretrained.published import PUBLISHED
from seglib.pretrained.published_files import cached_path, recorded_sha256
from seglib.pretrained.shipped import shipped_names
from tests.faulty_server import QUICK, FaultyServer, serve
from tests.helpers import assert_refused, run_cli
from tests.official_files import (
    as_published,
    detr_state,
    small_detr,
    torchvision_mask_rcnn,
    yolact_state,
)

MASK_RCNN, DETR, PANOPTIC = "maskrcnn_resnet50_fpn", "detr_resnet50", "detr_resnet50_panoptic"
YOLACT = "yolact_resnet50"


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's folder with official files."""
    folder = tmp_path_factory.mktemp("remote")
    contents = {
        MASK_RCNN: as_published(torchvision_mask_rcnn().state_dict()),
        DETR: {"model": detr_state(small_detr("boxes"), 92)},
        PANOPTIC: {"model": detr_state(small_detr("panoptic"), 251)},
        YOLACT: yolact_state(),
    }
    for name, content in contents.items():
        torch.save(content, folder / PUBLISHED[name].file)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "Retry", lambda: QUICK)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def server(remote: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """A server of the files; the table has its addresses and the digests of the random weights."""
    with serve(remote) as running:
        for name in (MASK_RCNN, DETR, PANOPTIC):
            entry = PUBLISHED[name]
            known = {"address": f"{running.url}/{entry.file}", "digest": digest(remote, name)[:8]}
            monkeypatch.setitem(PUBLISHED, name, replace(entry, **known))
        yield running


def digest(remote: Path, name: str) -> str:
    return hashlib.sha256((remote / PUBLISHED[name].file).read_bytes()).hexdigest()


def test_the_table_agrees_with_torchvision_and_with_itself() -> None:
    theirs = {
        MASK_RCNN: detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
        "fcn_resnet50": segmentation.FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
        "fcn_resnet101": segmentation.FCN_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1,
    }
    for name, weights in theirs.items():
        assert PUBLISHED[name].address == weights.url
        assert PUBLISHED[name].megabytes in range(int(weights.meta["_file_size"]), 300)
    for name, entry in PUBLISHED.items():
        assert name == entry.name
        assert name not in shipped_names()
        assert entry.model in model_names()
        assert entry.by_hand or entry.address.endswith(f"/{entry.file}")
        assert re.fullmatch("[0-9a-f]{8}|[0-9a-f]{6}|", entry.digest)
        assert entry.digest in entry.file
    assert "dc5" in PUBLISHED["detr_resnet50_dc5"].file  # says that it is dilated
    assert {e.name for e in PUBLISHED.values() if not e.digest} == {YOLACT, "yolact_base"}


def test_without_a_name_it_lists_the_table(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run_cli("weights")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.split("Cache")[0].splitlines())) <= 80
    rows = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert rows.keys() >= PUBLISHED.keys()
    assert re.search(r"mask_rcnn +COCO +BSD-3-Clause +170 +no", rows[MASK_RCNN])
    assert "by hand" in rows[YOLACT]
    assert "CC BY-NC" in rows["mask2former_instance_r50"]
    assert str(cache) in result.output
    assert run_cli("weights", "--file", "x").exit_code == 2


@pytest.mark.parametrize(
    ("name", "classes"), [(MASK_RCNN, 80), (DETR, 80), (PANOPTIC, 133)], ids=str
)
def test_a_fetched_file_is_found_by_its_name(
    name: str, classes: int, server: FaultyServer, remote: Path
) -> None:
    result = run_cli("weights", name)
    assert result.exit_code == 0, result.output
    entry = PUBLISHED[name]
    assert f"{entry.model}, " in result.output
    assert f"{classes} classes\nlicence of the weights: {entry.licence}" in result.output
    assert f"SHA-256: {digest(remote, name)}" in result.output
    assert recorded_sha256(entry) == digest(remote, name)
    assert cached_path(entry).read_bytes() == (remote / entry.file).read_bytes()
    assert re.search(rf"{name} .* yes", run_cli("weights").output)
    again = run_cli("weights", name)
    assert "already in the cache" in again.output
    assert len(server.requests) == 1
    assert pretrained.load(name).name == entry.model


@pytest.mark.slow
def test_predict_and_eval_find_it_by_name(server: FaultyServer) -> None:
    run_cli("weights", DETR)
    Image.new("RGB", (60, 40), "red").save("photo.jpg")
    predicted = run_cli("predict", DETR, "photo.jpg", "--size", 64, "--out", "out")
    assert predicted.exit_code == 0, predicted.output
    assert "drawn scenes" not in predicted.output
    (row,) = json.loads(Path("out/predictions.json").read_text())
    assert row["size"] == [43, 64]
    result = run_cli("eval", DETR, "--dataset", "pocket", "--limit", 1, "--summary")
    assert result.exit_code == 0, result.output
    assert "box_AP" in result.output


def test_an_interrupted_download_is_resumed(server: FaultyServer, remote: Path) -> None:
    entry = PUBLISHED[DETR]
    content = (remote / entry.file).read_bytes()
    part = cached_path(entry).with_name(f"{entry.file}.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:1000])
    server.faults[f"/{entry.file}"] = ["drop"]
    result = run_cli("weights", DETR)
    assert result.exit_code == 0, result.output
    assert server.requests[0][1] == "bytes=1000-"
    assert server.requests[1][1] != "bytes=1000-"
    assert cached_path(entry).read_bytes() == content


def test_a_file_damaged_on_the_way_is_fetched_again(server: FaultyServer) -> None:
    server.faults[f"/{PUBLISHED[DETR].file}"] = ["flipped"]
    assert run_cli("weights", DETR).exit_code == 0
    assert len(server.requests) == 2


def test_another_file_than_the_published_one_is_refused(
    server: FaultyServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLISHED, DETR, replace(PUBLISHED[DETR], digest="e632da11"))
    result = run_cli("weights", DETR)
    assert_refused(result, "is not the file that was published as detr-r50-e632da11.pth")
    assert "not with e632da11, twice" in result.output
    assert len(server.requests) == 2
    assert not list(cache.rglob("detr-r50*"))


def test_a_file_damaged_in_the_cache_is_fetched_again(server: FaultyServer) -> None:
    run_cli("weights", DETR)
    path = cached_path(PUBLISHED[DETR])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    result = run_cli("weights", DETR)
    assert result.exit_code == 0, result.output
    assert "is damaged: fetching it again" in result.output
    assert path.read_bytes() == whole


def test_a_file_put_into_the_cache_by_hand_is_checked_and_recorded(
    server: FaultyServer, remote: Path
) -> None:
    entry = PUBLISHED[DETR]
    cached_path(entry).parent.mkdir(parents=True)
    cached_path(entry).write_bytes((remote / entry.file).read_bytes())
    result = run_cli("weights", DETR)
    assert "already in the cache" in result.output
    assert recorded_sha256(entry) == digest(remote, DETR)
    assert server.requests == []


def test_offline_it_says_what_to_download_and_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/detr-r50-e632da11.pth"
    monkeypatch.setitem(PUBLISHED, DETR, replace(PUBLISHED[DETR], address=address))
    result = run_cli("weights", DETR)
    assert_refused(result, "could not be fetched in 4 attempts")
    assert f"on any computer, download: {address}" in result.output
    assert "here: seglib weights detr_resnet50 --file detr-r50-e632da11.pth" in result.output
    assert str(cached_path(PUBLISHED[DETR])) in result.output


def test_yolact_needs_a_browser_and_comes_as_a_file(remote: Path) -> None:
    entry = PUBLISHED[YOLACT]
    result = run_cli("weights", YOLACT)
    assert_refused(result, "can only be downloaded with a browser")
    assert f"open in a browser: {entry.address}" in result.output
    given = run_cli("weights", YOLACT, "--file", remote / entry.file)
    assert given.exit_code == 0, given.output
    assert f"SHA-256 {digest(remote, YOLACT)}" in given.output
    assert "published no digest" in given.output
    assert "already in the cache" in run_cli("weights", YOLACT).output
    assert pretrained.load(YOLACT).name == "yolact"


def test_a_file_that_is_not_the_right_one_is_refused(remote: Path, cache: Path) -> None:
    mask_rcnn, detr = (remote / PUBLISHED[name].file for name in (MASK_RCNN, DETR))
    wrong = run_cli("weights", MASK_RCNN, "--file", mask_rcnn)  # random weights
    assert_refused(wrong, "its SHA-256 begins with")
    assert "not with bf2d0c1e; download it again from https://download.pytorch.org" in wrong.output
    assert_refused(run_cli("weights", YOLACT, "--file", detr), "those of a yolact")
    assert_refused(run_cli("weights", YOLACT, "--file", "none.pth"), "no file at none.pth")
    assert not list(cache.rglob("*.pth"))


def test_weights_that_are_not_cached_must_be_fetched_first(remote: Path) -> None:
    for command in ("predict", "eval"):
        result = run_cli(command, MASK_RCNN)
        assert_refused(result, f"are not here yet: run `seglib weights {MASK_RCNN}` first")
    assert_refused(run_cli("weights", "yolact_bas"), "did you mean 'yolact_base'?")
    assert_refused(run_cli("predict", "nothing"), "a name that `seglib weights` lists")
