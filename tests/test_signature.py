"""Signatures and digests: what shapes a score changes them, and nothing else does.

Every field of the settings, of a task, a label and a statement stands in one of the tables here, so
that whoever adds a field says which side it is on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from medreward import ConfigError, RewardSettings, Task, Weights, __version__, explain
from medreward.audit.exploits import cases_of
from medreward.geometry.frames import FRAMES
from medreward.scoring import scorer as scorer_module
from medreward.scoring.parts.base import used_parts
from medreward.scoring.scorer import COMMON, Score, Scorer
from medreward.task.card import shipped
from medreward.task.labels import Label, Statement
from medreward.task.laterality import Laterality
from medreward.task.registry import kind_names, rules_of
from medreward.task.review import Opinion, SignedText
from medreward.task.settings import (
    ANNOTATORS,
    ANSWER_QUALITIES,
    BOX_QUALITIES,
    DECAYS,
    GATES,
    MASK_QUALITIES,
    NUMBER_QUALITIES,
    REPORT_METRICS,
    SET_QUALITIES,
)
from tests import at_most
from tests.samples import sample_task
from tests.toys import answer_line

KINDS = kind_names()

RIGHT = "<think>Dot bleeds.</think><answer>2</answer>"
SETTINGS = [known.name for known in fields(RewardSettings)]
# A task of each kind; the plainest one where it needs no labels.
CARDS = {
    "classification": "busi",
    "ordinal": "icdr",
    "multilabel": "chestmnist",
    "localisation": "grounding_where",
}
TASKS = {
    kind: Task.load(CARDS[kind]) if kind in CARDS else sample_task(kind, kind, delta=0)
    for kind in KINDS
}


@pytest.fixture(autouse=True, scope="module")
def second_format() -> Iterator[None]:
    """A second completion format, so that the setting has two values."""
    with answer_line():
        yield


def test_golden_signatures() -> None:
    """As sacreBLEU's: whatever shapes a score stands in one line, and changes it."""
    plain = explain(RIGHT, 2, task="retinamnist", knowledge="").signature
    digest = Task.load("retinamnist").digest
    assert plain == (
        f"medreward:{__version__}|task:retinamnist:{digest}|kind:ordinal|bleu:4,method1|accuracy:1|"
        "format:0.2|recitation:0.05|delta:-1|gates:none|decay:geometric|under_grading:1|"
        "over_grading:1|knowledge:none"
    )
    changed = explain(
        RIGHT,
        2,
        task="retinamnist",
        knowledge="Red dots.",
        weights={"accuracy": 2, "format": 0, "recitation": 1e-3},
        delta="+",
        decay=[1, 0.5],
        under_grading=0.5,
        gates=["recitation_needs_accuracy", "accuracy_needs_format"],
    ).signature
    assert changed == (
        f"medreward:{__version__}|task:retinamnist:{digest}|kind:ordinal|bleu:4,method1|accuracy:2|"
        "format:0|recitation:0.001|delta:+1|gates:accuracy_needs_format,recitation_needs_accuracy|"
        "decay:1,0.5|under_grading:0.5|over_grading:1|knowledge:c775cd11"
    )
    chest = explain(RIGHT, 0, task="pneumoniamnist", knowledge="").signature
    assert "decay" not in chest
    assert Scorer(Task.load("retinamnist")).signature("") == plain


