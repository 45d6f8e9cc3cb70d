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
    for name in ("PIP_ARGS", "TORCH", "TORCH_INDEX", "PYTHONPATH"):
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
    for name, value in (("TORCH_INDEX", "somewhere"), ("TORCH", "cpu")):
        monkeypatch.setenv(name, value)
        environment.check_disk(str(tmp_path))
        monkeypatch.delenv(name)
    (tmp_path / "lib" / "python3" / "site-packages" / "torch").mkdir(parents=True)
    environment.check_disk(str(tmp_path))


@pytest.mark.parametrize(
    ("output", "explanation"),
    [
        ("Failed to establish: NewConnectionError('...')", "check the network connection"),
        ("Temporary failure in name resolution", "check the network connection"),
        ("cause: dns error", "check the network connection"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: something else", "see the message above"),
    ],
)
def test_the_cause_of_a_failure_is_explained(environment, output, explanation):
    assert explanation in environment.explain(output)


@pytest.fixture
def made(environment, monkeypatch, tmp_path) -> list[tuple[list[str], bool]]:
    """What `main` installs, as (extras, whether an existing environment is replaced)."""
    done: list[tuple[list[str], bool]] = []
    replaced: list[bool] = []

    def install(python: str, extras: list[str]) -> None:
        done.append((extras, replaced.pop()))
        record_owner(tmp_path / "venv", environment.ROOT)

    def create(folder: str, replace: bool) -> str:
        replaced.append(replace)
        return "python"

    monkeypatch.setattr(environment, "create", create)
    monkeypatch.setattr(environment, "check_disk", lambda folder: None)
    monkeypatch.setattr(environment, "install", install)
    (tmp_path / "venv").mkdir()
    return done


def record_owner(venv: Path, checkout: Path | str, editable: bool = True) -> None:
    """Write what pip writes when it installs a checkout."""
    packages = ("Lib",) if os.name == "nt" else ("lib", "python3.12")
    record = venv.joinpath(*packages, "site-packages", "seglib-0.1.0.dist-info", "direct_url.json")
    record.parent.mkdir(parents=True, exist_ok=True)
    url = Path(checkout).as_uri()
    record.write_text(json.dumps({"url": url, "dir_info": {"editable": editable}}))


def make_checkout(folder: Path) -> Path:
    """A folder that looks like another checkout."""
    (folder / "seglib").mkdir(parents=True)
    (folder / "seglib" / "__init__.py").touch()
    return folder


def test_nothing_is_installed_when_nothing_changed(environment, made, monkeypatch, tmp_path):
    environment.main(["lab"])
    environment.main(["lab"])
    assert made == [(["lab"], False)]
    environment.main(["test"])
    environment.main(["lab"])
    assert made == [(["lab"], False), (["lab", "test"], False)]
    stamp = tmp_path / "venv" / "seglib-environment.json"
    stamp.write_text(json.dumps({"state": "older files", "extras": ["lab", "test"]}))
    environment.main(["lab"])
    assert len(made) == 3
    for count, name in enumerate(("TORCH_INDEX", "TORCH"), start=4):
        monkeypatch.setenv(name, "elsewhere")
        environment.main(["lab"])
        assert len(made) == count
    record_owner(tmp_path / "venv", environment.ROOT, editable=False)
    environment.main(["lab"])
    assert len(made) == 6, "a copy of the code was installed instead of the checkout"


def test_an_environment_that_another_checkout_uses_is_refused(environment, made, tmp_path):
    environment.main(["lab"])
    other = make_checkout(tmp_path / "other")
    record_owner(tmp_path / "venv", other)
    with pytest.raises(SystemExit) as refused:
        environment.main(["lab"])
    message = str(refused.value)
    assert str(tmp_path / "venv") in message
    assert f"runs the code of the checkout {other}, not of {ROOT}" in message
    assert "make lab VENV=/path" in message
    assert len(made) == 1


def test_a_checkout_inside_this_one_keeps_its_environment(environment, monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "ROOT", str(tmp_path))
    inner = make_checkout(tmp_path / "inner")
    with pytest.raises(SystemExit, match="runs the code of the checkout"):
        environment.check_owner(str(inner / ".venv"), str(inner))


def test_an_environment_whose_checkout_is_gone_serves_this_one(environment, made, tmp_path):
    record_owner(tmp_path / "venv", tmp_path / "deleted")
    environment.main(["lab"])
    environment.main(["lab"])
    assert made == [(["lab"], False)]


@pytest.mark.parametrize("original_exists", [True, False])
def test_an_environment_copied_with_its_checkout_is_replaced(
    environment, made, monkeypatch, tmp_path, original_exists
):
    """The scripts in it name the folder that it came from."""
    original = tmp_path / "original"
    if original_exists:
        make_checkout(original)
    record_owner(tmp_path / "venv", original)
    monkeypatch.setattr(environment, "ROOT", str(make_checkout(tmp_path)))
    monkeypatch.setattr(environment, "fingerprint", lambda folder: "state")
    environment.main(["lab"])
    environment.main(["lab"])
    assert made == [(["lab"], True)]


def test_a_link_to_the_same_checkout_is_not_another_one(environment, made, tmp_path):
    environment.main(["lab"])
    link = tmp_path / "link"
    link.symlink_to(ROOT)
    record_owner(tmp_path / "venv", link)
    environment.main(["lab"])
    assert len(made) == 1


def test_a_pythonpath_to_another_checkout_is_refused(environment, monkeypatch, tmp_path):
    other = make_checkout(tmp_path / "other")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(tmp_path)]))
    environment.check_python_path()
    monkeypatch.setenv("PYTHONPATH", str(other))
    with pytest.raises(SystemExit, match=r"would run the code of .*other.*: unset it"):
        environment.check_python_path()


@pytest.mark.parametrize(
    ("name", "value", "commands"),
    [
        ("TORCH", "", ["pip install -e .[lab]"]),
        (
            "TORCH",
            "cpu",
            [
                "pip install uv",
                "uv pip install --torch-backend cpu torch torchvision",
                "pip install -e .[lab]",
            ],
        ),
        (
            "TORCH_INDEX",
            "mirror",
            ["pip install torch torchvision --index-url mirror", "pip install -e .[lab]"],
        ),
    ],
)
def test_the_build_of_pytorch_is_installed_first(environment, monkeypatch, name, value, commands):
    monkeypatch.setenv(name, value)
    run: list[list[str]] = []
    monkeypatch.setattr(environment, "run", run.append)
    environment.install("python", ["lab"])
    assert len(run) == len(commands)
    for got, words in zip(run, commands, strict=True):
        left = iter(got)
        assert all(word in left for word in words.split()), f"{words!r} is not in {got}"


def test_in_a_container_the_running_python_gets_everything(environment, monkeypatch):
    calls: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(environment, "install", lambda *call: calls.append(call))
    environment.main(["--here", "lab", "grade"])
    assert calls == [(sys.executable, ["lab", "grade"])]


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for pip")
def test_the_output_of_pip_is_shown_and_explained(environment, monkeypatch, tmp_path, capsys):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'NewConnectionError: no route' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(SystemExit, match="the package index could not be reached"):
        environment.install(str(fake), ["lab"])
    assert "no route" in capsys.readouterr().err
