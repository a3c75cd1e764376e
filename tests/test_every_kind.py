"""What holds for every kind of task, whatever it is: parametrised over the registered ones."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medreward import RewardSettings, Task, explain
from medreward.audit.exploits import find_unattacked, registered
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.honest import SAMPLE_SIZE, Honest
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import ground_truth, target_of, target_size
from medreward.perception import parse
from medreward.perception.rows import Content, change_row
from medreward.priors.prompt import PromptBuilder
from medreward.priors.template import load_templates
from medreward.scoring.scorer import COMMON, Scorer
from medreward.sheets.shapes import named_boxes
from medreward.task.registry import kind_names, rules_of
from medreward.task.traits import Trait
from tests.samples import sample_task

KINDS = kind_names()


def samples(task: Task) -> list[Honest]:
    found = list(kind_of(task).honest(task, None))
    assert found
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_comes_back_from_its_text(kind: str) -> None:
    task = sample_task(kind)
    for honest in samples(task):
        text = ground_truth(task, honest.target)
        assert task.parse_target(target_of(task, text)) == task.parse_target(honest.target)
        assert ground_truth(task, target_of(task, text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_prompt_asks_for_is_what_the_right_answer_writes(kind: str) -> None:
    task = sample_task(kind)
    answer_form = load_templates().of(task).answer
    assert answer_form
    assert answer_form in PromptBuilder(task)("row-1").text
    for honest in samples(task):
        answer = right_answer(task, honest.target)
        score = explain(completion_with(answer), honest.target, task=task, knowledge="")
        assert (score.correct, score.parts["accuracy"], score.parts["format"]) == (True, 1.0, 1.0)
        # Lists are asked for as lists, objects as objects, words as words.
        if Trait.PLACES in task.traits and Trait.PIXELS not in task.traits and honest.boxes:
            opening = answer_form[answer_form.index("[") :][:2]
            assert answer.startswith(opening)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_answers_earn_less_and_unread_ones_no_more(kind: str) -> None:
    task = sample_task(kind)
    for honest in samples(task):
        bound = Scorer(task)
        right = bound.score(completion_with(honest.right), honest.target, "").total
        wrong = [bound.score(completion_with(x), honest.target, "").total for x in honest.wrong]
        near = [bound.score(completion_with(x), honest.target, "").total for x in honest.near]
        assert max(wrong) < right
        assert max([*near, 0.0]) < right
        texts = ["", "?", "I cannot tell", f"{honest.right} or {honest.wrong[0]}"]
        # A metric of prose refuses nothing that has words.
        for text in texts[: 2 if Trait.MEASURED in task.traits else None]:
            unread = bound.score(completion_with(text), honest.target, "")
            assert unread.total <= min(wrong), text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("move", ["Flip()", "Rotate(90)", "Crop([20, 10, 200, 210])"])
def test_the_target_follows_the_image(kind: str, move: str) -> None:
    """The right answer to the moved target is right on the moved image, and mostly only there."""
    task = sample_task(kind)
    for honest in samples(task):
        target: Any = honest.target
        count = len(target["images"]) if Trait.SERIES in task.traits else 1
        if Trait.BOXES in task.traits or Trait.POINTS in task.traits:
            target = target if isinstance(target, dict) else {"boxes": target}
            target = {**target, "size": [*SAMPLE_SIZE]}
        truth = ground_truth(task, target)
        image = Image.fromarray(np.zeros((224, 224), np.uint8))
        moved = change_row(parse(move), task, Content([image] * count, {}, truth))
        parsed = task.parse_target(target_of(task, moved.truth))
        if Trait.PLACES not in task.traits:
            assert parsed == task.parse_target(target)
            continue
        assert target_size(task, moved.truth) == moved.images[0].size
        answer = completion_with(right_answer(task, target_of(task, moved.truth)))
        assert explain(answer, target_of(task, moved.truth), task=task).correct
        if not honest.empty and Trait.POINTS not in task.traits:  # a point may stay in its box
            assert not explain(answer, target, task=task).correct, (move, honest.target)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_stands_in_the_signature_of_the_kinds_that_list_it(kind: str) -> None:
    """More of it, over many values, is in `tests/test_signature.py`."""
    other: dict[str, Any] = {
        "decay": "linear", "under_grading": 0.5, "over_grading": 0.5, "beta": 2.0,
        "thresholds": (2,), "threshold_factor": 0.4,
        "frame": "per-mille", "box_quality": "giou", "annotators": "mean", "mask_quality": "iou",
        "set_quality": "jaccard", "gates": ("accuracy_needs_format",), "answer_quality": "f1",
        "answer_floor": 0.6, "number_quality": "linear", "number_reach": 0.4, "field_balance": 0.4,
        "absent_weight": 0.4, "box_threshold": 0.4,
    }  # fmt: skip
    listed = {*COMMON, *rules_of(kind).settings}
    for known in fields(RewardSettings):
        if known.name in other:
            plain = Scorer(sample_task(kind)).signature("")
            changed = replace(sample_task(kind).reward, **{known.name: other[known.name]})
            differs = Scorer(sample_task(kind), changed).signature("") != plain
            assert differs == (known.name in listed), known.name


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_attacked_and_each_of_its_traits_is(kind: str) -> None:
    assert find_unattacked(kind) == ()
    assert len(registered(kind)) > 40


@pytest.mark.parametrize("kind", KINDS)
def test_sheets_draw_it_or_say_it_in_words(kind: str) -> None:
    task = sample_task(kind)
    drawn = [named_boxes(ground_truth(task, h.target), kind, task) for h in samples(task)]
    places = (TargetType.BOXES, TargetType.PLACES, TargetType.MASK)
    assert any(drawn) if kind_of(task).target_type in places else drawn == [None] * len(drawn)


def test_each_trait_and_each_type_of_target_has_a_kind() -> None:
    assert {trait for kind in KINDS for trait in rules_of(kind).traits} == {*Trait}
    assert {rules_of(kind).target_type for kind in KINDS} == {*TargetType}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_hold_texts_that_json_and_parquet_take(kind: str) -> None:
    task = sample_task(kind)
    for honest in samples(task):
        text = ground_truth(task, honest.target)
        assert json.loads(json.dumps(text)) == text
        assert text.isprintable()
