"""What answers earn that never look at the image, against the formulas; where the audit says it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medreward import Task, explain
from medreward.audit import audit, load_reward
from medreward.audit.baselines import HIGH, MOST_TARGETS, Baseline
from medreward.audit.battery import Audit, baselines_of
from medreward.audit.battery_report import as_html, as_json, as_markdown, as_text
from medreward.audit.exploits import registered
from medreward.commands.cli import main

ICDR = Task.load("icdr")
CHEST = Task.load("pneumoniamnist")
PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "audit.md").read_text(
    encoding="utf-8"
)


def baselines(
    task: Task, targets: Sequence[object] | None = None, **settings: Any
) -> tuple[Baseline, ...]:
    """What an audit says of them, without the attacks."""
    task = replace(task, reward=task.reward.updated(settings))
    return baselines_of(load_reward("shaped", task), task, targets)


def audited(task: Task, targets: Sequence[object] | None = None, **settings: Any) -> Audit:
    task = replace(task, reward=task.reward.updated(settings))
    return audit(load_reward("shaped", task), task, targets=targets)


@pytest.mark.parametrize(
    ("decay", "constant", "chance"),
    [
        ("exact", 0.2, 0.2),
        ("geometric", 0.325, 0.2980),
        ("linear", 0.7, 0.6),
        ("quadratic", 0.875, 0.75),
    ],
)
def test_constant_grades_earn_what_the_formula_says(
    decay: str, constant: float, chance: float
) -> None:
    """The table of docs/reference/rewards.md, with the format's 0.2 on top."""
    best, random = baselines(ICDR, decay=decay)
    assert best.earned == pytest.approx(constant + 0.2)
    assert best.share == pytest.approx((constant + 0.2) / 1.2)
    assert random.earned == pytest.approx(chance + 0.2, abs=3e-4)
    assert random.answer == ""


def test_frequent_answers_count_as_often_as_they_are_right() -> None:
    rows = ["normal"] * 9 + ["pneumonia"]
    best, majority, frequent, uniform = baselines(CHEST, rows)
    assert best.answer == majority.answer == "normal"
    assert best.earned == majority.earned == pytest.approx(0.9 + 0.2)
    assert "9 of 10" in majority.policy
    assert frequent.earned == pytest.approx(0.9 * 0.9 + 0.1 * 0.1 + 0.2)
    assert uniform.earned == pytest.approx(0.5 + 0.2)


def test_many_targets_are_spread_evenly() -> None:
    majority = baselines(CHEST, ["normal"] * 900 + ["pneumonia"] * 100)[1]
    assert f"{MOST_TARGETS * 9 // 10} of {MOST_TARGETS}" in majority.policy


def test_a_list_of_nearly_all_labels_is_tried() -> None:
    task = Task.load("chestmnist")
    names = [label.name for label in task.labels]
    targets = [[name] for name in names]
    best = baselines(task, targets, beta=10.0, weights={"recitation": 0.0})[-1]
    assert best.answer.count(",") == len(names) - 2
    text = f"<think>x</think><answer>{best.answer}</answer>"
    settings: dict[str, Any] = {"beta": 10.0, "weights": {"recitation": 0.0}}
    earned = [explain(text, target, task=task, **settings).total for target in targets]
    assert best.earned == pytest.approx(sum(earned) / len(earned))
    assert best.is_high


def test_places_have_constant_answers() -> None:
    task = Task("place", kind="localisation", reward={"delta": 0})
    far = [[10, 10, 40, 40]], [[60, 60, 90, 90]]
    best = baselines(task, [*far, far[0]])[0]
    assert best.answer == "[[10, 10, 40, 40]]"
    assert best.earned == pytest.approx(2 / 3 + 0.2)


def test_one_target_has_no_baselines() -> None:
    assert baselines(CHEST, ["normal"]) == ()


def test_named_families_have_no_baselines() -> None:
    found = audit(load_reward("shaped", CHEST), CHEST, families=registered("classification")[:2])
    assert found.baselines == ()


def test_reports_say_it() -> None:
    high = audited(ICDR, decay="quadratic")
    note = "earns 90% of what right answers do"
    assert note in as_text([high])
    assert "geometric" in as_text([high])
    assert note in as_markdown([high])
    assert "| always the same answer, the best one | `2` | 1.075 | 90% |" in as_markdown([high])
    assert note in as_html([high])
    (found,) = as_json([high])["audits"]
    assert found["baselines"][0]["share"] == pytest.approx(1.075 / 1.2)
    assert len(found["notes"]) == 1
    low = audited(ICDR)
    assert max(row.share for row in low.baselines) < HIGH
    assert "note" not in as_text([low])
    assert as_json([low])["audits"][0]["notes"] == []


def test_the_command_passes_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = tmp_path / "targets.jsonl"
    rows = ["normal"] * 9 + ["pneumonia"]
    targets.write_text("\n".join(json.dumps({"target": row}) for row in rows), encoding="utf-8")
    assert main(["audit", "--task", "pneumoniamnist", "--targets", str(targets)]) == 0
    shown = capsys.readouterr().out
    assert "note   always the same answer, the best one ('normal') earns 92%" in shown
    assert "rows with each answer as often" in shown


def test_the_documentation_has_the_shares() -> None:
    rows = dict(re.findall(r"^\| (`.+?) \| [^|]+ \| (\d+%) \|$", PAGE, re.MULTILINE))
    many = [[label.name] for label in Task.load("chestmnist").labels]
    settings: dict[str, Any] = {"beta": 10.0, "weights": {"recitation": 0.0}}
    measured = [
        baselines(ICDR),
        baselines(ICDR, decay="linear"),
        baselines(ICDR, decay="quadratic"),
        baselines(Task.load("chestmnist"), many, **settings),
        baselines(CHEST, ["normal"] * 9 + ["pneumonia"]),
    ]
    best = [max(found, key=lambda row: row.share) for found in measured]
    assert [f"{row.share:.0%}" for row in best] == [*rows.values()][-5:]


def test_a_share_above_the_bound_is_high() -> None:
    assert Baseline("p", "a", 1.0, HIGH + 1e-9).is_high
    assert not Baseline("p", "a", 1.0, HIGH).is_high
