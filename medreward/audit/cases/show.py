"""An outcome as a reader wants to see it: the completion, what it earned and why, what was wanted.

Control characters of a completion are shown as escapes, so that a failure cannot be disguised.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from medreward.audit.cases.judge import ERROR, Outcome
from medreward.language.mends import describe_unread
from medreward.text.reasons import REASONS
from medreward.text.shown import signed

_LONGEST = 600
_NUMBERS = (
    "numbers are judged where the file's head names this reward (reward: PATH), or with --numbers "
    "(in pytest --medreward-numbers); parts, where the reward returns them"
)
_WHY_UNJUDGED = {
    "reasons": "only medreward's reward gives reasons",
    "settings": "they are settings of medreward's reward",
    "prediction": "only medreward's reward says what it read where several labels may be right",
}


def show_outcome(outcome: Outcome) -> str:
    """Return several lines about an outcome."""
    case = outcome.case
    lines = [f"{case.place}: case {case.id!r}, task {case.task.name}"]
    if case.note:
        lines.append(f"  about       {case.note}")
    lines.append(f"  completion  {visible(case.text)}")
    lines.append(f"  target      {case.target!r}")
    lines += _earned(outcome)
    lines += [f"  expected    {finding}" for finding in outcome.findings]
    if outcome.unjudged:
        lines += [f"  not judged  {line}" for line in why_unjudged(outcome.unjudged)]
    if outcome.status == ERROR:
        lines += [f"  {x}" for x in outcome.error.splitlines()]
    return "\n".join(lines)


def why_unjudged(names: Iterable[str]) -> list[str]:
    """Return expectations that were not judged, a line for each reason why.

    >>> why_unjudged(["reasons"])
    ["reasons: only medreward's reward gives reasons"]
    """
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(_WHY_UNJUDGED.get(name, _NUMBERS), []).append(name)
    return [f"{', '.join(which)}: {why}" for why, which in found.items()]


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON-ready dictionary."""
    case, earned = outcome.case, outcome.earned
    score = outcome.score
    return {
        "id": case.id,
        "place": case.place,
        "status": outcome.status,
        "task": case.task.name,
        "completion": case.text,
        "target": case.target,
        "total": None if earned is None else earned.total,
        "parts": {} if earned is None else dict(earned.parts),
        "reasons": [] if score is None else list(score.reasons),
        "prediction": None if score is None else score.prediction,
        "unread": "" if score is None else score.unread,
        "expected": [finding.expected for finding in outcome.findings],
        "found": [finding.found for finding in outcome.findings],
        "unjudged": list(outcome.unjudged),
        "gap": case.gap,
        "error": outcome.error,
    }


def visible(text: str) -> str:
    r"""Return a text on one line, with what cannot be seen as escapes, and its middle left out.

    >>> print(visible("ab\u200bc\n"))
    'ab\u200bc\n'
    """
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]} … ({len(text) - _LONGEST} characters) … {text[-half:]}"
    return repr(text)


def _earned(outcome: Outcome) -> list[str]:
    if outcome.earned is None:
        return []
    lines = [f"  total       {signed(outcome.earned.total)}"]
    if outcome.earned.parts:
        parts = ", ".join(f"{name} {signed(value)}" for name, value in outcome.earned.parts.items())
        lines.append(f"  parts       {parts}")
    if outcome.score is not None:
        lines.append(f"  read as     {outcome.score.prediction or '(nothing)'}")
        lines += [f"  reason      {code}: {REASONS[code]}" for code in outcome.score.reasons]
        if outcome.score.unread:
            unread = describe_unread(outcome.score.unread, outcome.case.task.languages)
            lines.append(f"  unread      {unread}")
    return lines
