"""Why is the reward what it is: a trace's reasons, dead groups, drift and what stands out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from medreward.errors import ConfigError, quote
from medreward.runs.why_rules import EDGE, MIN_ROWS, MIN_SIDE, View, findings
from medreward.runs.why_stats import CAUSES, MEASURES, OTHERS, Stats, Step, TraceExample, shares
from medreward.scoring.groups import gather_groups
from medreward.scoring.mends import copy_hint
from medreward.scoring.trace import TraceRow
from medreward.task.task import Task
from medreward.text.reasons import REASONS

if TYPE_CHECKING:
    from medreward.sheets.report import Report

_TRAIN = "train"
_NOTHING = (
    ": no completion was scored; were the rows of a task that the reward knows, and did the run "
    "get to its first batch?"
)
_DEAD, _NOISE = "zero-variance groups", "noise-only groups"
_GROUP_NOTES = {
    _DEAD: "share of groups whose completions all earn the same: nothing to learn from",
    _NOISE: "share of groups that one small part alone tells apart: its noise is the advantage",
}
_SHOWN, _WIDTH = 8, 160  # reasons with examples on the terminal, characters of a completion


def analyse(
    rows: Iterable[TraceRow],
    *,
    group_size: int | None = None,
    split: str | None = None,
    cards: Mapping[str, Task] | None = None,
) -> View:
    """Return what a trace says.

    Args:
        rows: the trace, by rising step.
        group_size: take so many neighbours for a group, where the rows name no group.
        split: take the rows of this split only; by default those of "train", as soon as there are
            several.
        cards: tasks of your own by name, under which mends are tried; those that ship are known.

    Raises:
        ConfigError: if there are no rows.

    >>> analyse(TraceRow(step=i, completion="<answer>2", total=0.0) for i in range(8)).stats.rows
    8
    """
    splits: dict[str | None, Stats] = {}
    for group in gather_groups(rows, group_size):
        splits.setdefault(group[0].split, Stats()).add(group)
    if not splits or (split is not None and split not in splits):
        known = ", ".join(sorted(map(str, splits)))
        wanted = f" of split {split!r}; there is {known}" if splits else ""
        empty = "" if splits else _NOTHING
        raise ConfigError(f"the trace has no rows{wanted}{empty}")
    if split is None and len(splits) > 1:
        split = _TRAIN if _TRAIN in splits else max(splits, key=lambda name: splits[name].rows)
    return View(splits[split] if split in splits else next(iter(splits.values())), cards)


def notes(view: View) -> list[str]:
    """Return what limits the conclusions."""
    stats, found = view.stats, []
    if stats.rows < MIN_ROWS:
        found.append(f"only {stats.rows} completions: nothing is concluded below {MIN_ROWS}")
    if stats.stepless:
        found.append("no steps in the file: the order of its lines is taken for time")
    if stats.goes_back:
        found.append(
            f"the steps go back {stats.goes_back} times: several runs, or one that was resumed "
            f"without a mark, are in the file and counted together"
        )
    if not view.enough:
        found.append(f"only {len(view.steps)} steps: no trend (at least {2 * MIN_SIDE})")
    if not view.all.groups:
        found.append("no groups: the rows name neither an id nor a group (see --group-size)")
    if not view.all.known["correct"]:
        found.append("the file does not say which answers are right (see --task)")
    return found


def summary(view: View) -> dict[str, Any]:
    """Return everything as a JSON-ready dictionary; what is not known is None."""
    stats = view.stats
    return {
        "completions": stats.rows,
        "steps": len(view.steps),
        "tasks": dict(stats.tasks),
        "splits": dict(stats.splits),
        "signatures": stats.signatures.texts(),
        "notes": notes(view),
        "measures": {name: _change(view, name) for name in names(view)},
        "zero_variance": {
            **_change(view, "zero_variance"),
            "groups": view.all.groups,
            "causes": shares(view.all.dead, view.all.groups),
        },
        "thin_variance": {
            "share": None if math.isnan(view.all.thin_share()) else view.all.thin_share(),
            "parts": shares(view.all.thin, view.all.groups),
            "causes": shares(view.all.thin_causes, view.all.groups),
            "mean_spread": _thin_spread(view),
        },
        "cut_off": view.all.shape.cut_off() / stats.rows,
        "reasons": {
            code: {
                "all": share,
                "early": _share("reasons", code, view.early),
                "late": _share("reasons", code, view.late),
            }
            for code, share in shares(view.all.reasons, view.all.rows).items()
        },
        "not_understood": [
            {
                "text": text,
                "count": view.all.unread[text],
                "share": view.all.unread[text] / stats.rows,
                "early": _share("unread", text, view.early),
                "late": _share("unread", text, view.late),
                "mend": _mend(view, text),
                "example": vars(stats.unread[text]),
            }
            for text in shares(view.all.unread, 1)
        ],
        "answers": shares(view.all.answers, view.all.answers.total()),
        "groups_varied": {n: v / stats.spread.groups for n, v in stats.spread.varied.items()},
        "constant_parts": stats.spread.constant(),
        "correlations": {f"{a}, {b}": r for (a, b), r in stats.spread.correlations().items()},
        "findings": [vars(finding) for finding in findings(view)],
        "examples": {code: [vars(e) for e in found] for code, found in stats.examples.items()},
    }


def names(view: View) -> list[str]:
    """Return the measures and parts that the trace knows."""
    known = view.all.known
    parts = sorted(name for name in known if name not in MEASURES)
    return [name for name in (*MEASURES, *parts) if known[name]]


def describe_run(view: View) -> str:
    """Return the analysis for a terminal.

    >>> view = analyse(TraceRow(step=i, completion="<answer>2", total=0.0) for i in range(8))
    >>> print(describe_run(view).splitlines()[0])
    8 completions, 8 steps, task not named
    """
    sections = (_head, _table, _dead, _varied, _reasons, _unread, _found)
    return "\n".join(line for section in sections for line in section(view))


def report(view: View, title: str) -> Report:
    """Return the analysis as a report (`medreward.sheets.report`), with curves over the steps."""
    from medreward.sheets.report import Chart, Report, Row

    found = summary(view)
    of_groups = {_DEAD: found["zero_variance"]}
    if view.all.thin:
        of_groups[_NOISE] = _change(view, "thin_variance")
    measured = {**found["measures"], **of_groups}
    columns = ("all", "early", "late")
    rows = [
        Row(name, [_or_nan(values[c]) for c in columns], (MEASURES | _GROUP_NOTES).get(name, ""))
        for name, values in measured.items()
    ]
    rows += [
        Row(f"reason {code}", [_or_nan(values[c]) for c in columns], REASONS.get(code, ""))
        for code, values in found["reasons"].items()
    ]
    shown = [name for name in ("correct", "unreadable", "repetition") if name in measured]
    curves = {name: [step.mean(name) for step in view.steps] for name in shown}
    groups = {name: [_GROUPS[name](step) for step in view.steps] for name in of_groups}
    parts = {n[5:]: [s.mean(n) for s in view.steps] for n in measured if n.startswith("part ")}
    low = min((v for c in parts.values() for v in c if not math.isnan(v)), default=0.0)
    length = [step.mean("length") for step in view.steps]
    unread = found["not_understood"][:_SHOWN]
    rows += [
        Row(
            f"not understood: {_short(one['text'])}",
            [_or_nan(one[c]) for c in ("share", "early", "late")],
            one["mend"],
        )
        for one in unread
    ]
    return Report(
        title=title,
        summary=" ".join(f"{note}." for note in notes(view)) or "Shares and means of a trace.",
        facts={
            "completions": str(view.stats.rows),
            "steps": str(len(view.steps)),
            "task": ", ".join(view.stats.tasks) or "not named",
        },
        columns=columns,
        rows=rows,
        heading="The whole trace, its first and its last steps",
        findings=[(f"{f.rule}: {f.facts}", f.guess) for f in findings(view)],
        charts=[
            Chart("Shares", curves),
            Chart("Groups from which nothing is to be learnt", groups),
            Chart("Parts of the reward", parts, low=min(0.0, low)),
            Chart("Length", {"characters": length}, high=max([1.0, *length])),
        ],
        texts={
            **{
                f"example: {code}": _shown(found, 400)
                for code, found in view.stats.examples.items()
            },
            **{f"not understood: {_short(one['text'])}": _unread_text(view, one) for one in unread},
            "signatures": "\n".join(view.stats.signatures.texts()) or "(none)",
        },
    )


def _unread_text(view: View, unread: Mapping[str, Any]) -> str:
    example = view.stats.unread[unread["text"]]
    return f"{_place(example)}: {_cut(example.completion, 400)}\nfirst guess: {unread['mend']}"


_OF_GROUPS: Mapping[str, Callable[[Step], float]] = {
    "zero_variance": Step.zero_variance,
    "thin_variance": Step.thin_share,
}
_GROUPS = dict(zip(_GROUP_NOTES, _OF_GROUPS.values(), strict=True))


def _change(view: View, name: str) -> dict[str, float | bool | None]:
    of_groups = _OF_GROUPS.get(name)
    overall = of_groups(view.all) if of_groups else view.all.mean(name)
    trend = view.trend(of_groups or name)
    return {
        "all": None if math.isnan(overall) else overall,
        "early": trend.early if trend else None,
        "late": trend.late if trend else None,
        "certain": trend.certain if trend else None,
    }


def _thin_spread(view: View) -> float | None:
    count = view.all.thin.total()
    return view.all.thin_spread / count if count else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _share(counts: str, key: str, step: Step | None) -> float | None:
    """Return how often a key of a step's `reasons` or `unread` is there, as a share of its rows."""
    if step is None:
        return None
    found: Mapping[str, int] = getattr(step, counts)
    return found[key] / step.rows