PARTS = [part.name for part in used_parts(Weights())]
# Two values of each setting that are as near to each other as they can be.
NEAR_VALUES: dict[str, Sequence[Any]] = {
    "weights": [Weights(), *(Weights(**{part: Weights()[part] + 1e-15}) for part in PARTS)],
    "delta": [-1, 0, 1],
    "decay": [*DECAYS, (1.0, 0.25), (1.0, 0.25 + 1e-15), (1.0,)],
    "under_grading": [1.0, 1.0 - 1e-15],
    "over_grading": [1.0, 1.0 - 1e-15],
    "thresholds": [(), (1,), (2,), (1, 2)],
    "threshold_factor": [0.5, 0.5 + 1e-15],
    "beta": [1.0, 1.0 + 1e-15],
    "gates": [(), ("accuracy_needs_format",), ("recitation_needs_accuracy",), tuple(GATES)],
    "frame": [*FRAMES],
    "box_quality": [*BOX_QUALITIES],
    "box_threshold": [0.5, 0.5 + 1e-15],
    "annotators": [*ANNOTATORS],
    "mask_quality": [*MASK_QUALITIES],
    "set_quality": [*SET_QUALITIES],
    "answer_quality": [*ANSWER_QUALITIES],
    "answer_floor": [0.5, 0.5 + 1e-15],
    "number_quality": [*NUMBER_QUALITIES],
    "number_reach": [0.5, 0.5 + 1e-15],
    "field_balance": [0.5, 0.5 + 1e-15],
    "absent_weight": [0.5, 0.5 + 1e-15],
    "completion_format": ["think_answer", "answer_line"],
    "recitation_measure": ["bleu", "precision", "containment"],
    "report_metric": [*REPORT_METRICS],
    "task_scale": [
        "none",
        "standardise:0.5",
        "standardise:0.5000000000000001",
        "percentile:0.25/0.5/0.75",
        "percentile:0.25/0.5/0.7500000000000001",
    ],
}


def listed(kind: str) -> tuple[str, ...]:
    """Return the reward settings that a kind says shape its scores."""
    return (*COMMON, *rules_of(kind).settings)


def bound(task: Task, **values: Any) -> Scorer:
    """Return a scorer under settings that the check of dominance may refuse."""
    made = Scorer(task, replace(RewardSettings(), delta=0))
    if "recitation_needs_accuracy" in values.get("gates", ()):
        values.setdefault("delta", 1)
    made.settings = replace(RewardSettings(), **values)
    return made


def scores_under(one: Scorer) -> list[Score]:
    """Score right, wrong and near answers, with and without tags, told in words of the knowledge.

    The cases are those of the default settings: the texts and targets are the same for any scorer.
    """
    cases = cases_of(replace(one.task, reward=RewardSettings(delta=0, frame="per-mille")))
    found = []
    for case in [*cases[:2], *cases[-1:]]:
        think = f"{case.knowledge[:80]} {case.think}"
        texts = [case.say(answer, think) for answer in (case.right, *case.wrong, *case.near)]
        found += [one.score(text, case.target) for text in (*texts, case.right)]
        found.append(one.score(f"<answer>{case.right}</answer>", case.target))
        if case.task.kind == "segmentation":  # half of the mask
            half = [[178.6, 535.7, 312.5, 535.7, 312.5, 758.9, 178.6, 758.9]]
            found.append(one.score(case.say(str(half)), case.target))
        if case.boxes:  # two annotators, of which one is half off
            target = {"size": [224, 224], "seen": [448, 448], "annotators": OF_TWO}
            found += [one.score(text, target) for text in texts]
            found.append(one.score(case.say("[[40, 120, 100, 170]]"), target))
            found.append(one.score(case.say("[[70, 145]]"), target))
    return found


OF_TWO = [[[40, 120, 100, 170]], [[70, 120, 130, 170], [2, 2, 20, 20]]]


def test_every_kind_and_every_setting_has_its_place_here() -> None:
    assert NEAR_VALUES.keys() == {*SETTINGS}
    assert TASKS.keys() == {*kind_names()}
    assert all(task.kind == kind for kind, task in TASKS.items())
    for kind in KINDS:
        assert len({*listed(kind)}) == len(listed(kind))
        assert {*listed(kind)} <= {*SETTINGS}


@pytest.mark.parametrize("name", SETTINGS)
def test_two_values_of_a_setting_share_a_signature_only_where_it_shapes_nothing(name: str) -> None:
    assert any(name in listed(kind) for kind in KINDS)
    for task in (*map(Task.load, shipped()), *TASKS.values()):
        found = {bound(task, **{name: value}).signature() for value in NEAR_VALUES[name]}
        assert len(found) == (len(NEAR_VALUES[name]) if name in listed(task.kind) else 1)


