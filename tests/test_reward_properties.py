"""What holds of the shaped reward for every kind of task and under all settings.

With the same reasoning and the same tags, an answer that cannot be read earns no more than an
honest wrong one; and no wrong answer outscores a right, well-formed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import lru_cache
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject
from hypothesis import settings as examples
from hypothesis import strategies as st

from medreward import ConfigError, RewardSettings, Task, Weights
from medreward.audit.exploits import AttackCase, cases_of
from medreward.geometry.frames import FRAMES
from medreward.kinds.base import TargetType
from medreward.scoring.scorer import Score, Scorer
from medreward.task.card import shipped
from medreward.task.labels import Label, Statement
from medreward.task.registry import kind_names, rules_of
from medreward.task.settings import (
    ANNOTATORS,
    ANSWER_QUALITIES,
    BOX_QUALITIES,
    DECAYS,
    GATES,
    MASK_QUALITIES,
    NUMBER_QUALITIES,
    RECITATION_MEASURES,
    REPORT_METRICS,
    SET_QUALITIES,
)
from medreward.task.traits import Trait
from tests import at_most
from tests.samples import SAMPLES

SHARE = st.floats(0, 1)
# One strategy for each reward setting; a setting without one fails the first test.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "weights": st.builds(
        Weights,
        accuracy=st.floats(1e-3, 1e3),
        format=st.one_of(st.just(0.0), SHARE, st.floats(0, 1e3)),
        recitation=st.one_of(st.just(0.0), SHARE, st.floats(0, 1e3)),
    ),
    "delta": st.sampled_from([-1, 0, 1]),
    "decay": st.one_of(
        st.sampled_from([*DECAYS, (1.0,), (1.0, 0.9, 0.9)]),
        st.lists(st.floats(0, 0.99), max_size=4).map(lambda x: (1.0, *sorted(x, reverse=True))),
    ),
    "under_grading": SHARE,
    "over_grading": SHARE,
    "beta": st.floats(0.1, 10),
    "gates": st.sets(st.sampled_from([*GATES])).map(lambda gates: tuple(sorted(gates))),
    "frame": st.sampled_from([*FRAMES]),
    "box_quality": st.sampled_from([*BOX_QUALITIES]),
    "annotators": st.sampled_from([*ANNOTATORS]),
    "mask_quality": st.sampled_from([*MASK_QUALITIES]),
    "set_quality": st.sampled_from([*SET_QUALITIES]),
    "answer_quality": st.sampled_from([*ANSWER_QUALITIES]),
    "answer_floor": SHARE,
    "number_quality": st.sampled_from([*NUMBER_QUALITIES]),
    "number_reach": st.floats(0.01, 10),
    "box_threshold": st.floats(0.01, 0.99),
    "report_metric": st.sampled_from([*REPORT_METRICS]),
    "recitation_measure": st.sampled_from([*RECITATION_MEASURES]),
    "field_balance": SHARE,
    "absent_weight": st.floats(0.001, 1),
    "thresholds": st.sampled_from([(), (2,)]),
    "threshold_factor": SHARE,
    "task_scale": st.sampled_from(
        ["none", "standardise:0.001", "percentile:0/0.1/0.3", "percentile:0.5/1/1"]
    ),
}
STATED = (
    Statement("Streaks at the rim suggest the second of them.", "book"),
    Statement("Ground glass is common to all.", "book"),
)
BOOK: dict[str, Any] = {"knowledge": STATED, "references": {"book": "A book"}}


def small(kind: str) -> Task:
    """Return a task of a kind with two labels, or without where the kind has none."""
    plain: dict[str, Any] = {"name": kind, "kind": kind, "reward": {"delta": 0}, **BOOK}
    if rules_of(kind).target_type in (TargetType.QUESTION, TargetType.FIELDS):
        return replace(SAMPLES[kind], **plain)
    with suppress(ConfigError):
        return Task(**plain, labels=["cyst", "tumour"])
    return Task(**plain)


# Small ones of every kind, beside the shipped cards.
SMALL = {kind: small(kind) for kind in kind_names()}
SMALL["costs"] = Task(
    "costs",
    kind="multilabel",
    labels=[Label("cyst", cost=0.01), Label("tumour", cost=100.0), "edema"],
    reward={"delta": 0},
    **BOOK,
)
SMALL["place"] = Task("place", kind="localisation", reward={"delta": 0}, **BOOK)
NAMES = (*SMALL, *shipped())
# Where a completion has its reasoning and its answer; the first is the right format.
FRAMES_OF_TAGS = (
    "<think>{think}</think><answer>{answer}</answer>",
    "{think}<answer>{answer}</answer>",
    "<answer>{answer}</answer>{think}",
    "<think>hm</think>{think}<answer>{answer}</answer>",
    "<think>{think}</think> so <answer>{answer}</answer>",
    "<think>{think}<answer>{answer}</answer>",
    "<THINK>{think}</THINK>\n<Answer> {answer} </Answer>\n",
)
# Answers that leave open, deny or withhold what is asked for.
HEDGES = ("{right} or {wrong}", "{wrong} or {right}", "either {right} or {wrong}")
DENIALS = ("not {right}", "{right} is ruled out", "neither {right} nor {wrong}")
WITHHELD = ("", " ", "?", "{right}?", "I cannot tell", "see above", "[", "-", "\u200b", "or")


def load(name: str) -> Task:
    return SMALL[name] if name in SMALL else Task.load(name)


@lru_cache(maxsize=1024)
def cases(name: str, frame: str, box_quality: str) -> tuple[AttackCase, ...]:
    """Return a task's targets and honest answers in the frame and form that the settings ask."""
    task = load(name)
    settings = replace(task.reward, frame=frame, box_quality=box_quality)
    return tuple(cases_of(replace(task, reward=settings)))


