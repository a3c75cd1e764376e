"""The kind `pointing`: cards, targets of boxes and masks, prompts, rows, and how targets move."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medreward import ConfigError, RewardSettings, Task, explain
from medreward.data.example import Example
from medreward.data.rows import make_rows
from medreward.geometry.frames import FRAMES
from medreward.geometry.masks import parse_mask
from medreward.geometry.places import MaskPlaces, places_of
from medreward.geometry.regions import BoxTarget
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import ground_truth, target_of, target_size
from medreward.perception import parse
from medreward.perception.rows import Content, RowTransform, change_row
from medreward.priors.prompt import build_prompt
from medreward.scoring.task_book import TaskBook
from medreward.scoring.trace import TraceRow
from medreward.sheets.shapes import named_boxes, predicted_shapes
from medreward.task.card import shipped
from medreward.task.task import parse_card
from tests import prepare_support as support

CARD = """
name: lesions
kind: pointing
question: Point to every lesion.
reward: {delta: 0}
"""
TASK = parse_card(CARD)
CARDS = [name for name in shipped() if Task.load(name).kind == "pointing"]
SIZE = [60, 40]
ELL = {"polygons": [[3, 2, 23, 2, 23, 8, 9, 8, 9, 30, 3, 30]], "size": SIZE}  # no symmetry
SQUARE = {"polygons": [[40, 20, 50, 20, 50, 30, 40, 30]], "size": SIZE}
RING = {"polygons": [[30, 2, 38, 2, 38, 12, 30, 12]], "size": SIZE}


def framed(frame: str) -> Task:
    return Task("lesions", "pointing", reward=RewardSettings(delta=0, frame=frame))


def boxes_in(width: int, height: int) -> st.SearchStrategy[list[list[float]]]:
    """Boxes of any size within an image, the narrowest a hundredth of a pixel."""
    steps = st.tuples(*(st.integers(0, side * 100 - 1) for side in (width, height)))
    sides = st.tuples(st.integers(1, 4000), st.integers(1, 4000))

    def box(found: tuple[tuple[int, int], tuple[int, int]]) -> list[float]:
        (x, y), (w, h) = found
        return [x / 100, y / 100, min((x + w) / 100, width), min((y + h) / 100, height)]

    return st.lists(st.tuples(steps, sides).map(box), max_size=8)


def masks_in(width: int, height: int) -> st.SearchStrategy[dict[str, Any]]:
    """Masks of scattered pixels, some of them the same."""
    rows = st.lists(st.integers(0, width * height - 1), min_size=1, max_size=6, unique=True)

    def mask(found: list[int]) -> dict[str, Any]:
        flat: Any = np.zeros(width * height, np.uint8)
        flat[found] = 1
        runs, value = [0], 0
        for pixel in flat.tolist():
            if pixel != value:
                runs.append(0)
                value = pixel
            runs[-1] += 1
        return {"size": [height, width], "counts": runs}

    places = st.lists(rows.map(mask), max_size=6)
    return places.map(lambda found: {"masks": found, "size": [width, height]})


@pytest.mark.parametrize("name", CARDS)
@given(target=st.one_of(boxes_in(80, 50), masks_in(30, 20)))
def test_the_form_that_a_prompt_asks_for_earns_full_marks(name: str, target: Any) -> None:
    task = Task.load(name)
    asked = re.search(
        r"give only the list of points (.*?), or (.*?) if there is none", build_prompt(task).text
    )
    assert asked is not None
    points = json.loads(right_answer(task, target))
    form, nothing = asked.groups()
    entry = form[1:-1]  # [x, y] of [[x, y]]
    said = ", ".join(entry.replace("x", f"{x}").replace("y", f"{y}") for x, y in points)
    answer = f"[{said}]" if points else nothing
    assert answer == right_answer(task, target)
    score = explain(completion_with(answer), target, task=task)
    assert score.correct
    assert score.total == pytest.approx(1.2)


@given(boxes_in(80, 50), st.sampled_from([*FRAMES]))
def test_the_right_answer_is_right_in_every_frame(boxes: Any, frame: str) -> None:
    target = {"boxes": boxes, "size": [80, 50], "seen": [56, 28]}
    answer = right_answer(framed(frame), target)
    assert explain(completion_with(answer), target, task=framed(frame)).correct, answer
    points = json.loads(answer)
    assert len({tuple(point) for point in points}) == len(points)


@given(masks_in(30, 20), st.sampled_from([*FRAMES]))
def test_masks_are_hit_in_every_frame(target: dict[str, Any], frame: str) -> None:
    target = {**target, "seen": [56, 28]}
    answer = right_answer(framed(frame), target)
    assert explain(completion_with(answer), target, task=framed(frame)).correct, answer


@pytest.mark.parametrize("name", CARDS)
def test_a_prompt_asks_for_points_and_nothing_else(name: str) -> None:
    text = build_prompt(Task.load(name)).text
    assert "[[x, y]]" in text
    assert "box" not in text
    assert "x1" not in text


@pytest.mark.parametrize("given", [{"box_quality": "point"}, {"box_quality": "point", "delta": 0}])
def test_the_old_way_to_ask_for_points_is_refused_with_the_mend(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="write 'kind: pointing' in the card"):
        RewardSettings(**given)
    card = CARD.replace("{delta: 0}", json.dumps(given)).replace("pointing", "localisation")
    with pytest.raises(ConfigError, match=r"box_quality: 'point' .*write 'kind: pointing'"):
        parse_card(card)
    with pytest.raises(ConfigError, match="write 'kind: pointing'"):
        explain("[[1, 1]]", [[0, 0, 9, 9]], task="grounding_where", box_quality="point")


def test_recitation_is_not_for_pointing() -> None:
    with pytest.raises(ConfigError, match="recitation is not for pointing"):
        explain("[[1, 1]]", [], task=Task("lesions", "pointing"), delta=-1)
    assert explain("[[1, 1]]", [], task=Task("lesions", "pointing")).parts["recitation"] == 0.0


# ---------------------------------------------------------------------------------------------
# Targets


@pytest.mark.parametrize(
    ("target", "count"),
    [
        ([[0, 0, 9, 9]], 1),
        ([0, 0, 9, 9], 1),
        (np.array([[0, 0, 9, 9], [1, 1, 2, 2]]), 2),
        ([{"box": [0, 0, 9, 9]}], 1),
        ({"boxes": [], "size": SIZE}, 0),
        (ELL, 1),
        ([ELL, SQUARE], 2),
        ({"masks": [ELL, {"polygons": SQUARE["polygons"]}], "size": SIZE}, 2),
        ({"masks": [], "size": SIZE}, 0),
        ({"size": [40, 60], "counts": [0, 2400]}, 1),
        ({"size": [40, 60], "counts": [2400]}, 0),
        ([{"size": [40, 60], "counts": [2400]}, ELL], 1),
        (np.eye(7, dtype=bool), 1),
        ([Image.new("L", (60, 40), 255)] * 2, 2),
        ([parse_mask(ELL)], 1),
    ],
)
def test_forms_of_targets(target: Any, count: int) -> None:
    parsed = TASK.parse_target(target)
    assert len(places_of(parsed)) == count
    assert TASK.parse_target(parsed) is parsed
    text = ground_truth(TASK, target)
    assert TASK.parse_target(target_of(TASK, text)) == parsed
    assert ground_truth(TASK, target_of(TASK, text)) == text
    assert target_size(TASK, text) == parsed.size


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"masks": ELL, "size": SIZE}, "masks: .* is not a list of masks"),
        ({"masks": [[0, 0, 9, 9]], "size": SIZE}, "is not a mask"),
        ([ELL, [0, 0, 9, 9]], "is not a mask"),
        ({"masks": [], "sizes": SIZE}, "'sizes' is not one of masks, size, seen"),
        ({"masks": []}, "needs 'size'"),
        ({"masks": [ELL], "size": [40, 60]}, "a mask of 60 x 40 pixels"),
        ([ELL, {**ELL, "size": [61, 40]}], "a mask of 61 x 40 pixels"),
        ([ELL] * 101, "101 masks; at most 100"),
        ("in the middle", "is not a list of boxes"),
        ([[0, 0, 9]], "is not"),
        (7, "is not a list of boxes"),
    ],
    ids=str,
)
def test_what_is_no_target(target: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"task 'lesions': .*{message}"):
        TASK.parse_target(target)


@pytest.mark.parametrize(
    ("x", "y", "hit"),
    [
        *((3, 2, True), (8.9, 29.9, True), (10, 20, False), (2.9, 5, False), (9, 30, False)),
        *((-1, 5, False), (60, 40, False), (22.5, 7.5, True), (1e8, 1e8, False)),
    ],
)
def test_a_mask_is_hit_where_its_pixels_are(x: float, y: float, hit: bool) -> None:
    score = explain(completion_with(f"[[{x}, {y:.1f}]]"), ELL, task=TASK)
    assert score.correct == hit


def test_one_point_for_each_mask_and_copies_of_none() -> None:
    def value(answer: str, target: Any) -> float:
        return explain(completion_with(answer), target, task=TASK).parts["accuracy"]

    overlapping = {"polygons": [[3, 2, 13, 2, 13, 8, 3, 8]], "size": SIZE}
    assert value("[[5, 5], [45, 25]]", [ELL, SQUARE]) == 1.0
    assert value("[[5, 5]]", [ELL, SQUARE]) == 0.5
    assert value("[[5, 5], [6, 6]]", [ELL, overlapping]) == 1.0
    assert value("[[5, 5], [5, 5]]", [ELL, overlapping]) == 0.5
    assert value("[[5, 5], [5, 5]]", [ELL, ELL]) == 1.0
    assert value("[[5, 5], [6, 6]]", [ELL]) == 0.5


# ---------------------------------------------------------------------------------------------
# Rows, and how targets move


def picture(target: Any) -> Image.Image:
    """Return an image that is white where a target's places are, each in a shade of its own."""
    parsed = TASK.parse_target(target)
    values: Any = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    grid = [(x + 0.5, y + 0.5) for y in range(SIZE[1]) for x in range(SIZE[0])]
    for i, inside in enumerate(places_of(parsed).hits(grid).T):
        values[inside.reshape(values.shape)] = 200 + i
    return Image.fromarray(values)


