"""Explorers drawn ahead: every state is the explorer's own, and pages show it without a kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from seglib.errors import SeglibError
from seglib.plotting.panels import Figure, figure
from seglib.widgets import Explorer
from seglib.widgets.explorer import choice, slider, span
from seglib.widgets.flipbook import draw_flipbook
from seglib.workshop.build import build_lesson
from seglib.workshop.flipbooks import STATES, draw, explorer_cells, is_fresh, write_flipbook
from seglib.workshop.static_page import moving_html, still_html, stored_picture


class Corner(Explorer):
    """A place that must stay left of `limit`: moving the limit moves the place."""

    process = "place"

    def __init__(self) -> None:
        super().__init__(
            {
                "limit": slider("limit", 3, 1, 3),
                "place": slider("place", 0, 0, 3),
                "side": choice("side", ["left", "right"], "right"),
                "edges": span("edges", (1, 2), 0, 3),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """Two limits, three places."""
        return {"limit": [1, 3], "place": [1, 3], "side": ["left"]}

    def compute(self) -> dict[str, Any]:
        """Limit the place."""
        self.controls["place"].max = self.setting("limit")
        return {"sum": self.setting("place")}

    def figure(self) -> Figure:
        """The place as a bar."""
        fig, grid = figure(panel=1.0)
        grid[0, 0].bar([0], [self.values["sum"]])
        return fig

    def summary(self) -> str:
        """All settings."""
        return f"<b>{self.setting('side')}</b>: {self.values['sum']} of {self.setting('limit')}"


def test_every_combination_has_the_frame_of_its_state() -> None:
    book = draw_flipbook(Corner())
    assert [(d.label, d.texts, d.start, d.slides, d.plays) for d in book.dials] == [
        ("limit", ["1", "3"], 1, True, False),
        ("place", ["0", "1", "3"], 0, True, True),
        ("side", ["left", "right"], 1, False, False),
    ]
    assert len(book.table) == 2 * 3 * 2
    assert book.frames[book.start].words == "<b>right</b>: 0 of 3"
    for frame in book.frames:
        limit, place, side = (d.texts[p] for d, p in zip(book.dials, frame.places, strict=True))
        assert frame.words == f"<b>{side}</b>: {place} of {limit}"


def test_a_combination_that_the_explorer_forbids_falls_back_to_one_that_it_allows() -> None:
    book = draw_flipbook(Corner())
    assert len(book.frames) == 12 - 2
    forbidden = book.table[0 * 6 + 2 * 2 + 1]  # limit 1, place 3, right
    assert book.frames[forbidden].places == (0, 1, 1)


def test_ranges_and_fractions_are_written_for_readers() -> None:
    dial = draw_flipbook(_With({"edges": [(0, 3)]})).dials[0]
    assert dial.texts == ["0 to 3", "1 to 2"]


class _With(Corner):
    def __init__(self, ahead: dict[str, list[Any]]) -> None:
        self._ahead = ahead
        super().__init__()

    def ahead(self) -> dict[str, list[Any]]:
        return self._ahead


def states_of(folder: Path) -> dict[str, Any]:
    states: dict[str, Any] = json.loads((folder / STATES).read_text("utf-8"))
    return states


def test_frames_on_disk_are_fresh_until_their_code_changes(tmp_path: Path) -> None:
    write_flipbook(draw_flipbook(Corner()), tmp_path)
    states = states_of(tmp_path)
    assert {f["file"] for f in states["frames"]} | {STATES} == {p.name for p in tmp_path.iterdir()}
    assert "seglib/widgets/flipbook.py" in states["made_from"]
    assert is_fresh(tmp_path)
    (tmp_path / STATES).write_text(json.dumps(states | {"made_by": "another library"}))
    assert not is_fresh(tmp_path)
    assert not is_fresh(tmp_path / "nothing")


def test_the_page_shows_the_first_state_and_hides_its_controls_without_a_script(
    tmp_path: Path,
) -> None:
    write_flipbook(draw_flipbook(Corner()), tmp_path)
    states = states_of(tmp_path)
    page = moving_html(states, "../frames")
    assert '<div class="explorer-controls" hidden>' in page
    assert f'src="../frames/{states["frames"][states["start"]]["file"]}"' in page
    assert 'alt=" right : 0 of 3"' in page
    assert page.count("<input") == 2
    assert '<option value="1" selected>right</option>' in page
    assert page.count("<button") == 3  # only the process can be stepped and played
    for words in ("one step back", "play", "one step forward"):
        assert f'aria-label="place: {words}"' in page
    data = page.split('class="explorer-states">')[1].split("</script>")[0]
    assert "<" not in data
    assert json.loads(data)["table"] == states["table"]


def lesson(tmp_path: Path, stored: str) -> Path:
    """A notebook whose explorer depends on one of two cells, with the words stored for it."""
    source = tmp_path / "90_small.py"
    source.write_text(
        '# %% id="slow"\nraise SystemExit("not needed")\n\n'
        '# %% id="field" alt="a field"\nfrom seglib.widgets.fields import ReceptiveField\n'
        "class One(ReceptiveField):\n    def ahead(self):\n        return {'layers': [2]}\n"
        "One(layers=1)\n"
    )
    notebook = build_lesson(source)
    notebook.cells[1].outputs = [
        nbformat.v4.new_output(
            "display_data",
            {"application/vnd.jupyter.widget-view+json": {"model_id": "0"}, "text/plain": stored},
        )
    ]
    path = tmp_path / "90_small.ipynb"
    nbformat.write(notebook, path)
    assert explorer_cells(notebook) == {"field": stored}
    return path


WORDS = "One: After 1 layers, one cell sees 3 × 3 pixels, and neighbouring cells are 2 px apart."


def test_a_lesson_s_explorer_is_made_from_what_it_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(lesson(tmp_path, WORDS), "field", tmp_path / "frames" / "a")
    states = states_of(tmp_path / "frames" / "a")
    assert [f["words"][:14] for f in states["frames"]] == ["After 1 layers", "After 2 layers"]
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["a"]


def test_an_explorer_whose_words_differ_from_the_notebook_s_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SeglibError, match="sees 3 × 3"):
        draw(lesson(tmp_path, WORDS.replace("3 × 3", "4 × 4")), "field", tmp_path / "frames")
    assert not (tmp_path / "frames").exists()


def test_otherwise_the_stored_picture_is_shown() -> None:
    html = {"state": {"value": '<img alt="a" src="data:,">'}}
    box = {"state": {"children": ["IPY_MODEL_b"]}}
    panel = {"state": {"children": ["IPY_MODEL_a", "IPY_MODEL_c"]}}
    models = {"p": panel, "a": {"state": {"value": 3}}, "c": box, "b": html}
    notebook = nbformat.v4.new_notebook(
        metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {"state": models}}}
    )
    image = stored_picture(notebook, "p")
    assert image == '<img alt="a" src="data:,">'
    assert "<input" not in still_html(image)
    with pytest.raises(SeglibError, match="no picture"):
        stored_picture(notebook, "a")
