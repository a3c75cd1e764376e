"""Ordinal grades: how they are read, and what MFRS pays for them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medreward import ConfigError, Label, RewardSettings, Task, explain, shaped_reward
from medreward.kinds.ordinal import (
    best_partial_credit,
    decay_table,
    grade_credit,
    mfrs_reward,
    read_grade,
)
from medreward.task.settings import DECAYS
from tests.reading_tables import TASKS, make

RETINA = TASKS["retina"]
BIRADS = make("birads", "1", "2", "3", "4", "5", "6", kind="ordinal", first_grade=1)
NAMED = make("effusion", Label("none", absence=True), "small", "large", kind="ordinal")


def read(answer: str, task: Task) -> str | None:
    index = read_grade(answer, task).label
    return None if index is None else task.labels[index].name


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty_answer"),
        ("retinopathy", "grade_unknown"),
        ("0 to 4", "grade_unknown"),
        ("2 or 3", "several_grades"),
        ("mild to moderate", "several_grades"),
        ("not 2", "grade_denied"),
        ("at least 2", "grade_open"),
        ("2?", "grade_open"),
        ("22", "grade_out_of_scale"),
        ("-2", "grade_unknown"),
        ("2.5", "grade_out_of_scale"),
        ("5", "grade_out_of_scale"),
        ("2, of 100", "answer_not_understood"),
        ("\u00b2", "grade_out_of_scale"),
        ("2 lesions", "answer_not_understood"),
        ("2 mm", "answer_not_understood"),
        ("2 + 2", "answer_not_understood"),
        ("m\u043ederate", "grade_unknown"),
        ("2 " * 600, "answer_too_long"),
    ],
)
def test_a_refused_grade_says_why(answer: str, reason: str) -> None:
    assert read_grade(answer, RETINA)[:2] == (None, reason)


@pytest.mark.parametrize(
    ("answer", "grade"),
    [("BI-RADS 4", "4"), ("4", "4"), ("0", None), ("7", None), ("4 (1 to 6)", "4"), ("6.0", "6")],
)
def test_a_scale_may_begin_elsewhere(answer: str, grade: str | None) -> None:
    assert read(answer, BIRADS) == grade


@pytest.mark.parametrize(
    "answer",
    [
        *("Grade - 2", "The grade - 2", "Option B - 2"),
        *("Rather than 1, 2", "grade-2", "Grade - 2 (moderate)"),
    ],
)
def test_dashes_and_contrasts_do_not_hide_a_grade(answer: str) -> None:
    assert read(answer, RETINA) == "2"


@pytest.mark.parametrize(("target", "index"), [(4, 3), ("4", 3), (1, 0), (6, 5)])
def test_a_target_is_the_number_of_a_grade(target: object, index: int) -> None:
    assert BIRADS.target_index(target) == index
    assert mfrs_reward(str(target), index, BIRADS, RewardSettings()).value == 1.0


@pytest.mark.parametrize("target", [0, "0", 7])
def test_a_target_off_the_scale_is_refused(target: object) -> None:
    with pytest.raises(ConfigError, match="allowed: the grades 1 to 6"):
        BIRADS.target_index(target)


def test_only_grades_are_counted_from_the_first_grade() -> None:
    assert make("demo", "a", "b", first_grade=1).target_index(1) == 1


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("none", "none"),
        ("0", "none"),
        ("small", "small"),
        ("Grade 2", "large"),
        ("large, 2", "large"),
        ("large, 1", None),
        ("not large", None),
        ("small or none", None),
        ("no large, none", "none"),
    ],
)
def test_named_grades_are_read_by_number_too(answer: str, grade: str | None) -> None:
    assert read(answer, NAMED) == grade


@given(st.integers(), st.sampled_from(["{}", "Grade {}", "**{}**", "The grade is {}.", "({})"]))
def test_a_number_is_read_exactly_if_it_is_on_the_scale(number: int, frame: str) -> None:
    grade = read_grade(frame.format(number), RETINA).label
    assert grade == (number if 0 <= number <= 4 else None)


@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from([" or ", "-", " to ", "/", ", ", " "]))
def test_two_grades_are_none(one: int, other: int, between: str) -> None:
    grade = read_grade(f"{one}{between}{other}", RETINA).label
    assert grade is None or one == other == grade


@given(st.text(alphabet="0123456789.,-+/ grade%<>or\u00bd\u0662", max_size=12))
def test_any_answer_is_a_grade_or_none(answer: str) -> None:
    grade, reason, _ = read_grade(answer, RETINA)
    assert grade in (None, 0, 1, 2, 3, 4)
    assert (grade is None) == bool(reason)


GOLDEN = {
    "geometric": [1.0, 0.25, 0.0625, 0.015625, 0.00390625],
    "reported": [1.0, 0.25, 0.1, 0.0, 0.0],
    "linear": [1.0, 0.75, 0.5, 0.25, 0.0],
    "quadratic": [1.0, 0.9375, 0.75, 0.4375, 0.0],
    "exact": [1.0, 0.0, 0.0, 0.0, 0.0],
}


@pytest.mark.parametrize("decay", DECAYS)
def test_golden_credits_on_five_grades(decay: str) -> None:
    settings = RewardSettings(decay=decay)
    paid = [mfrs_reward(str(grade), 0, RETINA, settings).value for grade in range(5)]
    assert paid == GOLDEN[decay]


@pytest.mark.parametrize("grades", [2, 3, 5, 8])
def test_quadratic_credit_is_the_weight_of_quadratic_kappa(grades: int) -> None:
    """cohen_kappa_score(weights="quadratic") is 1 - sum(w * observed) / sum(w * expected)."""
    from sklearn.metrics import cohen_kappa_score

    table = decay_table("quadratic", grades)
    scale = range(grades)
    for one, other in product(scale, scale):
        truth, said = [*scale, one], [*scale, other]
        pairs = list(zip(truth, said, strict=True))
        observed = sum(1 - table[abs(t - s)] for t, s in pairs) / len(pairs)
        expected = sum(1 - table[abs(t - s)] for t, s in product(truth, said)) / len(pairs) ** 2
        kappa = cohen_kappa_score(truth, said, weights="quadratic")
        assert 1 - observed / expected == pytest.approx(kappa, abs=1e-12)


def test_a_table_counts_as_zero_beyond_its_end() -> None:
    assert decay_table((1.0, 0.5), 4) == (1.0, 0.5, 0.0, 0.0)
    assert decay_table((1.0, 0.5, 0.4, 0.3, 0.2), 3) == (1.0, 0.5, 0.4)


@pytest.mark.parametrize(
    ("answer", "target", "value"),
    [("2", 2, 1.0), ("1", 2, 0.375), ("3", 2, 0.75), ("0", 3, 0.125), ("3", 1, 0.5), ("4", 0, 0.0)],
)
def test_under_grading_may_cost_more(answer: str, target: int, value: float) -> None:
    settings = RewardSettings(decay="linear", under_grading=0.5)
    assert mfrs_reward(answer, target, RETINA, settings).value == value


@pytest.mark.parametrize(
    ("answer", "target", "value"),
    [
        ("2", 2, 1.0),
        ("1", 2, 0.375),  # not referred
        ("2", 1, 0.375),  # referred in vain
        ("3", 2, 0.75),  # referred either way
        ("3", 4, 0.375),  # not treated
        ("1", 4, 0.0625),  # neither referred nor treated
        ("0", 1, 0.75),
    ],
)
def test_a_grade_beyond_a_threshold_earns_less(answer: str, target: int, value: float) -> None:
    settings = RewardSettings(decay="linear", thresholds=(2, 4))
    assert mfrs_reward(answer, target, RETINA, settings).value == value


@given(
    st.sampled_from(["geometric", "linear", "quadratic"]), st.floats(0, 0.99), st.integers(3, 9),
    st.data(),
)  # fmt: skip
def test_the_wrong_side_of_a_threshold_earns_less_than_the_right_one_at_the_same_distance(
    decay: str, factor: float, grades: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, 2))
    task = make("scale", *"abcdefghi"[:grades], kind="ordinal", first_grade=first)
    threshold = data.draw(st.integers(1, grades - 1))
    settings = RewardSettings(decay=decay, thresholds=(first + threshold,), threshold_factor=factor)
    for target in range(grades):
        paid = [grade_credit(grade, target, task, settings) for grade in range(grades)]
        assert [i for i, value in enumerate(paid) if value == 1.0] == [target]
        assert all(0 <= value <= 1 for value in paid)
        for far in range(1, grades):
            right: list[float] = []
            wrong: list[float] = []
            for grade in (target - far, target + far):
                if 0 <= grade < grades:
                    same_side = (grade >= threshold) == (target >= threshold)
                    (right if same_side else wrong).append(paid[grade])
            for one, other in product(right, wrong):
                assert other < one or one == 0.0
            # And than the same grade would earn without a threshold.
            plain = decay_table(decay, grades)[far]
            assert all(value < plain or plain == 0.0 for value in wrong)
            assert all(value == plain for value in right)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"thresholds": [5]}, "thresholds: 5 parts no grades of 'icdr'; .* here 1 to 4"),
        ({"thresholds": [0]}, r"thresholds\[0\]: 0 is not a whole number from 1 on"),
        ({"thresholds": [4, 2]}, r"thresholds: \[4, 2\] do not rise"),
        ({"thresholds": [2, 2]}, r"thresholds: \[2, 2\] do not rise"),
        ({"thresholds": [2.5]}, r"thresholds\[0\]: 2.5 is not a whole number"),
        ({"thresholds": 2}, "thresholds: 2 is not a list of grades"),
        ({"thresholds": "2"}, "thresholds: '2' is not a list of grades"),
        ({"threshold_factor": 1.5}, "threshold_factor: 1.5"),
        ({"preset": "screning"}, "preset: 'screning' is not one of screening"),
        ({"preset": ["screening"]}, "preset: .* is not one of screening"),
    ],
)
def test_thresholds_and_presets_that_do_not_fit_are_named(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        shaped_reward("", 2, task="icdr", **settings)
    with pytest.raises(ConfigError, match=message.replace("'icdr'", "'dr'")):
        Task("dr", kind="ordinal", labels=[*"01234"], reward=settings)


def test_a_threshold_is_held_against_the_numbers_of_its_scale() -> None:
    """BI-RADS density is 1 to 4 here: from 1 on is no threshold, and from 4 on is one."""
    assert shaped_reward("", 2, task="birads_density", thresholds=[2, 4]) == 0.0
    with pytest.raises(ConfigError, match=r"thresholds: 1 parts no grades .* here 2 to 4"):
        shaped_reward("", 2, task="birads_density", thresholds=[1])


def test_the_preset_is_its_settings_and_what_stands_beside_it_counts_more() -> None:
    signed = [explain("", 2, task="icdr", **given).signature for given in SCREENING]
    assert len({*signed[:3]}) == 1
    assert "under_grading:0.5" in signed[0]
    assert "under_grading:0.25" in signed[3]


SCREENING: list[dict[str, Any]] = [
    {"preset": "screening"},
    {"under_grading": 0.5},
    {"preset": "screening", "thresholds": []},
    {"under_grading": 0.25, "preset": "screening"},
]


decays = st.one_of(
    st.sampled_from(list(DECAYS)),
    st.lists(st.floats(0, 0.999), max_size=6).map(lambda x: (1.0, *sorted(x, reverse=True))),
)


@given(decays, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(2, 9), st.data())
def test_credit_falls_with_the_distance(
    decay: str, under: float, over: float, factor: float, grades: int, data: st.DataObject
) -> None:
    task = make("scale", *"abcdefghi"[:grades], kind="ordinal")
    thresholds = sorted(data.draw(st.sets(st.integers(1, grades - 1))))
    settings = RewardSettings(
        decay=decay,
        under_grading=under,
        over_grading=over,
        thresholds=tuple(thresholds),
        threshold_factor=factor,
    )
    target = data.draw(st.integers(0, grades - 1))
    paid = [mfrs_reward(str(g), target, task, settings).value for g in range(grades)]
    assert paid[target] == 1.0
    assert paid[: target + 1] == sorted(paid[: target + 1])
    assert paid[target:] == sorted(paid[target:], reverse=True)
    wrong = [p for g, p in enumerate(paid) if g != target]
    assert min(wrong) >= 0.0
    assert max(wrong) <= best_partial_credit(task, settings) < 1.0
