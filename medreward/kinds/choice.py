"""Multiple choice: options that each row brings along. Accuracy: 1 for the right one, else 0.

A row's options are the labels of a task of its own (`MultipleChoice.row_task`): option i is named
by its letter and by its text. Answers are read as those of any task with labels. So the letter in
any usual dress, the text, or both where they agree are the option; a letter with the text of
another option names two; and "There is a nodule" is not option A. What is read depends on the
options and the answer alone, never on which option is right. There is no partial credit.

A text that cannot be told from another option's text or letter, or that is a word such as "not",
names nothing by itself: such an option is given by its letter, alone or before its text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from string import ascii_uppercase
from typing import Any, NamedTuple

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote
from medreward.kinds.base import Kind, TargetType, row_of
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.multilabel import SetReading, read_said_set
from medreward.kinds.reading import read_label, unreadable
from medreward.kinds.verdict import Verdict
from medreward.language.answer_text import fold_answer, split_answer, split_form
from medreward.language.claims import Rules
from medreward.language.lexicon import MAX_FORM_LENGTH
from medreward.language.vocabulary import Vocabulary, make_vocabulary
from medreward.language.word_checks import is_reserved, label_of_no
from medreward.task.labels import Label
from medreward.task.settings import RewardSettings
from medreward.task.task import NO_FINDING, Task
from medreward.task.traits import Trait

LETTERS = ascii_uppercase
_FIELDS = ("options", "answer", "answers")
_ABSENCES = frozenset(("normal", "healthy", "none", *NO_FINDING))
# What may stand around and between a letter and a text: "(B)", "**B.** text", "B - text".
# A mark between two digits, or a point before one, is part of the number.
_DRESS = re.compile(r"[\s\"'*_`\[\]{}]+")
_MARK = re.compile(r"[()]|(?<![0-9])[.:,]|[.:,](?![0-9])|(?<=\s)-(?=\s)")
# Marks around a text, and behind its letter.
_AROUND = re.compile(r"^[|\s]+|(?<=^[a-z])(?:\s\|)+(?=\s)|[|\s]+$")
_DECIMAL = re.compile(r"(?<![\w.,])\.(?=[0-9])")
# Options that speak of the others, and those that name them by their letters.
_REFERS = re.compile(
    r"\b(?:none|all|any|both|neither|either|two|some)\s+(?:of\s+)?(?:the\s+)?"
    r"(?:above|these|them|options|choices|others|following|other\s+options)\b"
    r"|\babove\b|\bboth\b|\bneither\b|^\s*(?:all|none)\s*$|\bcannot be (?:determined|judged)\b",
    re.IGNORECASE,
)
_NAMES_LETTERS = re.compile(
    r"\b(?:options?|both|neither|only|answers?|choices?)\s+\(?[A-Z]\b"
    r"|(?<!\w)\(?[A-Z]\)?\s*(?:,|/|&|\band\b|\bor\b)\s*\(?[A-Z]\b\)?(?!\w)"
)
_SAMPLES = (
    ("normal", "pneumonia", "pleural effusion", "pneumothorax"),
    ("CT", "MRI", "ultrasound", "X-ray", "none of the above"),
    ("no", "yes"),
)
_MOST_WRONG = 4


@dataclass(frozen=True)
class ChoiceRow(Task):
    """The task of one row: its labels are the options.

    Attributes:
        several: whether the question asks for all options that are right.
    """

    several: bool = False


class ChoiceTarget(NamedTuple):
    """The options of a row and which of them are right.

    Attributes:
        options: their texts, in the order of their letters.
        right: the indices of the right ones; one of them unless `several`.
        several: whether the question asks for all options that are right.
    """

    options: tuple[str, ...]
    right: frozenset[int]
    several: bool = False

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters of the right options."""
        return tuple(LETTERS[i] for i in sorted(self.right))


def choice_reward(answer: str | None, target: ChoiceTarget, task: Task) -> Verdict:
    """Return 1 if `answer` gives the right options and no other, else 0.

    `task` is the one of the row, whose labels are the options.

    >>> card = Task("vqa", kind="choice", question="Answer the question.")
    >>> target = card.parse_target({"options": ["normal", "pneumonia"], "answer": "B"})
    >>> row = MultipleChoice().row_task(card, target)
    >>> [choice_reward(text, target, row).value for text in ("B", "(b) pneumonia", "pneumonia")]
    [1.0, 1.0, 1.0]
    >>> [choice_reward(text, target, row).reason for text in ("A", "A. pneumonia", "A or B")]
    ['wrong_option', 'several_options', 'several_options']
    """
    chosen, reason, unread = _read(answer, target, task)
    if not chosen:
        return Verdict(0.0, reason or "option_unknown", unread=unread)
    named = ", ".join(LETTERS[i] for i in sorted(chosen))
    if chosen == target.right:
        return Verdict(1.0, "correct", named)
    is_part = target.several and not chosen.isdisjoint(target.right)
    return Verdict(0.0, "options_partial" if is_part else "wrong_option", named)


