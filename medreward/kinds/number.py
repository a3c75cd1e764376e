"""Numbers with a unit: sizes, counts, percentages. Accuracy: 1 within the tolerance.

A row's target is a number t or a range [low, high], perhaps with a unit and a tolerance, absolute
(`tolerance`, in that unit) or relative to |t| (`relative`). With e the distance of the answer from
the target beyond the tolerance::

    exact    1 if e = 0, else 0
    linear   1 if e = 0, else min(BEST_WRONG_NUMBER, 1 - e / (number_reach * |t|)), at least 0

An answer is read where it is understood whole and gives one number. Units are converted ("32 mm" is
3.2 cm); a number without a unit is in the target's, which the prompt asks for; another dimension is
wrong. "About 3" is 3. "3-4 cm" asserts a range, and is right where both of its ends are. A bound
("at least 3", "< 3"), a denied or doubtful number and several numbers are none, unless all are the
same ("3 cm (30 mm)") or one of them stands in a last sentence that says that it is the answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from numbers import Real
from typing import Any, NamedTuple

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote
from medreward.kinds.base import Kind, TargetType, row_of
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.reading import unreadable
from medreward.kinds.verdict import Verdict
from medreward.language.answer_text import AnswerText, fold_answer, split_answer
from medreward.language.lexicon import Lexicon
from medreward.language.tokens import LABEL, NUMBER, SHARE, UNKNOWN, Sense, Token, scan_answer
from medreward.language.vocabulary import (
    approximations,
    number_words,
    scale_names,
    written_grades,
)
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.units import factor, is_ambiguous, unit_forms, unit_names, unit_of

# What a wrong number earns at most.
BEST_WRONG_NUMBER = 0.9
_FIELDS = ("value", "low", "high", "unit", "tolerance", "relative")
_TEXT = re.compile(r"\s*([-+\u2212]?\d+(?:[.,]\d+)?)\s*(\D*)")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SIGNED = re.compile(rf"([-+])({_GROUPED.pattern}|\d+(?:\.\d+)?)(%?)")
_NOTHING = frozenset("fFivomk:,")  # what says nothing of a number
_RANGE_WORDS = frozenset(("to", "bis", "至", "到"))
_SIGNS = frozenset(("-", "\u2212"))
_SQUARED, _CUBED = re.compile(r"(?<=[^\W\d_])\u00b2"), re.compile(r"(?<=[^\W\d_])\u00b3")
_POWER = re.compile(r"(?<=[cm]m)\^(?=[23]\b)")
_PER_MINUTE = re.compile(r"(?<=[0-9])\s?/\s?min\b")
_COMMA = re.compile(r"(?<![\d.,])(\d{1,9}),(\d{1,2})(?![\d.,])")
_DASHED = re.compile(r"[-\u2212]\s+$")
_MEASURES = (Sense.ASPECT, Sense.MEASURE, Sense.TALLY)
_INCH = "in"
_SLACK = 1e-9
_SAMPLES: tuple[Mapping[str, Any], ...] = (
    {"value": 3.2, "unit": "cm", "tolerance": 0.3},
    {"value": 4},
    {"value": 55, "unit": "%", "tolerance": 5},
    {"low": 10, "high": 12, "unit": "mm"},
    {"value": 0},
)


class NumberTarget(NamedTuple):
    """The numbers that are right, from low to high, in a unit.

    Attributes:
        low: the least, tolerance aside.
        high: the largest; the same where one number is right.
        unit: the unit, "" for a count.
        slack: the tolerance, in that unit.
    """

    low: float
    high: float
    unit: str = ""
    slack: float = 0.0

    def error(self, value: float) -> float:
        """Return how far a number is off beyond the tolerance.

        >>> NumberTarget(3, 4, "cm", 0.5).error(5)
        0.5
        """
        beyond = max(self.low - value, value - self.high) - self.slack
        size = max(1.0, abs(self.low), abs(self.high))
        return beyond if beyond > _SLACK * size else 0.0


class Quantity(NamedTuple):
    """A number or range in an answer, and the unit that it names, "" for none."""

    low: float
    high: float
    unit: str = ""


@dataclass(frozen=True)
class NumberRow(Task):
    """The task of one row.

    Attributes:
        unit: the unit that its prompt asks for, "" for none.
    """

    unit: str = ""


def number_reward(
    answer: str | None, target: NumberTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return 1 for a number within the tolerance, else 0 or what its distance leaves.

    >>> card = Task("size", kind="number", question="How large is it?")
    >>> target = card.parse_target({"value": 3.2, "unit": "cm", "tolerance": 0.1})
    >>> [number_reward(text, target, card, RewardSettings()).value
    ...  for text in ("3.2 cm", "about 32 mm", "3.25", "3.2 kg", "at least 3.2 cm", "3 or 3.2")]
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    >>> linear = RewardSettings(number_quality="linear")
    >>> round(number_reward("4.1 cm", target, card, linear).value, 3)
    0.5
    """
    reason = unreadable(answer)
    if reason:
        return Verdict(0.0, reason)
    found, reason, unread = read_quantity(str(answer), task)
    if found is None:
        return Verdict(0.0, reason, unread=unread)
    said = _shown(found)
    scale = factor(found.unit or target.unit, target.unit)
    if scale is None:
        return Verdict(0.0, "wrong_unit", said)
    error = max(target.error(found.low * scale), target.error(found.high * scale))
    if not error:
        return Verdict(1.0, "correct", said)
    size = max(abs(target.low), abs(target.high))
    if settings.number_quality != "linear" or not size:
        return Verdict(0.0, "wrong_number", said)
    left = 1 - error / (settings.number_reach * size)
    return Verdict(min(BEST_WRONG_NUMBER, max(0.0, left)), "wrong_number", said)


