"""Tables of evaluations, for an issue, a paper or a program: Markdown, LaTeX, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medreward.files.markdown import cell, plain
from medreward.runs.evaluation_results import ModelComparison, TaskEvaluation
from medreward.runs.evaluation_rules import SuiteAgreement

INTERVALS = (
    "95 % percentile bootstrap; rows of one image, or of one cluster that was named, are drawn "
    "together"
)
PERMUTED = (
    "two-sided permutation test, the two models exchanged in the same way as rows are drawn; "
    "Holm's correction is for all metrics and pairs of models of a task"
)
SIGNATURE_NOTE = (
    "The signature is that of the reward with the cards' settings and the options of this command. "
    "No metric depends on weights, delta or gates; mean credit goes by the settings of partial "
    "credit. knowledge:rows is one digest of the texts in all rows, whatever order each lists its "
    "labels in."
)
_LOWER = ("error", "unreadable")  # in the names of metrics of which the lower is better
_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In LaTeX's first encoding (OT1) these are other characters.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_NO_SHARES = ("label", "rows", "intervals")  # of a row of a table of labels


def grouped(evaluations: Sequence[TaskEvaluation]) -> list[list[TaskEvaluation]]:
    """Return evaluations of the same rows together: those of several models."""
    found: dict[tuple[str, str], list[TaskEvaluation]] = {}
    for one in evaluations:
        found.setdefault((one.task, one.part), []).append(one)
    return [*found.values()]


def shared_notes(group: Sequence[TaskEvaluation]) -> list[str]:
    """Return the notes of several models on the same rows: each once, with whose it is."""
    found: dict[str, list[str]] = {}
    for one in group:
        for note in one.notes:
            found.setdefault(note, []).append(one.model)
    return [
        note if len(models) == len(group) else f"{', '.join(models)}: {note}"
        for note, models in found.items()
    ]


def number_text(value: float | None, sign: str = "") -> str:
    """Return a number as a table shows it: three digits, "–" for none, no minus before zero."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(value, 3) + 0.0:{sign}.3f}"


def lower_is_better(metric: str) -> bool:
    """Tell whether a metric is better the lower it is."""
    return any(word in metric for word in _LOWER)


def p_text(p: float) -> str:
    """Return a p-value with four digits, a small one with two that are not zero.

    >>> p_text(0.04), p_text(1 / 2001), p_text(1 / 20001)
    ('0.0400', '0.00050', '0.000050')
    """
    if math.isnan(p):
        return "–"
    digits = 4 if p >= 0.00095 or p <= 0 else 1 - math.floor(math.log10(p))
    return f"{p:.{digits}f}"


def comparison_note(one: ModelComparison) -> str:
    """Return how to read the table of two models: direction, and the least p there is."""
    lower = [own.name for own in one.metrics if lower_is_better(own.name)]
    but = f", except for {', '.join(lower)}, where lower is better" if lower else ""
    return (
        f"A positive difference: {one.one} is higher. Higher is better{but}. The least p that "
        f"{one.resamples:,} permutations can give is {p_text(1 / (one.resamples + 1))}; the true "
        f"one may be smaller.{_too_few(one)}{_not_compared(one)}"
    )


def _not_compared(one: ModelComparison) -> str:
    if not one.left_out:
        return ""
    return f" Not compared, since only one of the two has them: {', '.join(one.left_out)}."


def _too_few(one: ModelComparison) -> str:
    """Return what to do where no p is below 0.05 after the correction, whatever the models do."""
    if one.compared < 0.05 * (one.resamples + 1):
        return ""
    return (
        f" Corrected for {one.compared} comparisons, that is at least "
        f"{p_text(min(1.0, one.compared / (one.resamples + 1)))}, so that no difference can be "
        f"significant at 0.05: --resamples {40 * one.compared} or more."
    )


def interval_text(value: float, low: float, high: float, sign: str = "") -> str:
    """Return a value with its interval.

    >>> interval_text(0.5, 0.25, 0.75)
    '0.500 (0.250 to 0.750)'
    """
    shown, *ends = (number_text(one, sign) for one in (value, low, high))
    return shown if shown == "–" else f"{shown} ({ends[0]} to {ends[1]})"


# Markdown


def markdown(
    evaluations: Sequence[TaskEvaluation],
    comparisons: Sequence[ModelComparison] = (),
    sources: Mapping[str, str] | None = None,
    rules: Sequence[SuiteAgreement] = (),
) -> str:
    """Return evaluations and comparisons as Markdown, for a paper's appendix or an issue.

    Args:
        evaluations: of one model or several.
        comparisons: of two models each.
        sources: what the numbers come from (rows, files, seed), by name.
        rules: how suites agree.
    """
    lines = ["# Evaluation", ""]
    for group in grouped(evaluations):
        first = group[0]
        part = f", {plain(first.part)}" if first.part else ""
        lines += [f"## {plain(first.task)}{part} ({_rows_text(first.rows)})", ""]
        for note in shared_notes(group):
            lines += [plain(note), ""]
        lines += [*_metric_lines(group), ""]
        for one in group:
            lines += [*_label_lines(one), *_reason_lines(one)]
        for signature in dict.fromkeys(one.signature for one in group):
            lines += [f"`{signature}`", ""]
    for comparison in comparisons:
        lines += [*_comparison_lines(comparison), ""]
    lines += _rule_lines(rules)
    lines += [f"In brackets: {INTERVALS}.{f' p: {PERMUTED}.' if comparisons else ''}"]
    lines += ["", SIGNATURE_NOTE]
    lines += [""] * bool(sources)
    lines += [f"- {plain(name)}: {plain(text)}" for name, text in (sources or {}).items()]
    return "\n".join(lines) + "\n"