def cases_under(name: str, bound: Scorer) -> tuple[AttackCase, ...]:
    return cases(name, bound.settings.frame, bound.settings.box_quality)


def scorer_of(name: str, values: dict[str, Any]) -> Scorer | None:
    """Return the task's scorer under settings that go together, or None where they do not."""
    task = load(name)
    values = dict(values)
    if values["delta"] != 1:
        values["gates"] = tuple(g for g in values["gates"] if g != "recitation_needs_accuracy")
    for weights in (values["weights"], values["weights"].updated({"recitation": 0.0})):
        with suppress(ConfigError):
            return Scorer(task, RewardSettings(**values | {"weights": weights}))
    return None


@st.composite
def bound_scorers(draw: st.DrawFn) -> tuple[Scorer, AttackCase]:
    """Any task, any settings that validation admits and any of the task's cases."""
    name = draw(st.sampled_from(NAMES))
    bound = scorer_of(name, draw(st.fixed_dictionaries(VALUES)))
    if bound is None:
        reject()
    return bound, draw(st.sampled_from(cases_under(name, bound)))


def thinkings(task: Task) -> st.SearchStrategy[str]:
    """Reasoning from nothing to do with the knowledge up to all of it."""
    words = task.knowledge_text().split() or ["zzz"]
    part = st.tuples(st.integers(0, len(words)), st.integers(1, len(words))).map(
        lambda cut: " ".join(words[cut[0] : cut[0] + cut[1]]) or "zzz"
    )
    return st.one_of(st.just("zzz"), st.just(" ".join(words)), st.just(""), part)


def says_by_denying(case: AttackCase) -> bool:
    """Whether denials say something: of all labels of a set, or of a finding and its absence."""
    task = case.task
    is_pair = len(task.labels) == 2
    return is_pair and (task.kind == "multilabel" or len(task.absences) == 1)


def dodges(case: AttackCase) -> Iterator[str]:
    """Yield answers that hedge, deny or withhold, in the words of the case."""
    # "not A, B" denies A and asserts B: an answer.
    denials = DENIALS if len(case.names) < 2 and not says_by_denying(case) else ()
    for pattern in (*HEDGES, *denials, *WITHHELD):
        for wrong in case.wrong:
            yield pattern.format(right=case.right, wrong=wrong)


def scores_told(
    bound: Scorer, case: AttackCase, frame: str, think: str, answers: Iterable[str]
) -> list[Score]:
    """Score answers behind the same reasoning in the same tags."""
    texts = [frame.format(think=think, answer=answer) for answer in answers]
    knowledge = [case.knowledge] * len(texts)
    return bound.score_group(texts, [case.target] * len(texts), knowledge)


def assert_no_gain(unread: Sequence[Score], honest: Sequence[Score]) -> None:
    """Answers that cannot be read earn no more than any honest wrong one told the same way."""
    assert not any(score.correct for score in honest)
    least = min(score.total for score in honest)
    for score in unread:
        if score.prediction is None:
            assert score.parts["accuracy"] == 0.0
            assert score.total <= least


def assert_dominates(bound: Scorer, rights: Sequence[Score], losing: Sequence[Score]) -> None:
    """Right, well-formed answers earn more, by what float32 still tells apart."""
    least = 2**-24 * sum(bound.settings.weights.values())
    assert all(right.correct for right in rights)
    assert not any(score.correct for score in losing)
    assert min(s.total for s in rights) - max(s.total for s in losing) > least


