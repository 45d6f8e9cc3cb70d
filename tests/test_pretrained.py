"""Model files: what is saved loads again, for other classes too, and damage is reported by name."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import seglib
from seglib import pretrained
from seglib.data.digests import file_sha256
from seglib.errors import SeglibError
from seglib.models import model_names
from seglib.models.fcn import FCN
from seglib.pretrained import shipped
from seglib.pretrained.files import KEY, build, read
from seglib.pretrained.rehead import _shared
from seglib.pretrained.shipped import SHIPPED
from seglib.structures import Categories, Category
from tests.fakes import CATEGORIES, Squares, tiny_fcn

OTHERS = Categories(
    [Category(1, 1, "dog"), Category(2, 2, "dot"), Category(3, 3, "square"), Category(4, 4, "tree")]
)


def shaken(**overrides):
    """A model whose weights all differ from their initial values."""
    model = tiny_fcn(**overrides)
    generator = torch.Generator().manual_seed(0)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return model


def test_a_saved_model_is_loaded_exactly(tmp_path):
    model = shaken()
    path = pretrained.save(model, tmp_path / "deep" / "m.safetensors", {"command": "x", "n": 1})
    again = pretrained.load(path)
    assert not again.training
    assert again.config == model.config
    assert again.categories == CATEGORIES
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    header = pretrained.header(path)
    assert header.model == "fcn"
    assert header.version == seglib.__version__
    assert header.notes == {"command": "x", "n": 1}


def test_channels_last_weights_are_saved(tmp_path):
    model = shaken().to(memory_format=torch.channels_last)
    again = pretrained.load(pretrained.save(model, tmp_path / "m.safetensors"))
    assert all(torch.equal(v, again.state_dict()[n]) for n, v in model.state_dict().items())


def test_half_precision_halves_the_file_and_predicts_the_same(tmp_path):
    model = shaken().eval()
    path = pretrained.save(model, tmp_path / "half.safetensors", half=True)
    whole = pretrained.save(model, tmp_path / "whole.safetensors")
    assert path.stat().st_size < 0.7 * whole.stat().st_size
    stored = load_file(path)
    assert stored["network.fc6.weight"].dtype == torch.float16
    assert stored["network.norm6.weight"].dtype == torch.float32
    again = pretrained.load(path)
    assert all(v.dtype == torch.float32 for v in again.state_dict().values())
    image = Squares()[0][0]
    torch.testing.assert_close(again([image]).logits, model([image]).logits, rtol=0.02, atol=0.02)


def test_nonfinite_weights_are_not_written(tmp_path):
    model = tiny_fcn()
    model.network.fc6.weight.data[0, 0] = float("nan")
    with pytest.raises(SeglibError, match=r"network\.fc6\.weight contains values"):
        pretrained.save(model, tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_run_folder_and_unknown_names(tmp_path):
    with pytest.raises(SeglibError, match=r"has no model\.safetensors"):
        pretrained.load(tmp_path)
    path = pretrained.save(tiny_fcn(), tmp_path / "model.safetensors")
    assert pretrained.find(tmp_path) == path
    with pytest.raises(SeglibError, match=r"no model file at .*nothing\.safetensors"):
        pretrained.load(tmp_path / "nothing.safetensors")
    with pytest.raises(SeglibError, match=r"no checkpoint is called 'fnc': did you mean 'fcn'\?"):
        pretrained.load("fnc")
    with pytest.raises(SeglibError, match=r"called 'zebra': choose among .*mask_rcnn, .*or give"):
        pretrained.load("zebra")


def test_damaged_files_are_refused_by_name(tmp_path):
    path = pretrained.save(tiny_fcn(), tmp_path / "m.safetensors")
    content = path.read_bytes()
    for damaged in (content[:-100], content[:40], b"", b"\0" * 64):
        path.write_bytes(damaged)
        with pytest.raises(SeglibError, match=r"m\.safetensors is damaged"):
            pretrained.load(path)


def test_foreign_and_mismatched_files_are_refused_by_name(tmp_path):
    path = pretrained.save(tiny_fcn(), tmp_path / "m.safetensors")
    with safe_open(path, framework="pt") as stored:
        header = json.loads(stored.metadata()[KEY])
    tensors = load_file(path)

    save_file(tensors, path)
    with pytest.raises(SeglibError, match="was not written by seglib and contains no network"):
        pretrained.load(path)

    def rewrite(tensors=tensors, **changes):
        save_file(tensors, path, metadata={KEY: json.dumps({**header, **changes})})

    rewrite(model="unet")
    with pytest.raises(SeglibError, match="contains a model 'unet', which"):
        pretrained.load(path)
    rewrite(format=99)
    with pytest.raises(SeglibError, match="format 99"):
        pretrained.load(path)
    rewrite(categories=[{"id": "x"}])
    with pytest.raises(SeglibError, match="damaged header"):
        pretrained.load(path)
    rewrite(config={**header["config"], "colour": 3})
    with pytest.raises(SeglibError, match="no field colour"):
        pretrained.load(path)
    fewer = {name: value for name, value in tensors.items() if name != "network.fc7.weight"}
    rewrite(fewer | {"network.fc6.weight": torch.zeros(2, 3), "extra": torch.zeros(1)})
    with pytest.raises(SeglibError) as error:
        pretrained.load(path)
    message = str(error.value)
    assert "m.safetensors does not fit FCN: network.fc7.weight is missing" in message
    assert "extra is not part of the model" in message
    assert "network.fc6.weight is [2, 3], the model needs [8, 8, 3, 3]" in message


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("config", {"norm": "zz"}, "does not describe a valid fcn"),
        ("config", {"stages": []}, "does not describe a valid fcn"),
        ("config", {"head_width": "wide"}, "does not describe a valid fcn"),
        ("config", {"head_kernel": None}, "does not describe a valid fcn"),
        ("config", {"stages": [[8] * 100_000] * 5}, "more layers than the file's .* weights"),
        ("config", {"head_width": 10**9}, r"network\.fc6\.weight is .*needs \[1000000000, "),
        ("config", [1], "damaged header .*'config' is a list"),
        ("model", ["fcn"], "damaged header .*'model' is a list"),
        ("categories", None, "damaged header .*'categories' is a NoneType"),
        ("notes", None, "damaged header .*'notes' is a NoneType"),
    ],
)
def test_settings_that_no_model_can_have_are_refused(part, change, message, tmp_path):
    path = pretrained.save(tiny_fcn(), tmp_path / "m.safetensors")
    with safe_open(path, framework="pt") as stored:
        header = json.loads(stored.metadata()[KEY])
    if isinstance(change, dict):
        change = {**header[part], **change}
    save_file(load_file(path), path, metadata={KEY: json.dumps({**header, part: change})})
    with pytest.raises(SeglibError, match=rf"m\.safetensors .*{message}"):
        pretrained.load(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value, tmp_path):
    path = pretrained.save(tiny_fcn(), tmp_path / "m.safetensors")
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
    tensors = load_file(path)
    tensors["network.fc7.weight"][0, 0] = value
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(SeglibError, match=r"network\.fc7\.weight has NaN or infinite values"):
        pretrained.load(path)


def test_a_header_of_brackets_is_refused(tmp_path):
    path = pretrained.save(tiny_fcn(), tmp_path / "m.safetensors")
    save_file(load_file(path), path, metadata={KEY: "[" * 100_000})
    with pytest.raises(SeglibError, match="damaged header"):
        pretrained.load(path)


def test_a_model_that_cannot_be_built_is_refused_by_file():
    class Brittle(FCN):
        def __init__(self, *_):
            raise IndexError("list index out of range")

    with pytest.raises(
        SeglibError, match=r"m\.pth does not describe a valid fcn: .*IndexError: list index"
    ):
        build(Brittle, tiny_fcn().config.pocket, CATEGORIES, {}, "m.pth")


def test_rehead_keeps_shared_classes_by_name():
    model = shaken(learn_upsampling="all")
    other = pretrained.rehead(model, OTHERS)
    assert other.categories == OTHERS
    old, new = model.state_dict(), other.state_dict()
    score = "network.score_fr.weight"
    assert new[score].shape[0] == 5
    assert torch.equal(new[score][0], old[score][0])  # background
    assert torch.equal(new[score][2], old[score][3])  # dot
    assert torch.equal(new[score][3], old[score][1])  # square
    assert new[score][1].abs().max() == new[score][4].abs().max() == 0  # fresh: zero
    up = "network.upscore2.weight"
    assert torch.equal(new[up][2, 3], old[up][3, 1])  # dot -> square, both axes moved
    fresh = tiny_fcn(OTHERS, learn_upsampling="all").state_dict()
    assert torch.equal(new[up][1], fresh[up][1])  # dog keeps its bilinear start
    assert torch.equal(new["network.fc6.weight"], old["network.fc6.weight"])


def test_rehead_to_the_same_names_in_another_order_is_a_permutation():
    turned = Categories([Category(1, 9, "dot"), Category(2, 7, "square"), Category(3, 3, "bar")])
    model = shaken().eval()
    image = Squares()[0][0]
    logits = model([image]).logits
    permuted = pretrained.rehead(model, turned)([image]).logits
    torch.testing.assert_close(permuted, logits[:, [0, 3, 1, 2]], rtol=1e-4, atol=1e-5)
    assert pretrained.rehead(model, CATEGORIES)([image]).logits.equal(logits)


def test_class_axes_with_blocks_and_without_background():
    dot_to = [Category(1, 1, "dot")]
    # Four box values per class, no background: dot's rows 8…11 become rows 0…3.
    source, target = _shared(CATEGORIES, Categories(dot_to), size=12, new_size=4)
    assert source.tolist() == [8, 9, 10, 11]
    assert target.tolist() == [0, 1, 2, 3]
    with pytest.raises(SeglibError, match="7 entries"):
        _shared(CATEGORIES, Categories(dot_to), size=7, new_size=4)


def test_load_with_other_categories(tmp_path):
    path = pretrained.save(shaken(), tmp_path / "m.safetensors")
    assert pretrained.load(path, OTHERS).categories == OTHERS


def test_copy_matching_starts_a_finer_variant_from_a_coarser_one():
    coarse = shaken(variant="16s")
    fine = tiny_fcn(seed=1, variant="8s")
    kept = pretrained.copy_matching(fine, coarse)
    assert set(kept) == {
        "network.upscore.weight", "network.upscore_pool4.weight",
        "network.score_pool3.weight", "network.score_pool3.bias",
    }  # fmt: skip
    other = tiny_fcn(seed=1, variant="8s")
    other.load_coarser(coarse)
    assert all(torch.equal(v, fine.state_dict()[n]) for n, v in other.state_dict().items())


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_checkpoints_are_complete_and_have_their_hash(name):
    file = pretrained.find(name)
    assert file_sha256(file) == SHIPPED[name]
    assert file.stat().st_size <= 6 * 2**20
    model = pretrained.load(name)
    assert model.name == name.split("-")[0]
    assert pretrained.record(name)["figures"] == pretrained.header(name).notes["figures"]


def test_a_paradigm_without_a_shipped_checkpoint_is_not_among_the_shipped_models(monkeypatch):
    assert pretrained.shipped_models() == [n for n in model_names() if n in {"fcn", *SHIPPED}]
    monkeypatch.setattr(shipped, "SHIPPED", {"fcn-8s": "", "mask_rcnn": ""})
    assert pretrained.shipped_models() == ["fcn", "mask_rcnn"]


def test_shipped_fcns_reach_their_targets():
    scores = [pretrained.record(f"fcn-{v}")["figures"]["mean_iou"] for v in ("32s", "16s", "8s")]
    assert scores == sorted(scores)
    best = pretrained.record("fcn")
    assert best["figures"]["mean_iou"] >= 0.70
    assert best["ceilings"]["mean_iou"]["stride"] == 8
    assert best["ceilings"]["mean_iou"]["share"] >= 0.85


def test_reading_gives_float32(tmp_path):
    path = pretrained.save(shaken(), tmp_path / "m.safetensors", half=True)
    _, tensors = read(path)
    assert {value.dtype for value in tensors.values()} == {torch.float32}
