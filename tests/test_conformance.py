"""The conformance test: its checks on faults that are put in, and its runs of real trainers.

MEDREWARD_EASYR1 names a checkout of EasyR1, MEDREWARD_SWIFT a Python with ms-swift,
MEDREWARD_VERIFIERS one with verifiers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from medreward import ConfigError
from medreward_conformance import (
    Arrival,
    Call,
    Observation,
    Rank,
    Ranks,
    Sampled,
    Sent,
    check,
    observe,
    probe_value,
)
from medreward_conformance.command import add_parser
from medreward_conformance.protocol import CHECKS, NEEDED
from medreward_conformance.trl_ranks import observe_ranks

ROOT = Path(__file__).parent.parent
END, BOX = "<|im_end|>", "<box>"


def sound() -> Observation:
    """Return what is seen of a trainer without a fault."""
    texts = {"a0": "<think>x", "a1": f"<think>{BOX}y</think>", "b0": "  z ", "b1": ""}
    sent = [Sent(key, key[0], text, "Which grade?", ended=True) for key, text in texts.items()]
    arrivals = tuple(Arrival(one.key, one.group, one.text, NEEDED) for one in sent)
    return Observation(
        "sound 1.0",
        sent,
        [Call(0, arrivals)],
        special_tokens=(BOX,),
        end_tokens=(END,),
        prefill="<step>\n",
        scores={one.key: probe_value(one.text) for one in sent},
        failure="stops",
        ranks=sound_ranks(),
    )


def sound_ranks() -> Ranks:
    """Return two processes with a group of two each."""
    texts = [[Sampled(1, name, text) for text in "xy"] for name in ("a", "b")]
    logged = [{"reward": 0.5, "zero_variance": 0.0}]
    ranks = [Rank(own, [own], own, logged) for own in texts]
    return Ranks(ranks, [*texts[0], *texts[1]], logged, copies=2)


def logged_less(rank: Rank) -> Rank:
    """Let a process log another mean."""
    [logged] = rank.logged or []
    return rank._replace(logged=[{**logged, "reward": 0.25}])


def other_ranks(change: Callable[[Ranks], Ranks]) -> Callable[[Observation], Observation]:
    def changed(seen: Observation) -> Observation:
        assert isinstance(seen.ranks, Ranks)
        return replace(seen, ranks=change(seen.ranks))

    return changed


def second_rank(change: Callable[[Rank, Rank], Rank]) -> Callable[[Observation], Observation]:
    """Change the second process, of which the first is given too."""
    return other_ranks(
        lambda seen: seen._replace(ranks=[seen.ranks[0], change(seen.ranks[1], seen.ranks[0])])
    )


def one_file(seen: Ranks) -> Ranks:
    """Let the processes write to one file, and a third one, which scores nothing, log alone."""
    workers = [rank._replace(traced=None, logged=None) for rank in seen.ranks]
    return seen._replace(ranks=[*workers, Rank([], [], None, seen.alone)])


def swapped(seen: Ranks) -> Ranks:
    """Let each process score and trace one completion of the other's group."""
    a, b = seen.ranks
    first, second = [a.sent[0], b.sent[0]], [a.sent[1], b.sent[1]]
    return seen._replace(
        ranks=[
            a._replace(calls=[first], traced=first),
            b._replace(calls=[second], traced=second),
        ]
    )


def each(seen: Observation, change: Callable[[Arrival], Arrival]) -> Observation:
    """Change what arrives, and let the trainer's rewards follow from it."""
    calls = [Call(call.positional, tuple(map(change, call.arrivals))) for call in seen.calls]
    scores = {one.key: probe_value(one.text) for call in calls for one in call.arrivals}
    return replace(seen, calls=calls, scores=scores)


def in_calls(seen: Observation, *groups: tuple[int, ...]) -> Observation:
    arrivals = seen.calls[0].arrivals
    return replace(seen, calls=[Call(0, tuple(arrivals[i] for i in group)) for group in groups])


def other_text(change: Callable[[str], str]) -> Callable[[Observation], Observation]:
    return lambda seen: each(seen, lambda one: one._replace(text=change(one.text)))


