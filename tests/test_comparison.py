"""Times in turns, multiply-adds worked out by hand, and the growing table of the lessons."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from seglib import comparison, ops, pretrained
from seglib.pretrained.shipped import shipped_models
from tests.fakes import tiny_fcn


class Clock:
    """A clock that stands still until a call moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def call(self, *durations: float):
        """A call that takes these times, one after the other."""
        left = iter(durations)

        def run() -> None:
            self.now += next(left)

        return run


def test_calls_run_in_turns_and_the_first_round_does_not_count():
    clock, rounds = Clock(), []
    calls = {"a": clock.call(9, 1, 2, 6), "b": clock.call(9, 2, 1, 3)}
    times = comparison.seconds_in_turns(calls, 3, clock, rounds.append)
    assert times == {"a": [1, 2, 6], "b": [2, 1, 3]}
    assert rounds == [0, 1, 2, 3]
    assert comparison.medians(times) == {"a": 2, "b": 2}
    assert comparison.ratios(times, "b") == {"a": [0.5, 2, 2], "b": [1, 1, 1]}


class OneLayer(nn.Module):
    """What `multiply_adds` needs of a model, with a layer of its own as the whole network."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def predict(self, images):
        with torch.no_grad():
            return [self.layer(image[None]) for image in images]


class SelfAttention(nn.Module):
    """The three channels of an image as three queries that read one another."""

    def forward(self, images):
        rows = images.flatten(2)  # [B, 3, H W]
        return ops.attention(rows, rows, rows)  # [B, 3, H W]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # 4 x 6 x 8 outputs, each the sum of 3 channels of 3 x 3 products; the bias is free.
        (nn.Conv2d(3, 4, 3, padding=1), 4 * 6 * 8 * 3 * 9),
        # With stride 2 there are 3 x 4 outputs; in three groups, each reads a single channel.
        (nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), 6 * 3 * 4 * 1 * 9),
        # 48 inputs for each of 5 outputs, for each of 3 channels.
        (nn.Sequential(nn.Flatten(2), nn.Linear(48, 5)), 3 * 48 * 5),
        # 3 x 3 products of queries and keys of length 48, and as many to mix the values.
        (SelfAttention(), 2 * 3 * 3 * 48),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)).eval(), 0),
    ],
)
def test_multiply_adds_worked_out_by_hand(layer, expected):
    model = OneLayer(layer)
    images = [torch.rand(3, 6, 8), torch.rand(3, 6, 8)]
    assert comparison.multiply_adds(model, images) == expected


def test_counting_leaves_the_model_as_it_was():
    model = tiny_fcn()
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert comparison.multiply_adds(model, [torch.rand(3, 64, 64)]) > 0
    assert learning == [n for n, parameter in model.named_parameters() if parameter.requires_grad]
    assert model.training


def test_the_growing_table_repeats_the_records():
    names = ["mask_rcnn", "solo"]
    heading, *rows = comparison.record_table(names).splitlines()
    assert heading.split() == ["AP", "AP50", "small", "medium", "large", "parameters", "training"]
    for name, row in zip(names, rows, strict=True):
        known = pretrained.record(name)
        assert row.startswith(comparison.TITLES[name])
        for figure in ("mask_AP", "mask_AP50", "mask_APs", "mask_APm", "mask_APl"):
            assert f" {known['figures'][figure]:.3f} " in row
        assert f" {known['parameters']:,} " in row
    assert rows[0].endswith("on a CPU")
    assert rows[1].endswith("on a GPU")
    place = heading.index("AP50") + len("AP50")
    assert all(row[:place].endswith(f"{pretrained.record(name)['figures']['mask_AP50']:.3f}")
               for name, row in zip(names, rows, strict=True))  # fmt: skip


def test_minutes_on_two_devices_are_named_apart():
    (row,) = comparison.record_table(["polarmask"]).splitlines()[1:]
    assert row.endswith("11 min on a GPU + 29 min on a CPU")


def test_every_shipped_paradigm_has_a_title():
    assert list(comparison.TITLES) == shipped_models()


def test_times_are_multiples_of_the_first():
    models = {"fcn": tiny_fcn(), "solo": tiny_fcn()}
    heading, first, second = comparison.time_table(models, torch.rand(3, 64, 64), 2).splitlines()
    assert heading.endswith("FCN = 1")
    assert first.split() == ["FCN", "1.0"]
    assert math.isfinite(float(second.removeprefix("SOLO")))
