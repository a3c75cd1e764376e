"""medreward why: each fault is found in a trace of real completions under the real reward."""

from __future__ import annotations

import json
import random
import re
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.runs import why_rules, why_stats
from medreward.runs.trace_sources import read_trace
from medreward.runs.why import analyse, describe_run, notes, report, summary
from medreward.runs.why_rules import RULES, View, findings
from medreward.runs.why_stats import measures
from medreward.scoring.groups import gather_groups
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.trace import TraceRow, TraceWriter, trace_row
from tests.growth import Work, assert_linear

Make = Callable[[random.Random, int, int], str]
STEPS, GROUP, PROMPTS = 20, 4, 4
KNOWN = "Hard exudates and haemorrhages in four quadrants suggest a severe grade."
THOUGHTS = ["Dot bleeds.", "Clear vessels.", "Soft spots near the disc.", "A few dots.", "Nothing."]


def answer(grade: object, thought: str = "Dot bleeds.") -> str:
    return f"<think>{thought}</think><answer>{grade}</answer>"


def run(
    make: Make, bound: Scorer, steps: int = STEPS, seed: int = 0, known: str = KNOWN
) -> Iterator[TraceRow]:
    """Yield a trace whose completions `make` writes, given chance, the step and the target."""
    rng = random.Random(seed)
    for step in range(1, steps + 1):
        for prompt in range(PROMPTS):
            target = (step + prompt) % 5
            for _ in range(GROUP):
                completion = make(rng, step, target)
                score = bound.score(completion, target, known)
                place: dict[str, Any] = {"step": step, "id": f"p{prompt}"}
                yield trace_row(score, bound.task, completion, target, known, **place)


def late(step: int) -> float:
    """From 0 at the first step to 1 at the last."""
    return (step - 1) / (STEPS - 1)


def guess(rng: random.Random, right: float, target: int) -> int:
    return target if rng.random() < right else rng.choice([g for g in range(5) if g != target])


def healthy(rng: random.Random, step: int, target: int) -> str:
    return answer(guess(rng, 0.3 + 0.4 * late(step), target), rng.choice(THOUGHTS))


def wrong_only(rng: random.Random, _: int, target: int) -> str:
    return answer((target + rng.choice([1, 2])) % 5, rng.choice(THOUGHTS))


def untagged(rng: random.Random, _: int, target: int) -> str:
    return f"Grade {guess(rng, 0.5, target)}. {rng.choice(THOUGHTS)}"


def cut_off(rng: random.Random, _: int, target: int) -> str:
    return f"<think>{rng.choice(THOUGHTS) * 4}</think><answer>{guess(rng, 0.5, target)}"


def solved(rng: random.Random, _: int, target: int) -> str:
    return answer(target, rng.choice(THOUGHTS))


def hard(rng: random.Random, _: int, target: int) -> str:
    return answer((target + rng.choice([2, 3])) % 5, rng.choice(THOUGHTS))


def greedy(_: random.Random, step: int, target: int) -> str:
    return answer((target + step % 2) % 5)


def collapsing(rng: random.Random, step: int, target: int) -> str:
    return answer(2 if rng.random() < 0.2 + 0.8 * late(step) else guess(rng, 0.5, target))


def format_only(rng: random.Random, step: int, target: int) -> str:
    said = answer(guess(rng, 0.4, target), rng.choice(THOUGHTS))
    return said if rng.random() < late(step) else said.removeprefix("<think>")


def trading(rng: random.Random, step: int, target: int) -> str:
    said = answer(guess(rng, 0.9 - 0.7 * late(step), target), rng.choice(THOUGHTS))
    return said if rng.random() < late(step) else said.removeprefix("<think>")


def forgetting(rng: random.Random, step: int, target: int) -> str:
    return answer(guess(rng, 0.9 - 0.7 * late(step), target), rng.choice(THOUGHTS))


def rambling(rng: random.Random, step: int, target: int) -> str:
    words = " ".join(str(rng.random()) for _ in range(2 + step))
    return answer(guess(rng, 0.4, target), words)


