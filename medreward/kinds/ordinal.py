"""MFRS, the multi-grade fuzzy reward: partial credit that falls with the distance in grades.

For K grades, a prediction p and the truth t, with d = |p - t|::

    R_MFRS = decay(d) * (under_grading if p < t else over_grading if p > t else 1)
                      * threshold_factor ^ (thresholds between p and t)

A threshold is a grade from which something else is done: 2 on the ICDR scale, from which a patient
is referred, lies between 1 and 2. Without thresholds, the default, the last factor is 1.

VRFT-Aug (arXiv 2602.10619) gives two decays that disagree at d = 2 (1/10 and 4^-2), so the decay is
a setting here and has no hidden constant; see `medreward.task.settings.DECAYS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from medreward.errors import ConfigError, quote
from medreward.kinds.reading import LabelReading, read_label
from medreward.kinds.single import SingleLabel
from medreward.kinds.verdict import Verdict
from medreward.language.claims import Rules
from medreward.language.vocabulary import Vocabulary, number_words, written_grades
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

_ROMAN = ["", *"i ii iii iv v vi vii viii ix x".split()]


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


def grade_credit(grade: int, target: int, task: Task, settings: RewardSettings) -> float:
    """Return R_MFRS in [0, 1] of a grade, by the indices of it and of the true one.

    >>> task = Task.load("icdr")
    >>> refer = RewardSettings(decay="linear", thresholds=(2,))
    >>> [grade_credit(grade, 2, task, refer) for grade in range(5)]
    [0.25, 0.375, 1.0, 0.75, 0.5]
    """
    if grade == target:
        return 1.0
    low, high = sorted((grade + task.first_grade, target + task.first_grade))
    crossed = sum(low < threshold <= high for threshold in settings.thresholds)
    factor = settings.under_grading if grade < target else settings.over_grading
    credit = decay_table(settings.decay, len(task.labels))[abs(grade - target)]
    return credit * factor * settings.threshold_factor**crossed


def best_partial_credit(task: Task, settings: RewardSettings) -> float:
    """Return the most that a wrong grade can earn: that of one beside the true grade.

    Further off, credit is not higher, and no threshold is crossed back.
    """
    beside = [(i, i + 1) for i in range(len(task.labels) - 1)]
    pairs = (*beside, *((high, low) for low, high in beside))
    return max(grade_credit(*pair, task, settings) for pair in pairs)


def mfrs_reward(answer: str | None, target: int, task: Task, settings: RewardSettings) -> Verdict:
    """Return R_MFRS in [0, 1] for the grade that `answer` asserts; 0 if it asserts none.

    `target` is the index of the true grade.

    >>> task = Task("dr", kind="ordinal", labels=["none", "mild", "moderate", "severe"])
    >>> mfrs_reward("Grade 2", 3, task, RewardSettings(decay="linear")).value.__round__(3)
    0.667
    """
    grade, reason, unread = read_grade(answer, task)
    if grade is None:
        return Verdict(0.0, reason, unread=unread)
    prediction = str(task.first_grade + grade)
    if grade == target:
        return Verdict(1.0, "correct", prediction)
    return Verdict(grade_credit(grade, target, task, settings), "wrong_grade", prediction)


def read_grade(answer: str | None, task: Task) -> LabelReading:
    """Return the index of the one grade that `answer` asserts, by number, name or synonym.

    "2", "Grade II", "2.0" and the grade's names are grade 2; "2 or 3", "2-3", "22", "-2", "2.5",
    "at least 2", "2 mm" and a number off the scale are no grade.
    """
    return read_label(answer, task, "grade")


def _forms_of_number(number: int, languages: Sequence[str]) -> Iterator[str]:
    """Yield how a grade's number is written, the plain number first; "one" may be a pronoun.

    "2", "two", "G2", "grade2", "grade two", "stage II".
    """
    yield from (str(number), f"g{number}")
    for language in languages:
        words = number_words(language)
        if number != 1 and number < len(words):
            yield words[number]
        yield from (form.replace(" ", "") for form in written_grades(language, str(number)))
        for names in (words, _ROMAN):
            name = names[number] if number < len(names) else ""
            yield from written_grades(language, name) if name else ()


class Ordinal(SingleLabel):
    """A grade on a scale; labels in rising order."""

    name = "ordinal"
    traits = frozenset((Trait.NAMES_LABELS, Trait.ONE_ANSWER, Trait.ORDERED, Trait.PARTIAL_CREDIT))
    settings = ("decay", "under_grading", "over_grading", "thresholds", "threshold_factor")
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
        self.check_settings(task, task.reward)

    def check_settings(self, task: Task, settings: RewardSettings) -> None:
        """Raise `ConfigError` if a threshold is no grade of the scale, or its first one."""
        first, last = task.first_grade + 1, task.first_grade + len(task.labels) - 1
        for threshold in settings.thresholds:
            if not first <= threshold <= last:
                raise ConfigError(
                    f"thresholds: {threshold} parts no grades of {quote(task.name)}; a threshold "
                    f"is the grade from which something else is done, here {first} to {last}"
                )

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each grade, its number among them."""
        return [
            tuple(dict.fromkeys((*forms, *_forms_of_number(task.first_grade + i, task.languages))))
            for i, forms in enumerate(super().forms(task))
        ]

    def reading_rules(self, task: Task, words: Vocabulary) -> Rules:
        """Return the rules of grades; numbers count where a label's synonym is a number's word."""
        counts = any(not words.numbers.isdisjoint(label.synonyms) for label in task.labels)
        return super().reading_rules(task, words)._replace(counts=counts)

    def reward(
        self, answer: str | None, target: int, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return R_MFRS."""
        return mfrs_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return the credit of a grade that is one off."""
        return best_partial_credit(task, settings)

    def choices(self, task: Task, order: Sequence[int]) -> str:
        """Return numbers and names, or nothing where they are the same."""
        names = [task.labels[i].shown for i in order]
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
