"""Write requirements.lock: the installed version of every package that the extras need.

It contains only names and versions, no addresses, so that it works as a constraints file with any
index, any system and Python 3.11 to 3.13; pip ignores constraints on packages that a system does
not need.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("lab", "book", "grade", "test")
HEADER = "# Versions the course was tested with: pip install -c requirements.lock -e '.[lab]'\n"


def closure(name: str, extras: frozenset[str], found: dict[str, str], seen: set) -> None:
    """Add a package and everything it requires on this system to `found` (name: version)."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return
    found[name] = package.version
    for text in package.requires or []:
        need = Requirement(text)
        wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if need.marker is None or any(need.marker.evaluate(extra) for extra in wanted):
            closure(canonicalize_name(need.name), frozenset(need.extras), found, seen)


def main() -> None:
    """Write the file at the root of the checkout."""
    found: dict[str, str] = {}
    closure("seglib", frozenset(EXTRAS), found, set())
    del found["seglib"]
    lines = [f"{name}=={version.split('+')[0]}\n" for name, version in sorted(found.items())]
    lock = Path(__file__).resolve().parents[1] / "requirements.lock"
    lock.write_text(HEADER + "".join(lines), encoding="utf-8")
    print(f"{len(lines)} versions in {lock.name}")


if __name__ == "__main__":
    main()