def looping(rng: random.Random, step: int, target: int) -> str:
    return answer(guess(rng, 0.4, target), "the vessels are clear " * (1 + step // 2))


def reciting(rng: random.Random, step: int, target: int) -> str:
    told = KNOWN if rng.random() < late(step) else rng.choice(THOUGHTS)
    return answer(guess(rng, 0.4, target), told)


def quoting(rng: random.Random, step: int, target: int) -> str:
    """Four words of the knowledge, or none."""
    told = " ".join(KNOWN.split()[:4]) if rng.random() < 0.5 else rng.choice(THOUGHTS)
    return answer(guess(rng, 0.3 + 0.4 * late(step), target), told)


def in_other_words(rng: random.Random, _: int, target: int) -> str:
    said = guess(rng, 0.5, target)
    return answer(f"{said} zorbic" if rng.random() < 0.1 else said, rng.choice(THOUGHTS))


WORDS = "the vessels of this left eye show a few dots near disc and no exudates at all".split()


def cut_in_thought(rng: random.Random, step: int, target: int) -> str:
    """What the end of a limit leaves: about as many characters, somewhere in the reasoning."""
    return "<think>" + " ".join(rng.choice(WORDS) for _ in range(80))


def cut_without_tags(rng: random.Random, step: int, target: int) -> str:
    return cut_in_thought(rng, step, target).removeprefix("<think>")


def always_two(rng: random.Random, _: int, target: int) -> str:
    return answer(2, " ".join(rng.choice([*WORDS, *KNOWN.split()]) for _ in range(20)))


def boxed(rng: random.Random, _: int, target: int) -> str:
    return f"<think>{rng.choice(THOUGHTS)}</think>\\boxed{{{guess(rng, 0.5, target)}}}"


def plain_behind_think(rng: random.Random, _: int, target: int) -> str:
    return f"<think>{rng.choice(THOUGHTS)}</think> Grade {guess(rng, 0.5, target)}"


def prefilled(rng: random.Random, _: int, target: int) -> str:
    return answer(guess(rng, 0.5, target), rng.choice(THOUGHTS)).removeprefix("<think>")


THIN = {"never_right", "unreadable", "thin_variance"}
FORMAT: dict[str, Any] = {"delta": 0, "weights": {"format": 0.8}}
TABLE: list[tuple[str, Make, dict[str, Any], set[str]]] = [
    ("healthy", healthy, {"delta": 0, "decay": "linear"}, {"constant_part"}),
    ("in other words", in_other_words, {"delta": 0, "decay": "linear"}, {"not_understood"}),
    ("wrong", wrong_only, {}, {"never_right"}),
    # Under δ⁻ unread answers are charged for their reasoning, so that their groups would differ.
    ("untagged", untagged, {"delta": 0}, {"unreadable", "zero_variance", "never_right"}),
    ("cut off", cut_off, {"delta": 0}, {"cut_off", "unreadable", "zero_variance", "never_right"}),
    ("cut in thought", cut_in_thought, {}, {"cut_off", *THIN}),
    ("cut, no tags", cut_without_tags, {}, {"cut_off", *THIN}),
    ("always two", always_two, {}, {"thin_variance", "one_answer"}),
    ("boxed", boxed, {}, THIN),
    ("prefilled", prefilled, {"delta": 0}, {"constant_part"}),
    ("solved", solved, {"delta": 0}, {"zero_variance", "constant_part"}),
    ("capped", hard, {"delta": 0, "decay": "exact"}, {"zero_variance", "never_right"}),
    ("greedy", greedy, {"delta": 0}, {"zero_variance", "same_text"}),
    ("collapse", collapsing, {"decay": "linear", "weights": {"recitation": 0}}, {"one_answer"}),
    ("format", format_only, FORMAT, {"reward_without_accuracy"}),
    ("trading", trading, {"delta": 0}, {"format_over_accuracy"}),
    ("forgetting", forgetting, {"delta": 0}, {"accuracy_falls"}),
    ("rambling", rambling, {"delta": 0}, {"longer"}),
    ("looping", looping, {"delta": 0}, {"longer", "repetition"}),
    ("recites +", reciting, {"delta": 1, "weights": {"recitation": 0.5}}, {"recitation"}),
    ("recites -", reciting, {"delta": -1}, {"recitation"}),
]


@pytest.mark.parametrize(("name", "make", "settings", "rules"), TABLE, ids=[t[0] for t in TABLE])
def test_each_fault_is_found_and_nothing_is_made_up(
    name: str, make: Make, settings: dict[str, Any], rules: set[str]
) -> None:
    view = analyse(run(make, scorer("retinamnist", settings)))
    found = {finding.rule for finding in findings(view)}
    assert rules <= found, describe_run(view)
    allowed = rules | {"constant_part"}
    if name in ("looping", "greedy"):
        allowed |= {"idle_part"}
    if name == "recites +":  # paid for copying: the reward rises by it
        allowed |= {"reward_without_accuracy", "longer"}
    if name in ("recites -", "collapse"):
        allowed |= {"longer", "accuracy_falls", "zero_variance", "same_text"}
    assert found <= allowed, describe_run(view)


def test_recitation_that_lengths_take_away_is_found() -> None:
    """Four words of reasoning against eighty of knowledge are nothing to BLEU."""
    known = " ".join([KNOWN, *(f"word{i}" for i in range(70))])
    for measure, found in (("bleu", True), ("precision", False)):
        bound = scorer("retinamnist", {"delta": -1, "recitation_measure": measure})
        rules = {one.rule for one in findings(analyse(run(quoting, bound, known=known)))}
        assert ("recitation_inert" in rules) == found
    off = scorer("retinamnist", {"delta": 0})
    rules = {one.rule for one in findings(analyse(run(quoting, off, known=known)))}
    assert "recitation_inert" not in rules


def test_every_rule_is_tried() -> None:
    tried = {rule for *_, rules in TABLE for rule in rules} | {
        "mixed_settings",
        "idle_part",
        "one_target",
        "recitation_inert",
    }
    names = {rule.__name__ for rule in RULES} | {"format_over_accuracy"}
    assert names == tried


def test_the_documentation_has_the_rules_and_their_constants() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "traces.md").read_text(
        encoding="utf-8"
    )
    for rule in RULES:
        assert f"| `{rule.__name__}` |" in page
    documented = dict(re.findall(r"`([A-Z_]+)` = ([0-9.]+)", page))
    constants = {n: v for n, v in vars(why_rules).items() if isinstance(v, int | float)}
    assert {n: float(v) for n, v in documented.items()} == constants


def test_guesses_fit_the_cause() -> None:
    def guessed(make: Make, rule: str, **settings: Any) -> str:
        view = analyse(run(make, scorer("retinamnist", settings)))
        return next(f.guess for f in findings(view) if f.rule == rule)

    assert "warm start" in guessed(untagged, "unreadable")
    assert "cut off" in guessed(cut_off, "unreadable")
    assert "harder" in guessed(solved, "zero_variance", delta=0)
    assert "partial credit" in guessed(hard, "zero_variance", delta=0, decay="exact")
    assert "delta +1 pays" in guessed(reciting, "recitation", delta=1)
    assert "something else pays" in guessed(reciting, "recitation", delta=-1)
    assert "completion_format: boxed" in guessed(boxed, "unreadable")
    assert "completion_format: prefilled_think" in guessed(prefilled, "constant_part", delta=0)
    assert "completion_format: after_think" in guessed(plain_behind_think, "unreadable")


@pytest.mark.parametrize("make", [cut_off, cut_in_thought, cut_without_tags])
def test_what_was_cut_off_is_said_first(make: Make) -> None:
    for delta in (-1, 0):
        first, *others = findings(analyse(run(make, scorer("retinamnist", {"delta": delta}))))
        assert first.rule == "cut_off"
        assert "raise max_completion_length" in first.guess
        assert not [found for found in others if "warm start" in found.guess]


def test_what_a_policy_ended_itself_is_not_cut_off() -> None:
    def ended(rng: random.Random, step: int, target: int) -> str:
        return cut_in_thought(rng, step, target) + "<|im_end|>"

    def of_any_length(rng: random.Random, step: int, target: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(60, 200)))

    for make in (ended, of_any_length):
        rules = {one.rule for one in findings(analyse(run(make, scorer("retinamnist"))))}
        assert "cut_off" not in rules
        assert "unreadable" in rules


