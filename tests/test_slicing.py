"""The statements of a lesson that its last expression depends on."""

from __future__ import annotations

import textwrap

import pytest

from seglib.workshop.slicing import needed_code


def slice_of(*cells: str) -> str:
    return needed_code([textwrap.dedent(cell) for cell in cells]).strip()


def test_only_what_the_expression_reads_is_kept():
    assert slice_of("a = 1\nb = 2", "print(b)\nc = a + 1", "c") == "a = 1\nc = a + 1\nc"


def test_an_earlier_value_of_a_name_is_left_out():
    assert slice_of("a = slow()", "a = 1", "a") == "a = 1\na"
    assert slice_of("a = 1", "a = a + 1", "a") == "a = 1\na = a + 1\na"


@pytest.mark.parametrize(
    "change",
    [
        "a.append(2)",
        "a[0] = 2",
        "a.size = 2",
        "a += [2]",
        "for n in range(3):\n    a.append(n)",
        "if True:\n    a = [2]",
    ],
)
def test_changes_of_an_object_are_kept(change):
    assert slice_of("a = [1]", change, "a") == f"a = [1]\n{change}\na"


def test_functions_of_modules_change_nothing_but_seeds():
    cells = ["import torch\nfrom seglib import plotting", "torch.manual_seed(0)"]
    cells += ["plotting.show(torch)", "torch.set_num_threads(1)", "plotting.make(torch.rand(1))"]
    kept = "import torch\nfrom seglib import plotting\ntorch.manual_seed(0)\n"
    assert slice_of(*cells) == kept + "plotting.make(torch.rand(1))"


def test_names_inside_functions_and_comprehensions_are_their_own():
    function = "def f(x):\n    y = x + k\n    return y"
    assert slice_of("k, x, y = (1, 2, 3)", "x = [0]", function, "f(1)") == (
        f"k, x, y = (1, 2, 3)\n{function}\nf(1)"
    )
    assert slice_of("x = train()", "a = 1\n[x for x in range(3)]", "[a for x in [1]]") == (
        "a = 1\n[a for x in [1]]"
    )


def test_a_cell_without_an_expression_is_refused():
    with pytest.raises(ValueError, match="expression"):
        needed_code(["a = 1"])
