"""Masks follow their picture under every transform, through every way rows are transformed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from PIL import Image

from medreward import ConfigError, Task, explain
from medreward.commands.cli import main
from medreward.data.check import problems
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import Row, make_rows
from medreward.kinds.base import TargetType
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.perception import Pipeline, RowTransform, parse
from medreward.perception.moving import MOVING
from medreward.perception.rows import Content, change_row
from medreward.perception.transforms import GEOMETRIC, INTENSITY
from medreward.scoring.task_book import TaskBook
from medreward.task.task import parse_card
from tests import prepare_support
from tests.mask_support import (
    ELL,
    LESION,
    TASK,
    decoded,
    listed,
    mask_row,
    near,
    packed,
    picture,
    shows_its_mask,
    truth_of,
    with_truth,
)
from tests.perception_support import MODERATE, boxes, ellipse_mask
from tests.prepare_support import image

MOVING_ONES = [kind.__name__ for kind in GEOMETRIC] + ["ZoomTo"]
RESAMPLING = ("Rotate", "Scale", "Letterbox", "ZoomTo")
# Moves of whole pixels only.
EXACT = {
    **{name: text for name, text in MODERATE.items() if name in MOVING_ONES},
    "Rotate": "Rotate(degrees=-360/-90/90/180/270, expand=true/false)",
    "Scale": "Scale(factor=1)",
    "Letterbox": "Pad(left=1, top=2)",
    "ZoomTo": "CropAround(margin=0..1)",
}
SEEDS = st.integers(0, 10**6)
FEW = settings(max_examples=60, deadline=None)
FORMS: dict[str, Callable[[Any], Any]] = {
    "packed": packed,
    "listed": listed,
    "text": lambda v: json.dumps(packed(v)),
}


@st.composite
def masks(draw: Any) -> Any:
    """Draw a mask: ellipses, single pixels, or noise; now and then nothing or everything."""
    size = draw(st.integers(1, 48)), draw(st.integers(1, 48))
    if draw(st.booleans()):
        share = draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
        return np.random.default_rng(draw(SEEDS)).random(size[::-1]) < share
    found = np.zeros(size[::-1], bool)
    for _ in range(draw(st.integers(1, 3))):
        found |= np.asarray(ellipse_mask(size, draw(boxes(size)))) > 0
    return found


@st.composite
def blobs(draw: Any) -> Any:
    """Draw a mask of one ellipse that is not small."""
    size = draw(st.integers(24, 64)), draw(st.integers(24, 64))
    x, y = (draw(st.integers(0, side - 12)) for side in size)
    width, height = (
        draw(st.integers(10, side - at)) for side, at in zip(size, (x, y), strict=True)
    )
    return np.asarray(ellipse_mask(size, (x, y, x + width, y + height))) > 0


@st.composite
def pipelines(draw: Any, texts: dict[str, str], most: int) -> Pipeline:
    """Draw a fixed pipeline of one to so many transforms."""
    names = draw(st.lists(st.sampled_from(MOVING_ONES), min_size=1, max_size=most))
    return parse(" | ".join(texts[name] for name in names)).draw(draw(SEEDS), "row")


def follow(drawn: Pipeline, values: Any, truth: Any) -> Content:
    """Return what a pipeline makes of a mask and of the picture of it.

    A `Crop` that is off the picture is refused; such an example is not counted.
    """
    try:
        return change_row(drawn, TASK, Content([picture(values)], {}, truth))
    except ConfigError as error:
        if "is not on the image" not in str(error):
            raise
        reject()


def apply(text: str, row: Row, task: Task = TASK, **given: Any) -> Row:
    return RowTransform(parse(text), TaskBook({task.name: task}), **given)(row)


@contextmanager
def nearest_sampling() -> Iterator[None]:
    """Let Pillow take the nearest pixel where it would mix several, as masks are moved."""
    resize, transform = Image.Image.resize, Image.Image.transform

    def near_resize(self: Any, size: Any, *_: Any) -> Any:
        return resize(self, size, Image.Resampling.NEAREST)

    def near_transform(self: Any, size: Any, how: Any, data: Any, *_: Any, **given: Any) -> Any:
        return transform(self, size, how, data, Image.Resampling.NEAREST, **given)

    with (
        patch.object(Image.Image, "resize", near_resize),
        patch.object(Image.Image, "transform", near_transform),
    ):
        yield


@given(values=masks(), drawn=pipelines(EXACT, 4), form=st.sampled_from(sorted(FORMS)))
@FEW
def test_without_resampling_the_mask_is_that_of_the_picture(
    values: Any, drawn: Pipeline, form: str
) -> None:
    after = follow(drawn, values, FORMS[form](values))
    assert isinstance(after.truth, str) == (form == "text")
    assert np.array_equal(decoded(after.truth), np.asarray(after.images[0]) > 0)


@pytest.mark.parametrize("name", MOVING_ONES)
@given(values=masks(), drawn=pipelines(MODERATE, 3), seed=SEEDS)
@FEW
def test_the_mask_is_that_of_the_picture_moved_in_the_same_way(
    name: str, values: Any, drawn: Pipeline, seed: int
) -> None:
    first = parse(MODERATE[name]).draw(seed, "row")
    both = Pipeline((*first.transforms, *drawn.transforms))
    with nearest_sampling():
        after = follow(both, values, packed(values))
    shown, found = np.asarray(after.images[0]) > 0, decoded(after.truth)
    assert found.shape == shown.shape
    # What is smaller than a pixel may fall between the samples; a mask is not lost by that.
    assert np.array_equal(found, shown) or not shown.any()


@pytest.mark.parametrize("name", RESAMPLING)
@given(values=blobs(), seed=SEEDS, then=pipelines(EXACT, 2))
@FEW
def test_the_mask_is_on_the_picture_as_the_model_sees_it(
    name: str, values: Any, seed: int, then: Pipeline
) -> None:
    """Pictures are resampled bicubically, so a pixel at the mask's border may be either."""
    first = parse(MODERATE[name]).draw(seed, "row")
    both = Pipeline((*first.transforms, *then.transforms))
    after = follow(both, values, packed(values))
    assert near(decoded(after.truth), after.images[0], 1)


