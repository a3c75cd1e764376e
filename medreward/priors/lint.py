"""Checking the knowledge in task cards: sources, review, balance, and what gives answers away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError
from medreward.priors.findings import Finding
from medreward.priors.lint_texts import text_findings
from medreward.priors.prompt import build_prompt
from medreward.priors.raw_card import RawCard, read_raw_card
from medreward.priors.tokens import count_tokens
from medreward.task.card import NO_REVIEW_HERE, check_folder, reviews_of
from medreward.task.links import link_of
from medreward.task.review import DISPUTED, DRAFT, REJECTED
from medreward.task.task import Task, parse_card

DEFAULT_BUDGET = 600  # words: some 800 tokens, which leaves 1,200 of 2,048 to the image
_SHORTEST = 30  # characters of a citation
_YEAR = re.compile(r"(?<![0-9])(1[89]|20)[0-9]{2}(?![0-9])")


def lint_card(
    task: str | Path,
    *,
    budget: int = DEFAULT_BUDGET,
    tokenizer: Any = str.split,
    reviews: str | Path | None = None,
) -> list[Finding]:
    """Return what is wrong with a card's knowledge, errors first.

    Args:
        task: a shipped card's name, or a file.
        budget: how long a prompt with all knowledge may be.
        tokenizer: counts its tokens; by default, words are counted.
        reviews: a folder with reviews, beside those that lie beside the card.

    Raises:
        ConfigError: if the card cannot be read, or there is no such folder.

    >>> [finding.code for finding in lint_card("mni152_level") if finding.error]
    []
    """
    card = read_raw_card(task)
    found = [*_sources(card), *_references(card), *_reviews(card), *text_findings(card)]
    try:
        loaded = parse_card(card.text, card.file)
    except ConfigError as error:
        if not any(finding.error for finding in found):
            message = str(error).removeprefix(f"{card.file}: ")
            found.append(card.finding("invalid-card", "card", message))
    else:
        found += _length(card, loaded, budget, tokenizer)
        found += _read_reviews(card, loaded, task, reviews)
    return sorted(found, key=lambda finding: not finding.error)


def _sources(card: RawCard) -> Iterator[Finding]:
    for place, _, item in card.statements():
        source = item.get("source")
        if not source:
            yield card.finding("no-source", place, f"{_short(item)} has no source")
        elif source not in card.references:
            known = ", ".join(map(str, card.references)) or "none"
            message = f"source {source!r} is not in references ({known})"
            yield card.finding("no-source", f"{place}.source", message)
        elif _is_draft(card.references[source]):
            yield card.finding(
                "draft", place, f"{_short(item)} was drafted by a model; cite a source"
            )


def _references(card: RawCard) -> Iterator[Finding]:
    cited = {item.get("source") for _, _, item in card.statements()}
    data = card.content.get("data")
    mentioned = " ".join(map(str, data.values())) if isinstance(data, Mapping) else ""
    for key, citation in card.references.items():
        place, text = f"references.{key}", str(citation)
        if _is_draft(citation):
            continue
        if not (key in cited or _is_named(str(key), mentioned)):
            yield card.finding("unused-reference", place, "nothing cites it", error=False)
        if len(text) < _SHORTEST:
            message = f"{text!r} is too short to be found by"
            yield card.finding("not-citable", place, message, error=key in cited)
        else:
            yield from _address(card, str(key), text)


def _address(card: RawCard, key: str, citation: str) -> Iterator[Finding]:
    """Yield whether a reader cannot open a reference, or nobody has yet."""
    place, link = f"references.{key}", link_of(citation, str(card.urls.get(key, "")))
    if not link:
        year = "" if _YEAR.search(citation) else " and no year"
        message = f"no url and no DOI{year}: a reader cannot open {key!r}; add url: https://…"
        yield card.finding("no-address", place, message, error=False)
    elif key in card.unopened:
        message = f"{link} was not opened when it was written down; open it, then drop the line"
        yield card.finding("not-opened", f"{place}.opened", message, error=False)


def _reviews(card: RawCard) -> Iterator[Finding]:
    for place, _, item in card.statements():
        if "review" in item:
            yield card.finding("bad-review", f"{place}.review", NO_REVIEW_HERE)


def _read_reviews(
    card: RawCard, loaded: Task, task: str | Path, folder: str | Path | None
) -> Iterator[Finding]:
    """Yield what readers object to, and reviews of what the card no longer says."""
    if folder is not None:
        check_folder(folder)
    try:
        reviewed = loaded.with_reviews(reviews_of(task, folder))
    except ConfigError as error:
        yield card.finding("bad-review", "reviews", str(error))
        return
    places = [place for place, _, _ in card.statements()]
    signed = [*zip(places, reviewed.reviewed_statements, strict=True)]
    for place, one in (*signed, *reviewed.reviewed_words.items()):
        if one.state in (DISPUTED, REJECTED):
            yield card.finding(one.state, place, one.note, error=False)
    for one in reviewed.stale_reviews:
        message = f"the card no longer says {_short({'text': one.text})} ({one.note})"
        yield card.finding("stale-review", "reviews", message, error=False)


def _length(card: RawCard, task: Task, budget: int, tokenizer: Any) -> Iterator[Finding]:
    prompt = build_prompt(task)
    size = count_tokens(tokenizer, f"{prompt.system}\n{prompt.text}")
    if size > budget:
        unit = "words" if tokenizer is str.split else "tokens"
        message = f"the prompt with all knowledge has {size} {unit}; the budget is {budget}"
        yield card.finding("over-budget", "card", message)


def _is_named(key: str, text: str) -> bool:
    """Whether a key stands in a text as a word; most are not in it at all, which is told faster."""
    return key in text and re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text) is not None


def _is_draft(citation: Any) -> bool:
    return str(citation).startswith(DRAFT)


def _short(item: Mapping[str, Any]) -> str:
    text = str(item.get("text", ""))
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