def any_settings() -> st.SearchStrategy[dict[str, Any]]:
    """Draw reward settings, whether or not they go together."""
    share = st.floats(0, 1)
    known: dict[str, st.SearchStrategy[Any]] = {
        name: st.sampled_from(values) for name, values in NEAR_VALUES.items()
    }
    known["weights"] = st.builds(Weights, st.floats(1e-6, 1e6), share, share)
    known["decay"] |= st.lists(st.floats(0, 0.99), max_size=4).map(
        lambda table: (1.0, *sorted(table, reverse=True))
    )
    known |= {"under_grading": share, "over_grading": share, "beta": st.floats(0.1, 10)}
    known["gates"] = st.sampled_from([(), ("accuracy_needs_format",)])
    return st.fixed_dictionaries(known)


@examples(max_examples=at_most(300))
@given(st.sampled_from(KINDS), any_settings(), any_settings())
def test_signatures_are_the_same_exactly_where_the_listed_settings_are(
    kind: str, one: Mapping[str, Any], other: Mapping[str, Any]
) -> None:
    scorers = [bound(TASKS[kind], **values) for values in (one, other)]
    values = [[getattr(s.settings, name) for name in listed(kind)] for s in scorers]
    assert (scorers[0].signature() == scorers[1].signature()) == (values[0] == values[1])


def recites(task: Task) -> bool:
    """Whether recitation is for the task's kind."""
    try:
        Scorer(task, RewardSettings(weights=Weights(recitation=1e-5)))
    except ConfigError:
        return False
    return True


def test_a_zero_has_no_sign() -> None:
    texts = {bound(TASKS["ordinal"], under_grading=zero).signature() for zero in (0, 0.0, -0.0)}
    assert len(texts) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_setting_changes_scores_exactly_where_its_kind_lists_it(kind: str) -> None:
    """Recitation is not for places, where the sign of it shapes nothing."""
    far_apart = {**NEAR_VALUES, "weights": [Weights(), Weights(format=0.4)]}
    far_apart |= {"under_grading": [1.0, 0.5], "over_grading": [1.0, 0.5], "beta": [1.0, 2.0]}
    far_apart |= {"answer_floor": [0.1, 1.0], "number_reach": [0.1, 9.0], "field_balance": [0, 1]}
    far_apart |= {"threshold_factor": [0.1, 0.9]}
    far_apart |= {"absent_weight": [0.1, 1.0], "box_threshold": [0.05, 0.95]}
    # Settings that shape something under another one only.
    under: dict[str, dict[str, Any]] = {
        "answer_floor": {"answer_quality": "f1"},
        "box_threshold": {"box_quality": "above"},
        "threshold_factor": {"thresholds": (2,)},
        "number_reach": {"number_quality": "linear"},
    }
    task = TASKS[kind]
    for name in SETTINGS:
        base: dict[str, Any] = {"delta": 0}
        if name in ("gates", "recitation_measure"):
            base = {}
        if not recites(task):
            base["weights"] = Weights(recitation=0.0)
        base |= under.get(name, {})
        frame = {"frame": "per-mille"} if name != "frame" else {}
        found = {
            tuple(
                (score.total, score.reasons, score.prediction)
                for score in scores_under(bound(task, **{**base, **frame, name: value}))
            )
            for value in far_apart[name]
        }
        of_recitation = name in ("delta", "recitation_measure")
        shapes = name in listed(kind) and (not of_recitation or recites(task))
        assert (len(found) > 1) == shapes, name


def test_the_documentation_lists_the_settings_of_every_kind() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "rewards.md").read_text(
        encoding="utf-8"
    )
    rows = {"every kind": COMMON} | {f"`{kind}`": rules_of(kind).settings for kind in KINDS}
    for name, settings in rows.items():
        assert f"| {name} | {', '.join(f'`{one}`' for one in settings) or 'none'} |" in page


def test_the_documentation_has_every_setting_and_its_default() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "rewards.md").read_text(
        encoding="utf-8"
    )
    page = page.partition("\n## Settings\n")[2].partition("\n## ")[0]
    for one in fields(RewardSettings):
        (row,) = re.findall(rf"^\| (?:`\w+`, )?`{one.name}`(?:, `\w+`)? \| (.*?) \|", page, re.M)
        if isinstance(one.default, str | int | float):
            value = one.default if isinstance(one.default, str) else f"{one.default:g}"
            assert row.strip("`") == value, one.name


