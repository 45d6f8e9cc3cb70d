"""The checkpoints that come with the course."""

from __future__ import annotations

from pathlib import Path

from seglib.data.assets import asset
from seglib.errors import unknown_name
from seglib.models import model_names

# Name of the file in data/checkpoints/ → SHA-256 that a downloaded copy must have.
SHIPPED = {
    "fcn-32s": "341eb7ad98f4c949f97bcf9366af5673e32d1db5c74e50291be1192eda8e42ba",
    "fcn-16s": "789cf41b7582eb34008ff186f27af0bc253a0266e7ebc0ee8cf7432288dc61e6",
    "fcn-8s": "6c76aa90d60eece8df8b3257f1869a41ede0096772984e7456ee3e4f937082d3",
    "deepmask": "6081f18c406a827f6e064930bb3ccb24e6aba10dc496c170714343c97cb843e0",
    "mask_rcnn": "87db8a5864a8dc08276ed1358baa56b0b7dbab721edd80a94954494203f83a7a",
    "cascade_rcnn": "9492f048d2a7e3110917a226a4ec23f8e0c13afb4f928098c49ca0500690dfac",
    "solo": "1de6f95abfb479d292c119c4d129285188c62418cd3c7a69e2f6adac65d83d62",
    "yolact": "b84ccb8af05aebe9ce500ec436c08041f2d609aa33c20ca45c4525c6a35c3d62",
    "polarmask": "06bc106f171c5fc696f94668b15eedd82cb188f1b7ffcbdfa963d4f78d092fae",
    "detr": "939cea19161a9c40f17e8685ab66be439e5fd340d0aa10b8766c4382f4b6de86",
    "maskformer": "5a71c408c7bfe27d51cc0182798682c9100073fc791fbe3a44445cdbbee6086c",
}
# A paradigm's bare name means its best checkpoint.
ALIASES = {"fcn": "fcn-8s"}


def shipped_names() -> list[str]:
    """The names that `load` accepts, sorted."""
    return sorted({*SHIPPED, *ALIASES})


def shipped_models() -> list[str]:
    """The paradigms that have a shipped checkpoint of their own name, in the order of the lessons.

    Not every one of `seglib.models.model_names()` needs to have one.
    """
    return [name for name in model_names() if name in shipped_names()]


def shipped_file(name: str) -> Path:
    """The file of a shipped checkpoint; an installed package without it fetches it first.

    Raises:
        SeglibError: an unknown name, or a file that is neither present nor can be fetched.
    """
    stem = _stem(name)
    return asset(f"checkpoints/{stem}.safetensors", SHIPPED[stem])


def shipped_record(name: str) -> Path:
    """The JSON file of a shipped checkpoint; raises as `shipped_file` does."""
    return asset(f"checkpoints/{_stem(name)}.json")


def _stem(name: str) -> str:
    stem = ALIASES.get(name, name)
    if stem not in SHIPPED:
        alternatives = (
            ", or give the folder of a training run, a .safetensors file, or a name that `seglib "
            "weights` lists"
        )
        raise unknown_name("checkpoint", name, shipped_names(), alternatives)
    return stem
