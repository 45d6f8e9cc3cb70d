"""The swap registry: every primitive of the course, in up to three interchangeable bodies.

    naive    loops, for reading and for tiny inputs
    scratch  the course's tensor form, the readable reference
    native   the fast default (PyTorch's own where it exists, else a tuned body)

All bodies of one primitive give the same numbers, forward and backward. Models call the
primitive, and each call looks up the body that is active at that moment:

    with seglib.use("scratch"):          # the whole model on the course's own code
        model.predict(images)

    with seglib.use(nms=my_nms):         # a student's function inside a real detector
        evaluate(model, dataset)

A `use` block applies only to the thread or asyncio task that entered it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, cast

from seglib.errors import SeglibError

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
Body = Callable[..., Any]
Style = Literal["naive", "scratch", "native"]
STYLES: tuple[Style, ...] = ("naive", "scratch", "native")

_BODIES: dict[str, dict[str, Body]] = {}  # what every primitive can run, by style

_NONE: Mapping[str, Body] = MappingProxyType({})

# The `use` blocks that are open in this thread or task, outermost first; and the bodies that they
# put in place together. A primitive that is not among these runs its native body.
_OPEN: ContextVar[tuple[Mapping[str, Body], ...]] = ContextVar("seglib.open_blocks", default=())
_SWAPPED: ContextVar[Mapping[str, Body]] = ContextVar("seglib.swapped_bodies", default=_NONE)


class Primitive(Protocol[P, R_co]):
    """A function whose body can be swapped; `naive`, `scratch`, `native` are its bodies."""

    __name__: str

    @property
    def naive(self) -> Callable[P, R_co]:
        """The loop form."""

    @property
    def scratch(self) -> Callable[P, R_co]:
        """The tensor form."""

    @property
    def native(self) -> Callable[P, R_co]:
        """The fast default."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the body that is active now."""


def primitive(
    *, scratch: Body | None = None, naive: Body | None = None
) -> Callable[[Callable[P, R]], Primitive[P, R]]:
    """Declare a primitive; the decorated function is its native body and carries the docstring.

    Args:
        scratch: the course's tensor form; None uses the native body for it.
        naive: the loop form; None uses the scratch form for it.

    Returns:
        a decorator that replaces the function by one that calls the active body.
    """

    def declare(native: Callable[P, R]) -> Primitive[P, R]:
        name = native.__name__
        if name in _BODIES:
            raise ValueError(f"primitive {name!r} is declared twice")
        tensor_form = scratch or native
        bodies = {"naive": naive or tensor_form, "scratch": tensor_form, "native": native}
        _BODIES[name] = bodies

        @functools.wraps(native)
        def dispatch(*args: P.args, **kwargs: P.kwargs) -> R:
            return cast(R, _SWAPPED.get().get(name, native)(*args, **kwargs))

        for style, body in bodies.items():
            setattr(dispatch, style, body)
        return cast(Primitive[P, R], dispatch)

    return declare


@contextmanager
def use(style: Style | None = None, /, **replacements: Body) -> Iterator[None]:
    """Run primitives with other bodies inside a `with` block; blocks nest and are exception-safe.

    Args:
        style: "naive", "scratch" or "native", for every primitive at once.
        replacements: name=function for single primitives; these take precedence over `style`.

    Raises:
        SeglibError: an unknown style or primitive name, or a replacement that is not callable.
    """
    if style is not None and style not in STYLES:
        raise SeglibError(f"unknown style {style!r}: choose one of {', '.join(STYLES)}")
    changes: dict[str, Body] = {}
    if style is not None:
        changes = {name: bodies[style] for name, bodies in _BODIES.items()}
    for name, body in replacements.items():
        changes[name] = _guard_replacement(name, body)
    _enter((*_OPEN.get(), changes))
    try:
        yield
    finally:
        # Blocks need not close in reverse order, since a suspended generator may keep one open.
        # So remove this block and keep the others, whatever their order.
        _enter(tuple(block for block in _OPEN.get() if block is not changes))


def _enter(blocks: tuple[Mapping[str, Body], ...]) -> None:
    _OPEN.set(blocks)
    _SWAPPED.set({name: body for block in blocks for name, body in block.items()})


def names() -> list[str]:
    """The names of all primitives declared so far, sorted."""
    return sorted(_BODIES)


def active(name: str) -> Body:
    """The body that primitive `name` runs at this moment."""
    _check_name(name)
    return _SWAPPED.get().get(name, _BODIES[name]["native"])


def _check_name(name: str) -> None:
    if name not in _BODIES:
        raise SeglibError(f"no primitive is called {name!r}: choose one of {', '.join(names())}")


def _guard_replacement(name: str, body: Body) -> Body:
    """Keep a replacement from calling the primitive that it replaces, which would never end."""
    _check_name(name)
    if not callable(body):
        raise SeglibError(f"use({name}=…) needs a function, not {type(body).__name__}")
    if any(body is own for own in _BODIES[name].values()):
        return body
    running = threading.local()  # several threads may run one replacement at the same time

    def guarded(*args: Any, **kwargs: Any) -> Any:
        if getattr(running, "now", False):
            raise SeglibError(
                f"your {name} calls seglib's {name}, which is your own function now: "
                f"write the computation out, or call {name}.scratch"
            )
        running.now = True
        try:
            return body(*args, **kwargs)
        finally:
            running.now = False

    return guarded