MOVED = [
    ("Flip()", (40, 60), (37, 57, 2, 30)),
    ("Flip(vertical)", (40, 60), (3, 23, 10, 38)),
    ("Rotate(90, expand=true)", (60, 40), (2, 30, 37, 57)),
    ("Rotate(180)", (40, 60), (37, 57, 10, 38)),
    ("Crop([5, 4, 60, 40])", (36, 55), (0, 18, 0, 26)),
    ("Crop([5, 4, 60, 40]) | Pad(left=5, top=4)", (40, 60), (5, 23, 4, 30)),
    ("Pad(left=7, bottom=2, fill=200)", (42, 67), (10, 30, 2, 30)),
    ("Scale(2)", (80, 120), (6, 46, 4, 60)),
    ("Letterbox(120, height=120)", (120, 120), (6, 46, 24, 80)),
]


@pytest.mark.parametrize(("text", "shape", "box"), MOVED)
def test_where_a_mask_goes(text: str, shape: tuple[int, int], box: tuple[int, ...]) -> None:
    after = apply(text, mask_row())
    found = decoded(truth_of(after))
    assert found.shape == shape
    ys, xs = np.nonzero(found)
    assert (xs.min(), xs.max() + 1, ys.min(), ys.max() + 1) == box
    assert not list(problems(after, TaskBook({TASK.name: TASK})))


def test_a_crop_beside_the_mask_leaves_nothing_to_find() -> None:
    after = apply("Crop([30, 10, 60, 40])", mask_row())
    found = decoded(truth_of(after))
    assert found.shape == (30, 30)
    assert not found.any()
    score = explain(completion_with("none"), json.loads(truth_of(after)), task=TASK)
    assert score.parts["accuracy"] == 1.0


def test_a_single_pixel_that_shows_is_kept() -> None:
    """`keep` drops boxes of which little shows; a mask is cut like its picture."""
    after = apply("Crop([22, 7, 60, 40], keep=1)", mask_row())
    assert decoded(truth_of(after)).sum() == 1
    assert shows_its_mask(after)


def test_an_empty_mask_takes_the_pictures_size() -> None:
    row = mask_row(packed(np.zeros((40, 60))))
    assert decoded(truth_of(apply("Pad(left=3) | Rotate(7)", row))).shape == (40, 63)
    assert truth_of(apply("Flip()", row)) == truth_of(row)


NOTATIONS = [
    '{"polygons":  [[3, 2, 23, 2, 23, 8, 9, 8, 9, 30, 3, 30]], "size": [60, 40]}',
    json.dumps(listed(decoded(ELL))),
    json.dumps({**listed(decoded(ELL)), "counts": [0, 0, *listed(decoded(ELL))["counts"]]}),
    json.dumps({**packed(decoded(ELL)), "seen": [56, 28]}),
    ELL,
    packed(decoded(ELL)),
]


