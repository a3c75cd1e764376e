"""Boxes, masks and pixels stay together under every transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medreward import ConfigError
from medreward.perception import Region, Sample, parse
from medreward.perception.transforms import ATTENTION, GEOMETRIC, INTENSITY
from tests.perception_support import MODERATE, box_mask, drawn, ellipse_mask, samples
from tests.prepare_support import noise

MOVING = [kind.__name__ for kind in GEOMETRIC] + ["ZoomTo"]
STILL = [kind.__name__ for kind in (*INTENSITY, *ATTENTION) if kind.__name__ != "ZoomTo"]
SEEDS = st.integers(0, 10**6)
FEW = settings(max_examples=60, deadline=None)


def apply(text: str, sample: Sample) -> Sample:
    return parse(text)(sample)


def pixels(image: Image.Image) -> Any:
    return np.asarray(image)


def mask_box(mask: Image.Image) -> tuple[int, ...]:
    """Return the smallest half-open box around the pixels of a mask, by numpy."""
    rows, columns = np.nonzero(np.asarray(mask))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("name", MOVING)
@given(sample=samples(mask=ellipse_mask), seed=SEEDS)
@FEW
def test_the_box_of_a_masked_region_is_that_of_its_transformed_mask(
    name: str, sample: Sample, seed: int
) -> None:
    after = drawn(name, seed)(sample)
    for region in after.regions:
        assert region.mask is not None
        assert region.mask.size == after.size
        assert region.box == mask_box(region.mask)


@pytest.mark.parametrize("name", MOVING)
@given(sample=samples(most=1, mode="L"), seed=SEEDS)
@FEW
def test_the_box_without_a_mask_is_that_of_a_box_shaped_mask_to_a_pixel(
    name: str, sample: Sample, seed: int
) -> None:
    """Nearest-neighbour masks are right to half a pixel at each border; two resamplings, to two.

    Under `Rotate` without `expand` a turned corner may be cut off by the image's border, so the
    mask may be smaller there; then only that the box holds the mask is asked.
    """
    transform = drawn(name, seed)
    masked = Sample(
        sample.images,
        tuple(
            Region(r.box, r.label, box_mask(sample.size, tuple(map(int, r.box))), key=r.key)
            for r in sample.regions
        ),
    )
    by_box = {r.key: r.box for r in transform(sample).regions}
    by_mask = {r.key: r.box for r in transform(masked).regions}
    assert by_mask.keys() <= by_box.keys()
    for key, tight in by_mask.items():
        (x1, y1, x2, y2), (a1, b1, a2, b2) = by_box[key], tight
        slack = 2.0 if name == "ZoomTo" else 1.0
        # An enlarging scale multiplies what an earlier step rounded; here at most 2.5 or a zoom.
        assert min(a1 - x1, b1 - y1, x2 - a2, y2 - b2) >= -slack
        if name != "Rotate":
            assert np.allclose(by_box[key], tight, atol=slack)


@pytest.mark.parametrize("degrees", [7.0, 30.0, 45.0, 123.4, 200.0, 341.0])
def test_a_turned_box_is_tight_around_the_turned_mask(degrees: float) -> None:
    box = (70, 60, 130, 100)
    image = noise(0, 200, 160, 1)
    by_box = apply(f"Rotate({degrees}, expand=true)", Sample((image,), (Region(box),)))
    mask = box_mask(image.size, box)
    by_mask = apply(f"Rotate({degrees}, expand=true)", Sample((image,), (Region(box, "", mask),)))
    assert np.allclose(by_box.regions[0].box, by_mask.regions[0].box, atol=1.0)


@pytest.mark.parametrize("name", MOVING)
@given(sample=samples(), seed=SEEDS)
@FEW
def test_boxes_stay_valid_and_within_the_image(name: str, sample: Sample, seed: int) -> None:
    after = drawn(name, seed)(sample)
    width, height = after.size
    for region in after.regions:
        x1, y1, x2, y2 = region.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
    assert {r.key for r in after.regions} <= {r.key for r in sample.regions}


@pytest.mark.parametrize("name", MOVING)
@given(sample=samples(mask=box_mask, mode="L"), seed=SEEDS)
@FEW
def test_no_box_left_means_that_nothing_shows(name: str, sample: Sample, seed: int) -> None:
    """The image is black but for the regions: without a box left, it is black."""
    light = Image.new("L", sample.size)
    for region in sample.regions:
        light.paste(255, tuple(map(int, region.box)))
    transform = drawn(name, seed)
    after = transform(Sample((light,), sample.regions))
    if not after.regions:
        # Bicubic sampling reaches two pixels beyond the border; nearest shows what is in there.
        joined = Sample((light,), (Region.of_mask(light),))
        assert transform(joined).regions == ()


@given(sample=samples(), axis=st.sampled_from(["horizontal", "vertical"]))
@FEW
def test_a_flip_undoes_itself(sample: Sample, axis: str) -> None:
    assert apply(f"Flip({axis}) | Flip({axis})", sample) == sample


@given(sample=samples(mask=ellipse_mask))
@FEW
def test_four_quarter_turns_are_none(sample: Sample) -> None:
    turn = "Rotate(90, expand=true)"
    assert apply(" | ".join([turn] * 4), sample) == sample
    assert apply(f"{turn} | {turn}", sample) == apply("Rotate(180)", sample)
    assert apply(f"{turn} | Rotate(270, expand=true)", sample) == sample
    assert apply("Flip(horizontal) | Flip(vertical)", sample) == apply("Rotate(-180)", sample)


@given(sample=samples(), left=st.integers(0, 20), top=st.integers(0, 20), more=st.integers(0, 20))
@FEW
def test_a_crop_undoes_a_pad(sample: Sample, left: int, top: int, more: int) -> None:
    width, height = sample.size
    back = f"Crop(box=[{left}, {top}, {left + width}, {top + height}])"
    padded = apply(f"Pad({left}, top={top}, right={more}, bottom={more}, fill=9)", sample)
    assert padded.size == (width + left + more, height + top + more)
    assert apply(back, padded) == sample


@given(sample=samples(), factor=st.sampled_from([2, 3, 4]))
@FEW
def test_a_whole_enlargement_is_undone_to_the_box(sample: Sample, factor: int) -> None:
    back = apply(f"Scale({factor}) | Scale({1 / factor})", sample)
    assert back.size == sample.size
    for old, new in zip(sample.regions, back.regions, strict=True):
        assert np.allclose(old.box, new.box)


def test_scaling_up_and_down_leaves_a_smooth_image_as_it_is(test_data: Any) -> None:
    image = Image.open(next(iter(sorted((test_data / "bccd" / "JPEGImages").glob("*.jpg")))))
    sample = Sample((image.convert("RGB"),))
    back = apply("Scale(2) | Scale(0.5)", sample)
    difference = np.abs(pixels(back.image).astype(int) - pixels(sample.image).astype(int))
    assert difference.mean() < 1.0


@pytest.mark.parametrize("degrees", [10.0, -25.0])
def test_a_turn_and_its_opposite_meet_in_the_middle(degrees: float) -> None:
    smooth = Image.radial_gradient("L")
    back = apply(f"Rotate({degrees}) | Rotate({-degrees})", Sample((smooth,)))
    middle = np.s_[64:192, 64:192]
    difference = pixels(back.image)[middle].astype(int) - pixels(smooth)[middle].astype(int)
    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize("name", STILL)
@given(sample=samples(mask=ellipse_mask, mode="RGB"), seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_intensity_and_overlays_move_nothing(name: str, sample: Sample, seed: int) -> None:
    after = drawn(name, seed)(sample)
    assert after.regions == sample.regions
    assert after.size == sample.size
    assert after.texts == sample.texts


@pytest.mark.parametrize("name", ["Gamma", "Window", "CLAHE", "Noise", "Blur", "BiasField"])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_stays_grey_and_colour_colour(name: str, channels: int) -> None:
    image = noise(3, 40, 30, channels)
    after = drawn(name, 1)(Sample((image,))).image
    assert after.mode == image.mode
    assert pixels(after).dtype == np.uint8
    assert not np.array_equal(pixels(after), pixels(image))


@pytest.mark.parametrize("name", MOVING)
def test_pixels_go_where_boxes_say(name: str) -> None:
    """A light square on black: its light after the transform is in its box, and fills it."""
    box = (20, 10, 40, 26)
    image = Image.new("L", (64, 48))
    image.paste(255, box)
    for seed in range(12):
        after = parse(MODERATE[name]).draw(seed, "square")(Sample((image,), (Region(box),)))
        if not after.regions:
            assert max(after.image.getextrema()) < 128
            continue
        x1, y1, x2, y2 = after.regions[0].box
        light = np.argwhere(pixels(after.image) > 128)[:, ::-1] + 0.5
        assert (light >= (x1 - 0.6, y1 - 0.6)).all()
        assert (light <= (x2 + 0.6, y2 + 0.6)).all()
        if min(x2 - x1, y2 - y1) > 2:
            assert light[:, 0].min() <= x1 + 1.6
            assert light[:, 1].max() >= y2 - 1.6


KEPT = [
    pytest.param(
        "CropPart(0.5, x=0, y=0)", [(0, 0, 10, 10), (28, 0, 38, 10)], [0], id="a fifth shows"
    ),
    pytest.param(
        "CropPart(0.5, x=0, y=0)", [(0, 0, 10, 10), (26, 0, 36, 10)], [0, 1], id="two fifths"
    ),
    pytest.param("CropPart(0.5, x=0, y=0)", [(28, 0, 38, 10)], [0], id="the only one, cut"),
    pytest.param("CropPart(0.5, x=0, y=0)", [(30, 0, 40, 10)], [], id="none shows"),
    pytest.param(
        "CropPart(0.5, x=0, y=0, keep=0)", [(0, 0, 9, 9), (29, 0, 39, 9)], [0, 1], id="keep all"
    ),
    pytest.param(
        "CropPart(0.5, x=0, y=0, keep=1)", [(0, 0, 9, 9), (29, 0, 39, 9)], [0], id="whole only"
    ),
]


@pytest.mark.parametrize(("text", "boxes", "left"), KEPT)
def test_which_boxes_a_crop_keeps(text: str, boxes: list[Any], left: list[int]) -> None:
    regions = tuple(Region(box, key=i) for i, box in enumerate(boxes))
    after = apply(text, Sample((noise(0, 60, 40),), regions))
    assert [region.key for region in after.regions] == left


def test_each_annotator_keeps_what_shows() -> None:
    image = noise(0, 60, 40)
    regions = (Region((0, 0, 10, 10)), Region((28, 0, 38, 10), annotator=1, key=1))
    after = apply("CropPart(0.5, x=0, y=0)", Sample((image,), regions))
    assert [(r.annotator, r.box) for r in after.regions] == [
        (0, (0, 0, 10, 10)),
        (1, (28, 0, 30, 10)),
    ]


def test_a_mask_that_nearest_sampling_would_lose_is_kept() -> None:
    mask = Image.new("L", (100, 100))
    mask.putpixel((3, 3), 255)
    region = Region.of_mask(mask)
    after = apply("Scale(0.1)", Sample((noise(0, 100, 100),), (region,)))
    assert [r.box for r in after.regions] == [(0, 0, 1, 1)]


def test_crop_around_holds_its_region_wherever_it_moves() -> None:
    regions = (Region((20, 10, 30, 20), "WBC"), Region((0, 0, 5, 5), "RBC", key=1))
    sample = Sample((noise(0, 60, 40),), regions)
    for seed in range(20):
        text = "CropAround(0.1..0.4, shift_x=-1..1, shift_y=-1..1, label=WBC)"
        after = parse(text).draw(seed, "x")(sample)
        ((x1, y1, x2, y2),) = [r.box for r in after.regions if r.label == "WBC"]
        assert (x2 - x1, y2 - y1) == (10, 10)
    assert apply("CropAround(label=platelet)", sample) == sample
    assert apply("CropAround(0, of=largest)", sample).size == (10, 10)


def test_letterbox_keeps_proportions_and_centres() -> None:
    sample = Sample((noise(0, 60, 30),), (Region((0, 0, 60, 30)),))
    after = apply("Letterbox(120, height=120)", sample)
    assert (after.size, after.regions[0].box) == ((120, 120), (0, 30, 120, 90))


def test_overlays_draw_inside_the_box_and_nowhere_else() -> None:
    image = Image.new("L", (40, 30))
    sample = Sample((image,), (Region((10, 5, 30, 25), "WBC"),))
    drawn_on = pixels(apply("BoxOverlay(width=3)", sample).image)
    light = np.argwhere(drawn_on.max(axis=2) > 0)[:, ::-1]
    assert [*light.min(axis=0), *light.max(axis=0)] == [10, 5, 29, 24]
    assert not drawn_on[8:22, 13:27].any()
    assert apply("BoxOverlay(label=RBC)", sample).image.getbbox() is None
    cross = pixels(apply("MarkerOverlay(cross, size=4)", sample).image).max(axis=2)
    assert cross[15, 20] > 0
    assert np.argwhere(cross > 0).mean(axis=0) == pytest.approx([15, 20], abs=0.6)


def test_a_second_image_comes_along() -> None:
    sample = Sample((noise(0, 64, 48, 1),), (Region((4, 4, 20, 20)),))
    both = apply("ContrastBeside() | Flip() | Crop(box=[8, 8, 60, 40])", sample)
    one = apply("Flip() | Crop(box=[8, 8, 60, 40])", sample)
    assert len(both.images) == 2
    assert both.images[0] == one.image
    assert both.images[1].size == one.size
    assert both.regions == one.regions
    assert both.notes


BAD = [
    (lambda: Sample(()), "there are none"),
    (lambda: Sample((Image.new("I;16", (4, 4)),)), "mode 'I;16'"),
    (lambda: Sample((Image.new("RGBA", (4, 4)),)), "mode 'RGBA'"),
    (lambda: Sample((noise(0, 4, 4), noise(0, 5, 4))), "sizes differ"),
    (lambda: Sample((noise(0, 4, 4),), (Region((0, 0, 5, 4)),)), "within 4 x 4"),
    (lambda: Sample((noise(0, 4, 4),), (Region((2, 0, 2, 4)),)), "x1 < x2"),
    (
        lambda: Sample((noise(0, 4, 4),), (Region((0, 0, 2, 2), "", Image.new("L", (3, 3))),)),
        "mask",
    ),
    (lambda: Region.of_mask(Image.new("L", (3, 3))), "all its pixels are 0"),
    (lambda: apply("Crop(box=[50, 50, 60, 60])", Sample((noise(0, 40, 40),))), "not on the image"),
    (lambda: apply("StainJitter(eosin=2)", Sample((noise(0, 9, 9, 1),))), "grey"),
    (lambda: apply("Noise()", Sample((noise(0, 9, 9),))), "draw it before"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_what_cannot_be_is_named(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
