"""The rules for committed lessons, as functions that list what is wrong with a notebook.

CONTRIBUTING states the same rules in words. Each guard takes a notebook (and its name where
lessons differ) and returns complaints, so that tests can show that it catches violations.
"""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from typing import Any

from nbformat import NotebookNode

from seglib.widgets import Option, Question, Quiz
from seglib.workshop.build import CELL_ID

SECTIONS = ("start", "problem", "idea", "equality", "learns", "inside", "try", "summary")
# Lesson 00 presents the course and 01 the data: no model is trained in them.
WITHOUT = {"00": {"equality", "learns", "inside"}, "01": {"learns"}}
FORBIDDEN_TAGS = {"raises-exception", "nbval-skip", "nbval-raises-exception"}
FORBIDDEN_MARKS = ("NBVAL_SKIP", "NBVAL_RAISES_EXCEPTION", "PYTEST_VALIDATE_IGNORE_OUTPUT")
MEDIAN_LINES, MAX_LINES = 8, 25
MAX_BYTES = 2_000_000
WORDS_PER_MINUTE, MAX_MINUTES = 130, 75
CLAIM = re.compile(r"\*\*Time\*\* about (\d+) minutes to read")
MAX_CLAIM_ERROR = 0.2  # of the estimate
# Most questions have three options, so that chance gives a third to each place and each length.
MAX_SHARE = 0.45
ABSOLUTE = re.compile(
    r"(?<![\w.:/~<])/(home|Users|root|tmp|work|usr|var|opt|mnt|private)/\w|[A-Z]:\\\\?\w"
)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
MAX_COLUMNS = 100
WIDGETS = "application/vnd.jupyter.widget-state+json"


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lines_of(source: str) -> int:
    """The number of lines that are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def texts_of(cell: NotebookNode) -> str:
    """All text in a cell's outputs."""
    parts = []
    for output in cell.get("outputs", []):
        parts.append(output.get("text", ""))
        data = output.get("data", {})
        parts += [str(data[kind]) for kind in data if kind.startswith("text/")]
    return "\n".join(parts)


def check_run(notebook: NotebookNode) -> list[str]:
    """Run once from top to bottom, without errors or warnings, with outputs."""
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    bad = []
    if counts != list(range(1, len(cells) + 1)):
        bad.append(f"execution counts are {counts}, not 1…{len(cells)}: run it from a fresh kernel")
    if cells and not any(cell.outputs for cell in cells):
        bad.append("no cell has an output: the notebook was stripped, execute it again")
    for cell in cells:
        kinds = {output.output_type for output in cell.outputs}
        if "error" in kinds:
            bad.append(f"cell {cell.id} ended with an error")
        if any(output.get("name") == "stderr" for output in cell.outputs):
            bad.append(f"cell {cell.id} wrote to standard error: fix what causes the warning")
    return bad


def check_ids(notebook: NotebookNode) -> list[str]:
    """Every cell has an explicit, unique id."""
    ids = [cell.get("id", "") for cell in notebook.cells]
    bad = [
        f"cell id {i!r} is not of the form words-with-hyphens"
        for i in ids
        if not CELL_ID.fullmatch(i)
    ]
    return bad + [f"cell id {i!r} occurs twice" for i in sorted(set(ids)) if ids.count(i) > 1]


def check_length(notebook: NotebookNode) -> list[str]:
    """Code cells are short enough to take in at a glance."""
    counts = {cell.id: lines_of(cell.source) for cell in code_cells(notebook)}
    whole = {cell.id: len(cell.source.splitlines()) for cell in code_cells(notebook)}
    bad = [
        f"cell {i} has {n} lines including blank ones, more than {MAX_LINES}"
        for i, n in whole.items()
        if n > MAX_LINES
    ]
    median = statistics.median(counts.values()) if counts else 0
    if median > MEDIAN_LINES:
        bad.append(f"the median code cell has {median} lines, more than {MEDIAN_LINES}")
    return bad


