"""COCO mini from a local server with COCO's layout, with and without faults."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest

from seglib.data.fetch import OfflineError
from seglib.data.mini import MiniRequest, fetch_mini
from seglib.data.mini_index import choose_images, read_index
from seglib.errors import SeglibError
from tests.faulty_server import QUICK, serve
from tests.helpers import wait_until
from tests.remote_coco import ZIP, build_remote, check_folder


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    return build_remote(tmp_path_factory.mktemp("remote"))


def request(server, **changes):
    values = {"categories": ("dog", "person"), "images": 10, "url": server.url, "retry": QUICK}
    return MiniRequest(**(values | changes))


def test_only_the_bytes_of_the_member_are_sent(remote, tmp_path):
    with serve(remote) as server:
        fetch_mini(request(server), tmp_path, progress=False)
        assert server.sent[ZIP] < 150_000 < (remote / ZIP.lstrip("/")).stat().st_size
    check_folder(tmp_path)


def test_numbers_stay_exact(remote, tmp_path):
    with serve(remote) as server:
        fetch_mini(request(server), tmp_path, progress=False)
    content = json.loads((tmp_path / "annotations" / "instances_val.json").read_text())
    assert content["annotations"][0]["area"] == 100.25
    assert content["annotations"][0]["segmentation"][0][0] == 2.5


def test_every_fault_is_survived(remote, tmp_path):
    with serve(remote) as server:
        names = sorted(p.name for p in (remote / "val2017").iterdir())
        for name, fault in zip(
            names, ["drop", "long", "503", "truncated", "drop"] * 9, strict=False
        ):
            server.faults[f"/val2017/{name}"] = [fault]
        server.faults[ZIP] = ["503", "drop"]
        fetch_mini(request(server), tmp_path, progress=False)
    check_folder(tmp_path)


def test_an_image_that_the_server_lacks_is_replaced(remote, tmp_path):
    with serve(remote) as server:
        index_folder = tmp_path / "first"
        fetch_mini(request(server), index_folder, progress=False)
        index = read_index(index_folder / "source" / "instances_val2017.json")
        gone = choose_images(index, ("dog", "person"))[0]
        server.faults[f"/val2017/{gone:012d}.jpg"] = ["404"]
        fetch_mini(request(server), tmp_path / "second", progress=False)
    check_folder(tmp_path / "second")
    assert not list((tmp_path / "second").rglob(f"{gone:012d}.jpg"))


def test_without_range_support_the_whole_zip_is_used(remote, tmp_path):
    with serve(remote) as server:
        server.ranges = False
        fetch_mini(request(server), tmp_path, progress=False)
    check_folder(tmp_path)
    assert not list(tmp_path.rglob("*.packed"))


def test_a_damaged_member_is_refused_and_then_fetched_again(remote, tmp_path):
    with serve(remote) as server:
        # The first request reads the zip's directory, the second one fetches the member.
        server.faults[ZIP] = ["", "flipped"]
        with pytest.raises(SeglibError, match="damaged"):
            fetch_mini(request(server), tmp_path, progress=False)
        fetch_mini(request(server), tmp_path, progress=False)
    check_folder(tmp_path)


def test_a_second_run_fetches_nothing_and_a_damaged_image_again(remote, tmp_path):
    with serve(remote) as server:
        fetch_mini(request(server), tmp_path, progress=False)
        before = len(server.requests)
        fetch_mini(request(server), tmp_path, progress=False)
        assert len(server.requests) == before
        victim = sorted((tmp_path / "images").iterdir())[0]
        victim.write_bytes(victim.read_bytes()[:200])
        fetch_mini(request(server), tmp_path, progress=False)
        assert len(server.requests) == before + 1


KILLED = """
import sys
from pathlib import Path
from seglib.data.mini import MiniRequest, fetch_mini
fetch_mini(MiniRequest(("dog", "person"), 10, url=sys.argv[1], workers=1), Path(sys.argv[2]), False)
"""


def test_a_killed_run_is_resumed(remote, tmp_path):
    with serve(remote) as server:
        process = subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(tmp_path)])
        images = tmp_path / "images"
        wait_until(lambda: len(list(images.glob("*.jpg"))) >= 3, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        arrived = {p.name for p in images.glob("*.jpg")}
        assert arrived
        server.requests.clear()
        fetch_mini(request(server), tmp_path, progress=False)
        again = {path.rsplit("/", 1)[-1] for path, _ in server.requests}
        assert not again & arrived
    check_folder(tmp_path)


def test_a_smaller_request_leaves_no_stale_images(remote, tmp_path):
    with serve(remote) as server:
        fetch_mini(request(server), tmp_path, progress=False)
        fetch_mini(request(server, images=4), tmp_path, progress=False)
    assert len(list((tmp_path / "train").iterdir()) + list((tmp_path / "val").iterdir())) == 4
    check_folder(tmp_path, images=4)


def test_categories_take_turns(remote, tmp_path):
    with serve(remote) as server:
        fetch_mini(request(server), tmp_path, progress=False)
    index = read_index(tmp_path / "source" / "instances_val2017.json")
    first = choose_images(index, ("dog", "person"))[:4]
    assert sum(18 in index.category_ids_of[i] for i in first) >= 2
    assert sum(1 in index.category_ids_of[i] for i in first) >= 2


def test_bad_requests_are_named(remote, tmp_path):
    with serve(remote) as server:
        with pytest.raises(SeglibError, match=r"unicorn.*COCO has chair, dog, person"):
            fetch_mini(request(server, categories=("unicorn",)), tmp_path, progress=False)
        with pytest.raises(SeglibError, match="ask for at most"):
            fetch_mini(request(server, images=500), tmp_path, progress=False)
        with pytest.raises(SeglibError, match="val2017 or train2017"):
            fetch_mini(request(server, source="test2017"), tmp_path, progress=False)


def test_an_unreachable_server_is_reported_with_advice(tmp_path):
    nowhere = MiniRequest(url="http://127.0.0.1:9", retry=QUICK)
    with pytest.raises(OfflineError, match="run the same command again"):
        fetch_mini(nowhere, tmp_path, progress=False)


# hostile servers: the image host only supports plain http, so anyone on the network can respond


def with_content(remote, tmp_path, change):
    """A copy of the remote folder with a changed annotation file."""
    folder = tmp_path / "changed"
    shutil.copytree(remote, folder)
    with zipfile.ZipFile(folder / ZIP.lstrip("/")) as archive:
        content = json.loads(archive.read("annotations/instances_val2017.json"))
    text = change(content)
    with zipfile.ZipFile(folder / ZIP.lstrip("/"), "w", zipfile.ZIP_DEFLATED) as archive:
        text = json.dumps(content) if text is None else text
        archive.writestr("annotations/instances_val2017.json", text)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "../../planted.jpg",
        "/planted.jpg",
        "a/../../planted.jpg",
        "..\\planted.jpg",
        "C:planted.jpg",
    ],
)
def test_no_file_name_leads_out_of_the_cache(name, remote, tmp_path):
    def rename(content):
        for record in content["images"]:
            record["file_name"] = name

    folder = with_content(remote, tmp_path, rename)
    victim = tmp_path / "planted.jpg"
    victim.write_text("mine")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with serve(folder) as server, pytest.raises(SeglibError, match="does not name a file below"):
        fetch_mini(request(server), tmp_path / "cache" / "mini", progress=False)
    assert victim.read_text() == "mine"
    new = sorted({str(path) for path in tmp_path.rglob("*")} - set(before))
    assert all("/cache" in path for path in new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["images"][0].pop("file_name"), "no field 'file_name'"),
        (lambda c: c["images"][0].update(id=None), "'id' must be a whole number"),
        (lambda c: c["images"].append("text"), "images 24 is not a record"),
        (lambda c: c["annotations"][0].update(category_id=[1]), "'category_id' must be"),
        (lambda c: c["annotations"][0].update(image_id=10**400), "integer overflow"),
        (lambda c: c["categories"][0].update(name=7), "'name' must be text"),
        (lambda c: "[" * 100_000, "nested deeper than 100"),
        (lambda c: '{"images": ' + '{"a":' * 100_000, "nested deeper than 100"),
        (lambda c: '{"images": [{"id', "not valid JSON"),
    ],
)
def test_malformed_records_from_the_server_are_reported_in_one_line(
    change, message, remote, tmp_path
):
    def apply(content):
        changed = change(content)
        return changed if isinstance(changed, str) and changed.startswith(("[", "{")) else None

    folder = with_content(remote, tmp_path, apply)
    with serve(folder) as server, pytest.raises(SeglibError, match=message):
        fetch_mini(request(server), tmp_path / "mini", progress=False)