def _shown(found: Quantity) -> str:
    ends = [f"{found.low:g}"] + ([f"{found.high:g}"] if found.high != found.low else [])
    return f"{'-'.join(ends)} {found.unit}".strip()


def read_quantity(answer: str, task: Task) -> tuple[Quantity | None, str, str]:
    """Return the number that an answer gives, or None, the reason and what was not understood.

    >>> task = Task("size", kind="number", question="How large is it?")
    >>> read_quantity("It weighs 3-4 cm", task)
    (None, 'answer_not_understood', 'weighs')
    >>> read_quantity("3-4 cm", task)[0], read_quantity("3 cm, 4 cm", task)[1]
    (Quantity(low=3.0, high=4.0, unit='cm'), 'several_numbers')
    """
    text = split_answer(_spaced(answer, task.languages))
    tokens = scan_answer(text, _lexicon(tuple(task.languages)), task.reader.words)
    parts = _PartsReader(text, task).read(tokens)
    bad = next((part for part in parts if isinstance(part, Token)), None)
    sentences = _sentences(parts)
    if bad is None:
        found = [part for sentence in sentences for part in sentence if isinstance(part, Quantity)]
        if not found:
            return None, "no_number", ""
        if len(found) > 1 and len({_base(one) for one in found}) > 1:
            last = [part for part in sentences[-1] if isinstance(part, Quantity)]
            # Of two answers, neither: "The answer is 1 cm. The answer is 3 cm."
            is_second = any("F" in sentence for sentence in sentences[:-1] if _has_number(sentence))
            if len(last) != 1 or "F" not in sentences[-1] or is_second:
                return None, "several_numbers", ""
            found = last
        part = next((token for token in tokens if token.narrows), None)
        if part is not None and not found[0].unit:  # "4 on the left"
            return None, "answer_not_understood", text.words[part.place]
        return found[0], "", ""
    unread = bad.text or " ".join(text.words[bad.place : bad.place + 1])
    has_number = any(isinstance(part, Quantity) for part in parts)
    if bad.code in "q?":
        return None, "number_open" if has_number else "no_number", unread
    return None, "answer_not_understood" if has_number else "no_number", unread


def _has_number(sentence: Sequence[Quantity | Token | str]) -> bool:
    return any(isinstance(part, Quantity) for part in sentence)


def _base(one: Quantity) -> tuple[float, float, str]:
    """Return a quantity in the first unit of its dimension, rounded, to compare it with others."""
    for unit in unit_names():
        scale = factor(one.unit, unit)
        if scale is not None:
            return float(f"{one.low * scale:.9g}"), float(f"{one.high * scale:.9g}"), unit
    return one.low, one.high, one.unit


