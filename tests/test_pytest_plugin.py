"""The pytest plugin, in projects of its own and processes of its own."""

from __future__ import annotations

import pytest

from medreward.audit.cases.case import SUFFIXES
from medreward_pytest import SUFFIXES as COLLECTED

pytest_plugins = "pytester"

CASES = """
task: pneumoniamnist
target: pneumonia
knowledge: ""
cases:
- {id: right one, answer: pneumonia, expect: {correct: true}}
- {id: denied, answer: possibly pneumonia, expect: {correct: false, no_better_than: wrong}}
- {id: wrong expectation, answer: possibly pneumonia, expect: {correct: true, reasons: correct}}
- {id: "sharp s \u00df :: x", answer: normal, expect: {correct: false}}
- {id: open, answer: pneumonias, expect: {prediction: null}, gap: known}
read:
  null: [possibly pneumonia, "p\u200bneumonia or normal"]
"""
REWARD = """
def anywhere(completions, target, **kwargs):
    return [float(t in c[0]["content"]) for c, t in zip(completions, target, strict=True)]
"""


def run(pytester: pytest.Pytester, *options: str, alone: bool = True) -> pytest.RunResult:
    """Run pytest in a new process; not `alone`, with every plugin that is installed."""
    with pytest.MonkeyPatch.context() as patch:
        if alone:
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            options = ("-p", "medreward_pytest", *options)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makefile(".cases.yaml", lungs=CASES)
    pytester.makefile(".yaml", strange="cases: [1, 2]\n")
    pytester.makefile(".py", rewards=REWARD)
    return pytester


def test_the_plugin_knows_the_same_names() -> None:
    assert COLLECTED == SUFFIXES


def test_case_files_are_collected_and_a_failure_is_explained(project: pytest.Pytester) -> None:
    result = run(project, alone=False)
    result.assert_outcomes(passed=5, failed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*lungs.cases.yaml, line 7: case 'wrong expectation', task pneumoniamnist",
            "  completion  '<think>Looked at closely.</think><answer>possibly pneumonia</answer>'",
            "  target      'pneumonia'",
            "  total       +0.2000",
            "  parts       accuracy +0.0000, format +1.0000, recitation +0.0000",
            "  read as     (nothing)",
            "  reason      label_open: *",
            "  expected    correct: true; it is false",
            "  expected    reason correct; it is label_open",
            "FAILED lungs.cases.yaml::wrong expectation - correct: true; it is false*",
        ]
    )


def test_selection_and_stopping(project: pytest.Pytester) -> None:
    run(project, "-k", "denied or right").assert_outcomes(passed=2, deselected=5)
    run(project, "-x").assert_outcomes(passed=2, failed=1)
    run(project, "lungs.cases.yaml::right one").assert_outcomes(passed=1)


def test_a_users_reward_by_ini(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nmedreward_reward = rewards.py:anywhere\nmedreward_signature = trl")
    result = run(project)
    result.assert_outcomes(passed=3, failed=4)
    result.stdout.fnmatch_lines(
        ["  expected    less than the honest right answer, 'pneumonia' (1); it is 1"]
    )


def test_a_users_reward_by_option_and_what_it_raises(project: pytest.Pytester) -> None:
    project.makefile(".py", broken="def f(completion, target):\n    raise KeyError('boom')\n")
    result = run(project, "--medreward-reward", "broken:f", "-k", "right")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the reward raises KeyError: 'boom'", "*broken.py*", "*KeyError: 'boom'"]
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--medreward-reward=nowhere:f", "*reward 'nowhere:f' cannot be loaded: No module*"),
        ("--medreward-signature=TRL", "*signature: 'TRL' is not one of *"),
    ],
)
def test_a_wrong_option_is_named(option: str, message: str, project: pytest.Pytester) -> None:
    options = [option] if "reward=" in option else [option, "--medreward-reward=rewards:anywhere"]
    run(project, *options, "-k", "right").stdout.fnmatch_lines([message])


def test_a_mistake_in_a_file_stops_its_collection(pytester: pytest.Pytester) -> None:
    pytester.makefile(".cases.jsonl", bad='{"answer": "a", "expct": 1}')
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*bad.cases.jsonl, line 1: case: field: 'expct' is not one of*"])


def test_a_project_without_case_files_imports_nothing_of_medreward(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("medreward")
            assert not [m for m in sys.modules if m.split(".")[0] == "medreward"]
        """
    )
    run(pytester, alone=False).assert_outcomes(passed=1)


def test_cases_are_shared_among_workers(project: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    run(project, "-n", "2", alone=False).assert_outcomes(passed=5, failed=1, xfailed=1)


JUDGED_IN_PART = """
task: pneumoniamnist
target: pneumonia
cases:
- {id: number, answer: pneumonia, expect: {total: 99}}
- {id: half, answer: pneumonia, expect: {correct: true, reasons: correct}}
- {id: whole, answer: pneumonia, expect: {correct: true}}
"""


def judge_in_part(pytester: pytest.Pytester) -> None:
    pytester.makefile(".cases.yaml", part=JUDGED_IN_PART)
    pytester.makefile(".py", mine="def f(completion, target):\n    return '>pneu' in completion\n")


def test_what_is_judged_in_part_is_shown(pytester: pytest.Pytester) -> None:
    judge_in_part(pytester)
    result = run(pytester, "-vv", "--medreward-reward", "mine.py:f")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*::half PASSED IN PART*",
            "*::whole PASSED *",
            "*2 labelled cases were judged in part or not at all*",
            "not judged: total: numbers are judged where *",
            "not judged: reasons: only medreward's reward gives reasons",
        ]
    )


def test_numbers_are_judged_on_demand(pytester: pytest.Pytester) -> None:
    judge_in_part(pytester)
    run(pytester, "--medreward-reward", "mine.py:f", "--medreward-numbers").assert_outcomes(
        passed=2, failed=1
    )
    pytester.makeini("[pytest]\nmedreward_reward = mine.py:f\nmedreward_numbers = true")
    run(pytester, "-k", "number").assert_outcomes(failed=1, deselected=2)


def test_workers_say_what_was_not_judged(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    judge_in_part(pytester)
    result = run(pytester, "-n", "1", "--medreward-reward", "mine.py:f", alone=False)
    result.stdout.fnmatch_lines(["*2 labelled cases were judged in part or not at all*"])
