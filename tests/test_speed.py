"""What the benchmarks compare has equal values, and the quick ways equal the obvious ones."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed import bounds, chart, growth, measure, training
from benchmarks.speed.command import TOPICS
from medreward.kinds.boxes import read as boxes_read
from medreward.text.words import fold, tokenize


@pytest.mark.parametrize("topic", TOPICS)
def test_values_agree_with_the_alternatives(topic: str) -> None:
    rows = list(TOPICS[topic](True))
    assert rows
    assert all(not row.ratios for row in rows), "the short form measures no time"


def test_a_wrong_value_fails() -> None:
    pair = measure.Pair(lambda: [0.5, 0.25], lambda: [0.5, 0.26], measure.equal(1e-12), 2, "x")
    with pytest.raises(AssertionError, match=r"differ by up to 0\.01"):
        measure.compared(("a", "b", "c"), pair, 0)


def test_a_row_shows_median_and_spread() -> None:
    row = measure.Row("a", "b", "c", 0.002, [3.0, 1.0, 2.0], "d", 0.001)
    assert measure.table([row]).splitlines()[-1] == "| a | b | c | 2 | 1 – 3 | 2 ms | d: 1 ms | 2 |"


def test_rates_are_shown_beside_that_of_copying() -> None:
    text = bounds.table([bounds.Rate("copying", 8e9), bounds.Rate("words", 1e8)])
    assert text.splitlines()[-2:] == ["| copying | 8,000 | 1 |", "| words | 100 | 80 |"]
    assert all(rate > 0 for _, rate in bounds.rates(1))


def test_the_exponent_is_that_of_the_upper_half() -> None:
    sizes = [1, 2, 4, 8, 16, 32]
    curve = growth.Curve("x", "", sizes, [1.0, 1.0, 1.0, *(k**2 / 64 for k in sizes[3:])])
    assert curve.exponent == pytest.approx(2.0)
    assert chart.svg([curve]).count("<circle") == len(sizes)


def test_the_share_of_a_training_step_is_that_of_the_median_step() -> None:
    text = training.summary([(0.4, 0.004), (0.5, 0.01), (0.6, 0.03)], 0.01)
    assert "takes 500 ms" in text
    assert "10.00 ms of it: 2.00% (1.00% to 5.00%, 3 steps)" in text
    assert "take 10.0 ms, 2.0% of a step" in text


@pytest.mark.slow
def test_the_reward_is_a_part_of_each_training_step() -> None:
    steps = training.measured(2)
    assert len(steps) == 2
    assert all(0 < reward < step for step, reward in steps)


any_text = st.text(st.sampled_from("aB7 _-.'\x00\x1c\u00e9\n") | st.characters(), max_size=60)


@given(any_text)
def test_tokens_are_those_of_the_regular_expression(text: str) -> None:
    assert tokenize(text) == re.findall(r"[^\W_]+", fold(text))


PIECES = re.compile(boxes_read._PIECES, re.IGNORECASE | re.ASCII)
# Short pieces of answers, so that lists of four numbers come up often, whole and damaged.
pieces = st.sampled_from(
    "[1,2,3,4]|[ 1.5, .5 ,-3 , 4e2]|[1,2,3,4|1,2,3,4]|[1,2,3]|[1 2 3 4]|[1,2,3,4,5]|[1,2,3,nan]|"
    "[|]|{|}|(|)|,| |x|RBC: |1.2.3|[1.,2.,3.,4.]|[01,+2,3,4]|[[|]]|<box>|</box>|[]|(1,2),(3,4)|\n|"
    "7|;|[1,2,3,4x]|[1,2,\n3,4]|[1,2,\u00a03,4]|[\u0661,2,3,4]|[1e999,2,3,4]".split("|")
)


@given(st.lists(pieces, max_size=14).map("".join))
def test_four_numbers_at_once_are_read_as_their_pieces_are(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boxes_read, "_TOKEN", PIECES)
        obvious = boxes_read.scan(text)
    assert repr(boxes_read.scan(text)) == repr(obvious)  # nan is not equal to itself