def _head(view: View) -> Iterator[str]:
    stats = view.stats
    tasks = ", ".join(stats.tasks) or "not named"
    yield f"{stats.rows} completions, {len(view.steps)} steps, task {tasks}"
    counts = stats.signatures.settings
    shown = [*zip(stats.signatures.texts(), counts.most_common(), strict=True)]
    for signature, (_, count) in shown[:_SHOWN]:
        share = "" if len(counts) == 1 else f" ({count} completions)"
        yield f"settings: {signature}{share}"
    for note in notes(view):
        yield f"note: {note}"
    if view.enough:
        yield f"early and late: the first and the last {max(MIN_SIDE, int(EDGE * len(view.steps)))}"


def _table(view: View) -> Iterator[str]:
    yield f"\n{'':24}{'all':>9}{'early':>9}{'late':>9}"
    rows = {name: _change(view, name) for name in names(view)}
    rows[_DEAD] = _change(view, "zero_variance")
    if view.all.thin:
        rows[_NOISE] = _change(view, "thin_variance")
    for name, row in rows.items():
        mark = " *" if row["certain"] and row["early"] != row["late"] else ""
        yield f"{name:24}" + "".join(_cell(row[c]) for c in ("all", "early", "late")) + mark
    if view.enough:
        yield "* a change larger than three standard errors"