@pytest.mark.parametrize(
    "text",
    [
        "Flip()",
        "Rotate(90, expand=true)",
        "CropPart(0.75, x=0, y=0)",
        "Flip() | CropPart(0.75, x=1, y=0)",
    ],
)
@pytest.mark.parametrize(
    "target",
    [
        {"masks": [ELL, RING], "size": SIZE, "seen": [56, 28]},
        {"boxes": [[3, 2, 23, 8], [30, 2, 38, 12]], "size": SIZE},
    ],
    ids=["masks", "boxes"],
)
def test_targets_are_on_the_moved_picture(target: dict[str, Any], text: str) -> None:
    before = ground_truth(TASK, target)
    content = change_row(parse(text), TASK, Content([picture(target)], {}, before))
    assert isinstance(content.truth, str)
    after = TASK.parse_target(target_of(TASK, content.truth))
    image = np.asarray(content.images[0])
    assert after.size == (image.shape[1], image.shape[0])
    points = json.loads(right_answer(TASK, after))
    shades = [image[int(y), int(x)] for x, y in points]
    assert shades == list(range(200, 200 + len(points)))
    assert len(points) == 2 or "Crop" in text
    if isinstance(after, MaskPlaces) and "Crop" not in text:
        assert (image > 0).sum() == sum(places_of(after).areas())


