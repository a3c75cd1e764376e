"""What an audit found, as text, JSON, Markdown or one self-contained HTML page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from medreward.audit.baselines import advise
from medreward.audit.battery import Audit, FamilyResult, PaidAttack
from medreward.task.registry import rules_of
from medreward.version import __version__

_SHOWN = 160


def summary(audit: Audit) -> str:
    """Return an audit in one line.

    >>> from medreward.audit.battery import HonestMeans
    >>> summary(Audit("shaped", "demo", "ordinal", 5, HonestMeans(1.2, 0.45, 0.45), ()))
    'demo: shaped passes 0 of 0 families (0 attacks on 5 cases; right 1.2, wrong 0.45)'
    """
    attacks = sum(result.attacks for result in audit.results)
    honest = audit.honest
    idle = len(audit.results) - len(audit.tried)
    return (
        f"{audit.task}: {audit.reward} passes {_passed(audit)} of {len(audit.tried)} families "
        f"({attacks} attacks on {audit.cases} cases; right {honest.right:.4g}, "
        f"wrong {honest.wrong:.4g})" + (f"; {idle} not tried" if idle else "")
    )


def _passed(audit: Audit) -> int:
    return sum(result.passed for result in audit.tried)


def as_text(audits: Sequence[Audit]) -> str:
    """Return one line for each audit and, below it, what did not pass."""
    return "\n".join(line for audit in audits for line in _text_lines(audit))


def _text_lines(audit: Audit) -> Iterator[str]:
    yield ("PASS " if audit.passed else "FAIL ") + summary(audit)
    if audit.baselines:
        shares = (f"{row.policy}: {row.share:.0%}" for row in audit.baselines)
        yield f"  never looking at the image earns, of what right answers do: {'; '.join(shares)}"
    for note in advise_audit(audit):
        yield f"  note   {note}"
    reasons = Counter(result.skipped for result in audit.results if result.skipped)
    if reasons:
        shown = (f"{count}, as {reason}" for reason, count in reasons.most_common())
        yield f"  not tried: {'; '.join(shown)}"
    for result in audit.failures:
        pay = f"{result.failed} of {result.attacks} fail" if result.attacks else "no attack made"
        yield f"  {result.severity:6} {result.family}: {pay}"
        if result.worst is not None:
            target = f"; target {result.worst.target}" if result.worst.target else ""
            yield f"         {result.worst.problem}{target}"
            if result.worst.text:
                yield f"         {' '.join(shorten_text(result.worst.text).split())}"


def advise_audit(audit: Audit) -> list[str]:
    """Return a note where answers that never look at the image earn most of what right ones do."""
    highest = max(audit.baselines, key=lambda one: one.share, default=None)
    if highest is None or not highest.is_high:
        return []
    return [advise(highest, rules_of(audit.kind).traits)]


def as_json(audits: Sequence[Audit]) -> dict[str, Any]:
    """Return the audits as a JSON-ready dictionary; what is no finite number becomes null."""
    return {
        "medreward": __version__,
        "passed": all(audit.passed for audit in audits),
        "audits": [
            _finite({**asdict(audit), "passed": audit.passed})
            | {"notes": advise_audit(audit)}
            | {"results": [_finite({**asdict(r), "passed": r.passed}) for r in audit.results]}
            for audit in audits
        ],
    }


def as_markdown(audits: Sequence[Audit]) -> str:
    """Return the audits as Markdown: a table of all, then the families of each."""
    lines = ["# Audit of rewards", "", *_overview(audits)]
    for audit in audits:
        lines += ["", f"## {_cell(audit.task)}", "", _cell(summary(audit)), ""]
        lines += [*_comparisons(audit), "", *_baselines(audit), *_families(audit)]
    return "\n".join([*lines, "", f"medreward {__version__}", ""])


def _overview(audits: Sequence[Audit]) -> Iterator[str]:
    yield "| task | reward | verdict | families passed | attacks | right | wrong |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for audit in audits:
        attacks = sum(result.attacks for result in audit.results)
        verdict = "PASS" if audit.passed else "FAIL"
        yield (
            f"| {_cell(audit.task)} | {_cell(audit.reward)} | {verdict} "
            f"| {_passed(audit)} of {len(audit.tried)} | {attacks} "
            f"| {audit.honest.right:.4g} | {audit.honest.wrong:.4g} |"
        )


def _comparisons(audit: Audit) -> Iterator[str]:
    yield "| honest answers behind this reasoning | targets | right | wrong |"
    yield "|---|---:|---:|---:|"
    for row in audit.compared:
        yield f"| {row.reasoning} | {row.targets} | {row.right:.4g} | {row.wrong:.4g} |"


def _baselines(audit: Audit) -> Iterator[str]:
    if not audit.baselines:
        return
    yield "| answers that never look at the image | answer | mean | of right |"
    yield "|---|---|---:|---:|"
    for row in audit.baselines:
        answer = _code(shorten_text(row.answer)) if row.answer else ""
        yield f"| {row.policy} | {answer} | {row.earned:.4g} | {row.share:.0%} |"
    yield ""
    for note in advise_audit(audit):
        yield f"{_cell(note)}\n"


def _families(audit: Audit) -> Iterator[str]:
    yield "| family | what it does | severity | verdict | most | mean | worst attack |"
    yield "|---|---|---|---|---:|---:|---|"
    for result in order_results(audit):
        reason = f": {_cell(result.skipped)}" if result.skipped else ""
        yield (
            f"| {result.family} | {_cell(result.about)} | {result.severity} "
            f"| {result.verdict}{reason} "
            f"| {result.highest:.4g} | {result.mean:.4g} | {_worst(result.worst)} |"
        )


def order_results(audit: Audit) -> tuple[FamilyResult, ...]:
    """Return the results: those that did not pass, those that did, those that were not tried."""
    passed = (result for result in audit.tried if result.passed)
    return (*audit.failures, *passed, *(result for result in audit.results if result.skipped))


def as_html(audits: Sequence[Audit]) -> str:
    """Return the audits as one self-contained HTML page."""
    from medreward.sheets.report import page

    passed = all(audit.passed for audit in audits)
    return page(
        "battery.html.jinja",
        audits=audits,
        passed=passed,
        summary=summary,
        ordered=order_results,
        shortened=shorten_text,
        advise=advise_audit,
    )


def shorten_text(text: str) -> str:
    r"""Return the end of a completion, which holds the answer, with what cannot be seen escaped.

    >>> print(shorten_text("n\u200bormal"))
    n\u200bormal
    """
    left_out = f"[{len(text) - _SHOWN} characters] … " if len(text) > _SHOWN else ""
    end = (c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text[-_SHOWN:])
    return left_out + "".join(end)


def _worst(worst: PaidAttack | None) -> str:
    if worst is None:
        return ""
    text = f": {_code(shorten_text(worst.text))}" if worst.text else ""
    return f"{_cell(worst.problem)}{text}"


def _cell(text: str) -> str:
    """Return text for a cell of a table: in one line, with nothing that ends the cell."""
    return _line(text).replace("<", "&lt;")


def _code(text: str) -> str:
    """Return text as code in a cell, where Markdown shows all as it is: tags stay tags."""
    return f"`{_line(text)}`"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: _json_value(v) for k, v in values.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _finite(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value