def test_a_spread_that_is_only_recitations_is_named() -> None:
    view = analyse(run(always_two, scorer("retinamnist")))
    said = describe_run(view)
    assert "the spread of these groups is only recitation's: 0.0006 on average" in said
    assert "but for it all wrong, one answer" in said
    found = summary(view)["thin_variance"]
    assert 0 < found["mean_spread"] < why_stats.THIN
    # What is dead without recitation is what was dead or thin with it.
    plain = summary(analyse(run(always_two, scorer("retinamnist", {"delta": 0}))))
    causes = summary(view)["zero_variance"]["causes"]
    added = {k: causes.get(k, 0) + v for k, v in found["causes"].items()}
    assert added == pytest.approx(plain["zero_variance"]["causes"])


def test_inert_recitation_that_is_all_that_differs_is_not_said_to_change_nothing() -> None:
    known = " ".join([KNOWN, *(f"word{i}" for i in range(130))])
    view = analyse(run(always_two, scorer("retinamnist"), known=known))
    found = {one.rule: one for one in findings(view)}
    assert {"thin_variance", "recitation_inert"} <= set(found)
    assert "delta changes nothing" not in found["recitation_inert"].facts
    assert "all that differs" in found["recitation_inert"].facts


def test_the_settings_in_force_are_said() -> None:
    settings = ({"decay": "exact"}, {"decay": "linear"})
    runs = [list(run(healthy, scorer("retinamnist", one))) for one in settings]
    later = [replace(row, step=(row.step or 0) + STEPS) for row in runs[1]]
    view = analyse([*runs[0], *later])
    said = describe_run(view)
    assert "settings: medreward:" in said
    assert "decay:exact from step 1; decay:linear from step 21" in said


