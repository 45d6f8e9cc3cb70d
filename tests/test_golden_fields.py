"""Every expected output in tests/golden is compared by some test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.helpers import GOLDEN, golden

# Expected outputs of functions that the library does not have yet.
NOT_YET = {
    # Values for logs.
    "detr_losses": {"class_error", "cardinality_error"},
}
TESTS = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]


def names_in(source: str) -> list[str]:
    """The string literals of a source as patterns: f"decoded_{stage}" may read decoded_0."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(re.escape(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts = [
                re.escape(v.value) if isinstance(v, ast.Constant) else None for v in node.values
            ]
            if any(parts):  # f"{anything}" names nothing
                found.append("".join(part or r"\w+" for part in parts))
    return found


def unread(fields: set[str], sources: list[str]) -> set[str]:
    """The fields that no source names."""
    patterns = [re.compile(name) for source in sources for name in names_in(source)]
    return {field for field in fields if not any(p.fullmatch(field) for p in patterns)}


@pytest.mark.parametrize("topic", sorted(path.stem for path in GOLDEN.glob("*.npz")))
def test_every_expected_output_is_named_by_a_test_of_its_topic(topic: str) -> None:
    fields = {name for case in golden(topic).values() for name in case["out"]}
    sources = [path.read_text("utf-8") for path in TESTS]
    readers = [source for source in sources if re.escape(topic) in names_in(source)]
    assert unread(fields, readers) == NOT_YET.get(topic, set())


def test_names_may_be_patterns_but_not_anything() -> None:
    source = 'out["iou"], out[f"decoded_{stage}"], out[f"{anything}"]'
    assert unread({"iou", "decoded_0", "decoded_12"}, [source]) == set()
    assert unread({"giou", "decoded"}, [source]) == {"giou", "decoded"}