FAULTS: dict[str, tuple[Callable[[Observation], Observation], set[str]]] = {
    "stripped": (other_text(str.strip), {"text"}),
    "lowered": (other_text(lambda text: text.replace("k>x", "k>X")), {"text"}),
    "special tokens taken out": (
        other_text(lambda text: text.replace(BOX, "")),
        {"special tokens"},
    ),
    "end token left": (other_text(lambda text: text + END), {"end token"}),
    "prompt and text": (other_text(lambda text: "Which grade?" + text), {"prompt", "text"}),
    "prefill put back": (other_text(lambda text: "<step>\n" + text), {"prefilled think"}),
    "by position": (
        lambda seen: replace(seen, calls=[seen.calls[0]._replace(positional=1)]),
        {"call"},
    ),
    "a column dropped": (
        lambda seen: each(seen, lambda one: one._replace(columns=NEEDED[1:])),
        {"columns"},
    ),
    "one lost": (lambda seen: in_calls(seen, (0, 1, 2)), {"once"}),
    "one twice": (lambda seen: in_calls(seen, (0, 1, 2, 3, 3)), {"once"}),
    "rewards of other texts": (
        lambda seen: replace(
            seen, scores={one.key: probe_value(one.text + "?") for one in seen.sent}
        ),
        {"order"},
    ),
    "another row's columns": (
        lambda seen: each(seen, lambda one: one._replace(group="b")),
        {"order"},
    ),
    "a group in two calls": (lambda seen: in_calls(seen, (0, 2, 3), (1,)), {"groups"}),
    "groups mixed": (lambda seen: in_calls(seen, (0, 2, 1, 3)), {"groups"}),
    "an exception swallowed": (
        lambda seen: replace(seen, failure="a reward that raises counts as 0"),
        {"exception"},
    ),
    "a process that scores what another has": (
        second_rank(lambda own, other: own._replace(calls=other.calls, traced=other.traced)),
        {"ranks: once", "ranks: groups", "ranks: trace"},
    ),
    "a group that two processes share": (other_ranks(swapped), {"ranks: groups"}),
    "a process that writes over another's file": (
        second_rank(
            lambda own, other: own._replace(traced=[*(other.traced or ()), *(own.traced or ())])
        ),
        {"ranks: trace"},
    ),
    "a completion that readers lose": (
        other_ranks(lambda seen: seen._replace(merged=seen.merged[1:])),
        {"ranks: trace"},
    ),
    "one file that lacks a completion": (
        other_ranks(lambda seen: one_file(seen._replace(merged=seen.merged[1:]))),
        {"ranks: trace"},
    ),
    "metrics of a process that only logs": (
        other_ranks(lambda seen: one_file(seen)._replace(alone=[{"reward": 0.25}])),
        {"ranks: metrics"},
    ),
    "metrics of one process's rows": (
        second_rank(lambda own, _: logged_less(own)),
        {"ranks: metrics"},
    ),
    "a metric that one process has alone": (
        other_ranks(lambda seen: seen._replace(alone=[{"reward": 0.5}])),
        {"ranks: metrics"},
    ),
    "a step that a process does not log": (
        second_rank(lambda own, _: own._replace(logged=[])),
        {"ranks: metrics"},
    ),
}


def verdicts(seen: Observation, verdict: str) -> set[str]:
    return {finding.name for finding in check(seen) if finding.verdict == verdict}


def test_a_sound_trainer_is_ok() -> None:
    assert verdicts(sound(), "ok") == set(CHECKS)


def test_processes_may_share_a_file_and_leave_the_metrics_to_one() -> None:
    seen = other_ranks(one_file)(sound())
    assert verdicts(seen, "ok") == set(CHECKS)
    said = {finding.name: finding.detail for finding in check(seen)}
    assert said["ranks: once"] == "each of 4 completions arrives once, at one of 2 processes"
    assert said["ranks: trace"] == "one file for all processes holds 4 completions once"


OF_RANKS = {name for name in CHECKS if name.startswith("ranks: ")}


def test_of_an_empty_run_nothing_is_said() -> None:
    nothing = Observation("none", ranks=Ranks([Rank([], [], [], [])] * 2, [], [], copies=2))
    assert verdicts(nothing, "not seen") == set(CHECKS)


def test_ranks_that_were_not_run_are_not_tried() -> None:
    assert verdicts(Observation("none"), "not tried") == OF_RANKS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_no_other(fault: str) -> None:
    put_in, found = FAULTS[fault]
    assert verdicts(put_in(sound()), "differs") == found


def test_every_check_has_a_fault() -> None:
    assert set().union(*(found for _, found in FAULTS.values())) == set(CHECKS)


UNRANKED = {**dict.fromkeys(CHECKS, "ok"), **dict.fromkeys(OF_RANKS, "not tried")}


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["conformance", *argv])
    return int(arguments.run(arguments))