def test_noise_only_groups_stand_in_the_table() -> None:
    said = describe_run(analyse(run(always_two, scorer("retinamnist"))))
    (row,) = (line for line in said.splitlines() if re.match(r"noise-only groups +[01]\.", line))
    found = summary(analyse(run(always_two, scorer("retinamnist"))))
    assert f"{found['thin_variance']['share']:.3f}" in row
    shown = report(analyse(run(always_two, scorer("retinamnist"))), "why")
    (measure,) = (row for row in shown.rows if row.name == "noise-only groups")
    assert measure.values[0] == found["thin_variance"]["share"]
    (curve,) = (c.curves[measure.name] for c in shown.charts if measure.name in c.curves)
    assert curve[0] == 1.0
    off = scorer("retinamnist", {"delta": 0})
    assert "noise-only" not in describe_run(analyse(run(always_two, off)))


def test_a_completion_is_shown_once_for_all_its_reasons() -> None:
    said = describe_run(analyse(run(cut_in_thought, scorer("retinamnist"))))
    examples = said[said.index("\nexamples:") :]
    assert examples.count("  step 1, ") == 1
    for code in ("no_answer", "no_answer_tag", "think_unclosed"):
        assert f"\n- {code}: " in examples


def test_the_mend_of_a_format_is_said_once() -> None:
    said = describe_run(analyse(run(boxed, scorer("retinamnist"))))
    assert said.count("set completion_format: boxed") == 1
    assert "so this part cannot teach it: see `unreadable`" in said


def test_parts_that_move_together_are_found() -> None:
    """An answer is right where the format is, and wrong where it is not."""

    def make(rng: random.Random, _: int, target: int) -> str:
        return answer(target) if rng.random() < 0.5 else f"{answer((target + 1) % 5)} x"

    view = analyse(run(make, scorer("retinamnist", {"delta": 0, "decay": "exact"})))
    (found,) = (f for f in findings(view) if f.rule == "idle_part")
    assert "accuracy and format move together within groups (r = +1.00)" in found.facts


def test_correlations_are_pearsons_of_the_deviations() -> None:
    from scipy.stats import pearsonr

    rows = list(run(format_only, scorer("retinamnist", {"delta": 0})))
    deviations: dict[str, list[float]] = {"accuracy": [], "format": []}
    for group in gather_groups(rows):
        for name, values in deviations.items():
            mean = sum(row.parts[name] for row in group) / len(group)
            values += [row.parts[name] - mean for row in group]
    r = analyse(rows).stats.spread.correlations()["accuracy", "format"]
    assert r == pytest.approx(pearsonr(*deviations.values()).statistic)


def test_shares_and_means_are_those_of_the_rows() -> None:
    rows = list(run(format_only, scorer("retinamnist", {"delta": 0})))
    found = summary(analyse(rows))
    assert found["completions"] == len(rows) == STEPS * PROMPTS * GROUP
    assert found["zero_variance"]["groups"] == STEPS * PROMPTS
    assert found["measures"]["reward"]["all"] == pytest.approx(
        sum(row.total or 0 for row in rows) / len(rows)
    )
    last = [row for row in rows if row.step and row.step > STEPS - 5]
    assert found["measures"]["part format"]["late"] == pytest.approx(
        sum(row.parts["format"] for row in last) / len(last)
    )
    assert found["reasons"]["wrong_grade"]["all"] == pytest.approx(
        sum("wrong_grade" in row.reasons for row in rows) / len(rows)
    )
    json.dumps(found)