def _spaced(answer: str, languages: Sequence[str]) -> str:
    """Return an answer with a space between a number and the unit behind it, powers as digits.

    On a card that takes German alone, one or two digits behind a comma are a fraction.
    """
    if [*languages] == ["de"]:
        answer = _COMMA.sub(r"\1.\2", answer)
    text = _CUBED.sub("3", _SQUARED.sub("2", fold_answer(answer)))
    text = _POWER.sub("", text.replace("~", "approximately "))
    return _glued().sub(r"\1 \2", _PER_MINUTE.sub(" bpm", text))


@cache
def _glued() -> re.Pattern[str]:
    forms = sorted((form for forms in unit_forms() for form in forms), key=len, reverse=True)
    return re.compile(rf"(?<![\w.])(\d+(?:[.,]\d+)*)({'|'.join(map(re.escape, forms))}|in)\b")


@lru_cache(maxsize=16)
def _lexicon(languages: tuple[str, ...]) -> Lexicon:
    """Return what finds units and, behind them, numbers in words."""
    words: dict[int, list[str]] = {}
    for language in languages:
        for number, word in enumerate(number_words(language)):
            words.setdefault(number, []).append(word)
    return Lexicon([*unit_forms(), *(words[number] for number in sorted(words))], 0)


class _PartsReader:
    """Takes the tokens of an answer as quantities, sentence ends, frames and what is left.

    Attributes:
        parts: quantities, "." between sentences, "F" for a frame, and tokens that are not
            understood.
    """

    def __init__(self, text: AnswerText, task: Task) -> None:
        self.text, self.languages = text, tuple(task.languages)
        self.parts: list[Quantity | Token | str] = []
        self._is_range = False  # a number, and "to" or a dash behind it
        self._is_negative = False
        self._is_behind = False  # whether the last token was a number or its unit

    def read(self, tokens: Sequence[Token]) -> list[Quantity | Token | str]:
        """Return the parts of an answer."""
        for i, token in enumerate(tokens):
            after = tokens[i + 1] if i + 1 < len(tokens) else None
            stop = after.place if after else len(self.text.words)
            if token.code == "v" and after and after.code == ":":  # "image: 4"
                after = tokens[i + 2] if i + 2 < len(tokens) else None
            size = len(self.parts)
            self._read_token(token, self.text.words[token.place : stop], after)
            self._is_behind = self._last is not None and (
                token.code in (LABEL, NUMBER, SHARE) or len(self.parts) > size
            )
        return self.parts

    @property
    def _last(self) -> Quantity | None:
        last = self.parts[-1] if self.parts else None
        return last if isinstance(last, Quantity) else None

    def _read_token(self, token: Token, words: Sequence[str], after: Token | None) -> None:
        value = _value(token, negative=self._is_negative)
        if value is not None:
            self._add(value, token)
        elif token.code == LABEL or self._is_inch(token, words, after):
            self._add_unit(token, words)
        elif self._last and after and _joins_range(token, words, after):
            self._is_range = True
        elif after and token.text in _SIGNS and _value(after) is not None:
            self._is_negative = True
        elif self._is_behind and token.is_emphasis:  # "55% likely"
            self.parts.append(token._replace(text=" ".join(words)))
        elif token.code == "v" and self._is_behind:  # "4 images"
            self.parts.pop()
        elif self._is_of_other(token, words, after):
            self.parts.append(token._replace(text=" ".join(words)))
        elif token.code == "." or (token.code == "F" and token.sense not in _MEASURES):
            self.parts.append(token.code)
        elif not (token.code in _NOTHING or tuple(words) in approximations(self.languages)):
            self.parts.append(token)

    def _add(self, value: Quantity, token: Token) -> None:
        if _DASHED.search(self.text.gaps[token.place]):
            self.parts.append(token._replace(code=UNKNOWN, text="-"))  # a minus, or a dash
        elif self._is_range and self._last:
            self.parts[-1] = _range(self._last, value)
        else:
            self.parts.append(value)
        self._is_range = self._is_negative = False

    def _add_unit(self, token: Token, words: Sequence[str]) -> None:
        unit = unit_names()[token.label] if token.code == LABEL else _INCH
        if self._last and not self._last.unit and not self._is_range:
            self.parts[-1] = self._last._replace(unit=unit)
        else:
            self.parts.append(token._replace(text=" ".join(words)))

    def _is_of_other(self, token: Token, words: Sequence[str], after: Token | None) -> bool:
        """Whether a number beside a word is another one: "image 4", "grade 4", "4 images"."""
        before_number = after is not None and _value(after) is not None
        if not before_number or token.code not in "Fkv":
            return False
        return token.code in "kv" or not _grade_words(self.languages).isdisjoint(words)

    def _is_inch(self, token: Token, words: Sequence[str], after: Token | None) -> bool:
        """Whether "in" stands right behind a number and nothing that it could be "in" follows."""
        is_end = after is None or after.code in ",."
        return token.code == "o" and tuple(words) == (_INCH,) and bool(self._last) and is_end