def reading_minutes(notebook: NotebookNode) -> int:
    """How long a reader needs: the words of the text at 130 per minute, a minute per code cell."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    words = sum(len(text.split()) for text in texts)
    return round(words / WORDS_PER_MINUTE) + len(code_cells(notebook))


def check_time(notebook: NotebookNode) -> list[str]:
    """The lesson takes 75 minutes at most, and says at its start how long it takes."""
    minutes = reading_minutes(notebook)
    bad = []
    if minutes > MAX_MINUTES:
        bad.append(f"it takes {minutes} minutes to read, more than {MAX_MINUTES}")
    claims = [CLAIM.search(cell.source) for cell in notebook.cells if cell.id == "start"]
    if not claims or claims[0] is None:
        return [*bad, "its first cell does not say '**Time** about N minutes to read'"]
    claimed = int(claims[0][1])
    if abs(claimed - minutes) > MAX_CLAIM_ERROR * minutes:
        bad.append(f"it claims {claimed} minutes to read, the estimate is {minutes}")
    return bad


def check_alt_text(notebook: NotebookNode) -> list[str]:
    """Every picture has alt text, and no cell more than one, since the text belongs to the cell."""
    bad = []
    for cell in code_cells(notebook):
        pictures = [
            o for o in cell.outputs if any(k.startswith("image/") for k in o.get("data", {}))
        ]
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if pictures and len(alt.split()) < 4:
            bad.append(f"cell {cell.id} shows a picture without alt text")
        if len(pictures) > 1:
            bad.append(f"cell {cell.id} shows {len(pictures)} pictures: show one per cell")
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(", cell.source):
            bad.append(f"cell {cell.id} has an image without alt text")
    return bad


def check_dataset(notebook: NotebookNode) -> list[str]:
    """All outputs come from Pocket COCO, whose pictures may be published."""
    dataset = notebook.metadata.get("seglib", {}).get("dataset")
    if dataset == "pocket":
        return []
    return [f"its outputs come from {dataset!r}: execute it on pocket with `seglib lessons run`"]


def check_portable(notebook: NotebookNode) -> list[str]:
    """Nothing is specific to one machine: no absolute paths, no memory addresses."""
    bad = []
    for cell in notebook.cells:
        for text in (cell.source, texts_of(cell)):
            for pattern, what in ((ABSOLUTE, "an absolute path"), (ADDRESS, "a memory address")):
                if found := pattern.search(text):
                    bad.append(f"cell {cell.id} contains {what}: {found.group()}…")
    return bad


def check_sections(notebook: NotebookNode, name: str) -> list[str]:
    """The eight sections are there, in order, each a text cell that begins with its heading."""
    expected = [s for s in SECTIONS if s not in WITHOUT.get(name[:2], set())]
    found = [cell.id for cell in notebook.cells if cell.id in SECTIONS]
    bad = []
    if [s for s in found if s in expected] != expected:
        bad.append(f"its sections are {found}; they must be {expected}")
    for cell in notebook.cells:
        opening = "# " if cell.id == "start" else "## "
        if cell.id in SECTIONS and not (
            cell.cell_type == "markdown" and cell.source.startswith(opening)
        ):
            bad.append(f"cell {cell.id} must be text that begins with {opening!r}")
    titles = sum(
        len(re.findall(r"(?m)^# ", c.source)) for c in notebook.cells if c.cell_type == "markdown"
    )
    if titles != 1:
        bad.append(f"it has {titles} first-level headings, not one")
    return bad


def check_quiz(notebook: NotebookNode) -> list[str]:
    """The quiz has 5 to 8 questions and tests at least three objectives."""
    objectives = [_objective(call) for call in _question_calls(notebook)]
    bad = []
    if not 5 <= len(objectives) <= 8:
        bad.append(f"its cells tagged quiz contain {len(objectives)} questions, not 5 to 8")
    if "" in objectives or len(set(objectives)) < 3:
        bad.append("each quiz question must name its objective, at least three different ones")
    return bad


def quiz_questions(notebook: NotebookNode) -> list[Question]:
    """The quiz's questions with their options in the order in which readers see them."""
    words = {"Option": Option, "Question": Question}
    calls = [ast.unparse(call) for call in _question_calls(notebook)]
    return [shown for call in calls for shown in Quiz([eval(call, words)]).questions]