def _cell(value: float | None) -> str:
    if value is None:
        return f"{'-':>9}"
    return f"{value:9.1f}" if abs(value) >= 10 else f"{round(value, 3) + 0.0:9.3f}"


def _dead(view: View) -> Iterator[str]:
    if view.all.dead:
        yield f"\nzero-variance groups: {view.all.dead.total()} of {view.all.groups}"
        for name, share in shares(view.all.dead, view.all.dead.total()).items():
            yield f"  {share:6.1%}  {name}: {CAUSES[name]}"
    if view.all.thin:
        parts = ", ".join(f"{name} {count}" for name, count in view.all.thin.most_common())
        yield (
            f"\nnoise-only groups, which one small part alone tells apart: "
            f"{view.all.thin.total()} of {view.all.groups}; the spread of these groups is only "
            f"that of {parts}: {_thin_spread(view):.1g} on average"
        )
        for name, share in shares(view.all.thin_causes, view.all.thin.total()).items():
            yield f"  {share:6.1%}  but for it {name}: {CAUSES[name]}"


def _varied(view: View) -> Iterator[str]:
    spread = view.stats.spread
    if spread.varied:
        found = (f"{n} {spread.varied[n] / spread.groups:.0%}" for n in sorted(spread.varied))
        yield f"\ngroups within which a part varies: {', '.join(found)}"


