"""tools/environment.py does nothing when nothing changed, and explains why it fails."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def environment(tmp_path, monkeypatch) -> ModuleType:
    """The script as a module, with an environment in a temporary folder and no other settings."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / "tools" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("PIP_ARGS", "TORCH_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VENV", str(tmp_path / "venv"))
    return module


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_an_unsupported_python_is_refused(environment, monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    with pytest.raises(SystemExit, match=r"needs 3\.11, 3\.12 or 3\.13"):
        environment.check_python()


def test_a_full_disk_is_refused_before_anything_is_installed(environment, monkeypatch, tmp_path):
    usage = environment.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage._replace(free=5e9))
    with pytest.raises(SystemExit, match=r"needs about 8 GB and .* has 5\.0 GB free"):
        environment.check_disk(str(tmp_path))
    monkeypatch.setenv("TORCH_INDEX", "somewhere")
    environment.check_disk(str(tmp_path))
    monkeypatch.delenv("TORCH_INDEX")
    (tmp_path / "lib" / "python3" / "site-packages" / "torch").mkdir(parents=True)
    environment.check_disk(str(tmp_path))


@pytest.mark.parametrize(
    ("output", "explanation"),
    [
        ("Failed to establish: NewConnectionError('...')", "check the network connection"),
        ("Temporary failure in name resolution", "check the network connection"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: something else", "see its own message above"),
    ],
)
def test_the_cause_of_a_failure_is_explained(environment, output, explanation):
    assert explanation in environment.explain(output)


def test_nothing_is_installed_when_nothing_changed(environment, monkeypatch, tmp_path):
    done: list[list[str]] = []
    monkeypatch.setattr(environment, "create", lambda folder: "python")
    monkeypatch.setattr(environment, "check_disk", lambda folder: None)
    monkeypatch.setattr(environment, "install", lambda python, extras: done.append(extras))
    (tmp_path / "venv").mkdir()
    environment.main(["lab"])
    environment.main(["lab"])
    assert done == [["lab"]]
    environment.main(["test"])
    environment.main(["lab"])
    assert done == [["lab"], ["lab", "test"]]
    stamp = tmp_path / "venv" / "seglib-environment.json"
    stamp.write_text(json.dumps({"state": "older files", "extras": ["lab", "test"]}))
    environment.main(["lab"])
    assert len(done) == 3
    monkeypatch.setenv("TORCH_INDEX", "elsewhere")
    environment.main(["lab"])
    assert len(done) == 4


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for pip")
def test_the_output_of_pip_is_shown_and_explained(environment, monkeypatch, tmp_path, capsys):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'NewConnectionError: no route' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(SystemExit, match="could not reach the package index"):
        environment.install(str(fake), ["lab"])
    assert "no route" in capsys.readouterr().err