def _read(answer: str | None, target: ChoiceTarget, task: Task) -> tuple[frozenset[int], str, str]:
    """Return the options that an answer gives, or none, the reason code and what is unread."""
    reason = unreadable(answer)
    if reason:
        return frozenset(), reason, ""
    exact = _exact_forms(target.options).get(_undressed(str(answer)))
    if exact is not None:
        return frozenset({exact}), "", ""
    if target.several:
        labels, reason, unread = task.reader.recall(
            "options", str(answer), partial(_read_set, task)
        )
        return labels or frozenset(), reason.replace("label", "option"), unread
    label, reason, unread = read_label(answer, task, "option")
    return frozenset(() if label is None else {label}), reason, unread


def _read_set(task: Task, answer: str) -> SetReading:
    return read_said_set(task.reader.read(answer), len(task.labels))


def _undressed(text: str) -> str:
    """Return a text as it is compared letter for letter, each mark within it as a bar.

    >>> _undressed("**(B)** Vitamin A deficiency."), _undressed("B - normal")
    ('b vitamin a deficiency', 'b normal')
    >>> _undressed("B.-2.5"), _undressed(".5 mg, 1:25"), _undressed("No, effusion.")
    ('b -2.5', '0.5 mg | 1:25', 'no | effusion')
    """
    plain = _DRESS.sub(" ", _DECIMAL.sub("0.", fold_answer(text).replace("|", " ")))
    text = _AROUND.sub("", " ".join(_MARK.sub(" | ", plain).split()))
    return _AROUND.sub("", text)  # "(b) - text": what stood behind a mark


def _without_marks(text: str) -> str:
    return " ".join(text.replace("|", " ").split())


@lru_cache(maxsize=4096)
def _exact_forms(options: tuple[str, ...]) -> Mapping[str, int]:
    """Return what is exactly an option: its letter, its text, both; what two share is neither's.

    Marks within an option may be left out, and none may be put in: "No, effusion" is not "No
    effusion".
    """
    found: dict[str, set[int]] = {}
    texts = [_undressed(option) for option in options]
    for i, (option, text) in enumerate(zip(options, texts, strict=True)):
        letter = LETTERS[i].lower()
        # Behind a letter a dash with a space is a separator: "B. - 5". Then "B. 5" reads alike,
        # which is no answer where another option is "5".
        listed = _undressed(f"{letter}. {option}").removeprefix(f"{letter} ")
        forms = [letter, text, f"{letter} {text}"]
        forms += [f"{letter} {listed}"] * (listed not in texts)
        for form in {*forms, *map(_without_marks, forms)}:
            found.setdefault(form, set()).add(i)
    # A text that is a letter, or begins as a letter and a text do, could mean either.
    return {form: min(which) for form, which in found.items() if form and len(which) == 1}


@lru_cache(maxsize=4096)
def _row_task(task: Task, options: tuple[str, ...], several: bool) -> ChoiceRow:
    labels = tuple(Label(text, absence=_is_absence(text)) for text in options)
    return row_of(task, ChoiceRow, labels=labels, max_typos=0, several=several)


def _is_absence(text: str) -> bool:
    return " ".join(split_answer(text).words) in _ABSENCES


def _name_options(task: Task, options: Sequence[str]) -> list[bool]:
    """Tell of each option whether its text names it and nothing else."""
    words = [split_form(text).words for text in options]
    letters = {(letter.lower(),) for letter in LETTERS[: len(options)]}
    counts = Counter(words)
    known = make_vocabulary(tuple(task.languages))
    return [
        bool(one)
        and counts[one] == 1
        and one not in letters
        and len(text) <= MAX_FORM_LENGTH
        and not is_reserved(text, options, known)
        for one, text in zip(words, options, strict=True)
    ]


def _are_verdicts(task: Task, options: Sequence[str]) -> bool:
    words = make_vocabulary(tuple(task.languages))
    return label_of_no([(text,) for text in options], words) is not None


