"""Short answers to open questions: each row brings the answers along that are accepted.

Accuracy is 1 for an accepted answer, else 0, or with ``answer_quality: f1`` token F1 for an answer
that is like one. An answer is accepted where it is understood whole: an accepted form, in any case,
number and spelling (`medreward.text.spellings`), in a frame such as "the answer is". Nothing may
describe it or explain it beside that, as the answer to an open question is of no known set: "left
lung" is not "lung", and "effusion, which is small" is not read. So "no effusion" is never
"effusion". Where the accepted answer is yes or no, the answers are a known set, and an explanation
may stand behind one: "Yes. There is an effusion."

Token F1 of words p in the answer and t in an accepted form, articles aside, in one spelling::

    F1 = 2 * |p & t| / (|p| + |t|)

as in SQuAD (Rajpurkar et al., EMNLP 2016), over multisets, the best of the accepted forms; 0 below
``answer_floor``, at most `BEST_PARTIAL`. An answer that holds more than words of the form has to be
understood too: beside them only words that say nothing or describe ("well defined"), and of a form
that has a side or degree none that it does not have. So a list of guesses, a denial, a doubt and
words that nobody listed earn 0, where plain F1 would pay for them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json
from medreward.kinds.base import Kind, TargetType, row_of
from medreward.kinds.honest import Honest
from medreward.kinds.open_questions import MOST_WORDS, OpenQuestion, decided_verdict
from medreward.kinds.reading import read_label
from medreward.kinds.verdict import Verdict
from medreward.language.answer_text import AnswerText, split_answer, split_form
from medreward.language.claims import Rules
from medreward.language.lexicon import MAX_FORM_LENGTH, Lexicon
from medreward.language.tokens import scan_answer
from medreward.language.vocabulary import Vocabulary, WordClass, make_vocabulary, number_words
from medreward.language.word_checks import is_reserved
from medreward.task.labels import Label
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.spellings import same_spelling

# What token F1 pays at most: an answer of twenty words of which one is wrong is still wrong.
BEST_PARTIAL = 0.9
_FIELDS = ("answers", "not", "question")
_LONGEST_SHOWN = 200
_TURNING = frozenset("ndatzq|?bc")
_DESCRIBING = frozenset("m")
_SILENT = frozenset("fFivo,.")
_ARTICLES = frozenset(("a", "an", "the"))
_NO_LABELS = Lexicon([], 0)
_SAMPLES = (
    {"answers": ["pleural effusion", "effusion"], "not": ["pneumothorax", "pneumonia", "mass"]},
    {"answers": ["left lower lobe"], "not": ["right lower lobe", "left upper lobe"]},
    {"answers": ["liver"], "not": ["spleen", "kidneys"]},
    {"answers": ["yes"]},
    {"answers": ["no"]},
)
_OTHERS = ("aorta", "kidney stone", "gastric ulcer")
_MOST_WRONG = 4
_OPEN_REASONS = ("answer_undecided", "answer_partial")


class AnswerTarget(NamedTuple):
    """What a row accepts.

    Attributes:
        answers: the accepted answers; the first one is the one to show.
        wrong: answers that are known to be wrong.
        question: what was asked, which only a judge looks at; "" where it is not known.
    """

    answers: tuple[str, ...]
    wrong: tuple[str, ...] = ()
    question: str = ""


@dataclass(frozen=True)
class AnswerRow(Task):
    """The task of one row: its first label are the accepted answers, the others known wrong ones.

    Attributes:
        is_closed: whether the labels are all that may be answered: yes and no.
    """

    is_closed: bool = False


def short_answer_reward(
    answer: str | None, target: AnswerTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return 1 for an accepted answer, else 0 or, if the settings say so, token F1.

    `task` is the one of the row.

    >>> card = Task("vqa", kind="short_answer", question="Answer the question.")
    >>> target = card.parse_target({"answers": ["pleural effusion"], "not": ["pneumonia"]})
    >>> row, f1 = ShortAnswer().row_task(card, target), RewardSettings(answer_quality="f1")
    >>> [short_answer_reward(text, target, row, RewardSettings()).value
    ...  for text in ("Pleural effusions.", "no pleural effusion", "effusion")]
    [1.0, 0.0, 0.0]
    >>> [round(short_answer_reward(text, target, row, f1).value, 3)
    ...  for text in ("effusion", "no pleural effusion", "effusion or edema")]
    [0.667, 0.0, 0.0]
    """
    label, reason, unread = read_label(answer, task)
    if label is not None:
        said = task.labels[label].name
        is_right = label == _right_index(target, task)
        return Verdict(1.0, "correct", said) if is_right else Verdict(0.0, "wrong_answer", said)
    if reason not in ("label_unknown", "answer_not_understood") or is_closed(task):
        return Verdict(0.0, reason, unread=unread)
    text = split_answer(answer or "")
    codes = {code for code, _ in _parts(text, task.reader.words)}
    # What denies or leaves open gives no answer; other words are one that the row does not know.
    shown = " ".join(text.words)[:_LONGEST_SHOWN] if codes.isdisjoint(_TURNING) else ""
    if settings.answer_quality == "f1":
        value = max(_token_f1(text, form, task) for form in target.answers)
        if value >= settings.answer_floor:
            return Verdict(min(value, BEST_PARTIAL), "answer_partial", shown or None, unread=unread)
    return Verdict(0.0, "answer_undecided", shown or None, unread=unread)