def test_a_mask_that_is_cut_away_is_nothing_to_point_at() -> None:
    target = {"masks": [RING], "size": SIZE}
    content = change_row(
        parse("CropPart(0.25, x=0, y=1)"), TASK, Content([picture(target)], {}, target)
    )
    assert content.truth["masks"] == []
    assert explain(completion_with("[]"), content.truth, task=TASK).correct
    kept = change_row(parse("Gamma(2)"), TASK, Content([picture(target)], {}, target))
    assert kept.truth is target


@pytest.mark.parametrize("text", ["BoxOverlay()", "MarkerOverlay()", "ZoomTo()"])
def test_what_shows_the_answer_is_refused(text: str) -> None:
    row = next(iter(make_rows([Example(picture(ELL), ELL, "a", "train")], TASK)))
    change = RowTransform(parse(text), TaskBook({TASK.name: TASK}))
    with pytest.raises(ConfigError, match="row 'a': task 'lesions'"):
        change(row)


def test_a_mask_for_another_size_names_its_row() -> None:
    wrong = Example(picture(ELL).resize((30, 20)), ELL, "train-7", "train")
    with pytest.raises(ConfigError, match="row 0, example 'train-7': target: its size is 60 x 40"):
        list(make_rows([wrong], TASK))


def test_prepare_writes_rows_from_boxes(tmp_path: Path, test_data: Path) -> None:
    card = support.card(tmp_path, CARD)
    given = ["--task", card, "--voc", test_data / "bccd", "--box-label", "WBC", "--limit", 4]
    assert support.run(*given, "--out", tmp_path / "out", "--workers", 1) == 0
    found = support.rows(tmp_path / "out", "train")
    for row in found:
        truth = target_of(TASK, row["reward_model"]["ground_truth"])
        assert isinstance(TASK.parse_target(truth), BoxTarget)
        assert "[[x, y]]" in row["prompt"][0]["content"]
        assert explain(completion_with(right_answer(TASK, truth)), truth, task=TASK).correct


