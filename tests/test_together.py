"""Eight threads or eight processes at once give the scores that one gives; objects pickle."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from operator import mul
from threading import Barrier
from typing import Any

import pytest

import medreward
from medreward import (
    ConfigError,
    Label,
    RewardSettings,
    Score,
    Statement,
    Task,
    Weights,
    shaped_reward,
)
from medreward.audit.battery import audit
from medreward.audit.cases.files import load_cases, shipped_cases
from medreward.audit.exploits import cases_of, registered
from medreward.audit.user_rewards import load_reward
from medreward.kinds.classification import label_reward
from medreward.kinds.reading import read_label
from medreward.kinds.truth import ground_truth
from medreward.priors.prompt import build_prompt
from medreward.scoring.parts.recitation import Reference
from medreward.scoring.scorer import Scorer
from medreward.text.completion import Completion
from medreward_trl.rewards import reward_funcs, shaped
from medreward_verl.scoring import RowScorer, compute_score
from tests.scoring_worker import Row, scored

WORKERS = 8
NAMES = ("pneumoniamnist", "retinamnist", "chestmnist", "mni152_brain_box")
RIGHT = "<think>Dot bleeds.</think><answer>2</answer>"


@cache
def rows() -> list[Row]:
    """Return rows of all kinds of task: task, completion, target; what is hard to read."""
    return [
        (name, attack.text, case.target)
        for name in NAMES
        for case in cases_of(Task.load(name))[:2]
        for exploit in registered(Task.load(name).kind)
        for attack in list(exploit.attacks(case))[:2]
        if len(attack.text) < 2000
    ]


def fresh() -> dict[str, Scorer]:
    """Return scorers that have scored nothing yet, so that what they keep is made in a race."""
    return {name: pickle.loads(pickle.dumps(Scorer(Task.load(name)))) for name in NAMES}


def test_eight_threads_score_as_one() -> None:
    alone = scored(fresh(), rows())
    shared, start = fresh(), Barrier(WORKERS)

    def work(_: int) -> list[Score]:
        start.wait()
        return scored(shared, rows())

    with ThreadPoolExecutor(WORKERS) as pool:
        assert all(found == alone for found in pool.map(work, range(WORKERS)))
    assert len(alone) > 500


def test_eight_processes_score_as_one() -> None:
    alone = scored(fresh(), rows())
    parts = [rows()[i::WORKERS] for i in range(WORKERS)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        together = list(pool.map(scored, [fresh()] * WORKERS, parts))
    assert together == [alone[i::WORKERS] for i in range(WORKERS)]


def test_thresholds_pay_the_same_alone_in_trl_and_in_verl() -> None:
    grades, truths = [*range(5)] * 5, sorted([*range(5)] * 5)
    texts = [f"<think>x</think><answer>{grade}</answer>" for grade in grades]
    settings: dict[str, Any] = {"preset": "screening", "thresholds": [2, 4]}
    alone = shaped_reward(texts, truths, task="icdr", **settings)
    assert alone != shaped_reward(texts, truths, task="icdr")
    assert shaped("icdr", **settings)(completions=texts, target=truths, task=["icdr"] * 25) == alone
    parts, weights = reward_funcs("icdr", **settings)
    columns = [part(completions=texts, target=truths) for part in parts]
    summed = [sum(map(mul, weights, row)) for row in zip(*columns, strict=True)]
    assert summed == pytest.approx(alone)
    found = [
        compute_score("icdr", text, str(truth), **settings)["score"]
        for text, truth in zip(texts, truths, strict=True)
    ]
    assert found == alone


def test_trl_functions_shared_by_threads_score_as_one() -> None:
    """The functions remember the last batch: another thread's must never be taken for one's own."""
    batches: list[dict[str, Any]] = [
        {"completions": [RIGHT, f"<answer>{i % 5}</answer>"], "target": [2, i % 3]}
        for i in range(200)
    ]
    expected = [shaped("retinamnist")(**batch) for batch in batches]
    shared = shaped("retinamnist")
    with ThreadPoolExecutor(WORKERS) as pool:
        assert list(pool.map(lambda batch: shared(**batch), batches)) == expected


def test_verl_rows_shared_by_threads_score_as_one() -> None:
    expected = [
        RowScorer().result(name, text, ground_truth(Task.load(name), target))
        for name, text, target in rows()[::5]
    ]
    shared = RowScorer()
    with ThreadPoolExecutor(WORKERS) as pool:
        found = pool.map(
            lambda row: shared.result(row[0], row[1], ground_truth(Task.load(row[0]), row[2])),
            rows()[::5],
        )
        assert list(found) == expected


TASK = Task(
    "t", labels=(Label("a1", synonyms=("b1",)), Label("c1")), knowledge=(Statement("x", "y"),)
)
OBJECTS: dict[str, Any] = {
    "ConfigError": ConfigError("delta: 5 is not a sign"),
    "Label": TASK.labels[0],
    "RewardSettings": RewardSettings(decay="linear", gates=("accuracy_needs_format",)),
    "Score": medreward.explain(RIGHT, 2, task="retinamnist"),
    "Statement": TASK.knowledge[0],
    "Task": TASK,
    "Weights": Weights(format=0.5),
}
INNER: dict[str, Any] = {
    "Completion": Completion.parse(RIGHT),
    "Verdict": label_reward("a1", 0, TASK),
    "Reading": read_label("a1", TASK),
    "Prompt": build_prompt(TASK),
    "Audit": audit(load_reward("shaped", TASK), TASK, families=registered("ordinal")[:3]),
    "Family": registered("ordinal")[0],
    "Case": cases_of(TASK)[0],
    "CaseFile": load_cases(shipped_cases()[0]),
}


def again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def test_whatever_is_public_pickles() -> None:
    public = {name: getattr(medreward, name) for name in medreward.__all__}
    for value in public.values():
        assert again(value) is value or again(value) == value
    classes = {name for name, value in public.items() if inspect.isclass(value)}
    assert classes == OBJECTS.keys(), "give an object of each public class"


@pytest.mark.parametrize("name", [*OBJECTS, *INNER])
def test_objects_pickle_and_copy(name: str) -> None:
    value = (OBJECTS | INNER)[name]
    for twin in (again(value), copy.deepcopy(value)):
        assert type(twin) is type(value)
        assert str(twin) == str(value)
        assert isinstance(value, Exception) or twin == value


def test_what_scores_pickles_and_scores_alike() -> None:
    batch: dict[str, Any] = {"completions": [RIGHT, "<answer>1</answer>"], "target": [2, 2]}
    for function in (*reward_funcs("retinamnist").funcs, shaped("retinamnist")):
        expected = function(**batch)
        assert again(function)(**batch) == expected
        assert again(function).__name__ == function.__name__
    row = ("retinamnist", RIGHT, "2")
    rowed = RowScorer({"delta": 0})
    expected_row = rowed.result(*row)
    assert again(rowed).result(*row) == expected_row
    assert again(compute_score)(*row) == compute_score(*row)
    for path, task in (("shaped", "retinamnist"), ("tests.peers:first_number", "retinamnist")):
        reward = load_reward(path, task)
        assert again(reward)(RIGHT, 2) == reward(RIGHT, 2)
    lexicon, reference = TASK.lexicon, Reference("Lobar consolidation of the lung.")
    assert again(lexicon).label("b1") == lexicon.label("b1") == 0
    assert again(reference).bleu("Lobar opacity") == reference.bleu("Lobar opacity")
