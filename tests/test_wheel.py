"""The installed package: a wheel, used in another folder, with files from a configured address."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from seglib.data.assets import checkout_root
from seglib.data.digests import file_sha256
from seglib.pretrained.shipped import SHIPPED
from tests.faulty_server import serve

ROOT = checkout_root()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder where the wheel is installed, and the wheel's file names."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True, cwd=folder)
    (wheel,) = folder.glob("seglib-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True)
    return target, names


def run(target, folder, *arguments, **settings):
    """Run `seglib …` from the installed wheel in a folder that is not a checkout."""
    environment = os.environ | {
        "PYTHONPATH": str(target),
        "SEGLIB_CACHE": str(folder / "cache"),
        "PYTHONSAFEPATH": "1",
    }
    environment.pop("SEGLIB_ASSETS_URL", None)
    return subprocess.run(
        [sys.executable, "-m", "seglib.cli", *arguments],
        cwd=folder,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_contains_the_package_and_nothing_else(installed):
    _, names = installed
    assert "seglib/py.typed" in names
    assert "seglib/data/pocket/manifest.json" in names
    assert all(name.startswith(("seglib/", "seglib-")) for name in names)


def test_it_predicts_from_another_folder(installed, tmp_path):
    target, _ = installed
    Image.fromarray(np.full((90, 120, 3), 180, np.uint8)).save(tmp_path / "photo.jpg")
    with serve(ROOT / "data") as server:
        arguments = ("predict", "fcn", "photo.jpg", "--out", "results")
        done = run(target, tmp_path, *arguments, SEGLIB_ASSETS_URL=server.url)
        assert done.returncode == 0, done.stderr
        assert [path for path, _ in server.requests] == ["/checkpoints/fcn-8s.safetensors"]
        again = run(target, tmp_path, *arguments, SEGLIB_ASSETS_URL=server.url)
        assert again.returncode == 0, again.stderr
        assert len(server.requests) == 1, "the second time the cached file is used"
    (picture,) = (tmp_path / "results").glob("*.png")
    assert Image.open(picture).size[0] >= 120


def test_the_package_knows_the_hash_of_every_shipped_file():
    """A damaged or replaced download is therefore refused (tests/test_fetch.py)."""
    for name, digest in SHIPPED.items():
        file = ROOT / "data" / "checkpoints" / f"{name}.safetensors"
        assert digest == file_sha256(file), f"seglib/pretrained/shipped.py lacks the hash of {name}"


def test_without_an_address_it_says_what_to_do(installed, tmp_path):
    target, _ = installed
    (tmp_path / "photo.jpg").write_bytes(b"")
    done = run(target, tmp_path, "predict", "fcn", "photo.jpg")
    assert done.returncode == 1
    assert "SEGLIB_ASSETS_URL" in done.stderr
    assert "Traceback" not in done.stderr