def _metric_lines(group: Sequence[TaskEvaluation]) -> Iterator[str]:
    """Yield a table of metrics: a column for each model, and one for each baseline."""
    models = [one.model or "completions" for one in group]
    names = [*dict.fromkeys(metric.name for one in group for metric in one.metrics)]
    columns = [{m.name: interval_text(*m[1:]) for m in one.metrics} for one in group]
    columns += [
        {name: number_text(value) for name, value in values.items()}
        for values in group[0].baselines.values()
    ]
    columns += [{m.name: interval_text(*m[1:]) for m in own} for own in group[0].ceiling.values()]
    heads = ["metric", *models, *group[0].baselines, *group[0].ceiling]
    yield "| " + " | ".join(map(cell, heads)) + " |"
    yield "|---|" + "---:|" * len(columns)
    for name in names:
        yield f"| {cell(name)} | " + " | ".join(own.get(name, "") for own in columns) + " |"


def _label_lines(one: TaskEvaluation) -> list[str]:
    if not one.labels:
        return []
    heads, rows = label_cells(one)
    heads = [_whose(heads[0], one), *heads[1:]]
    lines = ["| " + " | ".join(map(cell, heads)) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return [*lines, ""]


def label_cells(one: TaskEvaluation) -> tuple[list[str], list[list[str]]]:
    """Return the heads of the table of labels, and its rows."""
    shares = [name for name in one.labels[0] if name not in _NO_SHARES]
    rows = [
        [str(row["label"]), str(row["rows"]), *(_share_text(row, name) for name in shares)]
        for row in one.labels
    ]
    # Of boxes the number is not that of rows.
    return ["label", "true", *map(shown_name, shares)], rows


def _share_text(row: Mapping[str, Any], name: str) -> str:
    value, ends = row[name], row.get("intervals", {}).get(name)
    if value is None or ends is None or None in ends:
        return number_text(value)
    return interval_text(value, *ends)


def shown_name(name: str) -> str:
    """Return the name of a column of a table of labels as people write it."""
    return {"f1": "F1", "auroc": "AUROC", "average_precision": "average precision"}.get(name, name)


def _whose(what: str, one: TaskEvaluation) -> str:
    return f"{what}, {one.model}" if one.model else what


def _reason_lines(one: TaskEvaluation) -> list[str]:
    lines = []
    for what, counts in (("Not right", one.reasons), ("Not read", one.unread)):
        if counts:
            named = ", ".join(f"{code} {count}" for code, count in counts.items())
            lines += [f"{plain(_whose(what, one))}: {named}.", ""]
    return lines


def _comparison_lines(one: ModelComparison) -> Iterator[str]:
    yield f"## {plain(one.task)}: {plain(one.one)} minus {plain(one.other)}"
    yield ""
    yield plain(comparison_note(one))
    yield ""
    yield "| metric | difference | p | p, Holm |"
    yield "|---|---:|---:|---:|"
    for own in one.metrics:
        value = interval_text(own.value, own.low, own.high, "+")
        yield f"| {cell(own.name)} | {value} | {p_text(own.p)} | {p_text(own.adjusted)} |"


def _rule_lines(rules: Sequence[SuiteAgreement]) -> list[str]:
    if not rules:
        return []
    lines = ["## The same completions under other suites' rules", "", RULES_NOTE, ""]
    lines += ["| " + " | ".join(RULE_HEADS) + " |", "|---|---|" + "---:|" * (len(RULE_HEADS) - 2)]
    lines += ["| " + " | ".join(map(cell, rule_cells(one))) + " |" for one in rules]
    return [*lines, ""]


RULE_HEADS = (
    *("task", "suite", "rows", "right by it", "right by medreward", "same verdict"),
    *("right by it only", "right by medreward only"),
)
RULES_NOTE = (
    "Right by a suite's rule as it stood in August 2026, written anew from a description; what it "
    "leaves to a judge, a language model or chance counts as wrong. A figure to publish under a "
    "suite's name comes from the suite itself."
)


def rule_cells(one: SuiteAgreement) -> list[str]:
    """Return a line of the table of suites."""
    return [
        f"{one.task}, {one.model}" if one.model else one.task,
        f"{one.suite}, {one.of}",
        str(one.rows),
        *(number_text(share) for share in (one.theirs, one.ours, one.same)),
        str(one.only_theirs),
        str(one.only_ours),
    ]


# LaTeX


def latex(
    evaluations: Sequence[TaskEvaluation],
    comparisons: Sequence[ModelComparison] = (),
    sources: Mapping[str, str] | None = None,
) -> str:
    r"""Return evaluations as LaTeX tables: a row a metric, a column a model and each baseline.

    Their captions say what they show: rows, intervals, baselines, tests, bold type. They need
    ``\usepackage{booktabs}``.

    Args:
        evaluations: of one model or several.
        comparisons: of two models each, which make a table each.
        sources: what the numbers come from, as comments.
    """
    lines = [f"% {tex_text(name)}: {tex_text(text)}" for name, text in (sources or {}).items()]
    for group in grouped(evaluations):
        lines += ["", *(f"% {tex_text(one)}" for one in dict.fromkeys(e.signature for e in group))]
        models = [one.model or "completions" for one in group]
        baselines = group[0].baselines
        heads = ["metric", *models, *(f"baseline {i + 1}" for i in range(len(baselines)))]
        heads += ["people" for _ in group[0].ceiling]
        names = [*dict.fromkeys(metric.name for one in group for metric in one.metrics)]
        cells = [{m.name: _tex_interval(*m[1:]) for m in one.metrics} for one in group]
        cells += [{k: _tex_number(v) for k, v in own.items()} for own in baselines.values()]
        cells += [{m.name: _tex_interval(*m[1:]) for m in own} for own in group[0].ceiling.values()]
        table = [[name, *(own.get(name, "") for own in cells)] for name in names]
        lines += _tabular(heads, table, _caption(group))
    for comparison in comparisons:
        rows = [
            [
                own.name,
                _tex_bold(_tex_interval(own.value, own.low, own.high, "+"), own.adjusted < 0.05),
                _tex_p(own.p),
                _tex_p(own.adjusted),
            ]
            for own in comparison.metrics
        ]
        caption = _comparison_caption(comparison, evaluations)
        lines += ["", *_tabular(["metric", "difference", "p", "p, Holm"], rows, caption)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _caption(group: Sequence[TaskEvaluation]) -> str:
    first = group[0]
    part = f", {first.part}" if first.part else ""
    named = " ".join(f"Baseline {i}: {name}." for i, name in enumerate(first.baselines, start=1))
    lower = [m.name for m in first.metrics if lower_is_better(m.name)]
    but = f" Lower is better in: {', '.join(lower)}." if lower else ""
    people = "".join(f" {name[:1].upper()}{name[1:]}." for name in first.ceiling)
    return (
        f"{first.task}{part}: {_rows_text(first.rows)}. In brackets: {INTERVALS}. {named} "
        f"Baselines do not look at the image.{people}{but}"
    )


def _comparison_caption(one: ModelComparison, evaluations: Sequence[TaskEvaluation]) -> str:
    rows = next((e.rows for e in evaluations if e.task == one.task and not e.part), None)
    count = f", {_rows_text(rows)}" if rows is not None else ""
    return (
        f"{one.task}: {one.one} minus {one.other}{count}. {comparison_note(one)} In brackets: "
        f"{INTERVALS}. p: {PERMUTED}. Bold: p after Holm's correction is below 0.05."
    )


def _rows_text(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _tabular(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> list[str]:
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{tex_text(caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        " & ".join(map(tex_text, heads)) + r" \\",
        r"\midrule",
        *(" & ".join((tex_text(name), *values)) + r" \\" for name, *values in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _tex_number(value: float, sign: str = "") -> str:
    shown = number_text(value, sign)
    return "--" if shown == "–" else f"${shown}$"


def _tex_p(p: float) -> str:
    return "--" if math.isnan(p) else f"${p_text(p)}$"


def _tex_interval(value: float, low: float, high: float, sign: str = "") -> str:
    shown, *ends = (_tex_number(one, sign) for one in (value, low, high))
    return shown if shown == "--" else rf"{shown} {{\footnotesize [{ends[0]}, {ends[1]}]}}"


def _tex_bold(text: str, is_bold: bool) -> str:
    return rf"\textbf{{\boldmath {text}}}" if is_bold else text


def tex_text(text: str) -> str:
    r"""Return a text as LaTeX shows it.

    >>> print(tex_text("a_b: 5 % {x} \\ ~"))
    a\_b: 5 \% \{x\} \textbackslash{} \textasciitilde{}
    """
    line = " ".join(text.split())
    shown = "".join(_TEX.get(c) or (f"\\{c}" if c in "_%&#${}" else c) for c in line)
    return shown.replace("--", "-{}-")  # two hyphens are no dash


# JSON


def as_json(
    evaluations: Sequence[TaskEvaluation], comparisons: Sequence[ModelComparison] = (), **more: Any
) -> str:
    """Return everything as JSON."""
    content = {
        **more,
        "evaluations": [one.as_dict() for one in evaluations],
        "comparisons": [one.as_dict() for one in comparisons],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
