"""What is wrong with a card's knowledge, where, and how badly."""

from __future__ import annotations

from dataclasses import asdict, dataclass

CODES = {
    "invalid-card": "the card cannot be loaded at all",
    "no-source": "a statement without a source, or with a key that `references` does not have",
    "not-citable": "a reference too short to be found by",
    "no-address": "a reference without url and DOI, which a reader cannot open",
    "not-opened": "a reference whose address the card says nobody opened (`opened: false`)",
    "draft": "a statement that a language model drafted, for which there is no source yet",
    "bad-review": "a review in the card itself, or a file of reviews that is not valid",
    "disputed": "a statement of which readers say different things",
    "rejected": "a statement to which its readers object",
    "stale-review": "a review of a text that the card no longer has",
    "answer-given": "a text about one image or patient, which gives the answer away or is wrong",
    "markup": "a tag or mark that belongs to the prompt's or the answer's form",
    "over-budget": "the prompt with all knowledge is longer than the budget",
    "no-attributes": "a label without attributes (and not `[]` of them), where others have some",
    "unbalanced": "a label with much more or less text than the others, which is a cue",
    "label-not-named": "an attribute that names its label by no name or synonym",
    "same-text": "two labels with the same statement",
    "near-duplicate": "two labels with nearly the same statement",
    "repeated": "a statement given twice",
    "unused-reference": "a reference that nothing cites",
}


@dataclass(frozen=True)
class Finding:
    """Something to look at in a card.

    Attributes:
        code: one of `CODES`.
        error: whether it makes the card unfit for use; otherwise a warning.
        file: the card.
        field: the path of the field in it, such as ``labels[1].attributes[0]``.
        message: what is wrong, with the value.
    """

    code: str
    error: bool
    file: str
    field: str
    message: str

    def as_dict(self) -> dict[str, str | bool]:
        """Return the finding for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the finding on one line."""
        severity = "error" if self.error else "warning"
        return f"{self.file}: {self.field}: {severity}: {self.message} [{self.code}]"
