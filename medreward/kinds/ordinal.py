"""MFRS, the multi-grade fuzzy reward: partial credit that falls with the distance in grades.

For K grades, a prediction p and the truth t, with d = |p - t|::

    R_MFRS = decay(d) * (under_grading if p < t else over_grading if p > t else 1)

VRFT-Aug (arXiv 2602.10619) gives two decays that disagree at d = 2 (1/10 and 4^-2), so the decay is
a setting here and has no hidden constant; see `medreward.task.settings.DECAYS`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from medreward.errors import ConfigError, quote
from medreward.kinds.reading import LabelReading, read_one_asserted, unescape_answer, unreadable
from medreward.kinds.single import SingleLabel
from medreward.kinds.verdict import Verdict
from medreward.language.lexicon import Mention
from medreward.language.scope import Stance, stances
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.words import Words, fold, split

_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_WHOLE = re.compile(r"(0|[1-9][0-9]*)(?:\.0+)?")
# An exponent or a footnote; folded, it would be a digit like any other.
_RAISED = re.compile(r"(?<!\w)[\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089]")
_GLUED = re.compile(r"\b(grade|level|stage|class|score)([0-9])")
# What makes a number or a name next to it something else than a grade; "->" only points to it.
_UNCLEAR_MARKS = frozenset("<≤≥≦≧~≈±+^!")
_ARROWS = frozenset("-=")
_SLASHES = frozenset("/⁄∕")
_DIGITS = frozenset("0123456789")
_AFTER_UNCLEAR = re.compile(
    r"\s*(?:[+%°^]|[/⁄∕]\s*[0-9]|[<>≤≥≦≧]=?\s*(?:[0-9]|\Z)|-+\s*\Z"
    r"|per ?cent\b|(?:and )?(?:an? |one )?half\b)"
)
_EMPHASIS = re.compile(r"</?(?:b|i|u|em|strong|mark|code|p|span)>")
# How sure the model says it is, unless not at all.
_SHARE = r"(?<![0-9.])(?!0+(?:\.0+)?(?![0-9.]))[0-9]+(?:\.[0-9]+)?"
_CERTAINTY = re.compile(
    rf"(?:confidence|probability|certainty)[\"']?(?: is| of|:|=)? ?{_SHARE} ?%?"
    rf"|{_SHARE} ?% (?:confidence|confident|probability|certainty|certain|sure)\b"
)
_COMPARISONS = frozenset(
    "least most more less than above below over under greater higher lower worse better exceeds "
    "exceeding between minimum maximum min max beyond up plus minus to through onwards "
    "upwards".split()
)
_CONTRASTS = frozenset((("rather", "than"), ("other", "than")))
_COMPARISON_WINDOW = 3
# Numbers in words and Roman numerals are not read, but may contradict the grade beside them. "I" is
# a pronoun, and a single letter may be anything.
_SPELLED = {
    word: number
    for words in (
        "zero one two three four five six seven eight nine ten",
        "0 1 ii iii iv 5 vi vii viii ix 10",
    )
    for number, word in enumerate(words.split())
    if not word.isdigit()
}


@lru_cache(maxsize=256)
def decay_table(decay: str | tuple[float, ...], grades: int) -> tuple[float, ...]:
    """Return the credit for d = 0 … grades - 1.

    >>> decay_table("geometric", 4), decay_table("reported", 4)
    ((1.0, 0.25, 0.0625, 0.015625), (1.0, 0.25, 0.1, 0.0))
    >>> decay_table("quadratic", 3), decay_table((1.0, 0.5), 3)
    ((1.0, 0.75, 0.0), (1.0, 0.5, 0.0))
    """
    span = grades - 1
    if decay == "geometric":
        return tuple(4.0**-d for d in range(grades))
    if decay == "linear":
        return tuple(1 - d / span for d in range(grades))
    if decay == "quadratic":
        return tuple(1 - (d / span) ** 2 for d in range(grades))
    table = {"reported": (1.0, 0.25, 0.1), "exact": (1.0,)}.get(str(decay), decay)
    return tuple(float(credit) for credit in (*table, *[0.0] * grades)[:grades])


def best_partial_credit(settings: RewardSettings, grades: int) -> float:
    """Return the most that a wrong grade can earn."""
    factor = max(settings.under_grading, settings.over_grading)
    return decay_table(settings.decay, grades)[1] * factor


def mfrs_reward(answer: str | None, target: int, task: Task, settings: RewardSettings) -> Verdict:
    """Return R_MFRS in [0, 1] for the grade that `answer` asserts; 0 if it asserts none.

    `target` is the index of the true grade.

    >>> task = Task("dr", kind="ordinal", labels=["none", "mild", "moderate", "severe"])
    >>> mfrs_reward("Grade 2", 3, task, RewardSettings(decay="linear")).value.__round__(3)
    0.667
    """
    grade, reason = read_grade(answer, task)
    if grade is None:
        return Verdict(0.0, reason)
    prediction = str(task.first_grade + grade)
    if grade == target:
        return Verdict(1.0, "correct", prediction)
    factor = settings.under_grading if grade < target else settings.over_grading
    credit = decay_table(settings.decay, len(task.labels))[abs(grade - target)] * factor
    return Verdict(credit, "wrong_grade", prediction)


def read_grade(answer: str | None, task: Task) -> LabelReading:
    """Return the index of the one grade that `answer` asserts, by number, name or synonym.

    "2", "Grade 2", "2.0" and the grade's names are grade 2; "2 or 3", "2-3", "22", "-2", "2.5",
    "at least 2" and a number off the scale are no grade.
    """
    reason = unreadable(answer)
    if reason:
        return LabelReading(None, reason)
    shown = unescape_answer(answer or "")
    if _RAISED.search(shown):
        return LabelReading(None, "grade_out_of_scale")
    scale = _scale(task.first_grade, task.first_grade + len(task.labels) - 1)
    folded = _EMPHASIS.sub(" ", fold(shown))
    folded = _CERTAINTY.sub(" ", _GLUED.sub(r"\1 \2", folded))
    folded = scale.sub(" ", folded)
    if any(not _is_plain(folded, number) for number in _NUMBER.finditer(folded)):
        return LabelReading(None, "grade_out_of_scale")
    text = split(folded)
    mentions = task.lexicon.find(text)
    taken = {i for mention in mentions for i in range(mention.start, mention.stop)}
    if any(word.isdigit() and i not in taken for i, word in enumerate(text.words)):
        return LabelReading(None, "grade_out_of_scale")
    found = stances(text, mentions, task.absences)
    for index, mention in enumerate(mentions):
        if found[index] is Stance.ASSERTED and _is_compared(
            text, mention.start, mention.stop, taken
        ):
            found[index] = Stance.OPEN
    reading = read_one_asserted(text, mentions, found, "grade")
    if reading.label is not None and _is_contradicted(text, mentions, task.first_grade):
        return LabelReading(None, "several_grades")
    return reading


@lru_cache(maxsize=256)
def _scale(first: int, last: int) -> re.Pattern[str]:
    """Return what finds a mention of the whole scale, which names no grade: "out of 4", "0-4"."""
    return re.compile(
        rf"(?<![\w.,+-])(?:out of {last}|{first} ?(?:to|-) ?{last})(?!\w|[.,][0-9])", re.ASCII
    )


def _is_plain(text: str, number: re.Match[str]) -> bool:
    """Whether a number is a whole one without sign, range, fraction, percent or comparison."""
    start, stop = number.span()
    if text[start - 1 : start].isalpha() or text[stop : stop + 1].isalpha():
        return _WHOLE.fullmatch(number[0]) is not None
    left = _strip_end(text, start)
    # A dash glued to the number is a sign unless it joins it to a word: "-2", "grade -2".
    dashed = text[left - 1 : left] == "-"
    word = _strip_end(text, left - 1) if dashed and left < start else left - 1
    signed = dashed and not text[max(0, word - 1) : max(0, word)].isalnum()
    return not (
        signed
        or _is_unclear_behind(text, start)
        or _AFTER_UNCLEAR.match(text, stop) is not None
        or _WHOLE.fullmatch(number[0]) is None
    )


def _is_unclear_behind(text: str, end: int) -> bool:
    """Whether what stands in `text` before `end` makes what follows something else than a grade.

    "<", ">=", "2/" and the like do; "->" only points to it. Only what stands there is looked at,
    so that a text of many numbers takes time linear in its length.
    """
    end = _strip_end(text, end)
    end -= text[end - 1 : end] == "="
    mark, before = text[end - 1 : end], text[max(0, end - 2) : max(0, end - 1)]
    if mark == ">":
        return before not in _ARROWS
    if mark in _SLASHES:
        digit = _strip_end(text, end - 1)
        return text[digit - 1 : digit] in _DIGITS
    return mark in _UNCLEAR_MARKS


def _strip_end(text: str, end: int) -> int:
    """Return where the text before `end` ends, white space aside.

    >>> _strip_end("a  b", 3)
    1
    """
    while end and text[end - 1].isspace():
        end -= 1
    return end


def _is_contradicted(text: Words, mentions: Sequence[Mention], first: int) -> bool:
    """Whether another grade is spelled out right beside one: "2 (three)", "III, 2".

    Behind it, what is counted must not follow: "2, one haemorrhage".
    """
    for mention in mentions:
        stop = mention.stop + 1
        is_last = stop >= len(text.gaps) - 1 or not text.gaps[stop].isspace()
        beside = {mention.start - 1, *([mention.stop] if is_last else [])}
        spelled = (_SPELLED.get(text.words[i]) for i in beside if 0 <= i < len(text.words))
        if any(number not in (None, first + mention.label) for number in spelled):
            return True
    return False


def _is_compared(text: Words, start: int, stop: int, taken: set[int]) -> bool:
    """Whether a comparison such as "at least" or "or more" stands near the words of a mention."""
    gap = text.gaps[start]
    if _is_unclear_behind(gap, len(gap)) or text.gaps[stop].startswith("+"):
        return True
    near = [*range(max(0, start - _COMPARISON_WINDOW), start)]
    near += range(stop, min(stop + _COMPARISON_WINDOW, len(text.words)))
    return any(
        i not in taken
        and text.words[i] in _COMPARISONS
        and text.words[max(0, i - 1) : i + 1] not in _CONTRASTS
        for i in near
    )


class Ordinal(SingleLabel):
    """A grade on a scale; labels in rising order."""

    name = "ordinal"
    traits = frozenset((Trait.NAMES_LABELS, Trait.ONE_ANSWER, Trait.ORDERED, Trait.PARTIAL_CREDIT))
    settings = ("decay", "under_grading", "over_grading")
    shuffles = False  # the order of grades says something

    def check(self, task: Task) -> None:
        """Raise `ConfigError` if there are less than two grades, or a number names another one."""
        super().check(task)
        for i, label in enumerate(task.labels):
            grade, name = task.first_grade + i, label.name.strip()
            if name.isdecimal() and name != str(grade):
                raise ConfigError(
                    f"labels[{i}]: {quote(label.name)} is the name of grade {grade}; grades "
                    f"rise by 1 "
                    f"from first_grade {task.first_grade}"
                )

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each grade, its number among them."""
        return [(*f, str(task.first_grade + i)) for i, f in enumerate(super().forms(task))]

    def reward(
        self, answer: str | None, target: int, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return R_MFRS."""
        return mfrs_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return the credit of a grade that is one off."""
        return best_partial_credit(settings, len(task.labels))

    def choices(self, task: Task, order: Sequence[int]) -> str:
        """Return numbers and names, or nothing where they are the same."""
        names = [task.labels[i].name for i in order]
        grades = [task.answer_name(i) for i in order]
        if names == grades:
            return ""
        return "; ".join(
            grade if grade == name else f"{grade} = {name}"
            for grade, name in zip(grades, names, strict=True)
        )

    def neighbours(self, task: Task, index: int) -> list[int]:
        """Return the grades beside one."""
        return [i for i in (index - 1, index + 1) if 0 <= i < len(task.labels)]

    def sample(self, task: Task, index: int) -> int:
        """Return the grade's number."""
        return task.first_grade + index
