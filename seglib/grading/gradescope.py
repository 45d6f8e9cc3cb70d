"""Pack an assignment as an autograder for Gradescope: setup.sh, run_autograder and the course."""

from __future__ import annotations

import zipfile
from pathlib import Path

from seglib.atomic import write_atomic
from seglib.workshop.assignments import assignment_names, master_path
from seglib.workshop.build import lessons_folder

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image. AUTOGRADER is set only to try it elsewhere.
set -eu
ROOT="${AUTOGRADER:-/autograder}"
apt-get update
apt-get install -y python3 python3-venv bubblewrap
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "The course needs Python 3.11 or newer: choose a newer base image, such as Ubuntu 24.04."
    exit 1
fi
python3 -m venv "$ROOT/venv"
cd "$ROOT/source/course"
"$ROOT/venv/bin/pip" install -c requirements.lock -e ".[lab,grade]"
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission. AUTOGRADER and PYTHON are set only to try it elsewhere.
set -u
ROOT="${{AUTOGRADER:-/autograder}}"
PYTHON="${{PYTHON:-/autograder/venv/bin/python}}"
cd "$ROOT/source/course"
GRADED="$(mktemp -d)"
PYTHONPATH="$PWD" "$PYTHON" -m seglib.cli grade "$ROOT/submission" --assignment {name} \\
    --seed {seed} --jobs 1 --out "$GRADED"{unsafe} > "$GRADED/log" 2>&1
mkdir -p "$ROOT/results"
RESULT="$(ls "$GRADED"/feedback/*/results.json 2> /dev/null | head -n 1)"
if [ -n "$RESULT" ]; then
    cp "$RESULT" "$ROOT/results/results.json"
else
    "$PYTHON" - "$GRADED/log" > "$ROOT/results/results.json" << 'END'
import json, sys
print(json.dumps({{"score": 0, "output": open(sys.argv[1]).read()}}))
END
fi
"""
FILES = ("pyproject.toml", "requirements.lock", "README.md", "LICENSE", "LICENSE-lessons")


def pack(name: str, out: Path, *, seed: int, unsafe: bool = False) -> None:
    """Write the autograder of an assignment as a zip file, which is uploaded to Gradescope.

    Args:
        name: number or name of the assignment.
        out: the zip file.
        seed: seed of the hidden inputs.
        unsafe: mark without bubblewrap, where Gradescope's containers do not allow it.

    Raises:
        SeglibError: an unknown assignment, or the file cannot be written.
    """
    (found,) = assignment_names([name])
    root = lessons_folder().parent
    run = RUN.format(name=found, seed=seed, unsafe=" --unsafe" if unsafe else "")
    sources = [root / file for file in FILES] + [master_path(found)]
    sources += [
        path
        for path in sorted((root / "seglib").rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]

    def write(stream: object) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
            for script, text in (("setup.sh", SETUP), ("run_autograder", run)):
                entry = zipfile.ZipInfo(script)
                entry.external_attr = 0o755 << 16  # executable
                archive.writestr(entry, text)
            for path in sources:
                archive.write(path, f"course/{path.relative_to(root).as_posix()}")

    write_atomic(out, write)
