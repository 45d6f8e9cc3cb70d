"""Comparable times: calls are timed in turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Clock = Callable[[], float]


def seconds(call: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """The seconds that one call takes.

    Args:
        call: the function to time.
        clock: returns seconds; `time.process_time` counts only this process's CPU time.
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
    """The seconds of each call in each round, after a warm-up round that is not counted.

    Args:
        calls: name → function to time; each is called once per round.
        rounds: number of counted rounds.
        clock: as for `seconds`.
        after_round: called with the number of counted rounds so far, 0 after the warm-up.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            times[name].append(seconds(call, clock))
        after_round(number)
    return {name: each[1:] for name, each in times.items()}


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each call's times, on which one slow round has no effect."""
    return {name: statistics.median(seconds_per_round) for name, seconds_per_round in times.items()}


def ratios(times: Mapping[str, list[float]], reference: str) -> dict[str, list[float]]:
    """Each call's time divided by the reference's in the same round, sorted."""
    return {
        name: sorted(a / b for a, b in zip(each, times[reference], strict=True))
        for name, each in times.items()
    }