@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_mask_that_is_not_moved_stays_as_it_is_written(notation: Any) -> None:
    row = with_truth(mask_row(), notation)
    names = [kind.__name__ for kind in INTENSITY if kind.__name__ != "StainJitter"]
    for name in [*names, "ContrastBeside"]:
        drawn = str(parse(MODERATE[name]).draw(1, "row"))
        after = apply(drawn, row)
        assert after["extra_info"]["transforms"] == drawn
        assert truth_of(after) == notation
    assert truth_of(apply("Flip() | Gamma(2) | Flip()", row)) == notation
    assert truth_of(apply("Flip()", row)) != notation
    assert decoded(truth_of(apply("Flip()", row))).tolist() == decoded(ELL)[:, ::-1].tolist()


def test_what_the_processor_saw_is_forgotten_with_the_size() -> None:
    row = with_truth(mask_row(), json.dumps({**ELL, "seen": [56, 28]}))
    assert json.loads(truth_of(apply("Flip()", row)))["seen"] == [56.0, 28.0]
    assert "seen" not in truth_of(apply("Pad(left=1)", row))


def test_the_answer_that_was_right_before_is_wrong_after() -> None:
    before = mask_row()
    after = apply("Flip()", before)
    for answered, right in ((after, True), (before, False)):
        answer = right_answer(TASK, json.loads(truth_of(answered)))
        score = explain(completion_with(answer), json.loads(truth_of(after)), task=TASK)
        assert score.correct == right


KIDNEY = """
name: kidney
kind: segmentation
question: Outline the left kidney.
laterality: {swap: [[left, right]]}
reward: {delta: 0}
"""


def test_side_words_of_a_mask_follow() -> None:
    task = parse_card(KIDNEY)
    after = apply("Flip()", mask_row(task=task), task)
    assert "Outline the right kidney." in after["prompt"][0]["content"]
    assert shows_its_mask(after)
    with pytest.raises(ConfigError, match=r"Rotate\(degrees=90\)"):
        apply("Rotate(90)", mask_row(task=task), task)
    unsaid = parse_card(KIDNEY.replace("laterality: {swap: [[left, right]]}\n", ""))
    with pytest.raises(ConfigError, match="laterality"):
        apply("Flip()", mask_row(task=unsaid), unsaid)


@pytest.mark.parametrize("text", ["BoxOverlay()", "MarkerOverlay()", "ZoomTo()", "CropAround(0.5)"])
def test_a_segmentation_task_refuses_what_shows_the_answer(text: str) -> None:
    with pytest.raises(ConfigError, match=r"row 'train-1': task 'lesion'"):
        apply(text, mask_row())


def test_a_window_at_random_places_is_allowed() -> None:
    for epoch in range(8):
        text = "CropAround(0.2..2, shift_x=-1..1, shift_y=-1..1) | Flip(p=0.5)"
        change = RowTransform(parse(text), TaskBook({TASK.name: TASK}))
        after = change(mask_row(), epoch)
        assert shows_its_mask(after)
        assert decoded(truth_of(after)).sum() == decoded(ELL).sum()


def test_every_type_of_target_has_a_way_to_follow() -> None:
    assert set(MOVING) == set(TargetType)


WRONG_SIZES = [
    {**ELL, "size": [61, 40]},
    {**ELL, "size": [40, 60], "polygons": [[0, 0, 8, 0, 8, 8]]},  # width and height changed
    packed(np.ones((60, 40))),
    json.dumps(listed(np.zeros((40, 61)))),
]


@pytest.mark.parametrize("truth", WRONG_SIZES)
@pytest.mark.parametrize("text", ["Flip()", "Gamma(2)", "Flip(p=0)"])
def test_a_mask_of_another_size_names_its_row(truth: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=r"row 'train-1': .*not that of the image, 60 x 40"):
        apply(text, with_truth(mask_row(), truth))


