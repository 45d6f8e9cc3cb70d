"""Which colours and how many pixels a figure's PNG keeps."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from seglib import plotting
from seglib.plotting import panels
from seglib.plotting.png import encode_png, is_chart

RAMP = torch.arange(256).div(255).expand(64, 256)  # every grey


def decoded(data: bytes) -> np.ndarray:
    """The pixels of a PNG, uint8 [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def grey(pixels: np.ndarray) -> np.ndarray:
    """Whether each pixel is grey, bool [H, W]."""
    return (pixels == pixels[..., :1]).all(-1)


@pytest.mark.parametrize("colors", [None, 256])
def test_a_figure_in_grey_keeps_all_its_levels(colors: int | None) -> None:
    pixels = plotting.show_images([RAMP], ["a ramp"]).pixels()
    assert grey(pixels).all()
    np.testing.assert_array_equal(decoded(encode_png(pixels, colors)), pixels)


def test_up_to_256_colours_are_kept_exactly() -> None:
    red = np.zeros((8, 32, 3), np.uint8)
    red[..., 0] = np.arange(256).reshape(8, 32)
    np.testing.assert_array_equal(decoded(encode_png(red)), red)


def test_pictures_in_grey_stay_grey_beside_one_in_colour() -> None:
    colours = torch.stack([RAMP[:, ::8], 0.5 * RAMP[:, ::8], 0.2 + 0.5 * RAMP[:, ::8]])
    colours = colours[:, ::2] + torch.linspace(0, 0.2, 32)[:, None]
    noise = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    pixels = plotting.show_images([colours.clamp(0, 1), noise], ["colour", "grey"]).pixels()
    shown = decoded(encode_png(pixels))
    assert 0.4 < grey(pixels).mean() < 0.7
    assert (shown[grey(pixels)] == shown[grey(pixels)][:, :1]).all()
    assert np.abs(shown[grey(pixels)].astype(int) - pixels[grey(pixels)]).max() <= 3


def test_a_chart_is_shown_at_twice_the_resolution_in_fewer_colours() -> None:
    rng = np.random.default_rng(0)
    falling = 1 + 2 * np.exp(-np.arange(900) / 300)
    noisy = {name: (falling + 0.1 * rng.normal(size=900)).tolist() for name in "abc"}
    fig = plotting.training_curve(noisy)
    fine = fig.pixels(2)
    assert len(encode_png(fine)) > panels.FINE_LIMIT
    assert is_chart(fine)
    data, metadata = fig._repr_mimebundle_()
    shown = decoded(base64.b64decode(data["image/png"]))
    assert shown.shape == fine.shape
    assert metadata["image/png"]["width"] == fig.pixels().shape[1]


def test_a_photograph_is_not_a_chart() -> None:
    noise = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not is_chart(plotting.show_images([noise, noise]).pixels(2))