class MultipleChoice(Kind):
    """One or more of the options that a row brings along."""

    name = "choice"
    traits = frozenset((Trait.NAMES_LABELS, Trait.ONE_ANSWER, Trait.OPTIONS))
    target_type = TargetType.QUESTION
    shuffles = True  # `prepare` gives each row's options new places, and the right letters theirs

    def check(self, task: Task) -> None:
        """Accept no label, as the rows bring the options along, or those of a row."""
        if len(task.labels) > len(LETTERS):
            raise ConfigError(
                f"labels: {len(task.labels)} given; a choice has at most {len(LETTERS)} options"
            )
        if task.modifiers:
            raise ConfigError(
                f"modifiers: {quote([*task.modifiers])}: an option of a choice is given by its "
                f"letter or its whole text, and nothing stands beside it; leave modifiers out"
            )

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the letter of each option, and its text where it names this option only."""
        texts = [label.name for label in task.labels]
        named = _name_options(task, texts)
        return [(LETTERS[i], *([text] if named[i] else [])) for i, text in enumerate(texts)]

    def reading_rules(self, task: Task, words: Vocabulary) -> Rules:
        """Let nothing stand beside an option; "A" is no "no" where this is the text of option A."""
        no_label = label_of_no(task.forms, words)
        several = isinstance(task, ChoiceRow) and task.several
        return Rules(task.absences, one_answer=not several, is_plain=True, no_label=no_label)

    def parse(self, task: Task, target: object) -> ChoiceTarget:
        """Return a row's options and the right ones.

        `target` is a mapping: ``options``, a list of texts or a mapping of the letters A, B, … to
        texts; and ``answer``, the letter or text of the right one, or ``answers``, a list of them,
        where the question asks for all that are right.

        Raises:
            ConfigError: if it is not in this form, two options have the same text, or an answer is
                no option.
        """
        if isinstance(target, ChoiceTarget):
            return target
        where = f"task {quote(task.name)}: target"
        if not isinstance(target, Mapping):
            raise ConfigError(
                f'{where}: {quote(target)} is not a mapping such as {{"options": ["normal", '
                f'"pneumonia"], "answer": "B"}}; where columns of a table hold the options, '
                f"`prepare` takes their names: --options-column A B C D"
            )
        known_fields(where, target, _FIELDS)
        options = _check_options(where, target.get("options"))
        given = [name for name in ("answer", "answers") if target.get(name) is not None]
        if len(given) != 1:
            named = " and ".join(given) or "neither"
            raise ConfigError(f"{where}: give either answer or answers; given: {named}")
        several = given == ["answers"]
        answers = target[given[0]] if several else [target["answer"]]
        if isinstance(answers, str) or not isinstance(answers, Sequence | Set) or not answers:
            raise ConfigError(
                f"{where}: answers: {quote(answers)} is not a list of letters or texts of options "
                f"with at least one in it"
            )
        right = frozenset(_option_index(f"{where}: answer", options, one) for one in answers)
        return ChoiceTarget(options, right, several)

    def to_text(self, task: Task, target: ChoiceTarget) -> str:
        """Return options and letters of the right ones as JSON."""
        letters = [*target.letters]
        answer = {"answers": letters} if target.several else {"answer": letters[0]}
        return json.dumps({"options": [*target.options], **answer}, ensure_ascii=False)

    def from_text(self, task: Task, text: str) -> object:
        """Return the target that JSON stands for."""
        return json_target(task, text, '{"options": ["text", …], "answer": "B"}')

    def row_task(self, task: Task, target: ChoiceTarget) -> Task:
        """Return the task whose labels are the row's options."""
        return _row_task(task, target.options, target.several)

    def reward(
        self, answer: str | None, target: ChoiceTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return 1 for the right options, else 0."""
        return choice_reward(answer, target, self.row_task(task, target))

    def choices(self, task: Task, order: Sequence[int]) -> str:
        """Return the options, a line each, in the order of their letters."""
        return list_options([label.name for label in task.labels])

    def template(self, task: Task) -> str:
        """Return the name of the template, another one where several options may be right."""
        return "several_choice" if isinstance(task, ChoiceRow) and task.several else self.name

    def right(self, task: Task, target: ChoiceTarget, settings: RewardSettings) -> str:
        """Return the letters of the right options."""
        return ", ".join(target.letters)

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield samples, or each of `targets`: options named by letters, and again by texts."""
        if targets is None:
            targets = [
                {"options": [*options], "answer": LETTERS[i]}
                for options in _SAMPLES
                for i in range(len(options))
            ]
        for target in targets:
            parsed = self.parse(task, target)
            letters = LETTERS[: len(parsed.options)]
            given = self.from_text(task, self.to_text(task, parsed))
            has_texts = all(_name_options(task, parsed.options)) and not parsed.several
            # Beside "no" and "yes" a letter with a verdict is a letter with a text: "A: no".
            if not (has_texts and _are_verdicts(task, parsed.options)):
                yield _honest(given, parsed, letters)
            if has_texts:
                yield _honest(given, parsed, parsed.options)


def _honest(given: object, target: ChoiceTarget, names: Sequence[str]) -> Honest:
    others = tuple(name for i, name in enumerate(names) if i not in target.right)
    wrong = others or tuple(target.letters[:1])  # all are right: one of them is not enough
    return Honest(
        given,
        right=", ".join(target.letters),
        wrong=wrong[:_MOST_WRONG],
        near=wrong[:_MOST_WRONG],
        names=tuple(names[i] for i in sorted(target.right)),
        others=others,
    )


def shuffle_options(target: ChoiceTarget, key: str) -> ChoiceTarget:
    """Return a question with its options in an order that a key gives, right letters with them.

    "None of the above" and the like keep their place; where an option names letters of others
    ("both A and B"), all of them do.

    >>> target = ChoiceTarget(("CT", "MRI", "none of the above"), frozenset({0}))
    >>> [shuffle_options(target, key).options for key in ("row-1", "row-2")]
    [('MRI', 'CT', 'none of the above'), ('CT', 'MRI', 'none of the above')]
    """
    if any(_NAMES_LETTERS.search(text) for text in target.options):
        return target
    free = [i for i, text in enumerate(target.options) if not _REFERS.search(text)]
    order = sorted(free, key=lambda i: _place(key, target.options[i]))
    moved = dict(zip(free, order, strict=True))
    source = [moved.get(i, i) for i in range(len(target.options))]
    right = frozenset(i for i, old in enumerate(source) if old in target.right)
    return target._replace(options=tuple(target.options[old] for old in source), right=right)


def _place(key: str, text: str) -> bytes:
    return sha256(f"{key}/{text}".encode("utf-8", "surrogatepass")).digest()


def list_options(options: Sequence[str]) -> str:
    r"""Return options as a prompt lists them.

    >>> list_options(["normal", "pneumonia"])
    'A. normal\nB. pneumonia'
    """
    return "\n".join(f"{LETTERS[i]}. {text}" for i, text in enumerate(options))


def _check_options(where: str, value: object) -> tuple[str, ...]:
    """Return the texts of options, in the order of their letters."""
    if isinstance(value, Mapping):
        letters = list(LETTERS[: len(value)])
        if sorted(map(str, value)) != letters:
            raise ConfigError(
                f"{where}: options: the keys {quote([*value])} are not the letters "
                f"{', '.join(letters)}; give a list of texts, or letters from A on without a gap"
            )
        value = [value[letter] for letter in letters]
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{where}: options: {quote(value)} is not a list of texts")
    if not 2 <= len(value) <= len(LETTERS):
        raise ConfigError(
            f"{where}: options: {len(value)} given; a choice has 2 to {len(LETTERS)} of them"
        )
    texts: list[str] = []
    for i, option in enumerate(value):
        text = " ".join(option.split()) if isinstance(option, str) else _number_text(option)
        if not text:
            raise ConfigError(f"{where}: options[{i}]: {quote(option)} is not a text")
        same = next((j for j, other in enumerate(texts) if _same(other, text)), None)
        if same is not None:
            raise ConfigError(
                f"{where}: options[{same}] and options[{i}] have the same text {quote(text)}, so "
                f"that two letters would be right or wrong alike; leave the row out or mend it"
            )
        texts.append(text)
    return tuple(texts)


def _same(one: str, other: str) -> bool:
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


def _number_text(value: object) -> str:
    """Return a number as the text of an option, "" for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (
        f"{value:g}" if is_number and isinstance(value, float) else str(value) if is_number else ""
    )


def _option_index(where: str, options: Sequence[str], value: Any) -> int:
    """Return the option that a letter or a text names."""
    text = " ".join(value.split()) if isinstance(value, str) else _number_text(value)
    by_text = next((i for i, option in enumerate(options) if _same(option, text)), None)
    letter = text.strip("().:").upper()
    by_letter = LETTERS.index(letter) if len(letter) == 1 and letter in LETTERS else None
    if by_letter is not None and by_letter >= len(options):
        by_letter = None
    if by_text is not None and by_letter is not None and by_text != by_letter:
        raise ConfigError(
            f"{where}: {quote(value)} is the letter of option {letter} and the text of option "
            f"{LETTERS[by_text]}; write the letter and the text as in "
            f"{quote(f'{letter}. {options[by_letter]}')}"
        )
    found = by_text if by_text is not None else by_letter
    if found is None:
        exact = _exact_forms(tuple(options)).get(_undressed(text))
        if exact is not None:
            return exact
        shown = "; ".join(f"{LETTERS[i]}. {option}" for i, option in enumerate(options))
        raise ConfigError(f"{where}: {quote(value)} is no option; they are {shown}")
    return found