def test_trl(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trl", "--json", "--ranks", "1") == 1
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = {one["name"]: one["verdict"] for one in said["checks"]}
    assert found == {**UNRANKED, "special tokens": "differs"}
    assert said["trainer"].startswith("trl ")


def findings(python: str, trainer: str, **variables: str) -> dict[str, list[str]]:
    """Run the command with a Python and variables; return the verdicts and what is said."""
    done = subprocess.run(
        [python, "-m", "medreward_conformance", trainer, "--json"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"trainer"')]
    assert len(lines) == 1, done.stderr[-3000:]
    [line] = lines
    found = {one["name"]: [one["verdict"], one["detail"]] for one in json.loads(line)["checks"]}
    if found["ranks: once"][0] != "not tried":
        assert "32 completions arrives once, at one of 2 processes" in found["ranks: once"][1]
    return found


@pytest.mark.slow
def test_two_processes_of_trl() -> None:
    found = findings(sys.executable, "trl")
    assert {found[name][0] for name in OF_RANKS} == {"ok"}, found
    assert "8 groups" in found["ranks: groups"][1]
    for metric in ("correct", "unreadable", "zero_variance", "reward_std", "rewards/format/mean"):
        assert metric in found["ranks: metrics"][1]


@pytest.mark.slow
def test_two_workers_of_verl() -> None:
    found = findings(sys.executable, "verl")
    differ = {name for name in OF_RANKS if found[name][0] != "ok"}
    assert differ == {"ranks: groups"}, found  # each completion goes to a worker by chance
    assert found["ranks: trace"][1] == "one file for all processes holds 32 completions once"
    for metric in ("critic/advantages/max", "critic/score/mean", "unreadable/mean"):
        assert metric in found["ranks: metrics"][1]


def test_processes_that_do_not_share_the_groups_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"ranks: 3 processes do not share 4 groups"):
        observe_ranks(3)


@pytest.mark.slow
def test_verl(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verl", "--ranks", "1") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("verl ")
    differ = [line for line in lines[1:] if "  differs  " in line]
    assert [line.split("  ")[1] for line in differ] == ["special tokens", "groups"]
    assert sum(" ok " in line for line in lines) == len(CHECKS) - 2 - len(OF_RANKS)
    assert sum(" not tried " in line for line in lines) == len(OF_RANKS)


def outside(python: str, trainer: str, *folders: str, **variables: str) -> dict[str, str]:
    """Run the command with another Python and other packages; return its verdicts."""
    path = os.pathsep.join([*folders, str(ROOT), str(ROOT / "adapters")])
    found = findings(python, trainer, PYTHONPATH=path, USE_HF="1", **variables)
    return {name: verdict for name, (verdict, _) in found.items()}


@pytest.mark.skipif(
    "MEDREWARD_EASYR1" not in os.environ, reason="MEDREWARD_EASYR1 names no checkout of EasyR1"
)
def test_easyr1() -> None:
    found = outside(sys.executable, "easyr1", os.environ["MEDREWARD_EASYR1"])
    differ = {"special tokens": "differs", "columns": "differs"}  # the split is not in the truth
    assert found == {**UNRANKED, **differ}


@pytest.mark.slow
@pytest.mark.skipif(
    "MEDREWARD_SWIFT" not in os.environ, reason="MEDREWARD_SWIFT names no Python with ms-swift"
)
def test_ms_swift() -> None:
    found = outside(os.environ["MEDREWARD_SWIFT"], "ms-swift")
    differ = {"prefilled think": "differs", "call": "differs"}
    assert found == {**dict.fromkeys(CHECKS, "ok"), **differ}


@pytest.mark.skipif(
    "MEDREWARD_VERIFIERS" not in os.environ,
    reason="MEDREWARD_VERIFIERS names no Python with verifiers",
)
def test_verifiers_environment_server() -> None:
    python = os.environ["MEDREWARD_VERIFIERS"]
    folders = [str(Path(python).parent), os.environ["PATH"]]
    found = outside(python, "verifiers", PATH=os.pathsep.join(folders))
    unseen = dict.fromkeys(("special tokens", "end token", "prefilled think"), "not seen")
    differ = {"groups": "differs", "exception": "differs"}
    assert found == {**UNRANKED, **unseen, **differ}


def test_a_trainer_that_is_not_here_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'trll' is not one of .* did you mean 'trl'"):
        observe("trll")
    if "MEDREWARD_SWIFT" not in os.environ:
        with pytest.raises(ConfigError, match=r"ms-swift is not here.*pip install ms-swift"):
            observe("ms-swift")