@cache
def _grade_words(languages: tuple[str, ...]) -> frozenset[str]:
    """Return the words of which a number behind them is a grade: "stage", "BI-RADS"."""
    written = (text for name in languages for text in written_grades(name, "1"))
    scales = (text for name in languages for text in scale_names(name))
    return frozenset(word for text in (*written, *scales) for word in split_answer(text).words[:1])


def _joins_range(token: Token, words: Sequence[str], after: Token) -> bool:
    """Whether a token is the "to" of "3 to 4" or the dash of "3-4"."""
    is_word = len(words) == 1 and words[0] in _RANGE_WORDS
    return _value(after) is not None and (is_word or (token.code, token.text) == ("|", "-"))


def _range(low: Quantity, high: Quantity) -> Quantity | Token:
    """Return the range between two numbers; the unit of either is that of both."""
    if low.low != low.high or high.low < low.low:
        return Token("X", 0, text=f"{_shown(low)}-{_shown(high)}")
    return Quantity(low.low, high.low, low.unit or high.unit)


def _value(token: Token, *, negative: bool = False) -> Quantity | None:
    """Return the number that a token is, None if it is none."""
    sign = -1.0 if negative else 1.0
    if token.code == LABEL and token.label >= len(unit_names()):
        return _single(sign * (token.label - len(unit_names())))
    if token.code == NUMBER:
        return _single(sign * token.share)
    if token.code == SHARE:
        return _single(sign * token.share * 100)._replace(unit="%")
    return _signed_value(token.text, sign) if token.code == UNKNOWN else None


def _signed_value(text: str, sign: float) -> Quantity | None:
    """Return the number of a text with a sign, or with commas between thousands."""
    found = _SIGNED.fullmatch(text)
    if found is None:
        return _single(sign * float(text.replace(",", ""))) if _GROUPED.fullmatch(text) else None
    value = float(found[2].replace(",", "")) * (-1.0 if found[1] == "-" else 1.0)
    return _single(value)._replace(unit="%" if found[3] else "")


def _single(value: float) -> Quantity:
    return Quantity(value, value)


def _sentences(parts: Sequence[Quantity | Token | str]) -> list[list[Quantity | Token | str]]:
    """Return the parts of each sentence that has some."""
    found: list[list[Quantity | Token | str]] = [[]]
    for part in parts:
        if part == "." and found[-1]:
            found.append([])
        elif part != ".":
            found[-1].append(part)
    return [sentence for sentence in found if sentence] or [[]]


