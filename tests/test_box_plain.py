"""The usual answers with boxes, read at once, are read as every other answer is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medreward import Label, Task
from medreward.geometry.regions import MAX_BOXES
from medreward.kinds.boxes import read as boxes_read
from medreward.kinds.boxes.match import box_reward
from medreward.kinds.boxes.read import MAX_LENGTH, BoxAnswer, read_boxes
from medreward.kinds.verdict import Verdict
from medreward.task.settings import RewardSettings
from tests import at_most

PLACE = Task("place", kind="localisation")
ONE_LABEL = Task("nodules", kind="localisation", labels=["nodule"])
SMEAR = Task.load("bccd")
TASKS = [PLACE, ONE_LABEL, SMEAR]
TRUE = [[10, 20, 30, 40], [50, 60, 70, 80]]
OBJECT = '{"bbox_2d": [1, 2, 3, 4], "label": "%s"}'
FENCED = "```json\n[\n\t" + OBJECT % "RBC" + ",\n\t" + OBJECT % "WBC" + "\n]\n```"
NAMES = ("RBC", "WBC", "platelet", "rbc", "wbc")
MOST = json.dumps([[i, 0, i + 1, 1] for i in range(MAX_BOXES)])


def quickly(answer: str, task: Task) -> BoxAnswer | None:
    return boxes_read._read_plain(answer, task)


def both(answer: str, task: Task, **changed: Any) -> tuple[Verdict, Verdict]:
    """Return what an answer earns, and what it earns where nothing is read at once."""
    labels = [label.name for label in task.labels]
    boxes = [
        {"box": b, "label": labels[i % len(labels)]} if labels else b for i, b in enumerate(TRUE)
    ]
    target = task.parse_target({"boxes": boxes, "size": [100, 90], "seen": [140, 112]})
    made = RewardSettings(**changed)
    with pytest.MonkeyPatch.context() as patch:
        quick = box_reward(answer, target, task, made)
        patch.setattr(boxes_read, "_read_plain", lambda answer, task: None)
        return quick, box_reward(answer, target, task, made)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("[[1, 2, 3, 4]]", PLACE),
        (" [ [1.5,2,3,\n4],[-1, 0, 30.25, 40]\t]\n", PLACE),
        ("```json\n[[1, 2, 3, 4]]\n```", PLACE),
        ("[[1, 2, 3, 4]]", ONE_LABEL),
        (f"[{OBJECT % 'lesion'}]", PLACE),
        (f"[{OBJECT % 'lesion'}]", ONE_LABEL),
        (f"[{OBJECT % 'RBC'}, {OBJECT % 'white blood cell'}]", SMEAR),
        (FENCED, SMEAR),
        (MOST, PLACE),
    ],
)
def test_usual_answers_are_read_at_once(text: str, task: Task) -> None:
    assert quickly(text, task)
    assert read_boxes(text, task) == quickly(text, task)
    assert both(text, task)[0] == both(text, task)[1]


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("", PLACE),
        ("[]", PLACE),
        ("[[]]", PLACE),
        ("[1, 2, 3, 4]", PLACE),
        ("[[[1, 2, 3, 4]]]", PLACE),
        ("[[1, 2, 3, 4], []]", PLACE),
        ("[[1, 2, 3, 4],]", PLACE),
        ("[[1, 2, 3, 4]", PLACE),
        ("[[1, 2, 3, 4]] none", PLACE),
        ("[[1, 2, 3, 4], null]", PLACE),
        ("[[1, 2, 3]]", PLACE),
        ("[[1, 2, 3, 4, 5]]", PLACE),
        ("[[3, 2, 1, 4]]", PLACE),
        ("[[1, 2, 3, 2]]", PLACE),
        ("[[1, 2, 3, 007]]", PLACE),
        ("[[1, 2, 3, +4]]", PLACE),
        ("[[1, 2, 3, 4.]]", PLACE),
        ("[[.1, 2, 3, 4]]", PLACE),
        ("[[1, 2, 3, 4e1]]", PLACE),
        ("[[1, 2, 3, 1e999]]", PLACE),
        ("[[1, 2, 3, 1000000000]]", PLACE),
        ("[[1, 2, 3, " + "9" * 5000 + "]]", PLACE),
        ("[[1, 2, 3, NaN]]", PLACE),
        ("[[1, 2, 3, true]]", PLACE),
        ("[[1, 2, 3, \u0664]]", PLACE),
        ("[[1, 2, 3,\u00a04]]", PLACE),
        ("[[1, 2, 3, 4]]" + " " * MAX_LENGTH, PLACE),
        (MOST.replace("[[", "[[0, 0, 9, 9], ["), PLACE),
        ("[[1, 2, 3, 4]]", SMEAR),
        (f"[{OBJECT % 'none'}]", PLACE),
        (f"[{OBJECT % 'no lesion'}]", ONE_LABEL),
        (f"[{OBJECT % 'cell'}]", SMEAR),
        (f"[{OBJECT % 'not WBC'}]", SMEAR),
        (f"[{OBJECT % 'RBC or WBC'}]", SMEAR),
        ("[" + OBJECT % r"R\u0042C" + "]", SMEAR),
        ("[" + ", ".join(OBJECT % name for name in NAMES) + "]", SMEAR),
        (f"[{OBJECT % 'RBC'}, [1, 2, 3, 4]]", SMEAR),
    ],
)
def test_all_others_take_the_long_way(text: str, task: Task) -> None:
    assert quickly(text, task) is None
    quick, slow = both(text, task)
    assert quick == slow


def test_a_label_that_could_go_on_over_the_next_box_takes_the_long_way() -> None:
    task = Task("odd", kind="localisation", labels=(Label("cell", synonyms=("cell bbox",)),))
    assert quickly(f"[{OBJECT % 'cell'}]", task) is None


numbers = st.one_of(
    st.integers(0, 100),
    st.integers(-3, 10**10),
    st.floats(0, 100).map(lambda v: round(v, 2)),
    st.floats(-1e10, 1e10),
    st.sampled_from([-0.0, 0.5, 1e-7, 29.5, 999_999_999, 1e9]),
)
ordered = st.tuples(*[st.integers(0, 50)] * 2, *[st.integers(1, 50)] * 2).map(
    lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]]
)
sound = st.one_of(st.sampled_from(TRUE), ordered)
any_box = sound | st.lists(numbers, min_size=4, max_size=4)
names = st.sampled_from("RBC|WBC|Platelets|platelet|red blood cell|nodule|lesion|none|x".split("|"))
an_object = st.builds(lambda box, name: {"bbox_2d": box, "label": name}, sound, names)
a_list = st.one_of(
    *(st.lists(kind, min_size=1, max_size=4) for kind in (sound, any_box, an_object)),
    st.lists(an_object.map(lambda one: one | {"label": "RBC"}), max_size=4),
)
layouts: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {"indent": 1}, {"separators": (",", ":")}, {"indent": "\t"}]
)
EDITS = (
    "|[|]|[]|{|}|,|, |:|\"|'|0|1|-|+|.|e5|7.5|007|NaN|null|true| |\n|\x0c|\u00a0|\u0663|"
    '```json|```|none|no |RBC|or|x|[1, 2, 3, 4]|[5, 6]|"label"|<box>|\\u0042|;|(|)|\ud800|'
    + "9"
    * 20
).split("|")


@st.composite
def answers(draw: st.DrawFn) -> str:
    text = json.dumps(draw(a_list), **draw(layouts))
    if draw(st.booleans()):
        text = f"```json\n{text}\n```"
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(EDITS)) + text[at + draw(st.integers(0, 2)) :]
    return text


@settings(max_examples=at_most(600))
@given(answers(), st.sampled_from(TASKS), st.sampled_from(["pixels", "resized", "unit"]))
def test_what_is_read_at_once_earns_the_same(text: str, task: Task, frame: str) -> None:
    quick, slow = both(text, task, frame=frame)
    assert quick == slow
