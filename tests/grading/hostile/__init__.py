"""Hostile and broken notebooks, each an entry of a table.

To add one, write an entry in the module where it belongs:

    patching, channel, searching, processes   ANSWERS: name -> what stands in the answer cell `area`
    broken                                    NOTEBOOKS: name -> (function, what the grader says)

An answer that does not define `area` itself gets ALWAYS_12 in front of it: that passes the visible
check, and none of the hidden ones. Every answer must earn nothing for `area`, leave the point for
`centre` to whoever keeps the process alive, and neither stop nor delay the grader.
"""

from __future__ import annotations

from tests.grading.hostile import channel, patching, processes, searching

ALWAYS_12 = "def area(box):\n    return torch.tensor(12.0)\n\n"
MODULES = {"patching": patching, "channel": channel, "searching": searching}
MODULES |= {"processes": processes}


def answers() -> dict[str, str]:
    """All hostile answers: "module: name" -> source."""
    found = {}
    for module, content in MODULES.items():
        for name, source in content.ANSWERS.items():
            text = source if "def area" in source else ALWAYS_12 + source
            found[f"{module}: {name}"] = text
    return found
