"""Reviews: who read a statement, what they say of it, and whether it holds.

Reviews lie beside a card, ``NAME.reviews.yaml`` beside ``NAME.yaml``, and not in it. Each is bound
to the SHA-256 of what was read: the statement's text, its label and the citation of its source.
Where one of these changes, the review no longer holds: the statement is unreviewed again, and the
review is stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

from medreward import checks
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_yaml
from medreward.task.labels import Label, Statement

DRAFT = "draft:"  # begins the citation of what a language model wrote: not a source
VERDICTS = {
    "agree": "holds as it stands",
    "agree_with_edit": "holds with a change",
    "not_visible": "true, but not to be seen in these images",
    "wrong": "wrong",
    "not_my_field": "not the reader's field",
}
_SAID = {
    "agree": "agrees",
    "agree_with_edit": "agrees with an edit",
    "not_visible": "finds it true, but not to be seen",
    "wrong": "finds it wrong",
    "not_my_field": "leaves it to others",
}
_SILENT = "not_my_field"  # says nothing of the statement
UNREVIEWED, REVIEWED, DISPUTED, REJECTED = STATES = (
    "unreviewed",
    "reviewed",
    "disputed",
    "rejected",
)
_SIGNED_FIELDS = ("of", "label", "text", "source", "verdicts")
_OPINION_FIELDS = ("verdict", "by", "role", "on", "comment", "edit")
_FARTHEST_EAST = timedelta(hours=14)  # from UTC: where a day begins first


@dataclass(frozen=True)
class Opinion:
    """What one reader says of a statement.

    Attributes:
        verdict: one of `VERDICTS`.
        by: the reader's name.
        role: what the reader is, such as "consultant radiologist".
        on: the day, as YYYY-MM-DD.
        comment: what else the reader says.
        edit: with "agree_with_edit", the text as it should be.

    >>> Opinion("agree", "A. Reader", "consultant radiologist", "2026-01-31").verdict
    'agree'
    """

    verdict: str
    by: str
    role: str
    on: str
    comment: str = ""
    edit: str = ""

    @property
    def reader(self) -> str:
        """The name in the form in which readers are told apart."""
        return " ".join(self.by.split()).casefold()

    def __str__(self) -> str:
        """Return who says what, for people.

        >>> print(Opinion("wrong", "A. Reader", "radiologist", "2026-01-31", "It is the left one."))
        A. Reader (radiologist, 2026-01-31) finds it wrong: It is the left one.
        """
        said = f"{self.by} ({self.role}, {self.on}) {_SAID[self.verdict]}"
        said += f" {quote(self.edit)}" if self.edit else ""
        return said + (f": {self.comment}" if self.comment else "")

    def as_dict(self) -> dict[str, str]:
        """Return the fields that say something."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class SignedText:
    """What was read, and what its readers say of it.

    Attributes:
        text: the statement.
        label: the label that it is an attribute of; "" for one about the task.
        source: the citation of its source.
        opinions: what readers say, one each.

    >>> SignedText("Cells are round.", "cell", "A book").digest[:8]
    'd9791f44'
    """

    text: str
    label: str
    source: str
    opinions: tuple[Opinion, ...] = ()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of text, label and source, each with single spaces and on its own line."""
        lines = [" ".join(part.split()) for part in (self.text, self.label, self.source)]
        return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def state(self) -> str:
        """One of `STATES`.

        Reviewed: somebody agrees and nobody objects. Rejected: all who judge it make the same
        objection. Disputed: they differ.
        """
        verdicts = {one.verdict for one in self.opinions} - {_SILENT}
        if not verdicts:
            return UNREVIEWED
        if len(verdicts) > 1:
            return DISPUTED
        return REVIEWED if verdicts == {"agree"} else REJECTED

    @property
    def note(self) -> str:
        """The state and who said what, for people.

        >>> one = Opinion("agree", "A. Reader", "radiologist", "2026-01-31")
        >>> SignedText("Cells are round.", "cell", "A book", (one,)).note
        'reviewed: A. Reader (radiologist, 2026-01-31) agrees'
        """
        said = [str(one) for one in self.opinions]
        return f"{self.state}: {'; '.join(said)}" if said else self.state

    def joined(self, others: Iterable[Opinion]) -> SignedText:
        """Return it with more opinions; of one reader, the one of the latest day counts."""
        found = {one.reader: one for one in self.opinions}
        for other in others:
            known = found.get(other.reader)
            if known is None or known.on <= other.on:
                found[other.reader] = other
        return replace(self, opinions=tuple(found.values()))


@dataclass(frozen=True)
class ReviewCount:
    """How far a card's statements are reviewed.

    Attributes:
        states: state -> number of statements.
        stale: statements that were reviewed and are no longer in the card.
        drafts: statements that a language model drafted.
    """

    states: Mapping[str, int]
    stale: int = 0
    drafts: int = 0

    @property
    def total(self) -> int:
        """The number of statements."""
        return sum(self.states.values())

    def as_dict(self) -> dict[str, int]:
        """Return the counts for JSON.

        >>> ReviewCount({"reviewed": 1}).as_dict()["disputed"]
        0
        """
        counts = {state: self.states.get(state, 0) for state in STATES[1:]}
        return {"total": self.total, **counts, "stale": self.stale, "drafted": self.drafts}

    def __add__(self, other: ReviewCount) -> ReviewCount:
        """Return the counts of both."""
        states = Counter(self.states) + Counter(other.states)
        return ReviewCount(states, self.stale + other.stale, self.drafts + other.drafts)

    def __str__(self) -> str:
        """Return the counts as a phrase; those but the first two only where they are not 0.

        >>> print(ReviewCount({"unreviewed": 2, "disputed": 1}, stale=1))
        3 statements, 0 reviewed, 1 disputed, 1 stale
        """
        text = f"{self.total} statement{'' if self.total == 1 else 's'}"
        text += f", {self.states.get(REVIEWED, 0)} reviewed" if self.total else ""
        for state in (DISPUTED, REJECTED):
            count = self.states.get(state, 0)
            text += f", {count} {state}" if count else ""
        text += f", {self.stale} stale" if self.stale else ""
        return text + (
            f", {self.drafts} drafted by a model without a source" if self.drafts else ""
        )


def cite_statements(
    knowledge: Sequence[Statement], labels: Sequence[Label], references: Mapping[str, str]
) -> tuple[SignedText, ...]:
    """Return each statement as what a review is bound to: about the task, then label by label."""
    found = [("", statement) for statement in knowledge]
    found += [(label.name, statement) for label in labels for statement in label.attributes]
    return tuple(
        SignedText(statement.text, label, references.get(statement.source, statement.source))
        for label, statement in found
    )


def attach_reviews(
    cited: Iterable[SignedText], reviews: Iterable[SignedText]
) -> tuple[SignedText, ...]:
    """Return statements with the opinions that are bound to them.

    Who wrote a text as it should be agrees with that text, where label and source are the same.

    >>> said = Opinion("agree_with_edit", "A. Reader", "radiologist", "2026-01-31", edit="It is.")
    >>> read = SignedText("It was.", "", "book", (said,))
    >>> [one] = attach_reviews([SignedText("It is.", "", "book")], [read])
    >>> one.state
    'reviewed'
    """
    given = [*reviews]
    known = merge_reviews(*map(_edited, given), given)
    opinions = {review.digest: review.opinions for review in known}
    return tuple(one.joined(opinions.get(one.digest, ())) for one in cited)


def find_stale(reviews: Iterable[SignedText], digests: Collection[str]) -> tuple[SignedText, ...]:
    """Return the reviews of what is not among `digests`, unless each edit of it is."""
    return tuple(
        review
        for review in reviews
        if review.digest not in digests
        and not all(
            one.edit and _as_edited(review, one).digest in digests for one in review.opinions
        )
    )


def _edited(review: SignedText) -> list[SignedText]:
    """Return what readers wrote in place of what they read, as texts that they agree with."""
    return [
        _as_edited(review, one).joined([replace(one, verdict="agree", comment="", edit="")])
        for one in review.opinions
        if one.verdict == "agree_with_edit" and one.edit
    ]


def _as_edited(review: SignedText, opinion: Opinion) -> SignedText:
    return SignedText(opinion.edit, review.label, review.source)


def merge_reviews(*several: Iterable[SignedText]) -> tuple[SignedText, ...]:
    """Return reviews as one; what is about the same text, label and source is joined."""
    found: dict[str, SignedText] = {}
    for reviews in several:
        for review in reviews:
            known = found.get(review.digest)
            found[review.digest] = known.joined(review.opinions) if known else review
    return tuple(found.values())


def is_draft(citation: str) -> bool:
    """Whether a language model wrote what cites this, for which nobody has given a source yet."""
    return citation.startswith(DRAFT)


def parse_reviews(text: str, where: str) -> tuple[SignedText, ...]:
    """Return the reviews in a YAML text, checked.

    Raises:
        ConfigError: if a field is missing or unknown, a hash does not fit what stands beside it, a
            verdict is none, a reader has no name or role, or a day is none or yet to come.
    """
    try:
        content = checks.mapping("file", parse_yaml(text), ("reviews",))
        items = checks.list_of("reviews", content.get("reviews", []))
        return merge_reviews([_signed_text(f"reviews[{i}]", item) for i, item in enumerate(items)])
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _signed_text(where: str, item: Any) -> SignedText:
    values = checks.mapping(where, item, _SIGNED_FIELDS)
    parts = {
        name: checks.text(f"{where}.{name}", values.get(name, ""), empty=name == "label")
        for name in ("text", "label", "source")
    }
    verdicts = checks.list_of(f"{where}.verdicts", values.get("verdicts"))
    opinions = [parse_opinion(f"{where}.verdicts[{i}]", one) for i, one in enumerate(verdicts)]
    found = SignedText(parts["text"], parts["label"], parts["source"]).joined(opinions)
    if values.get("of") != found.digest:
        raise ConfigError(
            f"{where}.of: {quote(values.get('of'))} is not the SHA-256 of the text, label and "
            f"source beside it ({found.digest}): one of them was changed after it was signed; "
            f"have the statement read again (medreward review sheet)"
        )
    return found


def parse_opinion(where: str, item: Any) -> Opinion:
    """Return what one reader says, checked; `where` names it in errors.

    >>> parse_opinion("row 2", {"verdict": "agree", "by": "A. Reader", "on": "2026-01-31"})
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: row 2.role: missing; say what A. Reader is, such as 'consultant \
radiologist'
    """
    if isinstance(item, Mapping):
        item = {"on" if key is True else key: x for key, x in item.items()}  # YAML's `on` is true
    values = checks.mapping(where, item, _OPINION_FIELDS)
    if values.get("verdict") not in VERDICTS:
        raise expected(f"{where}.verdict", values.get("verdict"), VERDICTS)
    by = _said(f"{where}.by", values.get("by"), "write the reader's name")
    example = f"say what {by} is, such as 'consultant radiologist'"
    found = Opinion(
        values["verdict"],
        by,
        _said(f"{where}.role", values.get("role"), example),
        _day(f"{where}.on", values.get("on")),
        checks.text(f"{where}.comment", values.get("comment") or "", empty=True).strip(),
        checks.text(f"{where}.edit", values.get("edit") or "", empty=True).strip(),
    )
    if found.verdict == "agree_with_edit" and not (found.edit or found.comment):
        raise ConfigError(f"{where}.edit: missing; write the text as it should be, or a comment")
    if found.verdict == "wrong" and not found.comment:
        raise ConfigError(f"{where}.comment: missing; say what is wrong")
    return found


def _said(where: str, value: object, mend: str) -> str:
    if not isinstance(value, str) or not any(character.isalpha() for character in value):
        given = "missing" if value in (None, "") else f"{quote(value)} has no letter"
        raise ConfigError(f"{where}: {given}; {mend}")
    return " ".join(value.split())


def _day(where: str, value: object) -> str:
    mend = "write the day of the reading as YYYY-MM-DD"
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        day = date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError as error:
        given = "missing" if value in (None, "") else f"{quote(value)} is no day"
        raise ConfigError(f"{where}: {given}; {mend}") from error
    if day > (datetime.now(UTC) + _FARTHEST_EAST).date():
        raise ConfigError(f"{where}: {quote(value)} is in the future; {mend}")
    return day.isoformat()