def test_prepare_writes_rows_from_masks_and_brings_them_to_size(tmp_path: Path) -> None:
    from datasets import Dataset

    targets = [ELL, {"masks": [SQUARE, RING], "size": SIZE}, {"masks": [], "size": SIZE}]
    made = [{"image": picture(t), "label": json.dumps(t)} for t in targets]
    made[2]["image"] = picture(ELL).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    Dataset.from_list(made).save_to_disk(tmp_path / "hf")
    card = support.card(tmp_path, CARD)
    given = ["--task", card, "--hf", tmp_path / "hf", "--split", "train=1", "--workers", 1]
    assert (
        support.run(*given, "--size", 30, "--seen", 28, 3136, 12845056, "--out", tmp_path / "o")
        == 0
    )
    for row, count in zip(support.rows(tmp_path / "o", "train"), (1, 2, 0), strict=True):
        truth = target_of(TASK, row["reward_model"]["ground_truth"])
        parsed = TASK.parse_target(truth)
        assert isinstance(parsed, MaskPlaces)
        assert (parsed.size, parsed.seen, len(parsed.masks)) == ((30, 20), (84, 56), count)
        assert explain(completion_with(right_answer(TASK, truth)), truth, task=TASK).correct
    card_text = (tmp_path / "o" / "dataset_card.md").read_text(encoding="utf-8")
    assert "| mask | 3 |" in card_text
    assert "| empty mask | 1 |" in card_text


def test_prepare_refuses_labels_that_are_no_masks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from datasets import Dataset

    made = [{"image": picture(ELL), "label": "[[0, 0, 9, 9]]"}]
    Dataset.from_list(made).save_to_disk(tmp_path / "hf")
    card = support.card(tmp_path, CARD)
    given = ["--task", card, "--hf", tmp_path / "hf", "--split", "train=1", "--out", tmp_path / "o"]
    assert support.run(*given) == 2
    assert "is no mask; boxes come from sources of boxes" in capsys.readouterr().err


def test_shapes_to_draw() -> None:
    truth = ground_truth(TASK, [ELL, SQUARE])
    shapes = named_boxes(truth, "pointing", TASK)
    assert shapes is not None
    assert [shape.box for shape in shapes] == [(3, 2, 23, 30), (40, 20, 50, 30)]
    assert named_boxes(truth, "pointing", None) == shapes
    boxes = named_boxes("[[0, 0, 4, 2]]", "pointing", TASK)
    assert [shape.title for shape in boxes or ()] == ["true [0, 0, 4, 2]"]
    drawn = predicted_shapes(TraceRow("", prediction="[[3, 4]]"), TASK, {})
    assert [shape.is_point for shape in drawn] == [True]
