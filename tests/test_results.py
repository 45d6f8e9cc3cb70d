"""The table of finished runs: rows come back as written, and damage is named by its line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from seglib.cli import app
from seglib.errors import SeglibError
from seglib.pretrained.results import append_result, read_results

ROW = {
    "name": "fcn", "command": "seglib train fcn", "seed": 0, "cpu_minutes": 1.5,
    "evaluated": "6 images of val", "figures": {"mean_iou": 0.25, "mask_AP": None},
}  # fmt: skip


@pytest.mark.parametrize("command", ["a\u2028b", "a\x85b", "a\x1eb", "ä [/red] [bold]"])
def test_any_command_comes_back(command, tmp_path):
    table = tmp_path / "results.jsonl"
    rows = [{**ROW, "command": command}, {**ROW, "seed": None}]
    for row in rows:
        append_result(table, row)
    assert read_results(table) == rows


def test_a_table_without_its_last_line_end_is_gone_on_with(tmp_path):
    table = tmp_path / "results.jsonl"
    table.write_text(json.dumps(ROW))
    append_result(table, ROW)
    assert read_results(table) == [ROW, ROW]
    table.write_text("")
    assert read_results(table) == []


DAMAGED = {
    "list of figures": ({"figures": [1]}, "figures as dict"),
    "no figures": ({"figures": None}, "figures as dict"),
    "figures in words": ({"figures": {"a": "x"}}, "figures of numbers, and a is none"),
    "name of a number": ({"name": 5}, "name as str"),
    "no command": ({"command": None}, "command as str"),
    "minutes in words": ({"cpu_minutes": "x"}, "cpu_minutes as int or float"),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_rows_are_named(fault, tmp_path):
    changes, message = DAMAGED[fault]
    table = tmp_path / "results.jsonl"
    with pytest.raises(SeglibError, match="a result needs"):
        append_result(table, {**ROW, **changes})
    assert not table.exists()
    table.write_text(f"{json.dumps(ROW)}\n{json.dumps({**ROW, **changes})}\n")
    shown = CliRunner().invoke(app, ["results", "--file", str(table)])
    assert shown.exit_code == 1
    assert f"{table}, line 2 is no result (it needs {message}): restore" in shown.output


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"3\n", b"\n\n", b"{\n"])
def test_what_is_no_table_is_named(content, tmp_path):
    table = tmp_path / "results.jsonl"
    table.write_bytes(content)
    with pytest.raises(SeglibError, match="line 1 is no result"):
        read_results(table)


def test_square_brackets_are_shown_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    table = tmp_path / "results.jsonl"
    append_result(table, {**ROW, "name": "[i]x[/i]", "command": "train [/red] [bold]"})
    shown = CliRunner().invoke(app, ["results", "--file", str(table)])
    assert shown.exit_code == 0, shown.output
    assert "train [/red] [bold]" in shown.output
    assert "[i]x[/i]" in shown.output