def test_few_data_lead_to_no_conclusion() -> None:
    rows = list(run(untagged, scorer("retinamnist"), steps=3))
    view = analyse(rows[:40])
    assert findings(view) == []
    assert "only 40 completions: nothing is concluded below 50" in notes(view)
    assert "only 3 steps: no trend (at least 10)" in notes(view)
    nine = analyse(run(forgetting, scorer("retinamnist", {"delta": 0}), steps=9))
    assert nine.trend("correct") is None
    assert "accuracy_falls" not in {f.rule for f in findings(nine)}


def test_noise_is_no_trend() -> None:
    """A policy that does not change is said to change in few of many runs."""

    def same(rng: random.Random, _: int, target: int) -> str:
        return answer(guess(rng, 0.5, target), rng.choice(THOUGHTS))

    bound = scorer("retinamnist", {"delta": 0})
    trends = [analyse(run(same, bound, seed=seed)).trend("correct") for seed in range(40)]
    assert sum(trend is not None and trend.certain for trend in trends) <= 3


def test_groups_are_found_wherever_their_rows_stand() -> None:
    rows = list(run(healthy, scorer("retinamnist")))
    expected = sorted(tuple(sorted(row.completion for row in g)) for g in gather_groups(rows))
    assert {len(group) for group in expected} == {GROUP}
    mixed = sorted(rows, key=lambda row: (row.step, row.completion))  # several workers write
    assert sorted(tuple(sorted(r.completion for r in g)) for g in gather_groups(mixed)) == expected
    nameless = [replace(row, id=None) for row in rows]
    assert {len(group) for group in gather_groups(nameless)} == {1}
    assert "no groups" in " ".join(notes(analyse(nameless)))
    assert {len(group) for group in gather_groups(nameless, size=GROUP)} == {GROUP}
    stepless = [replace(row, step=None) for row in rows]
    assert {len(group) for group in gather_groups(stepless)} == {GROUP}


def test_held_out_rows_do_not_mix_with_training() -> None:
    bound = scorer("retinamnist", {"delta": 0})
    train = [replace(row, split="train") for row in run(healthy, bound)]
    test = [replace(row, split="test") for row in run(solved, bound, steps=30)]
    assert analyse([*train, *test]).stats.rows == len(train)
    assert analyse([*train, *test], split="test").all.mean("correct") == 1.0
    with pytest.raises(ConfigError, match="no rows of split 'val'; there is test, train"):
        analyse([*train, *test], split="val")


def test_rows_of_one_class_are_noticed() -> None:
    rows = [r for r in run(healthy, scorer("retinamnist", {"delta": 0})) if r.target == "2"]
    (found,) = (f for f in findings(analyse(rows)) if f.rule == "one_target")
    assert found.facts == "100% of the targets are 2"


def test_two_runs_in_one_file_are_noticed() -> None:
    runs = [list(run(healthy, scorer("retinamnist", {"decay": d}))) for d in ("exact", "linear")]
    view = analyse(row for one in runs for row in one)
    assert "mixed_settings" in {f.rule for f in findings(view)}


def write(path: Path, rows: Iterable[TraceRow]) -> Path:
    TraceWriter(path).write(rows)
    return path


