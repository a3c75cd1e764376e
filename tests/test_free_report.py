"""Free-text reports: measured, never read (`medreward.kinds.free_report`)."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from medreward import ConfigError, RewardSettings, Task, explain, shaped_reward
from medreward.scoring.scorer import Scorer
from medreward.text.words import tokenize

CARD = Task("chest", kind="free_report", question="Report this radiograph.")
TRUE = "There is a small left pleural effusion. The heart is of normal size."
RADEVAL = os.environ.get("MEDREWARD_RADEVAL", "")
ROOT = Path(__file__).parent.parent
WORDS = st.lists(
    st.sampled_from(["the", "heart", "is", "no", "effusion", "left", "."]), max_size=12
)


def credit(answer: str, **settings: str) -> float:
    score = explain(f"<think>x</think><answer>{answer}</answer>", TRUE, task=CARD, **settings)
    return score.parts["accuracy"]


@given(WORDS)
def test_bleu_is_nltks(words: list[str]) -> None:
    said = "The " + " ".join(words)
    expected = sentence_bleu(
        [tokenize(TRUE)],
        tokenize(said),
        smoothing_function=SmoothingFunction().method1,
    )
    assert credit(said) == pytest.approx(min(expected, 0.9999), abs=1e-12)


def longest_common(one: list[str], other: list[str]) -> int:
    """Return the length of the longest common subsequence, by the definition."""
    lengths = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for i, known in enumerate(other):
            above = lengths[i + 1]
            lengths[i + 1] = diagonal + 1 if word == known else max(above, lengths[i])
            diagonal = above
    return lengths[-1]


@given(WORDS)
def test_rouge_is_the_longest_common_subsequence(words: list[str]) -> None:
    said = "The " + " ".join(words)
    true, given_words = tokenize(TRUE), tokenize(said)
    expected = 2 * longest_common([*true], [*given_words]) / (len(true) + len(given_words))
    assert credit(said, report_metric="rouge_l") == pytest.approx(min(expected, 0.9999), abs=1e-12)


def test_only_the_reference_is_right() -> None:
    assert credit(TRUE) == credit(TRUE.upper()) == credit(f"  {TRUE}\n") == 1.0
    turned = TRUE.replace("There is", "There is no")
    assert 0.8 < credit(turned, report_metric="rouge_l") < 1.0
    assert explain(f"<answer>{turned}</answer>", TRUE, task=CARD).correct is False
    assert credit(TRUE.replace(".", ","), report_metric="rouge_l") == 0.9999  # the same words


def test_texts_without_words_earn_nothing() -> None:
    for answer in ("", "...", "42", "!" * 30_000, "a " * 15_000):
        assert credit(answer) == 0.0


def test_recitation_is_out_since_it_could_outweigh_the_answer() -> None:
    assert CARD.reward.delta == 0
    with pytest.raises(ConfigError, match="lets a wrong answer outscore a right one"):
        Scorer(CARD, CARD.reward.updated({"delta": -1}))


def test_the_signature_names_the_metric() -> None:
    signature = explain("", TRUE, task=CARD, report_metric="rouge_l").signature
    assert "|report_metric:rouge_l|" in signature
    assert "|judge:rouge_l:f1|" in signature


def test_a_scorer_can_be_pickled() -> None:
    scorer = pickle.loads(pickle.dumps(Scorer(CARD)))
    assert scorer.score(f"<think>x</think><answer>{TRUE}</answer>", TRUE).total == 1.2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "'' is not the text of a report"),
        ("42", "'42' is not the text of a report"),
        (7, "7 is not the text of a report"),
        ({"text": "x"}, "field: 'text' is not one of report"),
        ("word " * 5000, "the report has 24999 characters; at most 20000 are allowed"),
    ],
)
def test_what_is_no_reference(target: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CARD.parse_target(target)


def test_what_a_card_may_not_be() -> None:
    with pytest.raises(ConfigError, match="a free_report has none; for findings that are listed"):
        Task("x", kind="free_report", labels=["a", "b"])
    with pytest.raises(ConfigError, match="a free_report is measured and not read"):
        Task("x", kind="fields", fields={"a": CARD, "b": Task("b", kind="number")})
    for metric in ("blue", "radeval", "radeval:", "radeval:a:b:c", "radeval:a b", 3):
        with pytest.raises(ConfigError, match=r"report_metric: .* is not one of bleu, rouge_l"):
            RewardSettings(report_metric=metric)  # type: ignore[arg-type]


@pytest.mark.skipif(bool(RADEVAL), reason="RadEval may be there")
def test_a_metric_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(
        ConfigError, match=r"needs RadEval: pip install radeval, or take one of bleu"
    ):
        Scorer(CARD, CARD.reward.updated({"report_metric": "radeval:radgraph"}))


def test_a_judge_of_other_kinds_gives_no_number() -> None:
    task = Task("vqa", kind="short_answer")
    text = "<think>x</think><answer>heart attack</answer>"
    with pytest.raises(ConfigError, match=r"0\.3 is no decision; it is True, False or None"):
        shaped_reward(text, ["infarct"], task=task, judge=lambda asked: [0.3] * len(asked))


SCRIPT = """
from medreward import ConfigError, Task, explain, shaped_reward
from radeval import RadEval
card = Task("chest", kind="free_report", reward={"delta": 0})
true = "There is a small left pleural effusion. The heart is of normal size."
said = ["The heart is of normal size.", "No effusion.", true, "Fracture.", ""]
texts = [f"<think>x</think><answer>{one}</answer>" for one in said]
theirs = RadEval(metrics=["rouge"], per_sample=True, show_progress=False)
theirs = theirs(refs=[true] * 2, hyps=said[:2])["rougeL"]
ours = explain(texts, true, task=card, report_metric="radeval:rouge:rougeL")
assert [one.parts["accuracy"] for one in ours[:2]] == theirs, (ours, theirs)
assert [one.parts["accuracy"] for one in ours[2:]] == [1.0, 0.0, 0.0]
assert "|judge:radeval:2" in ours[0].signature
assert "|report_metric:radeval:rouge:rougeL|" in ours[0].signature
for metric, about in (
    ("radeval:rouge", "gives rouge1, rouge2, rougeL; say which, as in radeval:rouge:rouge1"),
    ("radeval:rouge:rougel", "'rougel' is not one of rouge1, rouge2, rougeL"),
    ("radeval:nothing", "Unknown metric 'nothing'"),
):
    try:
        shaped_reward(texts, true, task=card, report_metric=metric)
    except ConfigError as error:
        assert about in str(error), error
    else:
        raise AssertionError(metric)
print("done")
"""


@pytest.mark.skipif(not RADEVAL, reason="MEDREWARD_RADEVAL names no Python with radeval")
def test_radeval_itself() -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    done = subprocess.run(
        [RADEVAL or sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.stdout.endswith("done\n"), done.stderr
