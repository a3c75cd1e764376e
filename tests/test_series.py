"""Boxes on several images of one row: targets, rewards, rows, transforms, TRL, metrics."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import ConfigError, Task, explain, shaped_reward
from medreward.data.rows import make_row
from medreward.geometry.regions import TrueBox, iou
from medreward.kinds.boxes.series import side_by_side
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import ground_truth, target_of
from medreward.perception import RowTransform, parse
from medreward.priors.prompt import PromptBuilder
from medreward.runs.evaluation_metrics import metrics_of, value_of
from medreward.runs.evaluation_readings import predict
from medreward.scoring.scorer import Scorer
from medreward.scoring.task_book import TaskBook
from tests.prepare_support import card, rows, run
from tests.trl_tools import SIZE, make_trainer, score_batch

CARD = """
name: slices
kind: multi_image_localisation
question: Find every nodule.
labels: [nodule]
"""
NODULES = Task("slices", kind="multi_image_localisation", question="?", labels=["nodule"])
ONE = {"images": [[], [[4, 6, 20, 30]]]}


def accuracy(answer: str, target: Any, **settings: Any) -> float:
    task = Task("slices", kind="multi_image_localisation", reward=settings)
    return explain(completion_with(answer), target, task=task, knowledge="").parts["accuracy"]


@pytest.mark.parametrize("seed", range(20))
def test_the_reward_is_matched_quality_over_all_images(seed: int) -> None:
    """Against the formula, for boxes of which no two of an image overlap."""
    draw = random.Random(seed)
    images, given, matched = [], [], 0.0
    for number in range(1, draw.randint(2, 4)):
        true = []
        for i in range(draw.randint(0, 3)):
            x, width = 100 * i, draw.randint(10, 40)
            box = (x, 0, x + width, 20)
            said = (x + draw.randint(0, 9), 0, x + width, 20)
            true.append([*box])
            if draw.random() < 0.7:
                given.append({"image": number, "bbox_2d": [*said]})
                matched += iou(box, said)
        images.append(true)
    surplus = draw.randint(0, 2)
    given += [{"image": 1, "bbox_2d": [0, 500 + 50 * i, 9, 540 + 50 * i]} for i in range(surplus)]
    draw.shuffle(given)
    count = max(len(given), sum(map(len, images)))
    expected = matched / count if count else 1.0
    assert accuracy(json.dumps(given), {"images": images}) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("quality", ["giou", "soft_iou", "centre", "threshold", "above"])
def test_one_image_earns_what_localisation_does(quality: str) -> None:
    single = Task("one", kind="localisation", reward={"box_quality": quality})
    for said in ([0, 0, 9, 9], [4, 6, 22, 30], [4, 6, 20, 30], [90, 90, 99, 99]):
        alone = explain(completion_with(json.dumps([said])), [4, 6, 20, 30], task=single)
        answer = json.dumps([{"image": 2, "bbox_2d": said}])
        assert accuracy(answer, ONE, box_quality=quality) == alone.parts["accuracy"]


def test_each_image_has_a_frame_of_its_own() -> None:
    target = {
        "images": [
            {"boxes": [[20, 20, 60, 40]], "size": [200, 100]},
            {"boxes": [[20, 20, 60, 40]], "size": [400, 400]},
        ]
    }
    answer = [
        {"image": 1, "bbox_2d": [100, 200, 300, 400]},
        {"image": 2, "bbox_2d": [50, 50, 150, 100]},
    ]
    assert accuracy(json.dumps(answer), target, frame="per-mille") == 1.0
    answer[1]["bbox_2d"] = answer[0]["bbox_2d"]
    assert accuracy(json.dumps(answer), target, frame="per-mille") == 0.5
    with pytest.raises(ConfigError, match="'size', which boxes in frame 'per-mille' need"):
        accuracy("[[0, 0, 1, 1]]", ONE, frame="per-mille")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([[4, 6, 20, 30]], r"is not \{'images': \[boxes of image 1"),
        ({"images": [], "size": [4, 4]}, "'size'"),
        ({"images": []}, "0 images; 1 to 64 are allowed"),
        ({"images": [[]] * 65}, "65 images; 1 to 64"),
        ({"images": "none"}, "images: 'none' is not a list, one entry an image"),
        ({"images": [[], [[4, 6, 2, 30]]]}, "image 2: .*x1 < x2"),
        ({"images": [{"annotators": [[], []]}]}, "image 1 has the boxes of 2 annotators"),
        ({"images": [[{"box": [0, 0, 1, 1], "label": "cat"}]]}, "image 1: .*'cat'"),
        ("[1", "is not JSON"),
    ],
)
def test_targets_that_are_none_are_refused(target: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ground_truth(NODULES, target_of(NODULES, target))


def test_images_side_by_side_keep_their_ious() -> None:
    draw = random.Random(1)

    def box() -> TrueBox:
        x, y = draw.uniform(-50, 50), draw.uniform(-50, 50)
        return TrueBox((x, y, x + draw.uniform(1, 60), y + draw.uniform(1, 60)), 0)

    said = [[box() for _ in range(draw.randint(0, 3))] for _ in range(6)]
    true = [[box() for _ in range(draw.randint(0, 3))] for _ in range(6)]
    moved = side_by_side(said, true)
    places = [[i for i, image in enumerate(side) for _ in image] for side in (said, true)]
    flat = [[box for image in side for box in image] for side in (said, true)]
    for i, one in enumerate(moved[0]):
        for j, other in enumerate(moved[1]):
            same = places[0][i] == places[1][j]
            expected = iou(flat[0][i].box, flat[1][j].box) if same else 0.0
            assert iou(one.box, other.box) == pytest.approx(expected, abs=1e-9)


def test_metrics_are_of_the_boxes_on_their_images() -> None:
    target = NODULES.parse_target({"images": [[[0, 0, 10, 10]], [[0, 0, 10, 10]]]})
    right = [{"image": i, "bbox_2d": [0, 0, 10, 10], "label": "nodule"} for i in (1, 2)]
    first = [right[0], right[0]]
    texts = [json.dumps(right), json.dumps(first), "[]", "somewhere"]
    predictions = [
        predict(Scorer(NODULES), f"r{i}", completion_with(text), target, "")
        for i, text in enumerate(texts)
    ]
    found = {metric.name: value_of(metric) for metric in metrics_of(NODULES, predictions)}
    assert found["accuracy"] == 0.25
    assert found["recall at IoU 0.5"] == 3 / 8
    assert found["precision at IoU 0.5"] == 3 / 4
    assert found["unreadable"] == 0.25


# Rows


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Write twelve questions on two pictures each, of different sizes."""
    draw = np.random.default_rng(0)
    lines = []
    for i in range(12):
        for name, size in (("a", (30, 40)), ("b", (60, 50))):
            Image.fromarray(draw.integers(0, 255, size, np.uint8)).save(tmp_path / f"{i}{name}.png")
        lines.append({
            "question": "Find every nodule.", "image": [f"{i}a.png", f"{i}b.png"],
            "answer": {"images": [[], [[4, 6, 20, 30 + i]]]}, "patient": f"p{i}",
        })  # fmt: skip
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_rows_hold_the_size_of_each_image(questions: Path, tmp_path: Path) -> None:
    name, out = card(tmp_path, CARD), tmp_path / "out"
    base = ["--questions", questions, "--image-folder", tmp_path, "--task", name]
    assert run(*base, "--out", out, "--seen", 28, 3136, 100352) == 0
    row = rows(out, "train")[0]
    content = row["prompt"][0]["content"]
    assert content.startswith("<image><image>")
    assert 'JSON [{"image": 1, "bbox_2d"' in content
    images = json.loads(row["reward_model"]["ground_truth"])["images"]
    assert [image["size"] for image in images] == [[40, 30], [50, 60]]
    # The least area of a processor is 3136 square pixels.
    assert all(width * height >= 3136 for width, height in (image["seen"] for image in images))