@pytest.mark.parametrize("part", PARTS)
def test_each_weight_stands_in_the_signature(part: str) -> None:
    plain, other = (
        bound(TASKS["classification"], weights=Weights(**weights)).signature()
        for weights in ({}, {part: 0.123})
    )
    assert plain != other
    assert f"|{part}:0.123|" in other


def test_the_version_stands_in_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = bound(TASKS["ordinal"]).signature()
    monkeypatch.setattr(scorer_module, "__version__", "99.0")
    other = bound(TASKS["ordinal"]).signature()
    assert other == plain.replace(f"medreward:{__version__}", "medreward:99.0", 1) != plain


def test_knowledge_may_hold_half_characters() -> None:
    one, other = (explain(RIGHT, 2, task="retinamnist", knowledge=c) for c in "\ud800\ud801")
    assert one.signature != other.signature


def demo(**changes: Any) -> Task:
    """Return a small task; `label` and `statement` change its first label and statements."""
    said = replace(Statement("A is round.", "book"), **changes.pop("statement", {}))
    first = replace(Label("alpha", attributes=(said,)), **changes.pop("label", {}))
    plain = {
        "labels": [first, Label("blastoma")],
        "knowledge": (replace(said, text=f"{said.text} Look twice."),),
        "references": {"book": "A book"},
    }
    return Task(**{"name": "demo", **plain, **changes})


TWO = {"one": Task("one", labels=["a", "b"]), "two": Task("two", labels=["c", "d"])}
FIELDS: dict[str, Any] = {"kind": "fields", "labels": [], "knowledge": (), "fields": TWO}
# For each field that shapes a score: changes of it, and an answer whose score they change.
SHAPING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "Task.kind": ({}, {"kind": "ordinal"}, "1"),
    "Task.labels": ({}, {"labels": ["alpha", "gamma"]}, "blastoma"),
    "Task.first_grade": ({"kind": "ordinal"}, {"first_grade": 1}, "2"),
    "Task.no_finding": ({"kind": "multilabel"}, {"no_finding": ("clear",)}, "clear"),
    "Task.max_typos": ({}, {"max_typos": 0}, "blastona"),
    "Task.languages": ({}, {"languages": ("de",)}, "nicht blastoma, sondern alpha"),
    "Task.modifiers": ({}, {"modifiers": ("spiky",)}, "spiky alpha"),
    "Task.fields": (
        FIELDS,
        {"fields": {**TWO, "one": Task("one", labels=["a", "e"])}},
        "one: e\ntwo: c",
    ),
    "Task.field_weights": (FIELDS, {"field_weights": {"one": 3}}, "one: a\ntwo: d"),
    "Label.name": ({}, {"label": {"name": "gamma"}}, "alpha"),
    "Label.synonyms": ({}, {"label": {"synonyms": ("round",)}}, "round"),
    "Label.absence": ({}, {"label": {"absence": True}}, "no blastoma, alpha"),
    "Label.cost": ({"kind": "multilabel"}, {"label": {"cost": 2.0}}, "alpha"),
}
# Those of which the signature has an item of its own.
NAMED: dict[str, dict[str, Any]] = {
    "Task.name": {"name": "other"},
    "Task.reward": {"reward": RewardSettings(delta=0)},
    "Task.knowledge": {"knowledge": ()},
    "Label.attributes": {"label": {"attributes": ()}},
    "Statement.text": {"statement": {"text": "A is square."}},
}
SIGNED = Opinion("agree", "A. Reader", "radiologist", "2026-01-02")
# Those of prompts, of the card and of images: above all a clinician's signature.
SILENT: dict[str, dict[str, Any]] = {
    "Task.question": {"question": "Which?"},
    "Task.references": {"references": {"book": "A book, second edition"}},
    "Task.modality": {"modality": "MRI"},
    "Task.data": {"data": {"licence": "MIT"}},
    "Task.laterality": {"laterality": Laterality(swap=(("left", "right"),))},
    "Statement.source": {"statement": {"source": "other"}, "references": {"other": "Another"}},
    "Task.specialty": {"specialty": "haematology"},
    "Task.urls": {"urls": {"book": "https://example.org"}},
    "Label.display": {"label": {"display": "alpha"}},
    "Task.unopened": {"unopened": ("book",)},
    "Task.reviews": {"reviews": (SignedText("A is round.", "alpha", "A book", (SIGNED,)),)},
}