def _reasons(view: View) -> Iterator[str]:
    if view.all.reasons:
        yield f"\n{'reasons (several may apply)':32}{'all':>9}{'early':>9}{'late':>9}"
    for code, share in shares(view.all.reasons, view.all.rows).items():
        edges = (_share("reasons", code, view.early), _share("reasons", code, view.late))
        yield f"{code:32}" + "".join(_cell(value) for value in (share, *edges))


def _unread(view: View) -> Iterator[str]:
    if not view.all.unread:
        return
    total, rows = view.all.unread.total(), view.all.rows
    yield (
        f"\nwhat was not understood first in {total} of {rows} answers ({total / rows:.1%}), "
        f"{len(view.all.unread)} different"
    )
    yield f"{'':32}{'all':>9}{'early':>9}{'late':>9}"
    hints: dict[str, None] = {}
    for text, share in [*shares(view.all.unread, rows).items()][:_SHOWN]:
        edges = (_share("unread", text, view.early), _share("unread", text, view.late))
        yield f"{_short(text):32}" + "".join(_cell(value) for value in (share, *edges))
        yield f"  {_place(view.stats.unread[text])}: {_cut_end(view.stats.unread[text].completion)}"
        mend = _mend(view, text)
        yield f"  first guess: {mend}"
        task = view.stats.unread[text].task
        if task not in view.cards and (hint := copy_hint(task, mend)):
            hints.setdefault(hint)
    yield from hints


def _short(text: str) -> str:
    return quote(text if len(text) <= 28 else f"{text[:27]}…")


def _mend(view: View, text: str) -> str:
    return "" if text == OTHERS else view.mend(text)


def _found(view: View) -> Iterator[str]:
    found = findings(view)
    few = "too few completions to say what stands out"
    nothing = few if view.stats.rows < MIN_ROWS else "nothing stands out by the rules"
    yield "\nwhat stands out" if found else f"\n{nothing}"
    for finding in found:
        yield f"- {finding.rule}: {finding.facts}\n  first guess: {finding.guess}"
    codes = list(shares(view.all.reasons, 1) or view.stats.examples)
    main = f"{min(len(codes), _SHOWN)} main reasons" if len(codes) > 1 else "one reason there is"
    yield f"\nexamples: the first and the latest of the {main}"
    same: dict[str, list[str]] = {}  # codes of the same completions by what is shown of these
    for code in codes[:_SHOWN]:
        same.setdefault(_shown(view.stats.examples[code], _WIDTH), []).append(code)
    for shown, together in same.items():
        yield "\n".join([*(f"- {code}: {REASONS.get(code, '')}" for code in together), shown])


def _shown(examples: Iterable[TraceExample], width: int) -> str:
    return "\n".join(
        f"  {_place(example)}: {_cut(example.completion, width)}" for example in examples
    )


def _place(example: TraceExample) -> str:
    total = "-" if example.total is None else f"{round(example.total, 3) + 0.0:.3f}"
    return f"step {example.step}, id {example.id}, target {example.target}, total {total}"


def _cut_end(completion: str) -> str:
    """Return the end of a completion, where its answer stands."""
    cut = completion[-_WIDTH:]
    return ("…" if len(completion) > len(cut) else "") + repr(cut)


def _cut(completion: str, width: int) -> str:
    return repr(completion[:width]) + ("…" if len(completion) > width else "")
