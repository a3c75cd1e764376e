"""The same completions under the rules of other suites: where their verdicts differ from ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.choice import LETTERS, ChoiceTarget
from medreward.kinds.short_answer import AnswerTarget, is_closed
from medreward.runs.evaluation_readings import Prediction
from medreward.runs.others_rules import CHOICE, CLOSED, NONE, OPEN
from medreward.scoring.scorer import Scorer
from medreward.task.task import Task
from medreward.task.traits import Trait

_MOST_SHOWN = 5
_BY_LETTER = frozenset(("MedXpertQA",))  # whose rule looks for letters only: labels have none


class SuiteReading(NamedTuple):
    """What a suite makes of one completion: whether it is right, and what it was read as."""

    right: bool
    read: str


class SuiteAgreement(NamedTuple):
    """How a suite's rule and this package's reading agree on the same completions.

    Attributes:
        task: the task's name.
        model: whose completions they are, "" where there is one model only.
        suite: its name.
        of: which of its rules: for options, for yes or no, for open answers.
        rows: how many rows have such a question.
        theirs: the share that is right by the suite.
        ours: the share that is right by this package.
        same: the share on which both say the same.
        only_theirs: how many are right by the suite only.
        only_ours: how many are right by this package only.
        examples: some rows on which they differ.
    """

    task: str
    model: str
    suite: str
    of: str
    rows: int
    theirs: float
    ours: float
    same: float
    only_theirs: int
    only_ours: int
    examples: list[dict[str, Any]]


def suite_agreement(
    bound: Scorer, predictions: Sequence[Prediction], model: str = ""
) -> list[SuiteAgreement]:
    """Return how each suite that has a rule for a task's questions agrees; [] where none has.

    A suite gets the answer as the completion format takes it out of the completion, or all of the
    completion where there is none. The labels of a card count as options.

    Args:
        bound: the task's scorer.
        predictions: its predictions.
        model: whose they are.
    """
    found: dict[tuple[str, str], list[tuple[Prediction, SuiteReading]]] = {}
    for one in predictions:
        for suite, of, reading in _readings(bound.task, one):
            found.setdefault((suite, of), []).append((one, reading))
    return [
        _agreement(bound.task.name, model, suite, of, pairs) for (suite, of), pairs in found.items()
    ]


def _agreement(
    task: str, model: str, suite: str, of: str, pairs: Sequence[tuple[Prediction, SuiteReading]]
) -> SuiteAgreement:
    verdicts = [(one.score.correct, reading.right) for one, reading in pairs]
    count = len(pairs)
    examples = [
        {
            "id": one.id,
            "answer": _text(one)[:200],
            "read": reading.read,
            "right": reading.right,
            "medreward": one.score.prediction,
            "reason": one.score.reasons[0],
        }
        for one, reading in pairs
        if one.score.correct != reading.right
    ]
    return SuiteAgreement(
        task=task,
        model=model,
        suite=suite,
        of=of,
        rows=count,
        theirs=sum(theirs for _, theirs in verdicts) / count,
        ours=sum(ours for ours, _ in verdicts) / count,
        same=sum(ours == theirs for ours, theirs in verdicts) / count,
        only_theirs=sum(theirs and not ours for ours, theirs in verdicts),
        only_ours=sum(ours and not theirs for ours, theirs in verdicts),
        examples=examples[:_MOST_SHOWN],
    )


def _text(one: Prediction) -> str:
    return one.completion if one.answer is None else one.answer


def _readings(task: Task, one: Prediction) -> Iterator[tuple[str, str, SuiteReading]]:
    text, target = _text(one), one.target
    if isinstance(target, ChoiceTarget):
        if not target.several:
            yield from _of_options(text, target.options, min(target.right))
    elif isinstance(target, AnswerTarget):
        row = kind_of(task).row_task(task, target)
        yield from _of_answers(text, target, closed=is_closed(row))
    elif kind_of(task).target_type is TargetType.LABEL and Trait.ORDERED not in task.traits:
        options = [label.name for label in task.labels]
        if len(options) <= len(LETTERS):
            found = _of_options(text, options, target)
            yield from (one for one in found if one[0] not in _BY_LETTER)


def _of_options(
    text: str, options: Sequence[str], right: int
) -> Iterator[tuple[str, str, SuiteReading]]:
    for suite, rule in CHOICE.items():
        read = rule(text, options)
        yield suite, "options", SuiteReading(read == LETTERS[right], read)


def _of_answers(
    text: str, target: AnswerTarget, *, closed: bool
) -> Iterator[tuple[str, str, SuiteReading]]:
    if closed:
        # The rules know English only.
        true = next((form.lower() for form in target.answers if form.lower() in ("yes", "no")), "")
        for suite, rule in CLOSED.items() if true else ():
            read = rule(text)
            yield suite, "yes or no", SuiteReading(read == true, read)
        return
    for suite, same in OPEN.items():
        right = _any(same, text, target.answers)
        yield suite, "open answers", SuiteReading(right, text[:80] if right else NONE)


def _any(same: Callable[[str, str], bool], text: str, accepted: Sequence[str]) -> bool:
    return any(same(text, one) for one in accepted)