def test_every_field_is_said_to_shape_a_score_or_not() -> None:
    """A new field fails here until it stands in one of the tables above."""
    known = {f"{kind.__name__}.{f.name}" for kind in (Task, Label, Statement) for f in fields(kind)}
    said = [*SHAPING, *NAMED, *SILENT, "Statement.findings"]
    assert sorted(said) == sorted(known)


@pytest.mark.parametrize("name", SHAPING)
def test_the_digest_changes_with_a_field_that_shapes_a_score(name: str) -> None:
    base, changes, answer = SHAPING[name]
    plain, other = demo(**base), demo(**{**base, **changes})
    assert plain.digest != other.digest
    text = f"<think>hm</think><answer>{answer}</answer>"
    seen = [
        [one.score(text, target).parts["accuracy"] for target in targets(one.task)]
        + [one.score(text, targets(one.task)[0]).prediction]
        for one in (Scorer(plain, RewardSettings(delta=0)), Scorer(other, RewardSettings(delta=0)))
    ]
    assert seen[0] != seen[1]


def targets(task: Task) -> list[Any]:
    """Return each label as a target, and both."""
    if task.fields:
        return [{"one": "a", "two": "c"}]
    both = [[0, 1]] if task.kind == "multilabel" else []
    return [label.name for label in task.labels] + both


def test_the_digest_changes_with_the_findings_of_an_attribute() -> None:
    """They shape a score where the part `findings` has a weight."""
    plain, other = demo(statement={"findings": ("round",)}), demo(statement={"findings": ("is",)})
    assert len({demo().digest, plain.digest, other.digest}) == 3
    settings = RewardSettings(weights=Weights(findings=0.1))
    text = "<think>It is big.</think><answer>alpha</answer>"
    found = [Scorer(one, settings).score(text, "alpha").parts["findings"] for one in (plain, other)]
    assert found == [0.0, 1.0]


@pytest.mark.parametrize("name", NAMED)
def test_what_the_signature_names_changes_it_and_not_the_digest(name: str) -> None:
    plain, other = demo(), demo(**NAMED[name])
    assert plain.digest == other.digest
    assert Scorer(plain).signature() != Scorer(other).signature()


@pytest.mark.parametrize("name", SILENT)
def test_neither_changes_with_what_shapes_no_score(name: str) -> None:
    """Scores before and after a clinician signed a statement stay comparable."""
    plain, other = demo(), demo(**SILENT[name])
    assert plain != other
    assert plain.digest == other.digest
    assert Scorer(plain).signature() == Scorer(other).signature()


@pytest.mark.parametrize("name", shipped())
def test_signing_every_statement_of_a_card_changes_no_score(name: str) -> None:
    task = Task.load(name)

    other = task.with_reviews(one.joined([SIGNED]) for one in task.reviewed_statements)
    assert all(one.state == "reviewed" for one in other.reviewed_statements)
    assert Scorer(task).signature() == Scorer(other).signature()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"labels": ["a", "b"]}, {"labels": [Label("a"), Label("b")]}),
        ({"labels": ["a", "b"]}, {"labels": (Label("a", synonyms=()), Label("b", cost=1))}),
        ({"labels": [Label("a", cost=2), "b"]}, {"labels": [Label("a", cost=2.0), "b"]}),
        ({"no_finding": [*Task("x", labels="a b".split()).no_finding]}, {}),
        ({"max_typos": 1, "first_grade": 0, "kind": "classification"}, {}),
    ],
)
def test_the_digest_does_not_depend_on_how_a_value_is_written(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    plain = {"name": "demo", "labels": ["a", "b"]}
    assert Task(**plain | one).digest == Task(**plain | other).digest


def test_the_digest_of_a_plain_task_is_fixed() -> None:
    """A new field at its default must not change it, or old scores could not be compared."""
    assert Task("demo", labels=["a", "b"]).digest == "1a25dfb7"