def test_files_of_several_processes_are_merged(tmp_path: Path) -> None:
    rows = list(run(healthy, scorer("retinamnist")))
    files = [write(tmp_path / f"{i}.jsonl", rows[i::3]) for i in range(3)]
    assert sorted(r.completion for r in read_trace(files)) == sorted(r.completion for r in rows)
    steps = [row.step for row in read_trace([tmp_path])]
    assert steps == sorted(steps, key=lambda step: step or 0)
    merged, whole = (analyse(one).all for one in (read_trace(files), rows))
    assert (merged.groups, merged.dead) == (whole.groups, whole.dead)


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "trace.jsonl", run(format_only, scorer("retinamnist", FORMAT)))
    with path.open("ab") as file:
        file.write(b'{"completion": "torn')
    assert main(["why", str(path), "--html", str(tmp_path / "why.html")]) == 0
    printed = capsys.readouterr()
    assert "- reward_without_accuracy: the reward went from" in printed.out
    assert "line 321: not JSON, left out" in printed.err
    html = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "What stands out" in html
    assert "reward_without_accuracy" in html
    assert "<script" not in html
    assert main(["why", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["completions"] == 320
    assert found["findings"][0]["rule"] == "reward_without_accuracy"


def test_files_without_scores_are_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"completion": answer(1), "target": i % 2, "id": f"{i // 4}"} for i in range(80)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["why", str(path)]) == 2
    assert "there are no scores; --task names the task's card" in capsys.readouterr().err
    assert main(["why", str(path), "--task", "retinamnist", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measures"]["correct"]["all"] == 0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the trace has no rows"),
        ('{"a": 1}\n', "line 1: field 'completion' is missing or no text; there is a"),
        ('{"output": 3, "score": 1}\n', "line 1: a completion is a string"),
        ("a,b\n", "none of its 1 lines is a JSON object"),
    ],
)
def test_wrong_files_are_named(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(content, encoding="utf-8")
    assert main(["why", str(path)]) == 2
    assert message in capsys.readouterr().err


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = [*TraceRow.__slots__, "output", "gts", "score", "uid", "input", "acc", "accuracy"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(FIELDS), ANY).flatmap(
            lambda row: st.sampled_from([row, row | {"completion": "x"}, row | {"output": "x"}])
        ),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_a_file_holds_it_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    message = ""
    try:
        view = analyse(read_trace([path]))
    except ConfigError as error:
        message = str(error)
    if message:
        assert str(path) in message
    else:
        assert describe_run(view)
        json.dumps(summary(view), allow_nan=False)


def test_a_trace_is_scored_anew_under_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path / "a.jsonl", run(boxed, scorer("retinamnist"))))
    options = ["--weight", "recitation=0", "--completion-format", "boxed"]
    assert main(["why", path, "--task", "retinamnist", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measures"]["unreadable"]["all"] == 0
    assert "recitation:0|" in found["signatures"][0]
    assert main(["why", path, *options]) == 2
    assert "needs --task" in capsys.readouterr().err


def test_an_empty_trace_asks_for_the_rows_tasks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.jsonl"
    path.touch()
    assert main(["why", str(path)]) == 2
    assert "no completion was scored; were the rows of a task" in capsys.readouterr().err


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", str(tmp_path / "none")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert main(["why", str(tmp_path)]) == 2
    assert "has no .jsonl or .parquet file" in capsys.readouterr().err
    (tmp_path / "a.parquet").write_bytes(b"no")
    assert main(["why", str(tmp_path)]) == 2
    assert "not a parquet file" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_lines(tmp_path: Path) -> None:
    bound = scorer("retinamnist", {"delta": 0})
    rows = [replace(row, completion=row.completion + "x" * 2000) for row in run(healthy, bound)]

    def peak(repeats: int) -> int:
        path = tmp_path / f"{repeats}.jsonl"
        for again in range(repeats):  # more prompts a step would grow the steps that are open
            write(path, (replace(r, step=(r.step or 0) + STEPS * again) for r in rows))
        tracemalloc.start()
        analyse(read_trace([path]))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    small, large = peak(2), peak(16)
    assert large - small < 14 * STEPS * 4000  # bytes a step
    assert large < 0.1 * (tmp_path / "16.jsonl").stat().st_size


@pytest.mark.slow
def test_a_hundred_thousand_lines_take_linear_time(tmp_path: Path) -> None:
    bound = scorer("retinamnist", {"delta": 0})

    def work(steps: int) -> Work:
        path = write(tmp_path / f"{steps}.jsonl", run(healthy, bound, steps=steps))

        def read() -> None:
            view: View = analyse(read_trace([path]))
            assert view.stats.rows == 16 * steps

        return read

    assert_linear(work, 6500)


def test_what_is_measured_of_a_row() -> None:
    row = next(run(healthy, scorer(Task.load("retinamnist"), {"delta": 0})))
    assert measures(row).keys() == {
        *("reward", "correct", "unreadable", "length", "repetition"),
        *("part accuracy", "part format", "part recitation"),
    }