def test_every_setting_is_drawn() -> None:
    # The tags of these properties are those of one format.
    drawn = {known.name for known in fields(RewardSettings)} - {"completion_format"}
    assert VALUES.keys() == drawn
    assert {load(name).kind for name in NAMES} == {*kind_names()}


@examples(max_examples=at_most(500), suppress_health_check=[HealthCheck.filter_too_much])
@given(bound_scorers(), st.data())
def test_an_answer_that_cannot_be_read_earns_no_more_than_an_honest_wrong_one(
    drawn: tuple[Scorer, AttackCase], data: st.DataObject
) -> None:
    bound, case = drawn
    think = data.draw(thinkings(bound.task))
    frame = data.draw(st.sampled_from(FRAMES_OF_TAGS))
    answer = data.draw(st.one_of(st.sampled_from([*dodges(case)]), st.text()))
    honest = scores_told(bound, case, frame, think, (*case.wrong, *case.near))
    assert_no_gain(scores_told(bound, case, frame, think, [answer]), honest)


@examples(max_examples=at_most(500), suppress_health_check=[HealthCheck.filter_too_much])
@given(bound_scorers(), st.data())
def test_no_wrong_answer_outscores_a_right_well_formed_one(
    drawn: tuple[Scorer, AttackCase], data: st.DataObject
) -> None:
    bound, case = drawn
    thinking = thinkings(bound.task)
    rights = scores_told(
        bound, case, FRAMES_OF_TAGS[0], data.draw(thinking.filter(bool)), [case.right]
    )
    wrong = [*case.wrong, *case.near]
    answer = data.draw(st.one_of(st.sampled_from(wrong), st.sampled_from([*dodges(case)])))
    frame = data.draw(st.sampled_from(FRAMES_OF_TAGS))
    losing = scores_told(bound, case, frame, data.draw(thinking), [answer])
    assert_dominates(bound, rights, losing)


def discrete(kind: str) -> Iterator[dict[str, Any]]:
    """Yield every combination of the settings of a kind that have names, with every δ and gate."""
    named = {
        "frame": FRAMES,
        "box_quality": BOX_QUALITIES,
        "annotators": ANNOTATORS,
        "mask_quality": MASK_QUALITIES,
        "set_quality": SET_QUALITIES,
        "decay": DECAYS,
        "answer_quality": ANSWER_QUALITIES,
        "number_quality": NUMBER_QUALITIES,
    }
    own: dict[str, list[Any]] = {
        name: [*named[name]] for name in rules_of(kind).settings if name in named
    }
    own["delta"] = [-1, 0, 1]
    own["gates"] = [gates for n in range(3) for gates in combinations(GATES, n)]
    for chosen in product(*own.values()):
        plain = {**vars(RewardSettings()), "weights": Weights(recitation=1e-5)}
        yield plain | dict(zip(own, chosen, strict=True))


LONG = ("place", "localisation", "multi_image_localisation", "pointing")


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow) if one in LONG else one for one in SMALL],
)
def test_both_hold_for_every_named_setting_of_every_kind(name: str) -> None:
    """Exhaustively, for small tasks: each dodge behind each reasoning in each frame of tags."""
    knowledge = load(name).knowledge_text()
    seen = set()
    for values in discrete(load(name).kind):
        bound = scorer_of(name, values)
        assert bound is not None
        recites = bound.settings.weights.recitation > 0
        if bound.settings in seen or (bound.settings.delta and not recites):
            continue
        seen.add(bound.settings)
        for case in cases_under(name, bound):
            rights = [
                score
                for think in ("zz", knowledge)
                for score in scores_told(bound, case, FRAMES_OF_TAGS[0], think, [case.right])
            ]
            answers = [*dict.fromkeys(dodges(case))]
            for frame, think in product(FRAMES_OF_TAGS, ("zz", knowledge) if recites else ("zz",)):
                honest = scores_told(bound, case, frame, think, (*case.wrong, *case.near))
                dodged = scores_told(bound, case, frame, think, answers)
                assert_no_gain(dodged, honest)
                assert_dominates(bound, rights, [*honest, *dodged])


@pytest.mark.parametrize("name", NAMES)
def test_what_hedges_denies_or_withholds_is_not_read(name: str) -> None:
    task = load(name)
    bound = Scorer(task, replace(task.reward, delta=0))
    for case in cases_under(name, bound):
        for answer in dodges(case):
            score = bound.score(case.say(answer), case.target)
            # There a doubt is an answer ("uncertain"), or nothing is read at all.
            if {Trait.SIGNED, Trait.MEASURED} & case.traits:
                assert not score.correct, answer
            else:
                assert score.prediction is None, answer