def test_a_target_of_more_images_than_the_row_has_is_refused(
    questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = card(tmp_path, CARD)
    base = ["--questions", questions, "--image-folder", tmp_path, "--task", name]
    assert run(*base, "--out", tmp_path / "small", "--size", 20) == 2
    assert "stand in its answers, in pixels of the image as it is" in capsys.readouterr().err
    lines = questions.read_text("utf-8").splitlines()
    lines[3] = json.dumps({**json.loads(lines[3]), "answer": {"images": [[], [], []]}})
    questions.write_text("\n".join(lines), "utf-8")
    assert run(*base, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "row 4" in said
    assert "has the boxes of 3 images, and there are 2" in said


def test_a_box_that_leaves_its_image_is_refused(
    questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = questions.read_text("utf-8").splitlines()
    lines[5] = json.dumps({**json.loads(lines[5]), "answer": {"images": [[[4, 6, 20, 59]], []]}})
    questions.write_text("\n".join(lines), "utf-8")
    base = ["--questions", questions, "--image-folder", tmp_path, "--task", card(tmp_path, CARD)]
    assert run(*base, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "row 6" in said
    assert "image 1: target box [4.0, 6.0, 20.0, 59.0] leaves the image of size" in said


def picture_row(sizes: list[tuple[int, int]], target: Any) -> dict[str, Any]:
    pngs = []
    for i, size in enumerate(sizes):
        buffer = io.BytesIO()
        Image.new("L", size, 30 * i).save(buffer, "PNG")
        pngs.append(buffer.getvalue())
    prompt = PromptBuilder(NODULES, "none")("row-1")
    return make_row(NODULES, prompt, ground_truth(NODULES, target), pngs, id="r", split="train")


def test_transforms_move_the_boxes_of_all_images() -> None:
    row = picture_row([(40, 30), (40, 30)], {"images": [[[0, 0, 4, 4]], [[4, 6, 20, 30]]]})
    book = TaskBook({"slices": NODULES})
    moved = RowTransform(parse("Flip()"), book)(row)
    images = json.loads(moved["reward_model"]["ground_truth"])["images"]
    assert [image["boxes"][0]["box"] for image in images] == [[36, 0, 40, 4], [20, 6, 36, 30]]
    still = RowTransform(parse("Gamma(gamma=0.8)"), book)(row)
    assert still["reward_model"]["ground_truth"] == row["reward_model"]["ground_truth"]


def test_a_step_of_trl_on_two_images(tmp_path: Path) -> None:
    from medreward_trl import from_rows, reward_funcs

    data = [picture_row([(SIZE, SIZE)] * 2, ONE) for _ in range(4)]
    for i, row in enumerate(data):
        row["extra_info"]["id"] = f"r{i}"
    funcs, weights = reward_funcs(NODULES)
    trainer = make_trainer(tmp_path, funcs, from_rows(data), reward_weights=weights)
    trainer.train()
    assert trainer.state.global_step == 1
    texts = [completion_with(right_answer(NODULES, ONE)), completion_with("[]"), "nothing"]
    scored = score_batch(trainer, texts, 0).nan_to_num(0.0)
    expected = [shaped_reward(text, ONE, task=NODULES, knowledge="") for text in texts]
    total = scored @ scored.new_tensor(weights)
    assert total.tolist() == pytest.approx(expected, abs=1e-6)
