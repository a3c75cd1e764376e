"""Transforms as text: printed, read back, drawn; the same in every process."""

from __future__ import annotations

import pickle
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medreward import ConfigError
from medreward.perception import ALL, Choice, Pipeline, Range, from_yaml, load, parse
from medreward.perception.transforms.notation import read, shown
from tests.perception_support import MODERATE, sample, transforms

PIPELINES = st.lists(transforms(), max_size=4).map(lambda found: Pipeline(tuple(found)))


@given(PIPELINES)
@settings(deadline=None)
def test_what_is_printed_is_read_back(pipeline: Pipeline) -> None:
    assert parse(str(pipeline)) == pipeline


@given(PIPELINES, st.integers(), st.text())
@settings(deadline=None)
def test_a_draw_is_fixed_and_is_read_back(pipeline: Pipeline, seed: int, name: str) -> None:
    drawn = pipeline.draw(seed, name)
    assert drawn.is_fixed
    assert parse(str(drawn)) == drawn
    assert drawn == pipeline.draw(seed, name)
    assert drawn.draw(seed + 1, name) == drawn


@given(st.text(max_size=60))
def test_any_text_is_a_pipeline_or_a_configuration_error(text: str) -> None:
    try:
        pipeline = parse(text)
    except ConfigError:
        return
    assert parse(str(pipeline)) == pipeline


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**40), 2**40) | st.text())
def test_a_value_is_read_back(value: Any) -> None:
    assert read(shown(value)) == value


GOLDEN = [
    ("Rotate(degrees=10)", "Rotate(degrees=10)"),
    ("Rotate(10.0)", "Rotate(degrees=10)"),
    ("  Rotate ( -10 .. 10 )", None),
    ("Rotate(-10..10, expand=true)|Flip", "Rotate(degrees=-10..10, expand=true) | Flip()"),
    ("Flip(axis=horizontal/vertical, p=0.5)", "Flip(axis=horizontal/vertical, p=0.5)"),
    ("Crop(box=[0, 1.5, 20, 30])", "Crop(box=[0, 1.5, 20, 30])"),
    ("Crop([0,1,20,30])", "Crop(box=[0, 1, 20, 30])"),
    ('ZoomTo(label="white | cell", margin=.5)', 'ZoomTo(margin=0.5, label="white | cell")'),
    ("Noise(std=1e1)", "Noise(std=10)"),
    ("CLAHE(clip_limit=0.01)", "CLAHE()"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "printed"), GOLDEN)
def test_how_texts_are_read(text: str, printed: str | None) -> None:
    if printed is None:
        with pytest.raises(ConfigError, match="is not a number, a range"):
            parse(text)
        return
    assert str(parse(text)) == printed


def test_defaults_are_part_of_the_format() -> None:
    """A record leaves defaults out, so a changed default changes what old records mean."""
    names = [kind.__name__ for kind in ALL]
    made = [parse("Crop([0, 0, 1, 1])" if name == "Crop" else name).transforms[0] for name in names]
    texts = [repr(transform).replace("p=1.0, ", "") for transform in made]
    assert texts == [
        "Flip(axis='horizontal')",
        "Rotate(degrees=0.0, expand=False, keep=0.3, fill=0)",
        "Scale(factor=1.0, same_size=False, keep=0.3)",
        "Crop(box=(0.0, 0.0, 1.0, 1.0), keep=0.3)",
        "CropPart(share=1.0, x=0.5, y=0.5, keep=0.3)",
        "CropAround(margin=0.25, shift_x=0.0, shift_y=0.0, of='all', label='', keep=0.3)",
        "Pad(left=0, top=0, right=0, bottom=0, fill=0)",
        "Letterbox(width=448, height=448, fill=0)",
        "Gamma(gamma=1.0)",
        "Window(level=127.5, width=255.0)",
        "CLAHE(clip_limit=0.01, tiles=8)",
        "Noise(std=5.0, seed=None)",
        "Blur(sigma=1.0)",
        "BiasField(strength=0.3, seed=None)",
        "StainJitter(haematoxylin=1.0, eosin=1.0, haematoxylin_shift=0.0, eosin_shift=0.0)",
        "ZoomTo(margin=0.25, shift_x=0.0, shift_y=0.0, of='all', label='', keep=0.3)",
        "BoxOverlay(width=2, colour='yellow', label='')",
        "MarkerOverlay(shape='circle', size=8, width=2, colour='yellow', label='')",
        "ContrastBeside(clip_limit=0.01, tiles=8)",
    ]


