"""Readings that stay as they are: made once, kept in tests/golden, compared by a test.

Whether a reading is right is what cases and labelled answers say. These tables say that it is still
the same, over thousands of short sequences that nobody would write by hand: whoever changes what an
answer is read as sees each line that changes. Write them anew, and read the difference, with

    python -m tests.reading_golden
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from medreward import Task
from medreward.kinds.reading import read_label
from medreward.language.certainty import read_certainty
from medreward.language.claims import NotUnderstoodError, Rules, Stance
from medreward.language.grammar import read_claims
from medreward.language.tokens import Sense, Token
from medreward.language.vocabulary import phrases_of
from medreward.task.labels import Label

FOLDER = Path(__file__).parent / "golden"
SIGNS = {
    Stance.ASSERTED: "+",
    Stance.DENIED: "-",
    Stance.DOUBTED: "~",
    Stance.OPEN: "?",
    Stance.UNDECIDED: "*",
}
RULES = {
    "plain": Rules(),
    "absence": Rules(absences=frozenset({0}), one_answer=True),
    "yes-no": Rules(one_answer=True, no_label=0),
}
# One character a token; those that are not here have it for their code.
_SPECIAL = {
    **{str(i): Token("L", 0, i) for i in range(3)},
    "S": Token("S", 0, 1),
    "T": Token("L", 0, 2, sense=Sense.NUMBER),
    "M": Token("k", 0, sense=Sense.IN_LABEL),
    "!": Token(".", 0, text="!"),
    "?": Token("?", 0, text="?"),
    "-": Token("|", 0, text="-"),
    "#": Token("#", 0, share=2.0, text="2"),
    "%": Token("#", 0, share=0.8, text="0.8"),
    "0%": Token("#", 0, share=0.0, text="0"),
    "$": Token("s", 0, share=0.9, text="90%"),
    "=": Token("s", 0, share=0.5, text="50%"),
    "<": Token("s", 0, share=0.1, text="10%"),
    "5": Token("#", 0, share=50.0, text="50"),
    "X": Token("X", 0, text="zorbic"),
    "P": Token("p", 0, text="90%"),
    "A": Token("a", 0, text="10%"),
    "Z": Token("S", 0, 0),
}
_CLAIM_SIGNS = "0012S T,:.?!-|&bdtnyapqzFimkvoMfec#XPAZ".replace(" ", "")
_CERTAIN_SIGNS = "01#%$=<5ch:,.&fFoapyndm"


def tokens_of(signs: str) -> list[Token]:
    """Return tokens for signs, each at a place of its own."""
    return [_SPECIAL.get(s, Token(s, 0))._replace(place=i) for i, s in enumerate(signs)]


def claims_of(signs: str, rules: Rules) -> str:
    """Return what the grammar makes of tokens: "+0-1", or "!3" where place 3 is not understood."""
    try:
        claims = read_claims(tokens_of(signs), rules)
    except NotUnderstoodError as error:
        return f"!{error.place}"
    return "".join(f"{SIGNS[claim.stance]}{claim.label}" for claim in claims) or "nothing"


def certainty_of(signs: str) -> str:
    """Return the codes of tokens once shares are verdicts."""
    return "".join(
        str(t.label) if t.code == "L" and not t.text else t.code
        for t in read_certainty(tokens_of(signs))
    )


def grammar_lines() -> Iterator[str]:
    """Yield rules, signs and claims: all pairs, and longer sequences by chance."""
    chance = Random("grammar")
    short = [one + other for one in _CLAIM_SIGNS for other in _CLAIM_SIGNS]
    triples = ["".join(chance.choices(_CLAIM_SIGNS, k=3)) for _ in range(3000)]
    # Mostly labels, verdicts and joiners, so that many are understood.
    often = "000111112d d n y a p q t S , , : . | & b ? m k F i z".replace(" ", "")
    longer = ["".join(chance.choices(often, k=chance.randint(4, 9))) for _ in range(9000)]
    for signs in dict.fromkeys([*_CLAIM_SIGNS, *short, *triples, *longer, *_tables(chance)]):
        # Short ones under all rules, longer ones under one of them.
        for name in [*RULES] if len(signs) < 4 else chance.sample([*RULES], 1):
            yield f"{name}\t{signs}\t{claims_of(signs, RULES[name])}"


def _tables(chance: Random) -> Iterator[str]:
    """Yield labels and verdicts by turns, with and without separators, words and headings."""
    for _ in range(9000):
        label_first, count = chance.random() < 0.5, chance.randint(1, 4)
        verdicts = chance.choice(("ny", "nyap", "ap", "dt", "nydtpaqz"))
        between, behind = chance.choices(("", "", ",", ":", "&", "|", "b"), k=2)
        parts = []
        for i in range(count):
            label = chance.choice(("0", "1", "2", "S", "T", "m1", "k0", "1k", "0m", "01", "11"))
            verdict = chance.choice(verdicts)
            verdict = chance.choice(("", "", "", "", "m", "k", "i")) + verdict
            pair = (label, verdict) if label_first else (verdict, label)
            parts.append(between.join(pair) + (behind if i + 1 < count else ""))
        signs = "".join(parts)
        if chance.random() < 0.3:  # an end that breaks the table, or a heading above it
            signs += chance.choice((",", ":", ".", "?", ",1", "n", ",n", ".0", "?y", "?n", ".n"))
        if chance.random() < 0.2:
            signs = (
                chance.choice(("n:", "y,", "p:", "0:", ",", "n.", "q", "q,", "n,", "0,")) + signs
            )
        yield signs
    for _ in range(2000):  # denials, alternatives, shares and counts around an absence
        pieces = (
            "d0",
            "d1",
            "|0",
            "|1",
            ",0",
            "t1",
            "Z",
            "n",
            "P",
            "A",
            "F2",
            "T",
            "k",
            "1",
            ":",
            ",",
        )
        yield "".join(chance.choices(pieces, k=chance.randint(2, 5)))
    headings = ("n:", "p:", "q,", "q:", "y,", "0:", "")
    for _ in range(2000):  # headings, and lines below them with and without one of their own
        lines = [chance.choice(headings) + chance.choice("012S") for _ in range(3)]
        yield chance.choice((".", ".", "?")).join(lines)


def certainty_lines() -> Iterator[str]:
    """Yield signs and what shares in them become."""
    chance = Random("certainty")
    short = [one + other for one in _CERTAIN_SIGNS for other in _CERTAIN_SIGNS]
    longer = ["".join(chance.choices(_CERTAIN_SIGNS, k=chance.randint(3, 7))) for _ in range(4000)]
    for signs in dict.fromkeys([*_CERTAIN_SIGNS, *short, *longer]):
        yield f"{signs}\t{certainty_of(signs)}"


TASKS = {
    "chest": Task("chest", labels=[Label("normal", absence=True), "pneumonia", "pleural effusion"]),
    "fracture": Task(
        "fracture", labels=[Label("no fracture", absence=True), "fracture"], modifiers=("spiky",)
    ),
    "letters": Task("letters", labels=["A", "B", "C"]),
    "yes_no": Task.load("yes_no"),
    "grades": Task("grades", kind="ordinal", labels=["none", "mild", "moderate", "severe"]),
    "german": Task(
        "german", labels=[Label("normal", absence=True), "Pneumonie"], languages=("de",)
    ),
    "chinese": Task("chinese", labels=[Label("正常", absence=True), "肺炎"], languages=("zh",)),
}
_MARKS = (
    *(" ", " ", " ", " ", ", ", ": ", ". ", "; ", "\n", " (", ") ", "/", " - ", " | ", "-", "--"),
    *("? ", "! ", "=", " -> ", "+", " & ", "**", '"', "...", "\u2713 ", "\u2717", "#", " *", "\t"),
)
_NUMBERS = ("2", "1.5", "90%", "3", "0.8", "50 %", "1", "2.0", "0", "10,5")
_UNKNOWN = ("zorbic", "Xylo", "qux7", "a-b")


def texts_of(name: str, count: int) -> Iterator[str]:
    """Yield answers of words that the reader knows and some that it does not."""
    task, chance = TASKS[name], Random(name)
    language = task.languages[0]
    by_list: dict[str, list[str]] = {}
    for phrase, kind in phrases_of(language).items():
        by_list.setdefault(kind, []).append(phrase if language != "zh" else phrase.replace(" ", ""))
    forms = [form for label in task.forms for form in label]

    def word() -> str:
        draw = chance.random()
        if draw < 0.35:
            return chance.choice(forms)
        if draw < 0.86:
            return chance.choice(by_list[chance.choice([*by_list])])
        return chance.choice(_NUMBERS if draw < 0.93 else _UNKNOWN)

    def explained() -> str:
        kinds = ("nouns", "generic", "degrees", "words", "nouns", "words", "plain_no", "fillers")
        words = [
            chance.choice(by_list[chance.choice(kinds)]) if chance.random() < 0.85 else word()
            for _ in range(chance.randint(2, 7))
        ]
        behind = chance.choice((". ", ", ", "; ", " because ", ": ", " - "))
        return f"{chance.choice(forms)}{behind}{' '.join(words)}{chance.choice(('', '.'))}"

    for i in range(count):
        if i % 2:
            text = explained()
        else:
            text = "".join(word() + chance.choice(_MARKS) for _ in range(chance.randint(1, 5)))
        yield chance.choice((text, text, text.capitalize(), text.upper()))


def text_lines() -> Iterator[str]:
    """Yield the task, an answer and what it is read as."""
    for name in TASKS:
        for text in dict.fromkeys(texts_of(name, 1500)):
            yield json.dumps([name, text, *reading_of(name, text)], ensure_ascii=False)


def reading_of(name: str, text: str) -> Sequence[object]:
    """Return the label that an answer is read as, the reason and what was not understood."""
    return [*read_label(text, TASKS[name])]


TABLES = {
    "grammar.tsv": grammar_lines,
    "certainty.tsv": certainty_lines,
    "readings.jsonl": text_lines,
}


def main() -> None:
    for name, lines in TABLES.items():
        (FOLDER / name).write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")


if __name__ == "__main__":
    main()
