"""Print what the checks say of every wrong solution: `python -m tests.assignments.wrong_table`.

Numbers or names of assignments may follow (`04`); without them, the table contains all. The table
is for people, who read whether each message names the fault.
"""

from __future__ import annotations

import sys

from seglib.workshop.assignments import assignment_names
from tests.assignments.trying import Trial, trials


def shares(found: list[Trial]) -> tuple[float, float]:
    """The shares of wrong solutions caught by the visible checks, and by all checks."""
    caught = [trial.caught for trial in found]
    visible, hidden = caught.count("visible"), caught.count("hidden")
    return visible / len(found), (visible + hidden) / len(found)


def written(found: list[Trial]) -> float:
    """The share of wrong solutions whose message an author wrote, rather than Python."""
    return sum(trial.message.startswith("AssertionError: ") for trial in found) / len(found)


def markdown(name: str, found: list[Trial]) -> str:
    """The table of one assignment."""
    visible, together = shares(found)
    lines = [
        f"## {name}",
        "",
        f"{len(found)} wrong solutions; visible checks catch {visible:.0%}, with the hidden ones "
        f"{together:.0%}. {written(found):.0%} get a message that was written for it.",
        "",
        "| task | cell | fault | caught by | what a learner sees |",
        "| --- | --- | --- | --- | --- |",
    ]
    for trial in found:
        cells = (trial.task, trial.cell, trial.fault, trial.caught, trial.message)
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |")
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """Print the tables of these assignments."""
    for name in assignment_names(names):
        print(markdown(name, list(trials(name))))


if __name__ == "__main__":
    main(sys.argv[1:])
