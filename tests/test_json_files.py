"""JSON from anywhere: read, or refused without a traceback and without the memory it asks for."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path

import ijson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglib import SeglibError
from seglib.cli.settings import read_run
from seglib.data import CocoFolder
from seglib.data.coco_json import read_instances, read_panoptic
from seglib.json_files import ShallowStream, parse_json
from seglib.pretrained.results import read_results

DEEP = "[" * 100_000


def test_endless_brackets_are_not_json() -> None:
    for text in (DEEP, DEEP + "]" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match=r"nested too deeply|Expecting"):
            parse_json(text)


@pytest.mark.parametrize("read", [read_instances, read_panoptic])
def test_annotations_of_brackets_are_reported_in_one_line(read: object, tmp_path: Path) -> None:
    (tmp_path / "val.json").write_text(DEEP)
    with pytest.raises(SeglibError, match=r"val\.json as JSON .*nested"):
        read(tmp_path / "val.json")


def test_settings_and_results_of_brackets_are_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(DEEP)
    with pytest.raises(SeglibError, match=r"run\.json .*nested"):
        read_run(tmp_path)
    (tmp_path / "results.jsonl").write_text(DEEP + "\n")
    with pytest.raises(SeglibError, match=r"results\.jsonl"):
        read_results(tmp_path / "results.jsonl")


@settings(deadline=None)
@given(st.text(max_size=40), st.integers(1, 7))
def test_brackets_within_text_do_not_count(text: str, piece: int) -> None:
    content = json.dumps({"items": [{text: "[{" * 200 + text}] * 3}).encode()
    stream = ShallowStream(io.BytesIO(content), "x")
    read = b""
    while part := stream.read(piece):
        read += part
    assert read == content


def test_a_deep_stream_ends_before_it_takes_memory() -> None:
    content = b'{"images":' + b'{"a":' * 100_000
    tracemalloc.start()
    with pytest.raises(SeglibError, match="nested deeper"):
        list(ijson.items(ShallowStream(io.BytesIO(content), "x"), "images.item"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b.png", "C:/a.png", "..\\a"])
def test_no_file_name_of_a_data_set_leads_out_of_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    image = {"id": 1, "file_name": name, "height": 4, "width": 4}
    content = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "val.json").write_text(json.dumps(content))
    with pytest.raises(SeglibError, match=r"image 1: 'file_name' .* does not name a file below"):
        CocoFolder(tmp_path / "val", tmp_path / "val.json")
