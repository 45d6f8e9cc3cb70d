"""The table of finished runs: rows come back as written, damage is reported by line, and a
person can scan what is printed."""

from __future__ import annotations

import json

import pytest

from seglib.cli.results import MAIN_FIGURES
from seglib.data.assets import asset
from seglib.errors import SeglibError
from seglib.pretrained.results import append_result, read_results, training_minutes
from tests.helpers import run_cli

ROW = {
    "name": "fcn", "command": "seglib train fcn", "seed": 0, "cpu_minutes": 1.5,
    "evaluated": "6 images of val", "figures": {"mean_iou": 0.25, "mask_AP": None},
}  # fmt: skip


@pytest.mark.parametrize("command", ["a\u2028b", "a\x85b", "a\x1eb", "ä [/red] [bold]"])
def test_any_command_is_read_back(command, tmp_path):
    table = tmp_path / "results.jsonl"
    rows = [{**ROW, "command": command}, {**ROW, "seed": None}]
    for row in rows:
        append_result(table, row)
    assert read_results(table) == rows


def test_a_table_whose_last_line_is_unterminated_can_be_continued(tmp_path):
    table = tmp_path / "results.jsonl"
    table.write_text(json.dumps(ROW))
    append_result(table, ROW)
    assert read_results(table) == [ROW, ROW]
    table.write_text("")
    assert read_results(table) == []


DAMAGED = {
    "list of figures": ({"figures": [1]}, "figures as dict"),
    "no figures": ({"figures": None}, "figures as dict"),
    "figures in words": ({"figures": {"a": "x"}}, "figures that are numbers, and a is not"),
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
    shown = run_cli("results", "--file", table)
    assert shown.exit_code == 1
    assert f"{table}, line 2 is not a result (it needs {message}): restore" in shown.output


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"3\n", b"\n\n", b"{\n"])
def test_files_that_are_not_tables_are_refused_by_line(content, tmp_path):
    table = tmp_path / "results.jsonl"
    table.write_bytes(content)
    with pytest.raises(SeglibError, match="line 1 is not a result"):
        read_results(table)


def test_square_brackets_are_shown_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    table = tmp_path / "results.jsonl"
    append_result(table, {**ROW, "name": "[i]x[/i]", "command": "train [/red] [bold]"})
    shown = run_cli("results", "--commands", "--file", table)
    assert shown.exit_code == 0, shown.output
    assert "train [/red] [bold]" in shown.output
    assert "[i]x[/i]" in shown.output


def test_the_course_table_fits_100_columns_and_shows_commands_only_on_request(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    rows = read_results(asset("results.jsonl"))
    plain = run_cli("results").output
    assert max(map(len, plain.splitlines())) <= 100
    assert "seglib train" not in plain
    lines = [line.split() for line in plain.splitlines()]
    for number, row in enumerate(rows, start=1):
        figures = [f"{row['figures'][n]:.3f}" for n in MAIN_FIGURES if n in row["figures"]]
        expected = [str(number), row["name"], str(row["seed"]), *training_minutes(row).split()]
        assert [*expected, *figures] in lines  # one line per run
    full = run_cli("results", "--commands").output
    assert all(row["command"] in full.splitlines() for row in rows)