def is_closed(task: Task) -> bool:
    """Whether a row's answers are yes and no."""
    return isinstance(task, AnswerRow) and task.is_closed


def _right_index(target: AnswerTarget, task: Task) -> int | None:
    return task.lexicon.label(target.answers[0])


def _token_f1(answer: AnswerText, form: str, task: Task) -> float:
    """Return token F1 of an answer and an accepted form; 0 where anything else is in the answer."""
    true = split_form(form)
    wanted, said = _counted(true), _counted(answer)
    shared = (said & wanted).total()
    if not shared or not _is_harmless(answer, true, task.reader.words):
        return 0.0
    return 2 * shared / (said.total() + wanted.total())


def _counted(text: AnswerText) -> Counter[str]:
    return Counter(same_spelling(word) for word in text.words if word not in _ARTICLES)


def _is_harmless(answer: AnswerText, form: AnswerText, words: Vocabulary) -> bool:
    """Whether an answer holds nothing beside words of a form that says something else.

    What denies or doubts in the form has to be in the answer, and right before what it is said of:
    "effusion" is not "no effusion", nor is "no, effusion".
    """
    known, said = (frozenset(map(same_spelling, text.words)) for text in (form, answer))
    parts = [*_parts(form, words)]
    turning = frozenset().union(*(own for code, own in parts if code in _TURNING))
    if not turning <= said or (turning and not {*answer.gaps[1:-1]} <= {" ", "-", *form.gaps}):
        return False
    allowed = _SILENT if any(code in _DESCRIBING for code, _ in parts) else _SILENT | _DESCRIBING
    return all(code in allowed or (own and own <= known) for code, own in _parts(answer, words))


