"""What the texts of statements give away, leave out or repeat."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rapidfuzz import fuzz, process

from medreward.priors.findings import Finding
from medreward.priors.raw_card import RawCard
from medreward.task.traits import Trait
from medreward.text.words import tokenize

_PICTURE = (
    r"(?:image|picture|photo(?:graph)?|radiograph|x-?ray|film|scan|slice|slide|smear|case|patient"
    r"|example|lesion|specimen)"
)
_GIVEN = re.compile(
    rf"""
    \b(?:this|the\ (?:given|present|shown|above|attached))\ {_PICTURE}\s
        (?:shows?|is|has|depicts?|demonstrates?|contains?|displays?|presents?|suffers?)\b
    | \bin\ this\ {_PICTURE}\b
    | \b(?:the|this)\ patient\ (?:has|is|was|suffers|presents)\b
    | \bthe\ (?:right|correct|true|expected)?\ ?(?:answer|label|grade|diagnosis)\ (?:here\ )?is\b
    | \b(?:seen|shown|visible|present)\ here\b
    | \bground\ truth\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_MARKUP = re.compile(r"<\s*/?\s*(?:image|think|answer|video)\b|<\|", re.IGNORECASE)
_NEAR = 90  # of 100, rapidfuzz's ratio of the texts without their label's name
_SAME_WORD = 80
_RATIO = 3  # of the words of a label and of the median of the others
_FEW = 15  # words that are no imbalance


def text_findings(card: RawCard) -> Iterator[Finding]:
    """Yield what is wrong with the texts of a card's statements."""
    yield from _forms(card)
    yield from _bare_labels(card)
    yield from _balance(card)
    yield from _names(card)
    yield from _repetitions(card)


def _forms(card: RawCard) -> Iterator[Finding]:
    for place, _, item in card.statements():
        text = str(item.get("text", ""))
        given, markup = _GIVEN.search(text), _MARKUP.search(text)
        if given:
            message = f"{given[0].strip()!r} speaks of one image or patient"
            yield card.finding("answer-given", f"{place}.text", message)
        if markup:
            message = f"{markup[0]!r} belongs to the form of prompts and answers"
            yield card.finding("markup", f"{place}.text", message)


def _bare_labels(card: RawCard) -> Iterator[Finding]:
    """Yield the labels without attributes, where others have some: that is a cue.

    An empty list, `attributes: []`, says that there are none on purpose, and is not reported.
    """
    bare = [k for k, label in enumerate(card.labels) if not label.get("attributes")]
    if len(bare) == len(card.labels):
        return
    for k in bare:
        if card.labels[k].get("attributes") == []:
            continue
        message = (
            f"label {card.labels[k].get('name')!r} has no attributes; others have some, and the "
            f"model is told of them only (none on purpose: attributes: [])"
        )
        yield card.finding("no-attributes", f"labels[{k}]", message, error=False)


def _balance(card: RawCard) -> Iterator[Finding]:
    """Yield the labels with far more or fewer words than the others have, by their median.

    The definitions of a scale are as long as the scale has them: those are not held against it.
    """
    words: dict[int, int] = defaultdict(int)
    for _, label, item in card.statements():
        if label is not None:
            words[label] += len(tokenize(str(item.get("text", "")))) or 1
    if Trait.ORDERED in card.traits or len(words) < 2:
        return
    ordered = sorted(words.values())
    usual = {label: _median_of_others(ordered, count) for label, count in words.items()}
    farthest = max(words, key=lambda k: max(words[k] / usual[k], usual[k] / words[k]))
    fewer, more = sorted((words[farthest], usual[farthest]))
    if more > _RATIO * fewer and more - fewer > _FEW:
        name, count = card.labels[farthest].get("name"), words[farthest]
        message = (
            f"{count} words on {name!r}, {usual[farthest]:g} on others: "
            f"{'more' if count == more else 'fewer'} by a factor above {_RATIO}"
        )
        yield card.finding("unbalanced", f"labels[{farthest}].attributes", message, error=False)


def _median_of_others(ordered: list[int], one: int) -> float:
    """Return the median of sorted numbers without one of them, without sorting again."""
    place, last = bisect_left(ordered, one), len(ordered) - 2
    middle = {ordered[i + (i >= place)]: None for i in (last // 2, (last + 1) // 2)}
    return sum(middle) / len(middle)


def _names(card: RawCard) -> Iterator[Finding]:
    for place, label, item in card.statements():
        if label is None:
            continue
        words = tokenize(str(item.get("text", "")).lower())
        forms = _names_of(card, label)
        if not any(_named(form, words) for form in forms):
            message = (
                f"the text names its label by none of {', '.join(map(repr, forms[:4]))}: in a "
                f"prompt, it stands without its label"
            )
            yield card.finding("label-not-named", f"{place}.text", message, error=False)


def _names_of(card: RawCard, label: int) -> list[str]:
    content = card.labels[label]
    synonyms = content.get("synonyms")
    names = [content.get("name"), *(synonyms if isinstance(synonyms, list) else [])]
    return [str(name) for name in names]


def _named(form: str, words: list[str]) -> bool:
    """Whether each word of a name is among the words, but for endings."""
    return all(
        any(w == part or (len(part) > 3 and fuzz.ratio(w, part) >= _SAME_WORD) for w in words)
        for part in tokenize(form.lower())
    )


class _Text(NamedTuple):
    """A statement: its place in the card, label, text, and text without the label's names."""

    place: str
    label: int | None
    text: str
    bare: str


def _repetitions(card: RawCard) -> Iterator[Finding]:
    first: dict[str, _Text] = {}
    others: list[_Text] = []
    for place, label, item in card.statements():
        text = str(item.get("text", "")).strip().lower()
        bare = "" if label is None else _without(card, label, text)
        this = _Text(place, label, text, bare)
        same = first.setdefault(text, this)
        if same is not this:
            code = "repeated" if label is None or same.label in (None, label) else "same-text"
            message = f"the same text as {same.place}"
            yield card.finding(code, f"{place}.text", message, error=code == "same-text")
        elif label is not None:
            yield from _near(card, this, others)
            others.append(this)


def _near(card: RawCard, this: _Text, others: Sequence[_Text]) -> Iterator[Finding]:
    """Yield each text of another label that this one is nearly the same as."""
    texts = [other.bare for other in others]
    found = process.extract(this.bare, texts, scorer=fuzz.ratio, score_cutoff=_NEAR, limit=None)
    for _, score, i in sorted(found, key=lambda match: match[2]):
        if others[i].label != this.label:
            message = (
                f"nearly the same text as {others[i].place} ({score:.0f} of 100, names left out)"
            )
            yield card.finding("near-duplicate", f"{this.place}.text", message, error=False)


def _without(card: RawCard, label: int, text: str) -> str:
    """Return a text in lower case without its label's names, the longest first."""
    text = text.lower()
    for form in sorted((name.lower() for name in _names_of(card, label)), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "", text)
    return " ".join(text.split())
