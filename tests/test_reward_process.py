"""Whatever a user's reward does, the command goes on and does not pass."""

from __future__ import annotations

import json
import pickle
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from medreward import ConfigError, Task
from medreward.audit.battery import audit
from medreward.audit.reward_process import RESTARTS, IsolatedReward, RewardError, load_isolated
from medreward.audit.user_rewards import OwnReward
from medreward.commands.cli import main

CHEST = "pneumoniamnist"
RIGHT = "<think>Opacity.</think><answer>pneumonia</answer>"
EMPTY = "<think>Opacity.</think><answer></answer>"
MODULE = """
import ctypes, os, signal, sys, time

print("a banner")


def answered(completion, target):
    answer = completion.rpartition("<answer>")[2].partition("</answer>")[0].strip()
    if answer:
        return float(answer == str(target))
    return None


def faulty(fault):
    def reward(completion, target):
        earned = answered(completion, target)
        return fault(earned) if earned is None else earned
    return reward


def raised(error):
    raise error


def printed(text):
    print(text)
    return 0.0


def many(completions, targets):
    earned = answered(completions[0], targets[0])
    return [0.0, 0.0] if earned is None else [earned]


def pid(completion, target):
    return float(os.getpid())


def where(completion, target):
    assert sys.stdin.read() == ""
    return float(sys.argv == ["-c"])


def slow(completion, target):
    start = time.process_time()
    while time.process_time() < start + 0.2:
        pass
    return 1.0


def exits_always(completion, target):
    sys.exit(0)


exits = faulty(lambda _: sys.exit(0))
system_exit = faulty(lambda _: raised(SystemExit()))
interrupts = faulty(lambda _: raised(KeyboardInterrupt()))
generator_exit = faulty(lambda _: raised(GeneratorExit()))
os_exit = faulty(lambda _: os._exit(0))
crashes = faulty(lambda _: os.kill(os.getpid(), signal.SIGSEGV))
hangs = faulty(lambda _: time.sleep(1000))
prints = faulty(lambda _: printed("PASS all"))
prints_below = faulty(lambda _: os.write(1, b"PASS all"))
nothing = faulty(lambda _: None)
text = faulty(lambda _: "1.0")
nan = faulty(lambda _: float("nan"))
pair = faulty(lambda _: [1.0, 1.0])
mapping = faulty(lambda _: {"accuracy": 1.0})
fails = faulty(lambda _: {}["boom"])
unprintable = faulty(lambda _: raised(type("E", (Exception,), {"__str__": lambda s: 1 / 0})()))
"""
RIGHT_PAID = {"correct": True}
# What a reward does where the answer is empty, and what is said of it.
FAULTS = {
    "exits": r"calls sys.exit(0)",
    "system_exit": "calls sys.exit(None)",
    "interrupts": "raises KeyboardInterrupt",
    "generator_exit": "raises GeneratorExit",
    "os_exit": "ends its process with status 0",
    "crashes": "ended by signal SIGSEGV",
    "hangs": "gives no result within 2 s (--time-limit sets",
    "prints": "prints to standard output: 'PASS all",
    "prints_below": "prints to standard output: 'PASS all",
    "nothing": "returns None, which is not a finite number",
    "text": "returns '1.0', which is not a finite number",
    "nan": "returns nan, which is not a finite number",
    "pair": "returns [1.0, 1.0], 2 values for one completion",
    "many": "returns [0.0, 0.0], 2 values for one completion",
    "mapping": "a dictionary without 'score'",
    "fails": "raises KeyError: 'boom'",
    "unprintable": "raises E",
}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("rewards") / "faulty_rewards.py"
    file.write_text(textwrap.dedent(MODULE), encoding="utf-8")
    return str(file)