class Number(Kind):
    """A number, perhaps with a unit."""

    name = "number"
    traits = frozenset((Trait.NUMBER,))
    target_type = TargetType.QUESTION
    settings = ("number_quality", "number_reach")
    shuffles = False

    def check(self, task: Task) -> None:
        """Raise `ConfigError` for labels: a number has none."""
        if task.labels:
            raise ConfigError(
                f"labels: {quote([label.name for label in task.labels])}: a number has none; a "
                f"scale of grades is of the kind ordinal"
            )

    def parse(self, task: Task, target: object) -> NumberTarget:
        """Return the numbers that are right.

        `target` is a number; a text such as "3.2 cm"; or a mapping of ``value``, or ``low`` and
        ``high``, and of ``unit``, and ``tolerance`` (in that unit) or ``relative`` (a share of the
        value).

        Raises:
            ConfigError: if it is none of these, a number is not finite, or the unit is not known.
        """
        if isinstance(target, NumberTarget):
            return target
        where = f"task {quote(task.name)}: target"
        given = target if isinstance(target, Mapping) else _plain_target(where, target)
        known_fields(where, given, _FIELDS)
        has = {name for name in ("value", "low", "high") if given.get(name) is not None}
        if has not in ({"value"}, {"low", "high"}):
            raise ConfigError(f"{where}: {quote(target)}: give either value, or low and high")
        ends = ("value", "value") if "value" in has else ("low", "high")
        low, high = (_finite(f"{where}: {name}", given[name]) for name in ends)
        if low > high:
            raise ConfigError(f"{where}: low {low:g} is above high {high:g}")
        slack = _finite(f"{where}: tolerance", given.get("tolerance") or 0.0)
        share = _finite(f"{where}: relative", given.get("relative") or 0.0)
        if slack < 0 or share < 0 or (slack and share):
            raise ConfigError(
                f"{where}: give tolerance or relative, not both and neither below 0; given: "
                f"{slack:g} and {share:g}"
            )
        unit = given.get("unit") or ""
        if not isinstance(unit, str):
            raise ConfigError(f"{where}: unit: {quote(unit)} is not a text")
        size = max(abs(low), abs(high))
        return NumberTarget(low, high, unit_of(f"{where}: unit", unit), slack or share * size)

    def to_text(self, task: Task, target: NumberTarget) -> str:
        """Return the target as JSON; a number alone as it is."""
        one = (
            {"value": target.low}
            if target.low == target.high
            else {"low": target.low, "high": target.high}
        )
        rest = {"unit": target.unit, "tolerance": target.slack}
        return json.dumps({**one, **{name: value for name, value in rest.items() if value}})

    def from_text(self, task: Task, text: str) -> object:
        """Return the target that JSON stands for; another text is "3.2 cm" and the like."""
        if not text.lstrip().startswith("{"):
            return text
        return json_target(task, text, '{"value": 3.2, "unit": "cm", "tolerance": 0.1}')

    def row_task(self, task: Task, target: NumberTarget) -> Task:
        """Return the task whose prompt asks for the target's unit."""
        return _row_task(task, target.unit)

    def reward(
        self, answer: str | None, target: NumberTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return 1 for a number within the tolerance, else 0 or what its distance leaves."""
        return number_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return the most that a number beyond the tolerance earns."""
        return BEST_WRONG_NUMBER if settings.number_quality == "linear" else 0.0

    def choices(self, task: Task, order: Sequence[int]) -> str:
        """Return the unit that the answer is to be given in, "" for none."""
        return task.unit if isinstance(task, NumberRow) else ""

    def right(self, task: Task, target: NumberTarget, settings: RewardSettings) -> str:
        """Return the number with its unit; of a range the middle."""
        return _with_unit((target.low + target.high) / 2, target.unit)

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield samples, or each of `targets`, with numbers beside the tolerance."""
        for target in _SAMPLES if targets is None else targets:
            parsed = self.parse(task, target)
            step = max(parsed.slack, 0.1 * max(abs(parsed.low), abs(parsed.high)), 1e-3)
            step = max(1.0, round(step)) if float(parsed.low).is_integer() else step
            values = [parsed.high + parsed.slack + n * step for n in (30, 3, 1)]
            values.append(parsed.low - parsed.slack - step)
            texts = tuple(_with_unit(value, parsed.unit) for value in values)
            yield Honest(
                self.from_text(task, self.to_text(task, parsed)),
                right=self.right(task, parsed, task.reward),
                wrong=texts[:2],
                near=texts,
            )


def _with_unit(value: float, unit: str) -> str:
    number = f"{value:.6g}"
    return f"{number}%" if unit == "%" else f"{number} {unit}".strip()


@lru_cache(maxsize=1024)
def _row_task(task: Task, unit: str) -> NumberRow:
    return row_of(task, NumberRow, unit=unit)


def _plain_target(where: str, target: object) -> Mapping[str, Any]:
    """Return a number, or a text such as "3.2 cm", as a mapping."""
    if isinstance(target, Real) and not isinstance(target, bool):
        return {"value": target}
    found = _TEXT.fullmatch(target) if isinstance(target, str) else None
    if found is None:
        raise ConfigError(
            f'{where}: {quote(target)} is not a number, a text such as "3.2 cm", or a mapping such '
            f'as {{"value": 3.2, "unit": "cm", "tolerance": 0.1}}'
        )
    if is_ambiguous(found[1]):
        whole, decimal = found[1].replace(",", ""), found[1].replace(",", ".")
        raise ConfigError(
            f"{where}: {quote(target)} may be {whole} or {decimal}; write it without a comma"
        )
    number = found[1].replace("\u2212", "-").replace(",", ".")
    return {"value": float(number), "unit": found[2].strip()}


def _finite(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(float(value)):
        raise ConfigError(f"{where}: {quote(value)} is not a finite number")
    return float(value)
