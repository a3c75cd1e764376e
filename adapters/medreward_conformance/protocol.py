"""What a trainer's model wrote, what its reward got, and the checks that compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from medreward.errors import quote
from medreward_conformance.ranks import Ranks, ranks_groups, ranks_metrics, ranks_once, ranks_trace
from medreward_conformance.verdicts import DIFFERS, NOT_SEEN, NOT_TRIED, OK, Told, told_miscount

# What medreward's rewards need of a row, however a trainer brings it.
NEEDED = ("task", "target", "knowledge", "id", "split")


class Sent(NamedTuple):
    """A completion as the model wrote it.

    Attributes:
        key: tells it from all others, also where it arrives.
        group: of its prompt.
        text: with the special tokens in it, without the end token.
        prompt: the text of its prompt, or a part by which it is known.
        ended: whether the model wrote an end token.

    >>> Sent("a", "p1", "<think>x", "Which grade?").ended
    False
    """

    key: Hashable
    group: str
    text: str
    prompt: str
    ended: bool = False


class Arrival(NamedTuple):
    """A completion as the reward got it, and what came with it.

    >>> Arrival("a", "p1", "<think>x", ("target",)).columns
    ('target',)
    """

    key: Hashable
    group: str | None
    text: str
    columns: tuple[str, ...]


class Call(NamedTuple):
    """One call of the reward: how many arguments came by position, and the completions.

    >>> Call(0, (Arrival("a", "p1", "x", ()),)).positional
    0
    """

    positional: int
    arrivals: tuple[Arrival, ...]


@dataclass
class Observation:
    """What was seen of a trainer.

    Attributes:
        trainer: name and version.
        sent: the completions in the trainer's order.
        calls: what the reward got.
        special_tokens: those that may stand within a completion.
        end_tokens: those that end one.
        prefill: what the prompt's end has opened already, such as ``<think>``; "" for nothing.
        scores: the rewards that the trainer has in the end, by key; None: not seen.
        failure: what became of a reward that raised: "stops", or what happened instead.
        ranks: what several processes of one run did; a text: why none were run.

    >>> Observation("mine 1.0").calls
    []
    """

    trainer: str
    sent: list[Sent] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    special_tokens: tuple[str, ...] = ()
    end_tokens: tuple[str, ...] = ()
    prefill: str = ""
    scores: Mapping[Hashable, float] | None = None
    failure: str | None = None
    ranks: Ranks | str = "no ranks were run"


class Conformity(NamedTuple):
    """What a check found.

    >>> str(Conformity("order", "ok", "as sent"))
    'order: ok: as sent'
    """

    name: str
    verdict: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}: {self.detail}"


def probe_value(text: str) -> float:
    """Return the reward that a probe gives a text: one that hardly another text has.

    >>> probe_value("a") != probe_value("b")
    True
    """
    return crc32(text.encode(errors="replace")) % 10_000 / 10_000


def check(seen: Observation) -> list[Conformity]:
    """Return a finding for each check.

    "not seen" where the run could not tell, "not tried" where there was no run of that sort.

    >>> [finding.name for finding in check(Observation("mine 1.0"))][:4]
    ['text', 'special tokens', 'end token', 'prompt']
    """
    return [Conformity(name, *judge(seen)) for name, judge in CHECKS.items()]


def _pairs(seen: Observation) -> list[tuple[Sent, Arrival]]:
    arrived = {one.key: one for call in seen.calls for one in call.arrivals}
    return [(one, arrived[one.key]) for one in seen.sent if one.key in arrived]


def _said(seen: Observation, sent: Sent, text: str) -> str:
    """Return a text that arrived without what the trainer may have put around it."""
    if _is_prefilled(seen, sent, text):
        text = text[len(seen.prefill) :]
    for token in seen.end_tokens:
        text = text.removesuffix(token)
    return text


def _is_prefilled(seen: Observation, sent: Sent, text: str) -> bool:
    """Tell whether a text starts with what the prompt opens, and the model did not write it."""
    if not seen.prefill or not text.startswith(seen.prefill):
        return False
    return not _squeezed(seen, sent.text).startswith(_squeezed(seen, seen.prefill))


def _squeezed(seen: Observation, text: str) -> str:
    for token in (*seen.special_tokens, *seen.end_tokens):
        text = text.replace(token, "")
    return "".join(text.split())


def _text(seen: Observation) -> Told:
    pairs = _pairs(seen)
    if not pairs:
        return NOT_SEEN, "no completion arrived"
    wrong = []
    for sent, arrival in pairs:
        said = _said(seen, sent, arrival.text)
        has_special = any(token in sent.text for token in seen.special_tokens)
        same = (
            _squeezed(seen, said) == _squeezed(seen, sent.text)
            if has_special
            else said == sent.text
        )
        if not same:
            wrong.append((sent.text, arrival.text))
    if wrong:
        return DIFFERS, (
            f"{len(wrong)} of {len(pairs)} texts differ: {quote(wrong[0][0], 60)} arrives as "
            f"{quote(wrong[0][1], 60)}"
        )
    return OK, f"{len(pairs)} texts arrive as the model wrote them"


def _special(seen: Observation) -> Told:
    found = [
        (token, token in arrival.text)
        for sent, arrival in _pairs(seen)
        for token in seen.special_tokens
        if token in sent.text
    ]
    if not found:
        return NOT_SEEN, "no completion has a special token within it"
    gone = [token for token, kept in found if not kept]
    if gone:
        return DIFFERS, f"{', '.join(sorted(set(gone)))}: taken out in {len(gone)} places"
    return OK, f"kept in {len(found)} places"


def _end(seen: Observation) -> Told:
    ended = [(sent, arrival) for sent, arrival in _pairs(seen) if sent.ended]
    if not ended:
        return NOT_SEEN, "no completion was ended by the model"
    left = [
        token
        for _, arrival in ended
        for token in seen.end_tokens
        if arrival.text.rstrip().endswith(token)
    ]
    if left:
        return DIFFERS, f"{left[0]} stands at the end of {len(left)} of {len(ended)} texts"
    return OK, f"taken off {len(ended)} texts"


def _prompt(seen: Observation) -> Told:
    pairs = _pairs(seen)
    if not pairs:
        return NOT_SEEN, "no completion arrived"
    leaked = [arrival for sent, arrival in pairs if sent.prompt and sent.prompt in arrival.text]
    if leaked:
        return DIFFERS, f"the prompt stands in {len(leaked)} of {len(pairs)} texts"
    return OK, "not in the text"


def _prefill(seen: Observation) -> Told:
    if not seen.prefill or not seen.calls:
        return NOT_SEEN, "the prompt opens nothing"
    name = quote(seen.prefill)
    put = [one for sent, one in _pairs(seen) if _is_prefilled(seen, sent, one.text)]
    if put:
        return DIFFERS, f"{name}, which the prompt opens, is put in front of {len(put)} texts"
    return OK, f"{name} stays in the prompt"


def _call(seen: Observation) -> Told:
    if not seen.calls:
        return NOT_SEEN, "the reward was not called"
    if any(call.positional for call in seen.calls):
        return DIFFERS, "completions come by position, not by name"
    return OK, "all arguments come by name"


def _columns(seen: Observation) -> Told:
    arrivals = [one for call in seen.calls for one in call.arrivals]
    if not arrivals:
        return NOT_SEEN, "no completion arrived"
    missing = [name for name in NEEDED if any(name not in arrival.columns for arrival in arrivals)]
    if missing:
        return DIFFERS, f"without {', '.join(missing)}"
    return OK, f"{', '.join(NEEDED)} arrive"


def _once(seen: Observation) -> Told:
    counts = Counter(one.key for call in seen.calls for one in call.arrivals)
    wanted = Counter(one.key for one in seen.sent)
    return told_miscount(counts, wanted) or (
        OK,
        f"each of {counts.total()} completions arrives once",
    )


def _order(seen: Observation) -> Told:
    if seen.scores is None:
        return NOT_SEEN, "the trainer's rewards were not seen"
    scores = seen.scores
    pairs = _pairs(seen)
    if not pairs:
        return NOT_SEEN, "no completion arrived"
    wrong = sum(
        one.key not in scores or abs(scores[one.key] - probe_value(arrival.text)) > 1e-4
        for one, arrival in pairs
    )
    if wrong:
        return DIFFERS, f"{wrong} of {len(pairs)} completions have another's reward"
    mixed = sum(arrival.group not in (None, sent.group) for sent, arrival in pairs)
    if mixed:
        return DIFFERS, f"{mixed} of {len(pairs)} completions stand beside another row's columns"
    return OK, "each completion has its own row and its own reward"


def _groups(seen: Observation) -> Told:
    if not seen.calls:
        return NOT_SEEN, "the reward was not called"
    group_of = {one.key: one.group for one in seen.sent}
    places: dict[str, list[tuple[int, int]]] = {}
    for number, call in enumerate(seen.calls):
        for place, one in enumerate(call.arrivals):
            places.setdefault(group_of.get(one.key, ""), []).append((number, place))
    torn = sum(not _together(found) for found in places.values())
    if torn:
        calls = f"{len(seen.calls)} calls for {len(seen.sent)} completions"
        return DIFFERS, f"{torn} of {len(places)} groups do not come whole in one call ({calls})"
    return OK, f"{len(places)} groups come whole, side by side, in {len(seen.calls)} calls"


def _together(places: Sequence[tuple[int, int]]) -> bool:
    calls = {call for call, _ in places}
    positions = sorted(place for _, place in places)
    return len(calls) == 1 and positions == [*range(positions[0], positions[-1] + 1)]


def _failure(seen: Observation) -> Told:
    if seen.failure is None:
        return NOT_SEEN, "no reward was made to fail"
    if seen.failure == "stops":
        return OK, "a reward that raises stops the run"
    return DIFFERS, seen.failure


def _of_ranks(judge: Callable[[Ranks], Told]) -> Callable[[Observation], Told]:
    def told(seen: Observation) -> Told:
        return (NOT_TRIED, seen.ranks) if isinstance(seen.ranks, str) else judge(seen.ranks)

    return told


CHECKS: Mapping[str, Callable[[Observation], Told]] = {
    "text": _text,
    "special tokens": _special,
    "end token": _end,
    "prompt": _prompt,
    "prefilled think": _prefill,
    "call": _call,
    "columns": _columns,
    "once": _once,
    "order": _order,
    "groups": _groups,
    "exception": _failure,
    "ranks: once": _of_ranks(ranks_once),
    "ranks: groups": _of_ranks(ranks_groups),
    "ranks: trace": _of_ranks(ranks_trace),
    "ranks: metrics": _of_ranks(ranks_metrics),
}


def as_lines(seen: Observation) -> Iterator[str]:
    """Yield the table as a person reads it."""
    yield seen.trainer
    for finding in check(seen):
        yield f"  {finding.name:16} {finding.verdict:9} {finding.detail}"