def _parts(text: AnswerText, words: Vocabulary) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the code of each phrase or mark of a text and its words, in one spelling."""
    tokens = scan_answer(text, _NO_LABELS, words)
    places = [*(token.place for token in tokens[1:]), len(text.words)]
    for token, stop in zip(tokens, places, strict=True) if tokens else ():
        yield token.code, frozenset(map(same_spelling, text.words[token.place : stop]))


class ShortAnswer(Kind):
    """A short answer to an open question; the row says what is accepted."""

    name = "short_answer"
    traits = frozenset((Trait.NAMES_LABELS, Trait.ONE_ANSWER, Trait.OPEN))
    target_type = TargetType.QUESTION
    settings = ("answer_quality", "answer_floor")
    same_word: ClassVar[Any] = staticmethod(same_spelling)
    shuffles = False

    def check(self, task: Task) -> None:
        """Accept any number of labels: answers that the rows of the card do not name as right."""
        if task.modifiers:
            raise ConfigError(
                f"modifiers: {quote([*task.modifiers])}: nothing may describe the answer to an "
                f"open question, since that could make it another one; list the whole answer "
                f"among a row's answers"
            )

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each answer; a number also in words."""
        return [
            (label.name, *label.synonyms, *_number_forms((label.name, *label.synonyms), task))
            for label in task.labels
        ]

    def reading_rules(self, task: Task, words: Vocabulary) -> Rules:
        """Let nothing stand beside the answer to an open question."""
        rules = super().reading_rules(task, words)
        is_open = not is_closed(task)
        return rules._replace(is_plain=is_open, may_explain=not is_open)

    def parse(self, task: Task, target: object) -> AnswerTarget:
        """Return the accepted answers of a row and those known to be wrong.

        `target` is an accepted answer, a list of them, or a mapping of ``answers`` and, optionally,
        ``not`` to such lists, and of ``question`` to the row's question.

        Raises:
            ConfigError: if it is none of these, there is no accepted answer, or one of them cannot
                be read or is wrong as well.
        """
        if isinstance(target, AnswerTarget):
            return target
        where = f"task {quote(task.name)}: target"
        given = target if isinstance(target, Mapping) else {"answers": target}
        known_fields(where, given, _FIELDS)
        answers = _texts(f"{where}: answers", given.get("answers"))
        if not answers:
            raise ConfigError(
                f"{where}: answers: there are none; a row accepts at least one answer"
            )
        wrong = _texts(f"{where}: not", given.get("not") or [])
        question = given.get("question") or ""
        if not isinstance(question, str):
            raise ConfigError(f"{where}: question: {quote(question)} is not a text")
        parsed = AnswerTarget(answers, wrong, " ".join(question.split()))
        _row_task(task, parsed)  # its labels are checked
        return parsed

    def to_text(self, task: Task, target: AnswerTarget) -> str:
        """Return the accepted answers, and the wrong ones where there are some, as JSON."""
        content: dict[str, Any] = {"answers": [*target.answers]}
        if target.wrong:
            content["not"] = [*target.wrong]
        if target.question:
            content["question"] = target.question
        return json.dumps(content, ensure_ascii=False)

    def from_text(self, task: Task, text: str) -> object:
        """Return the target that JSON stands for; another text is the accepted answer itself."""
        if text[:1] not in ("{", "["):
            return text
        try:
            return parse_json(text)
        except ConfigError:
            return text

    def row_task(self, task: Task, target: AnswerTarget) -> Task:
        """Return the task whose labels are the answers that a row knows."""
        return _row_task(task, target)

    def reward(
        self, answer: str | None, target: AnswerTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return 1 for an accepted answer, else 0 or token F1."""
        return short_answer_reward(answer, target, self.row_task(task, target), settings)

    def undecided(
        self, answer: str, verdict: Verdict, target: AnswerTarget, task: Task
    ) -> tuple[OpenQuestion, ...]:
        """Return the question for an answer that is no known one, and commits to something."""
        given = " ".join(answer.split())
        is_open = verdict.reason in _OPEN_REASONS and verdict.prediction is not None
        if not is_open or len(given.split()) > MOST_WORDS:
            return ()
        return (OpenQuestion(target.question, target.answers, given),)

    def decided(
        self,
        answer: str,
        verdict: Verdict,
        target: AnswerTarget,
        task: Task,
        settings: RewardSettings,
        decisions: Sequence[float | None],
    ) -> Verdict:
        """Return 1 where the judge says that the answer means the same as an accepted one."""
        return decided_verdict(verdict, decisions[0])

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return the most that an answer earns which is only like an accepted one."""
        return BEST_PARTIAL if settings.answer_quality == "f1" else 0.0

    def choices(self, task: Task, order: Sequence[int]) -> str:
        """Return nothing: a prompt does not say what is accepted."""
        return ""

    def right(self, task: Task, target: AnswerTarget, settings: RewardSettings) -> str:
        """Return the first accepted answer."""
        return target.answers[0]

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield samples, or each of `targets`, with answers that are known to be wrong."""
        for target in _SAMPLES if targets is None else targets:
            parsed = self.parse(task, target)
            row = _row_task(task, parsed)
            right = _right_index(parsed, row)
            others = [row.answer_name(i) for i in range(len(row.labels)) if i != right]
            if not others:  # a row that knows no wrong answer
                others = [name for name in _OTHERS if row.lexicon.label(name) is None]
                parsed = parsed._replace(wrong=tuple(others))
            wrong = tuple(others[:_MOST_WRONG])
            yield Honest(
                self.from_text(task, self.to_text(task, parsed)),
                right=parsed.answers[0],
                wrong=wrong,
                near=(*_shorter(parsed.answers[0], row), *wrong),
                names=(parsed.answers[0],),
                others=tuple(others),
            )


def _shorter(answer: str, row: Task) -> list[str]:
    """Return an answer without its first word, where it is no answer of the row then."""
    rest = answer.partition(" ")[2]
    return [rest] if rest and not is_closed(row) and row.lexicon.label(rest) is None else []


def _texts(where: str, value: object) -> tuple[str, ...]:
    """Return a text or a list of texts or numbers as texts on one line, each once."""
    given = [value] if isinstance(value, str | int | float) else value
    if isinstance(given, Mapping) or not isinstance(given, Sequence | Set) or value is None:
        raise ConfigError(f"{where}: {quote(value)} is not a text or a list of texts")
    found: dict[str, None] = {}
    for i, item in enumerate(given):
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            raise ConfigError(f"{where}[{i}]: {quote(item)} is not a text")
        text = " ".join(str(item).split())
        if not split_answer(text).words:
            raise ConfigError(f"{where}[{i}]: {quote(item)} has no letter or digit to be read by")
        if len(text) > MAX_FORM_LENGTH:
            raise ConfigError(
                f"{where}[{i}]: {quote(text[:40])} has {len(text)} characters; at most "
                f"{MAX_FORM_LENGTH} are allowed, as no longer answer is read"
            )
        found[text] = None
    return tuple(found)


@lru_cache(maxsize=4096)
def _row_task(task: Task, target: AnswerTarget) -> Task:
    words = make_vocabulary(tuple(task.languages))
    sides = _sides(target, words)
    if sides is None:
        taken = {_key(text) for text in target.answers}
        both = next((text for text in target.wrong if _key(text) in taken), None)
        if both is not None:
            raise ConfigError(
                f"task {quote(task.name)}: target: {quote(both)} is among both answers and not"
            )
        reserved = next((t for t in target.answers if is_reserved(t, target.answers, words)), None)
        if reserved is not None:
            raise ConfigError(
                f"task {quote(task.name)}: target: answers: {quote(reserved)} is a word that "
                f"denies or joins others in an answer and cannot be one itself"
            )
        known = [*_once(target.wrong, taken, words), *_card_labels(task, taken)]
        labels = [Label(target.answers[0], target.answers[1:]), *known]
    else:
        labels = [Label(side[0], tuple(side[1:])) for side in sides]
    closed = sides is not None
    return row_of(task, AnswerRow, labels=tuple(labels), max_typos=0, is_closed=closed)


def _sides(target: AnswerTarget, words: Vocabulary) -> tuple[list[str], list[str]] | None:
    """Return the forms of the two answers where yes or no is right, the right one first."""
    kinds = {words.class_of(text) for text in target.answers}
    found = [kind for kind in (WordClass.YES, WordClass.NO) if kind in kinds]
    if not found:
        return None
    if len(found) > 1:
        raise ConfigError("target: answers: yes and no are accepted both, so that nothing is asked")
    opposite = "no" if found == [WordClass.YES] else "yes"
    return [*target.answers], [opposite, *(t for t in target.wrong if words.class_of(t) is None)]


def _once(texts: Iterable[str], taken: set[str], words: Vocabulary) -> Iterator[Label]:
    """Yield a label for each text that is not taken yet and may name one."""
    for text in texts:
        if _key(text) not in taken and not is_reserved(text, [text], words):
            taken.add(_key(text))
            yield Label(text)


def _card_labels(task: Task, taken: set[str]) -> Iterator[Label]:
    """Yield the card's own labels, but for those whose forms the row has."""
    for label in task.labels:
        forms = [form for form in (label.name, *label.synonyms) if _key(form) not in taken]
        if len(forms) == 1 + len(label.synonyms):
            yield label


def _key(text: str) -> str:
    return " ".join(map(same_spelling, split_form(text).words))


def _number_forms(forms: Iterable[str], task: Task) -> Iterator[str]:
    """Yield numbers that are forms in words, and number words in digits."""
    for form in forms:
        for language in task.languages:
            numbers = number_words(language)
            if form in numbers:
                yield str(numbers.index(form))
            elif form.isdecimal() and int(form[:3]) < len(numbers):
                yield numbers[int(form)]
