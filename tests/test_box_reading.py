"""Boxes as models write them: what is read, what counts as wrong, what is refused, and how fast."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import Label, Task, explain
from medreward.geometry.regions import MAX_BOXES, MIN_SIDE
from medreward.kinds.boxes.read import MAX_LENGTH, BoxAnswer, Group, read_boxes, scan
from medreward.kinds.reading import MAX_ANSWER_LENGTH
from tests.growth import Work, assert_linear, repeated

PLACE = Task("place", kind="localisation")
SMEAR = Task.load("bccd")
GRADED = Task("graded", kind="localisation", labels=(Label("grade 2"), Label("grade 3")))
NODULE = Task("nodule", kind="localisation", labels=(Label("nodule"),))
ONE = (10.0, 20.0, 30.0, 40.0)
TWO = (50.0, 60.0, 70.0, 80.0)

FORMS = [
    "[10, 20, 30, 40]",
    "[[10, 20, 30, 40]]",
    "[[[10, 20, 30, 40]]]",
    "[10.0, 2e1, 30., 40]",
    "[+10 20 30 40]",
    '["10", "20", "30", "40"]',
    "['10', '20', '30', '40']",
    '[{"bbox_2d": [10, 20, 30, 40], "label": "lesion"}]',
    "{'bbox': [10, 20, 30, 40]}",
    '{"box": [10, 20, 30, 40], "score": 0.93, "id": 7}',
    '{"boxes": [[10, 20, 30, 40]]}',
    '{"result": {"objects": [{"coordinates": [10, 20, 30, 40]}]}}',
    "<box>10, 20, 30, 40</box>",
    "<box>[10, 20, 30, 40]</box>",
    "<box>[[10, 20, 30, 40]]</box>",
    "<bbox>10 20 30 40</bbox>",
    "<BOX>(10,20),(30,40)</BOX>",
    "<|box_start|>(10,20),(30,40)<|box_end|>",
    "<|object_ref_start|>the lesion<|object_ref_end|><|box_start|>(10,20),(30,40)<|box_end|>",
    "(10,20),(30,40)",
    "( 10 , 20 ) , ( 30 , 40 )",
    "[x1=10, y1=20, x2=30, y2=40]",
    "(xmin: 10, ymin: 20, xmax: 30, ymax: 40)",
    "(x: 10, y: 20), (x: 30, y: 40)",
    "[[10, 20], [30, 40]]",
    "(10, 20, 30, 40)",
    "```json\n[[10, 20, 30, 40]]\n```",
    "```\n[{'bbox_2d': [10, 20, 30, 40]}]\n```",
    "The lesion is at [10, 20, 30, 40].",
    '{"bbox_2d": [10,\n20,\n30,\n40]}',
    '[{"bbox_2d": [10, 20, 30, 40], "label": "lesion"',
    "[10, 20, 30, 40] (4 by 5 mm)",
    '[10, 20, 30, 40], {"id": 7',
]


@pytest.mark.parametrize("text", FORMS)
def test_one_box_in_every_form(text: str) -> None:
    assert read_boxes(text, PLACE)[:3] == ([ONE], [None], 1)


@pytest.mark.parametrize(
    "text",
    [
        "[[10, 20, 30, 40], [50, 60, 70, 80]]",
        "[10, 20, 30, 40], [50, 60, 70, 80]",
        "[10, 20, 30, 40] and [50, 60, 70, 80]",
        "(10,20),(30,40) (50,60),(70,80)",
        "<box>(10,20),(30,40)</box><box>(50,60),(70,80)</box>",
        '[{"bbox_2d": [10, 20, 30, 40]}, {"bbox_2d": [50, 60, 70, 80]}]',
        '{"bbox_2d": [[10, 20, 30, 40], [50, 60, 70, 80]]}',
    ],
)
def test_every_box_counts(text: str) -> None:
    assert read_boxes(text, PLACE)[:4] == ([ONE, TWO], [None, None], 2, (*ONE[:2], *TWO[2:]))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "WBC"}]', [1]),
        ('[{"label": "white blood cell", "bbox_2d": [1, 2, 3, 4]}]', [1]),
        ("{'label': 'leukocytes', 'box': [1, 2, 3, 4], 'score': 0.97, 'id': 0}", [1]),
        ('{"WBC": [[1, 2, 3, 4]], "RBC": [[1, 2, 3, 4], [5, 6, 7, 8]]}', [1, 0, 0]),
        ('{"WBC": [1, 2, 3, 4]}', [1]),
        ('{"label": "RBC", "boxes": [[1, 2, 3, 4], [5, 6, 7, 8]]}', [0, 0]),
        ('{"boxes": [[1, 2, 3, 4], [5, 6, 7, 8]], "label": "RBC"}', [0, 0]),
        ("<ref>WBC</ref><box>(1,2),(3,4)</box><box>(5,6),(7,8)</box>", [1, 1]),
        (
            (
                "<|object_ref_start|>RBC<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>\n"
                "<|object_ref_start|>platelet<|object_ref_end|><|box_start|>(5,6),(7,8)<|box_end|>"
            ),
            [0, 2],
        ),
        ("WBC: [1, 2, 3, 4]; RBC: [[5, 6, 7, 8], [5, 6, 7, 9]]", [1, 0, 0]),
        ("- WBC at [1, 2, 3, 4]\n- RBC at [5, 6, 7, 8]", [1, 0]),
        ("[1, 2, 3, 4] (WBC), [5, 6, 7, 8] (RBC)", [1, 0]),
        ('["WBC", [1, 2, 3, 4]]', [1]),
        ("RBC is absent, WBC: [1, 2, 3, 4]. No platelets.", [1]),
        ("no RBC, WBC at [1, 2, 3, 4]", [1]),
        ("platelets: none; WBC: [1, 2, 3, 4]", [1]),
        ("WBC: [1, 2, 3, 4]\nRBC: none\nplatelets: none", [1]),
        ('[1, 2, 3, 4] RBC, {"box": [5, 6, 7, 8], "label": "WBC"}', [0, 1]),
        ('{"WBC": [[1, 2, 3, 4]], "RBC": [[]], "Platelets": [ ]}', [1]),
        ('{"RBC": "none", "Platelets": null, "WBC": [1, 2, 3, 4]}', [1]),
        ("{'WBC': [[1, 2, 3, 4]], 'RBC': [], 'Platelets': None}", [1]),
        ('{"RBC": [[1, 2, 3, 4]], "WBC": [], "Platelets": [[5, 6, 7, 8]]}', [0, 2]),
        ('{"boxes": [[1, 2, 3, 4], [5, 6, 7, 8]], "RBC": []}', [None, None]),
        ('{"box": [1, 2, 3, 4], "WBC": []}', [None]),
        ("WBC".ljust(MAX_ANSWER_LENGTH) + "[1, 2, 3, 4]", [1]),
        ("WBC".ljust(MAX_ANSWER_LENGTH + 1) + "[1, 2, 3, 4]", [None]),
        ("[[1, 2, 3, 4]]", [None]),
        ('{"label": "nucleus", "box": [1, 2, 3, 4]}', [None]),
        ('{"label": ["RBC", "WBC", "Platelets"], "box": [1, 2, 3, 4]}', [None]),
        ('{"label": "not RBC", "box": [1, 2, 3, 4]}', [None]),
    ],
)
def test_labels(text: str, labels: list[int | None]) -> None:
    found = read_boxes(text, SMEAR)
    assert (found.labels, found.total) == (labels, len(labels))
    assert found.problems == ({"box_label_unknown"} if None in labels else set())


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [("1, 2", "box_malformed"), ("9, 9, 1, 1", "box_inverted"), ("0, 0, 1e10, 1", "box_malformed")],
)
def test_a_box_that_cannot_be_right_leaves_its_neighbour_the_label(
    numbers: str, problem: str
) -> None:
    found = read_boxes(f"WBC: [{numbers}], [1, 2, 3, 4]", SMEAR)
    assert found[:3] == ([(1.0, 2.0, 3.0, 4.0)], [1], 2)
    assert found.problems == {problem}


def test_numbers_in_labels() -> None:
    found = read_boxes('[{"label": "grade 3", "box": [1, 2, 3, 4]}]', GRADED)
    assert (found.boxes, found.labels) == ([(1.0, 2.0, 3.0, 4.0)], [1])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[5]", "box_malformed"),
        ("[1, 2]", "box_malformed"),
        ("[1, 2, 3]", "box_malformed"),
        ("[1, 2, 3, 4, 5]", "box_malformed"),
        ("[1, 2, 3, 4, 0.97]", "box_malformed"),
        ("[y1=1, x1=2, y2=3, x2=4]", "box_malformed"),
        ("[10px, 20px, 30px, 40px]", "box_malformed"),
        ("[NaN, 1, 2, 3]", "box_malformed"),
        ("[0, 0, Infinity, 3]", "box_malformed"),
        ("[0, 0, -inf, 3]", "box_malformed"),
        ("[0, 0, 1e999, 3]", "box_malformed"),
        ("[0, 0, " + "9" * 900 + ", 3]", "box_malformed"),
        ("[0, 0, true, 3]", "box_malformed"),
        ("[1, 2, 3, 4)", "box_malformed"),
        ("[1, 2, 3, 4", "box_malformed"),
        ("[1, 2, 3, 4, [1, 2", "box_malformed"),
        ("[['WBC', 1, 2, 3, 4]]", "box_malformed"),
        ("(1, 2)", "box_malformed"),
        ("[30, 40, 10, 20]", "box_inverted"),
        ("[10, 20, 10, 40]", "box_inverted"),
        ("[[10, 20], [30, 20]]", "box_inverted"),
        ("[0, 0, 1e-9, 1]", "box_inverted"),
        (f"[0, 0, {MIN_SIDE}, 1]", "box_inverted"),
        (f"[0, 0, 1, {MIN_SIDE}]", "box_inverted"),
        ("[1000000001, 2, 1000000003, 4]", "box_malformed"),
        ("[1, 2 and 3, 4]", "box_malformed"),
        ("(1, 2, 3)", "box_malformed"),
    ],
)
def test_what_cannot_be_a_box_is_counted(text: str, problem: str) -> None:
    found = read_boxes(f"[10, 20, 30, 40] and {text}", PLACE)
    assert found[:2] == ([ONE], [None])
    assert found.total > 1
    assert found.problems == {problem}


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "[[]]", "[ ]", "```json\n[]\n```", '{"boxes": []}', "<box></box>"),
        *("none", "None.", "null", '{"bbox_2d": null}', "No lesion.", "no lesions", "nothing"),
        *("There is nothing to find.", "No finding", "There are no abnormalities", "not visible"),
    ],
)
def test_nothing_there(text: str) -> None:
    assert read_boxes(text, PLACE) == BoxAnswer()
    assert read_boxes(text, SMEAR) == BoxAnswer()


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("nodule: none", NODULE),
        ("grade 2: none; grade 3: none", GRADED),
        ("RBC: none, WBC: none, platelets: none", SMEAR),
        ("RBC: none\nWBC: none\nplatelets: none", SMEAR),
        ("platelets: none, nothing there", SMEAR),
        ('{"RBC": [], "WBC": [], "platelets": "none"}', SMEAR),
        ("platelets: none; []", SMEAR),
        ("none " * 400, SMEAR),
    ],
)
def test_nothing_of_each_label_is_nothing(text: str, task: Task) -> None:
    assert read_boxes(text, task) == BoxAnswer()


@pytest.mark.parametrize(
    ("text", "task", "count"),
    [
        ("grade 2: none; grade 3: [1, 2, 3, 4]", GRADED, 1),
        ("RBC: none; platelets: none; WBC: [1, 2, 3, 4]", SMEAR, 1),
        ('{"WBC": [[1, 2, 3, 4]], "RBC": "none"}', SMEAR, 1),
        ('{"WBC": [[1, 2, 3, 4], [5, 6, 7, 8]], "RBC": []}', SMEAR, 2),
        ("[1, 2, 3, 4] and [5, 6 none", PLACE, 2),
    ],
)
def test_nothing_of_one_label_leaves_the_boxes_of_others(text: str, task: Task, count: int) -> None:
    assert read_boxes(text, task).total == count


@pytest.mark.parametrize("nothing", ["none", "no finding"])
def test_nothing_behind_the_end_of_a_line_is_of_all(nothing: str) -> None:
    """Within a line, "RBC: none" says so of the red cells only."""
    assert read_boxes(f"WBC: [1, 2, 3, 4], RBC: {nothing}", SMEAR).labels == [1]
    assert read_boxes(f"[1, 2, 3, 4] RBC\n{nothing}", SMEAR).reason == "boxes_and_none"
    assert read_boxes(f"[1, 2, 3, 4] RBC}} {nothing}", SMEAR).labels == [None]


@pytest.mark.parametrize(
    ("text", "task", "reason"),
    [
        ("[" * 900, PLACE, "boxes_unreadable"),
        ("platelets: none", SMEAR, "boxes_unreadable"),
        ("RBC: none, platelets: none", SMEAR, "boxes_unreadable"),
        ("RBC: none, RBC: none, RBC: none", SMEAR, "boxes_unreadable"),
        ("grade 2: none", GRADED, "boxes_unreadable"),
        ("()", PLACE, "boxes_unreadable"),
        ("nodule: none [1, 2, 3, 4]", NODULE, "boxes_and_none"),
        ("none[1, 2, 3, 4]", PLACE, "boxes_and_none"),
        ("[1, 2, 3, 4]none", PLACE, "boxes_and_none"),
        ("[1, 2, 3, 4] none", PLACE, "boxes_and_none"),
        ("No lesion. [1, 2, 3, 4]", PLACE, "boxes_and_none"),
        ("[[], [1, 2, 3, 4]]", PLACE, "boxes_and_none"),
        ("nothing there; WBC: [1, 2, 3, 4]", SMEAR, "boxes_and_none"),
        (str([[1, 2, 3, 4]] * (MAX_BOXES + 1)), PLACE, "too_many_boxes"),
        ("", PLACE, "empty_answer"),
        (None, PLACE, "no_answer"),
        ("[1, 2, 3, 4]" + " " * MAX_LENGTH, PLACE, "answer_too_long"),
    ],
)
def test_what_is_refused(text: str | None, task: Task, reason: str) -> None:
    assert read_boxes(text, task) == BoxAnswer(reason=reason)


@pytest.mark.parametrize(
    ("text", "task", "unread"),
    [
        ("I found 1 lesion (see below): [10, 20, 30, 40]", PLACE, "1"),
        ("there's one [10, 20, 30, 40], that's all", PLACE, "one"),
        ("[10, 20, 30, 40] (1)", PLACE, "1"),
        ("[10, 20, 30, 40], {7", PLACE, "7"),
        ("[0.97, 1, 1, [10, 20, 30, 40]]", PLACE, "0.97"),
        ("the whole image", PLACE, "whole"),
        ("0", PLACE, "0"),
        ("10, 20, 30, 40", PLACE, "10"),
        ('{"x1": 1, "y1": 2, "x2": 3, "y2": 4}', PLACE, "x1"),
        ('{"x": 1, "y": 2, "width": 3, "height": 4}', PLACE, "x"),
        ("x1=1, y1=2, x2=3, y2=4", PLACE, "x1"),
        ("[x, y, x, y]", PLACE, "x"),
        ("\u0661\u0662 [\u0663, \u0664, \u0665, \u0666]", PLACE, "\u0661\u0662"),
        ("nothing apart from one WBC", SMEAR, "apart"),
        ("{'label': 'WBC', 'box': [1, 2, 3, 4], 'difficult': false}", SMEAR, "difficult"),
        ("WBC: [1, 2, 3, 4] beside an RBC", SMEAR, "beside"),
        ('{"box": [1, 2, 3, 4], "label": "WBC", "note": ""}', SMEAR, "note"),
        ('{"box": [1, 2, 3, 4], "label": "WBC", "text": "WBC or large"}', SMEAR, "text"),
    ],
)
def test_what_is_not_understood_is_named(text: str, task: Task, unread: str) -> None:
    assert read_boxes(text, task) == BoxAnswer(reason="answer_not_understood", unread=unread)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("[10, 20, 30, 40], possibly [50, 60, 70, 80]", PLACE),
        ("nothing?", PLACE),
        ("WBC, not RBC: [1, 2, 3, 4]", SMEAR),
        ("not RBC but WBC: [1, 2, 3, 4]", SMEAR),
        ('{"WBC": 0, "box": [1, 2, 3, 4]}', SMEAR),
        ('{"box": [1, 2, 3, 4], "label": "WBC?"}', SMEAR),
        ('{"label": "RBC or WBC", "box": [1, 2, 3, 4]}', SMEAR),
        ("no WBC at [1, 2, 3, 4]", SMEAR),
        ("RBC or WBC at [1, 2, 3, 4]", SMEAR),
        ("WBC: [1, 2, 3, 4], RBC: or nothing", SMEAR),
    ],
)
def test_what_is_left_open_is_not_read(text: str, task: Task) -> None:
    assert read_boxes(text, task) == BoxAnswer(reason="boxes_open")


FOUR = (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("text", "groups", "braces"),
    [
        ("WBC [1, 2, 3, 4]", [Group(4, 16, FOUR)], []),
        ("[1, 2, 3, 4] RBC [5, 6 none", [Group(0, 12, FOUR), Group(17, 27, ())], []),
        ("{[1, 2, 3, 4]} {}", [Group(1, 13, FOUR, 0)], [(0, 14), (15, 17)]),
        ("{[1, 2, 3]}", [Group(1, 10, (1.0, 2.0, 3.0), 0)], [(0, 11)]),
        ("{(1, 2)}", [Group(1, 7, (1.0, 2.0), 0)], [(0, 8)]),
        ("{} {'a': {[1, 2", [Group(10, 15, (), 2)], [(0, 2), (3, 15), (9, 15)]),
        ("[5, 6, 7, [1, 2, 3, 4]]", [Group(10, 22, FOUR)], []),
        ("[5, 6, 7, 8, [1, 2, 3, 4]]", [Group(13, 25, FOUR), Group(0, 26, ())], []),
        ("[[1, 2, 3, 4], 5, 6, 7, 8, 9]", [Group(1, 13, FOUR), Group(0, 29, ())], []),
        ("(about 5 by 6) (7)", [], []),
    ],
)
def test_where_groups_and_braces_are(
    text: str, groups: list[Group], braces: list[tuple[int, int]]
) -> None:
    found = scan(text)
    assert (list(found.groups), list(found.braces)) == (groups, braces)


@pytest.mark.parametrize(
    ("text", "is_outside", "is_inside"),
    [
        *(("[]", True, False), ("{[]}", False, True), ("[] {[]}", True, True)),
        *(("{[]} []", True, True), ("[5] ()", False, False), ("[x] <box></box>", True, False)),
    ],
)
def test_an_empty_list_is_noted_once_and_for_all(
    text: str, is_outside: bool, is_inside: bool
) -> None:
    found = scan(text)
    assert (found.has_empty, found.has_empty_in_brace) == (is_outside, is_inside)


number = st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 3))
some_box = st.lists(number, min_size=4, max_size=4)


@given(st.lists(some_box, min_size=1, max_size=5), st.sampled_from([None, 2]))
def test_any_json_list_is_read_as_json_reads_it(found: list[list[float]], indent: int) -> None:
    read = read_boxes(json.dumps(found, indent=indent), PLACE)
    assert read.total == len(found)
    assert read.boxes == [tuple(v) for v in found if v[0] < v[2] and v[1] < v[3]]


@given(st.text(max_size=80) | st.text(alphabet="[](){}<>|/\"',.0129-+eNabox \n", max_size=80))
def test_any_text_is_read(text: str) -> None:
    for task in (PLACE, SMEAR):
        found = read_boxes(text, task)
        assert not (found.total and found.reason)


UNITS = [
    *("[", "]", "[[", "[1,", "[1,2,3,4],", "(1,2),", "<box>", "<", "<|box_start|>", "1", "1e", "."),
    *(
        "{",
        "{}",
        '{"label": "RBC", "box": [1,2,3,4]},',
        "RBC ",
        "none ",
        "'",
        '"',
        "-",
        "```",
        "nan",
    ),
    *("\u0301", "<ref>", "{[1,2,3,4]", "no RBC: ", '"": [],'),
]


@pytest.mark.parametrize("unit", UNITS)
def test_the_scanner_takes_linear_time(unit: str) -> None:
    """Alone, and ten times the length that is read."""

    def work(length: int) -> Work:
        text = repeated(unit, length)
        return lambda: scan(text)

    assert_linear(work, 10 * MAX_LENGTH)


@pytest.mark.parametrize("unit", UNITS)
def test_the_longest_answer_is_read_in_linear_time(unit: str) -> None:
    def work(length: int) -> Work:
        text = repeated(unit, length)
        return lambda: (read_boxes(text, SMEAR), read_boxes(text, PLACE))

    assert_linear(work, MAX_LENGTH)


@pytest.mark.parametrize("unit", ["[", "[1,2,3,4],", "<box>"])
def test_a_long_completion_is_refused_in_linear_time(unit: str) -> None:
    def work(length: int) -> Work:
        text = f"<think>x</think><answer>{repeated(unit, length)}</answer>"
        assert explain(text, [0, 0, 9, 9], task="mni152_brain_box").reasons == ("answer_too_long",)
        return lambda: explain(text, [0, 0, 9, 9], task="mni152_brain_box")

    assert_linear(work, 4 << 20)
