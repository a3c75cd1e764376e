"""Several annotators: which boxes are of one thing, and what a target of theirs earns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medreward.geometry.consensus import consensus
from medreward.geometry.regions import BoxTarget, TrueBox
from medreward.kinds.boxes.match import over_annotators
from medreward.task.settings import ANNOTATORS

A, NEAR_A, MEAN_A = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 8.0), (0.0, 0.0, 10.0, 9.0)
HALF_A, LESS_A = (0.0, 0.0, 10.0, 5.0), (0.0, 0.0, 10.0, 4.9)
B = (40.0, 0.0, 50.0, 10.0)


def boxes(*found: Any) -> tuple[TrueBox, ...]:
    """Boxes of one annotator; a pair is a box with its label."""
    return tuple(TrueBox(*one) if len(one) == 2 else TrueBox(one) for one in found)


@pytest.mark.parametrize(
    ("annotators", "agreed"),
    [
        # More than half of them: all of one, both of two, two of three, three of four.
        ([boxes(A, B)], boxes(A, B)),
        ([boxes(A), boxes(NEAR_A)], boxes(MEAN_A)),
        ([boxes(A), boxes()], boxes()),
        ([boxes(A), boxes(A, B), boxes(B)], boxes(A, B)),
        ([boxes(A, B), boxes(A, B), boxes(A), boxes()], boxes(A)),
        ([boxes(A), boxes(B)], boxes()),
        # Two boxes of one annotator are two things, however much they overlap.
        ([boxes(A, NEAR_A)], boxes(NEAR_A, A)),
        ([boxes(A, A), boxes()], boxes()),
        ([boxes(A, NEAR_A), boxes(A)], boxes(A)),
        ([boxes(A, NEAR_A), boxes(A, NEAR_A)], boxes(NEAR_A, A)),
        # Of the same label only.
        ([boxes((A, 0)), boxes((A, 1))], boxes()),
        ([boxes((A, 1)), boxes((NEAR_A, 1), (B, 0))], boxes((MEAN_A, 1))),
        ([boxes((A, 0), (A, 1)), boxes((A, 0), (A, 1))], boxes((A, 0), (A, 1))),
        # An IoU of one half is enough.
        ([boxes(A), boxes(HALF_A)], boxes((0.0, 0.0, 10.0, 7.5))),
        ([boxes(A), boxes(LESS_A)], boxes()),
    ],
)
def test_consensus(annotators: list[tuple[TrueBox, ...]], agreed: tuple[TrueBox, ...]) -> None:
    assert consensus(tuple(annotators)) == agreed
    assert consensus(tuple(reversed(annotators))) == agreed


drawings = st.lists(
    st.lists(st.sampled_from([A, NEAR_A, HALF_A, B]), max_size=3), min_size=1, max_size=4
)


@given(drawings, st.randoms())
def test_no_order_changes_the_consensus(drawn: list[Any], random: Any) -> None:
    agreed = consensus(tuple(boxes(*found) for found in drawn))
    for found in [drawn, *drawn]:
        random.shuffle(found)
    assert consensus(tuple(boxes(*found) for found in drawn)) == agreed


@example([[A, A], [A, B, B], [NEAR_A, B, B]])  # four agreed boxes, and nobody drew four
@given(drawings)
def test_best_mean_and_consensus_of_any_agreement(drawn: list[Any]) -> None:
    target = BoxTarget(tuple(boxes(*found) for found in drawn))
    values = {how: over_annotators(target, how, len) for how in ANNOTATORS}
    counts = list(map(len, drawn))
    assert values["best"] == max(counts)
    assert values["mean"] == pytest.approx(sum(counts) / len(counts))
    assert values["consensus"] == len(consensus(target.annotators))
    # Each agreed box takes a box of its own of more than half of the annotators.
    assert values["consensus"] * (len(counts) // 2 + 1) <= sum(counts)
    assert len(counts) > 1 or len(set(values.values())) == 1
