"""Intensity transforms against the formula, or a library that does the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from medreward.perception import Sample, parse
from tests.prepare_support import noise

RAMP = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))


def values(text: str, image: Image.Image = RAMP) -> Any:
    return np.asarray(parse(text).draw(0, "row")(Sample((image,))).image).astype(float)


def test_gamma_follows_its_formula() -> None:
    ramp = np.arange(256.0).reshape(16, 16)
    assert np.abs(values("Gamma(0.7)") - 255 * (ramp / 255) ** 0.7).max() <= 0.5
    from skimage.exposure import adjust_gamma

    assert np.abs(values("Gamma(1.6)") - adjust_gamma(np.asarray(RAMP), 1.6)).max() <= 1


def test_window_spreads_its_band() -> None:
    found = values("Window(level=100, width=50)").ravel()
    assert (found[:76] == 0).all()
    assert (found[125:] == 255).all()
    assert (np.diff(found[75:126]) >= 5).all()
    assert (values("Window()") == np.arange(256).reshape(16, 16)).all()


def test_noise_has_its_standard_deviation() -> None:
    grey = Image.new("RGB", (200, 200), (128, 128, 128))
    found = values("Noise(std=10)", grey) - 128
    assert found.std() == pytest.approx(10, rel=0.02)
    assert abs(found.mean()) < 0.1
    assert abs(np.corrcoef(found[..., 0].ravel(), found[..., 1].ravel())[0, 1]) < 0.02


def test_blur_is_about_a_gaussian() -> None:
    image = noise(0, 80, 60, 1)
    wanted = gaussian_filter(np.asarray(image).astype(float), 2.0, mode="nearest")
    assert np.abs(values("Blur(sigma=2)", image) - wanted)[8:-8, 8:-8].mean() < 2


def test_clahe_is_scikit_images() -> None:
    from skimage.exposure import equalize_adapthist

    image = noise(0, 80, 64, 1)
    wanted = equalize_adapthist(np.asarray(image), kernel_size=[16, 20], clip_limit=0.02) * 255
    assert np.abs(values("CLAHE(clip_limit=0.02, tiles=4)", image) - wanted).max() <= 0.5


def test_a_bias_field_is_smooth_and_keeps_the_centre() -> None:
    grey = Image.new("L", (101, 81), 100)
    found = values("BiasField(strength=0.5)", grey)
    assert found[40, 50] == 100
    assert found.std() > 5
    assert np.abs(np.diff(found, axis=0)).max() < 20
    assert (values("BiasField(strength=0)", grey) == 100).all()


def test_stains_are_scikit_images() -> None:
    from skimage.color import rgb2hed

    purple = Image.new("RGB", (4, 4), (150, 90, 160))
    before = rgb2hed(np.asarray(purple))[0, 0]
    assert (before > 0).all()
    after = rgb2hed(values("StainJitter(haematoxylin=1.3, eosin=0.8)", purple).astype(np.uint8))[
        0, 0
    ]
    assert after == pytest.approx(before * (1.3, 0.8, 1.0), abs=0.005)
    shifted = rgb2hed(values("StainJitter(eosin_shift=0.1)", purple).astype(np.uint8))[0, 0]
    assert shifted[1] > before[1] + 0.005
    assert (values("StainJitter()", noise(0, 9, 9)) == np.maximum(noise(0, 9, 9), 1)).all()
