"""Times that can be compared: everything runs in turns, so that a busy machine slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Clock = Callable[[], float]


def seconds(call: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """How long one call takes.

    Args:
        call: what is timed.
        clock: `time.process_time` counts what the processor spends on this process alone.
    """
    start = clock()
    call()
    return clock() - start


def seconds_in_turns(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Clock = time.perf_counter,
    after_round: Callable[[int], object] = lambda number: None,
) -> dict[str, list[float]]:
    """The seconds of each call in each round; a first round warms up and is not counted.

    Args:
        calls: what is timed, by name; each is called once per round.
        rounds: how many are counted.
        clock: as for `seconds`.
        after_round: told how many rounds have been counted, from 0 for the one that warms up.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            times[name].append(seconds(call, clock))
        after_round(number)
    return {name: each[1:] for name, each in times.items()}


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each call's times, which one slow round does not change."""
    return {name: statistics.median(each) for name, each in times.items()}


def ratios(times: Mapping[str, list[float]], reference: str) -> dict[str, list[float]]:
    """Each call's time over that of the reference in the same round, sorted."""
    return {
        name: sorted(a / b for a, b in zip(each, times[reference], strict=True))
        for name, each in times.items()
    }