@pytest.fixture
def loaded(module: str) -> Callable[..., IsolatedReward]:
    def load(name: str, task: str | Task = CHEST, time_limit: float = 30.0) -> IsolatedReward:
        reward = load_isolated(f"{module}:{name}", task, time_limit=time_limit)
        assert isinstance(reward, IsolatedReward)
        return reward

    return load


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_said_and_the_next_answer_is_scored(
    name: str, loaded: Callable[..., IsolatedReward]
) -> None:
    reward = loaded(name, time_limit=2.0)
    assert reward(RIGHT, "pneumonia") == 1.0
    with pytest.raises(RewardError) as raised:
        reward(EMPTY, "pneumonia")
    assert FAULTS[name] in str(raised.value)
    assert len(str(raised.value)) < 400
    assert [reward(RIGHT, target) for target in ("pneumonia", "normal")] == [1.0, 0.0]


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow) if one == "hangs" else one for one in FAULTS],
)
def test_the_audit_fails_and_names_the_attack(
    name: str, module: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["audit", f"{module}:{name}", "--task", CHEST, "--family", "empty-answer"]
    assert main([*command, "--time-limit", "2"]) == 1
    out = capfd.readouterr().out
    assert FAULTS[name] in out
    assert "<answer></answer>" in out
    assert not out.startswith("PASS")


@pytest.mark.parametrize("name", ["exits_always", "missing"])
@pytest.mark.parametrize("command", ["audit", "check"])
def test_commands_never_pass_where_no_answer_is_scored(
    name: str, command: str, module: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "a.cases.jsonl"
    case = {
        "task": CHEST,
        "id": "a",
        "completion": RIGHT,
        "target": "pneumonia",
        "expect": {"correct": True},
    }
    cases.write_text(json.dumps(case), encoding="utf-8")
    path = f"{module}:{name}"
    arguments = ["audit", path, "--task", CHEST]
    if command == "check":
        arguments = ["check", str(cases), "--reward", path]
    status = main(arguments)
    shown = capfd.readouterr()
    assert status in (1, 2)
    said = "calls sys.exit(0)" if name == "exits_always" else "'missing' is not one of"
    assert said in shown.out + shown.err


@pytest.mark.parametrize("name", ["exits", "os_exit", "prints"])
def test_check_fails_the_case_and_judges_the_next(
    name: str, module: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.cases.jsonl"
    rows = [
        {
            "id": str(i),
            "task": CHEST,
            "completion": text,
            "target": "pneumonia",
            "expect": RIGHT_PAID,
        }
        for i, text in enumerate([RIGHT, EMPTY, RIGHT])
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    path = f"{module}:{name}"
    assert main(["check", str(file), "--reward", path, "--json"]) == 1
    cases = json.loads(capfd.readouterr().out)["cases"]
    assert [case["id"] for case in cases] == ["0", "1", "2"]
    assert [case["status"] for case in cases][1] == "error"
    assert FAULTS[name] in cases[1]["error"]
    assert "case '1'" in cases[1]["error"]
    assert "error" not in (cases[0]["status"], cases[2]["status"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys; sys.exit(0)", "calls sys.exit(0)"),
        ("import os; os._exit(0)", "ends its process with status 0"),
        ("raise ValueError('mine')", "raises ValueError: mine"),
        ("raise KeyboardInterrupt", "raises KeyboardInterrupt"),
        ("def f(", "raises SyntaxError"),
    ],
)
def test_what_a_module_does_while_it_is_loaded_is_said(
    source: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "loading.py"
    file.write_text(source, encoding="utf-8")
    assert main(["audit", f"{file}:f", "--task", CHEST]) == 2
    shown = capfd.readouterr()
    assert said in shown.err
    assert "cannot be loaded" in shown.err
    assert shown.out == ""


def test_a_reward_that_ends_its_process_is_not_started_for_ever(
    loaded: Callable[..., IsolatedReward],
) -> None:
    reward = loaded("os_exit")
    said = []
    for _ in range(RESTARTS + 3):
        with pytest.raises(RewardError) as raised:
            reward(EMPTY, "pneumonia")
        said.append(str(raised.value))
    assert said[: RESTARTS + 1] == ["ends its process with status 0, as os._exit does"] * 4
    assert all(message.startswith("was not called again") for message in said[RESTARTS + 1 :])


def test_results_keep_their_order_and_only_a_dead_process_is_replaced(
    loaded: Callable[..., IsolatedReward],
) -> None:
    exits, dies = loaded("exits"), loaded("os_exit")
    for reward, same in ((exits, True), (dies, False)):
        child = reward.process._child
        expected = [1.0, None, 0.0, 1.0]
        found: list[float | None] = []
        for text, target in (
            (RIGHT, "pneumonia"),
            (EMPTY, ""),
            (RIGHT, "normal"),
            (RIGHT, "pneumonia"),
        ):
            try:
                found.append(reward(text, target))
            except RewardError:
                found.append(None)
        assert found == expected
        assert (reward.process._child is child) is same


def test_tasks_under_one_path_share_a_process(loaded: Callable[..., IsolatedReward]) -> None:
    one, other = loaded("pid"), loaded("pid", "retinamnist")
    assert one(RIGHT, "pneumonia") == other(RIGHT, 2)
    again = pickle.loads(pickle.dumps(one))
    assert again.signature == one.signature == "plain"
    assert again(RIGHT, "normal") > 0


def test_a_reward_has_no_input_and_a_banner_does_no_harm(
    loaded: Callable[..., IsolatedReward], capfd: pytest.CaptureFixture[str]
) -> None:
    assert loaded("where")(RIGHT, "pneumonia") == 1.0
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "a banner" in shown.err


def test_processor_time_is_that_of_the_reward(loaded: Callable[..., IsolatedReward]) -> None:
    reward = loaded("slow")
    before = reward.clock()
    reward(RIGHT, "pneumonia")
    assert 0.15 < reward.clock() - before < 10


def test_our_own_reward_stays_in_this_process() -> None:
    assert isinstance(load_isolated("shaped", CHEST), OwnReward)
    with pytest.raises(ConfigError, match="settings"):
        load_isolated("tests.peers:first_tag", CHEST, settings={"delta": 0})


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "soon"])
def test_a_time_limit_is_a_number_of_seconds(limit: object, module: str) -> None:
    with pytest.raises(ConfigError, match="time limit"):
        load_isolated(f"{module}:exits", CHEST, time_limit=limit)  # type: ignore[arg-type]


def test_a_callable_of_ones_own_that_exits_is_a_finding() -> None:
    def reward(completion: str, target: object, *, prompt: str, knowledge: str) -> float:
        answer = completion.rpartition("<answer>")[2].removesuffix("</answer>").strip()
        return float(answer == target) if answer else sys.exit(0)

    found = audit(reward, Task.load(CHEST))
    worst = {r.family: r.worst for r in found.failures}["empty-answer"]
    assert worst is not None
    assert "raises SystemExit" in worst.problem