def test_the_docs_name_every_transform_and_parameter() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "perception.md").read_text(
        encoding="utf-8"
    )
    for kind in ALL:
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{kind.__name__}` |")]
        named = set(re.findall(r"`(\w+)`", line))
        if kind.__name__ not in ("ZoomTo", "ContrastBeside"):  # "as" another one
            assert {f.name for f in fields(kind)} - {"p"} <= named


WRONG = [
    ("Rotat(10)", "did you mean 'Rotate'"),
    ("Rotate(angle=10)", "angle.*not one of degrees"),
    ("Rotate(10, 20)", "only the first value"),
    ("Rotate(10, degrees=20)", "given twice"),
    ("Rotate(400)", "not from -360 to 360"),
    ("Rotate(nan)", "Rotate.degrees.: 'nan' is not a number"),
    ("Rotate(10..10)", "range: 10..10 is empty"),
    ("Rotate(10..-10)", "empty"),
    ("Rotate(expand=1)", "neither true nor false"),
    ("Flip(sideways)", "not one of horizontal, vertical"),
    ("Flip(p=2)", "not from 0 to 1"),
    ("Flip(p=0..1)", "0..1 is not one value"),
    ("Crop([0, 0, 1, 1]/[0, 0, 2, 2])", "is not a number, a range"),
    ("Pad(left=1.5)", "not a whole number"),
    ("Crop()", "missing"),
    ("Crop(box=[3, 0, 2, 9])", "x1 < x2"),
    ("Gamma(__import__('os'))", "is not a number"),
    ("Gamma(0.8) | ", "not Name"),
    ("Gamma(0.8", "not Name"),
    ("x" * 20_000, "at most 10,000"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_yaml_gives_the_same(tmp_path: Path) -> None:
    text = "Flip(p=0.5) | Rotate(degrees=-10..10, expand=true) | Crop(box=[0, 0, 9, 9]) | CLAHE()"
    file = tmp_path / "transforms.yaml"
    file.write_text(
        "- Flip(p=0.5)\n- Rotate: {degrees: -10..10, expand: true}\n"
        "- Crop: {box: [0, 0, 9, 9]}\n- CLAHE:\n"
    )
    assert load(file) == load(text) == from_yaml(text) == parse(text)
    file.write_text("- Rotate: {degrees: 500}\n")
    with pytest.raises(ConfigError, match=r"transforms\.yaml: Rotate\(degrees\)"):
        load(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="mapping of one name"):
        from_yaml([{"Flip": None, "Rotate": None}])


def test_draws_fill_the_range_and_take_every_choice() -> None:
    rotate, flip = parse("Rotate(-10..10)"), parse("Rotate(0/90/180, p=0.25)")
    angles = [rotate.draw(0, str(i)).transforms[0].degrees for i in range(2000)]  # type: ignore[attr-defined]
    assert (min(angles) < -9.9, max(angles) > 9.9) == (True, True)
    assert abs(sum(angles) / len(angles)) < 0.5
    drawn = [str(flip.draw(0, str(i))) for i in range(2000)]
    shares = {text: drawn.count(text) / 2000 for text in set(drawn)}
    assert shares.pop("") == pytest.approx(0.75, abs=0.04)
    assert shares == pytest.approx(dict.fromkeys(shares, 0.25 / 3), abs=0.03)
    assert len(shares) == 3


CODE = """
import sys
from hashlib import sha256
from tests.perception_support import MODERATE, sample
from medreward.perception import parse
text = " | ".join(MODERATE[name] for name in ("Rotate", "Noise", "BiasField", "CLAHE"))
drawn = parse(text).draw(3, "row 7", epoch=2)
print(drawn, sha256(drawn(sample(60, 40, (3, 3, 30, 20))).image.tobytes()).hexdigest())
"""


def test_another_process_draws_and_paints_the_same() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize("text", MODERATE.values(), ids=list(MODERATE))
def test_transforms_pickle_compare_and_touch_nothing_else(text: str) -> None:
    pipeline = parse(text)
    assert pickle.loads(pickle.dumps(pipeline)) == pipeline
    before, state = sample(60, 40, (3, 3, 30, 20), mode="RGB"), random.getstate()
    pixels = before.image.tobytes()
    drawn = pipeline.draw(0, "row")
    assert hash(drawn) == hash(pipeline.draw(0, "row"))
    assert drawn(before) == drawn(before)
    assert before.image.tobytes() == pixels
    assert random.getstate() == state


def test_a_range_may_be_given_in_python() -> None:
    from medreward.perception import Rotate

    assert str(Rotate(Range(-10, 10), p=0.5)) == "Rotate(degrees=-10..10, p=0.5)"
    assert Rotate(Choice((0, 90))) == parse("Rotate(0/90)").transforms[0]
    bad: list[Callable[[], Any]] = [
        lambda: Rotate(Range(-10, 400)),
        lambda: Rotate(Choice((0, 400))),
        lambda: Rotate(Choice((0,))),
        lambda: Rotate("10"),
        lambda: Rotate(True),
        lambda: Rotate(float("nan")),
    ]
    for make in bad:
        with pytest.raises(ConfigError):
            make()