@pytest.mark.parametrize("truth", WRONG_SIZES)
def test_a_mask_of_another_size_is_found_before(truth: Any, tmp_path: Path) -> None:
    target = json.loads(truth) if isinstance(truth, str) else truth
    wrong = Example(picture(decoded(ELL)), target, "train-7", "train")
    with pytest.raises(ConfigError, match="row 0, example 'train-7': target: its size is "):
        list(make_rows([wrong], TASK))
    path = tmp_path / "train.parquet"
    write_parquet(path, [with_truth(mask_row(), json.dumps(target))])
    assert "not that of the image, 60 x 40" in "".join(
        problems(with_truth(mask_row(), truth), TaskBook({TASK.name: TASK}))
    )
    card = prepare_support.card(tmp_path, LESION)
    assert main(["rows", "check", str(path), "--task", f"lesion={card}"]) == 2


def test_labels_with_a_first_grade_are_read_once() -> None:
    """The index of a grade was taken for its number, so that the lowest grade was refused."""
    task = Task("grade", kind="ordinal", labels=["low", "middle", "high"], first_grade=1)
    for grade in ("1", "2", "3"):
        row = next(make_rows([Example(picture(decoded(ELL)), grade, "train-1", "train")], task))
        assert truth_of(apply("Flip()", row, task)) == grade


# --- prepare


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A Hugging Face data set of pictures with the masks that they show; the first is empty."""
    from datasets import Dataset

    values: list[Any] = [np.zeros((40, 60), bool) for _ in range(8)]
    for i, mask in enumerate(values[1:]):
        mask[3 : 20 + i, 5 : 30 - 2 * i] = True
    folder = tmp_path / "hf"
    Dataset.from_list([{"image": picture(v), "label": packed(v)} for v in values]).save_to_disk(
        folder
    )
    return folder


def prepare(data: Path, name: str, *options: object) -> Path:
    out = data.parent / name
    card = prepare_support.card(data.parent, LESION)
    given = ["--task", card, "--hf", data, "--split", "train=1", "--out", out]
    assert prepare_support.run(*given, *options) == 0
    return out


def test_prepare_moves_masks(data: Path) -> None:
    text = "Flip(p=0.5) | Rotate(0/90/180/270, expand=true) | CropPart(0.5..1, x=0..1, y=0..1)"
    options = ["--transforms", text, "--copies", 3, "--workers", 1]
    found = prepare_support.rows(prepare(data, "moved", *options), "train")
    assert len(found) == 32
    assert all(map(shows_its_mask, found))
    assert len({decoded(truth_of(row)).shape for row in found}) > 5
    assert sum(decoded(truth_of(row)).any() for row in found) > 16


def test_prepare_brings_masks_to_the_size_of_the_image(data: Path) -> None:
    out = prepare(data, "small", "--size", 30, "--seen", 28, 3136, 12845056)
    for row in prepare_support.rows(out, "train"):
        assert near(decoded(without_seen(row)), image(row), 1)
        assert json.loads(truth_of(row))["seen"] == [84.0, 56.0]
    card = (out / "dataset_card.md").read_text()
    assert "| mask | 7 |" in card
    assert "| empty mask | 1 |" in card


def without_seen(row: Row) -> dict[str, Any]:
    truth = json.loads(truth_of(row))
    del truth["seen"]
    return dict(truth)


@pytest.mark.parametrize("notation", [packed, listed, lambda v: json.dumps(packed(v)), picture])
def test_prepare_takes_masks_in_any_notation(notation: Callable[[Any], Any], data: Path) -> None:
    from datasets import Dataset

    values = [np.arange(2400).reshape(40, 60) % 64 > i for i in range(5)]
    made = [{"image": picture(v), "label": notation(v)} for v in values]
    Dataset.from_list(made).save_to_disk(data.parent / "noted")
    found = prepare_support.rows(prepare(data.parent / "noted", "out"), "train")
    assert [decoded(truth_of(row)).tolist() for row in found] == [v.tolist() for v in values]


def test_prepare_names_a_mask_of_another_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from datasets import Dataset

    values = decoded(ELL)
    labels = [packed(values), packed(values.T)]
    Dataset.from_list([{"image": picture(values), "label": v} for v in labels]).save_to_disk(
        tmp_path / "hf"
    )
    card = prepare_support.card(tmp_path, LESION)
    given = ["--task", card, "--hf", tmp_path / "hf", "--split", "train=1", "--out", tmp_path / "o"]
    assert prepare_support.run(*given) == 2
    said = capsys.readouterr().err
    assert "row 1: its annotation is for an image of 40 x 60 pixels, it has 60 x 40" in said
    assert not (tmp_path / "o").exists()
    assert prepare_support.run(*given, "--map", "a=b") == 2