def check_hints(questions: list[Question]) -> list[str]:
    """Neither the place nor the length of an option says that it is the right one."""
    places = Counter("ABCDEFGH"[question.answer] for question in questions)
    hints = {f"{letter} is the right option": n for letter, n in places.items()}
    hints["the longest option is the right one"] = sum(map(_right_is_longest, questions))
    return [
        f"{hint} in {n} of {len(questions)} questions: at most {MAX_SHARE:.0%}"
        for hint, n in hints.items()
        if n > MAX_SHARE * len(questions)
    ]


def _right_is_longest(question: Question) -> bool:
    """Whether the right option has more visible characters than each of the others."""
    lengths = [len(re.sub(r"<[^>]+>", "", option.text)) for option in question.options]
    right = lengths.pop(question.answer)
    return right > max(lengths)


def _question_calls(notebook: NotebookNode) -> list[ast.Call]:
    cells = [c for c in code_cells(notebook) if "quiz" in c.metadata.get("tags", [])]
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
    return [n for n in nodes if isinstance(n, ast.Call) and _name(n) == "Question"]


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def _objective(call: ast.Call) -> str:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == "objective"), "")


def check_no_bypass(notebook: NotebookNode) -> list[str]:
    """Nothing bypasses the tests that run the notebook, and at least one output is compared."""
    bad = []
    for cell in notebook.cells:
        if tags := FORBIDDEN_TAGS & set(cell.metadata.get("tags", [])):
            bad.append(f"cell {cell.id} has the tag {', '.join(tags)}")
        if any(mark in cell.source for mark in FORBIDDEN_MARKS):
            bad.append(f"cell {cell.id} has a comment that switches nbval off")
    checked = [
        c
        for c in code_cells(notebook)
        if "tolerance" in c.metadata or "nbval-check-output" in c.metadata.get("tags", [])
    ]
    if not checked:
        bad.append("no cell's output is compared: give a tolerance or the tag nbval-check-output")
    return bad


def check_source(notebook: NotebookNode, source: NotebookNode) -> list[str]:
    """The notebook was built from its text source: same cells, ids, texts and metadata."""
    bad = []
    ours = [cell.id for cell in notebook.cells]
    theirs = [cell.id for cell in source.cells]
    if ours != theirs:
        return [
            "its cells differ from the source's: "
            f"{sorted(set(ours) ^ set(theirs)) or 'they are in another order'}"
        ]
    for cell, origin in zip(notebook.cells, source.cells, strict=True):
        same: list[tuple[str, Any, Any]] = [
            ("kind", cell.cell_type, origin.cell_type),
            ("text", cell.source, origin.source),
            ("metadata", dict(cell.metadata), dict(origin.metadata)),
        ]
        bad += [
            f"cell {cell.id}: its {what} differs from the source's" for what, a, b in same if a != b
        ]
    return bad


def long_lines(text: str) -> list[int]:
    """The numbers of the lines of a text source that are too long.

    Markers of cells, which carry alt text, and rows of tables cannot be broken.
    """
    return [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > MAX_COLUMNS and not line.startswith(("# %%", "# |"))
    ]


def check_all(notebook: NotebookNode, name: str) -> list[str]:
    """All guards that need no text source."""
    guards = (
        check_run,
        check_ids,
        check_length,
        check_alt_text,
        check_dataset,
        check_portable,
        check_quiz,
        check_no_bypass,
    )
    complaints = [complaint for guard in guards for complaint in guard(notebook)]
    return complaints + check_sections(notebook, name)
