"""Dockerfile, .devcontainer, .binder: each file, target, extra and setting they name exists.

No image is built here, since that needs Docker and the network.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib

import pytest
import yaml

from tests.helpers import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
DEVCONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
INSTRUCTIONS = {
    "FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "CMD", "ENTRYPOINT",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, comments and line ends taken out."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name, " ".join(value.split())) for name, value in pairs]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, those of the stages that it builds on included."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value in instructions():
        if name == "FROM":
            image, _, stage = value.split()
            current = found[stage] = list(found.get(image, []))
        current.append((name, value))
    return found


def test_it_consists_of_known_instructions_and_two_targets():
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    assert list(stages()) == ["base", "grade", "lab"], "the last target is built by default"


def test_every_file_that_is_copied_exists_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    for name, value in instructions():
        if name == "COPY":
            *sources, _ = shlex.split(value)
            for source in sources:
                assert (ROOT / source).exists(), f"COPY {source}"
                assert source not in ignored
    assert ".git" in ignored
    assert ".venv" in ignored


def test_everyone_who_opens_the_lessons_can_check_an_assignment():
    """`seglib check` needs the extra grade, wherever the course is installed."""
    post_build = (ROOT / ".binder" / "postBuild").read_text("utf-8")
    (in_container,) = [v for n, v in stages()["lab"] if n == "RUN" and "environment.py" in v]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "lab: ##" in makefile
    assert "@$(ENVIRONMENT) lab grade" in makefile.split("lab: ##")[1].split("\n\n")[0]
    for command in (post_build, in_container, DEVCONTAINER["postCreateCommand"]):
        assert command.rstrip().endswith("--here lab grade")
    assert '".[lab,grade]"' in (ROOT / "book" / "install.md").read_text("utf-8")


@pytest.mark.parametrize("stage", ["lab", "grade"])
def test_a_target_installs_extras_that_exist_and_starts_what_they_bring(stage):
    steps = stages()[stage]
    (installs,) = [v.split() for n, v in steps if n == "RUN" and "environment.py" in v]
    assert installs[:3] == ["python", "tools/environment.py", "--here"]
    assert set(installs[3:]) <= set(PROJECT["optional-dependencies"])
    order = [value.split()[0] for name, value in steps if name in ("COPY", "RUN")]
    assert order.index("seglib") < order.index("python"), "the code is there when it is installed"
    (starts,) = [json.loads(value) for name, value in steps if name in ("CMD", "ENTRYPOINT")]
    if starts[0] == "seglib":
        assert starts[1:] == ["grade"]
        assert "seglib" in PROJECT["scripts"]
    else:
        assert starts[:2] == ["jupyter", "lab"]
        assert (ROOT / starts[-1]).is_file()
        assert any("jupyterlab" in need for need in PROJECT["optional-dependencies"]["lab"])


def test_its_comments_build_targets_that_exist():
    targets = re.findall(r"--target (\w+)", DOCKERFILE)
    assert targets == ["grade"]
    assert set(targets) <= set(stages())
    arguments = {value.split("=")[0] for name, value in instructions() if name == "ARG"}
    assert set(re.findall(r"--build-arg (\w+)=", DOCKERFILE)) == arguments


def test_the_development_container_builds_the_lab():
    folder = ROOT / ".devcontainer"
    build = DEVCONTAINER["build"]
    assert (folder / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / build["context"]).resolve() == ROOT
    assert build["target"] == "lab"
    for file in DEVCONTAINER["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / file).is_file()


def test_binder_has_a_python_that_the_course_runs_on():
    runtime = (ROOT / ".binder" / "runtime.txt").read_text("utf-8").strip()
    assert re.fullmatch(r"python-3\.1[123]", runtime)
    start = (ROOT / ".binder" / "start").read_text("utf-8")
    assert start.rstrip().endswith('exec "$@"'), "Binder hands over the server's command"


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_binders_scripts_can_be_run(name):
    script = ROOT / ".binder" / name
    assert script.read_text("utf-8").startswith("#!/bin/bash\n")
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "--stage", str(script)], cwd=ROOT, capture_output=True, text=True
        )
        assert listed.stdout.startswith("100755"), "not executable in git"
    if shutil.which("bash"):
        assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


def test_the_commands_of_both_name_files_and_extras_that_exist():
    post_build = (ROOT / ".binder" / "postBuild").read_text("utf-8").splitlines()[-1]
    for command in (post_build, DEVCONTAINER["postCreateCommand"]):
        words = command.split()
        start = words.index("python")
        assert all("=" in setting for setting in words[:start])
        assert (ROOT / words[start + 1]).is_file()
        assert words[start + 2] == "--here"
        assert set(words[start + 3 :]) <= set(PROJECT["optional-dependencies"])


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert {"message", "title", "authors", "abstract"} <= set(citation)
    assert all("name" in author for author in citation["authors"])
