"""Coverage on VQA-RAD: answers that people gave, read as a model would write them.

VQA-RAD (Lau et al., Scientific Data 5:180251, 2018, CC0) has questions of radiologists with their
answers. What is measured:

- **closed**: each answer that is "yes" or "no" in any case, on the shipped card `yes_no`, as it is
  in the file and in the forms of `CLOSED`. To a question that begins with "Is there" or "Are there"
  also as the sentence that models write: "Yes, there is evidence of a pneumothorax."
- **open**: each different answer to an open question, on a card of `GROUP` labels that has it and
  others to the same type of question (its `question_type`), as it is and in the forms of `OPEN`.
  No word of the others begins like one of its own (`BEGINNING` letters) or is spelt like it
  (`ALIKE` percent), so that a careful human has no doubt which is meant; they follow it in the
  sorted list of the type's answers, without a random choice.
- **near**: the same with others that do share a word with it, such as "Right upper lobe" beside
  "Right lower lobe"; none has only words of another.
- **absent**: the answers of "open" on a card of `GROUP` others chosen in the same way. Each is
  null: whatever it is read as is paid for nothing.
- **denied**: the answers of "open" on its card, denied or left open in the forms of `DENIED`, which
  are null; without those that deny something themselves.

Answers differ that differ in letters or digits, not in case or blanks. Left out, and counted:
closed answers that are neither yes nor no, open answers of more than `LONGEST` words (sentences,
which no card has as a label), those with a question mark, and those for which no card can be made:
the type has too few others, or the card is refused. The same answer to many questions counts many
times for closed questions and once for open ones. The answers are all right by construction: this
says how much is read, not how often a model is right. An open answer is a label letter for letter
here, which is easier than what a model writes on its own.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from benchmarks.reading.labelled import LabelledAnswer
from medreward import ConfigError, Task

FILE = "trainset.json"
GROUP, LONGEST, BEGINNING, ALIKE = 4, 6, 5, 80
CLOSED = {
    "as it is": "{}",
    "full stop": "{}.",
    "frame": "The answer is {}.",
    "markdown": "**Answer: {}**",
    "boxed": "\\boxed{{{}}}",
    "json": '{{"answer": "{}"}}',
}
OPEN = {
    "as it is": "{}",
    "full stop": "{}.",
    "capitals": "{}",
    "frame": "The answer is {}.",
    "final": "Final answer: {}",
    "markdown": "**{}**",
    "json": '{{"answer": "{}"}}',
}
DENIED = {
    "not": "not {}",
    "no": "No {} is seen.",
    "question": "{}?",
    "excluded": "{} is excluded.",
    "possibly": "possibly {}",
    "verdict": "{}: absent",
    "or": "{} or something else",
}
_DENIES = frozenset({"no", "not", "without", "none", "non"})
_THERE = re.compile(r"(is|are) there (.+?)[\s?.]*\Z", re.IGNORECASE)
_ARTICLE, _ANY = (re.compile(rf"\A(?:{words})\s+", re.IGNORECASE) for words in ("an?|any", "any"))
_WORD = re.compile(r"\w+")
Forms = dict[str, list[LabelledAnswer]]
Measured = dict[str, Forms]


def read_questions(folder: Path) -> list[dict[str, Any]]:
    """Return the questions of the data set's folder.

    Raises:
        ConfigError: if the file is not there.
    """
    file = folder / FILE
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file; give the folder of VQA-RAD")
    questions: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return questions


def labelled(folder: Path) -> tuple[Measured, Counter[str]]:
    """Return labelled answers by measure and form, and a count of what was left out.

    Raises:
        ConfigError: if the data set is not there.
    """
    left_out: Counter[str] = Counter()
    questions = read_questions(folder)
    return {"closed": _closed(questions, left_out), **_open(questions, left_out)}, left_out


def _closed(questions: Iterable[Mapping[str, Any]], left_out: Counter[str]) -> Forms:
    task = Task.load("yes_no")
    forms: Forms = defaultdict(list)
    for row in questions:
        if row["answer_type"].strip() != "CLOSED":
            continue
        answer = str(row["answer"])
        expected = answer.strip().lower()
        if expected not in ("yes", "no"):
            left_out["closed, neither yes nor no"] += 1
            continue
        for name, text in {
            **_dress(answer, CLOSED),
            **_sentence(row["question"], expected),
        }.items():
            where = f"{row['qid']}, {name}"
            forms[name].append(LabelledAnswer(where, task, text, expected, "yes_no", short=True))
    return forms


def _dress(answer: str, forms: Mapping[str, str]) -> dict[str, str]:
    """Return an answer in each form, by the form's name; in its own as it is, stop and all."""
    dressed = {}
    for name, form in forms.items():
        text = answer if name == "as it is" else " ".join(answer.split()).rstrip(".")
        text = text.upper() if name == "capitals" else text
        text = json.dumps(text, ensure_ascii=False)[1:-1] if name == "json" else text
        dressed[name] = form.format(text)
    return dressed


def _sentence(question: str, answer: str) -> dict[str, str]:
    """Return the answer as a sentence of the question's words, where these surely make one."""
    found = _THERE.match(question.strip())
    if not found:
        return {}
    verb, rest = found[1].lower(), " ".join(found[2].split())
    if answer == "no":
        return {"sentence": f"No, there {verb} no {_ARTICLE.sub('', rest)}."}
    return {"sentence": f"Yes, there {verb} {_ANY.sub('', rest)}."}


def _open(questions: Iterable[Mapping[str, Any]], left_out: Counter[str]) -> Measured:
    measured: Measured = {}
    for kind, answers in _answers_by_type(questions, left_out).items():
        for i, answer in enumerate(answers):
            rest = answers[i + 1 :] + answers[:i]
            others, near = _others(answer, rest), _near(answer, rest)
            card = [answer, *others[: GROUP - 1]]
            denied = {} if _DENIES & set(_words(answer)) else DENIED
            for measure, labels, forms in (
                ("open", card, OPEN),
                ("near", [answer, *near], OPEN),
                ("absent", others, {"as it is": "{}"}),
                ("denied", card, denied),
            ):
                task = _card(kind, labels, measure, left_out)
                if task is not None:
                    _add(measured.setdefault(measure, {}), answer, forms, task, measure)
    return measured


def _add(rows: Forms, answer: str, forms: Mapping[str, str], task: Task, measure: str) -> None:
    """Add an answer in each form: it means its label, or nothing."""
    name = " ".join(answer.split())
    null = {"absent": "no label of the card", "denied": "the label is denied or left open"}
    why = null.get(measure, "")
    for form, text in _dress(answer, forms).items():
        row = LabelledAnswer(
            id=f"{task.name}: {name}, {measure}, {form}",
            task=task,
            answer=text,
            expected=None if why else name,
            form="unclear" if why else "label",
            short=not why,
            why=why,
        )
        rows.setdefault(form, []).append(row)


def _answers_by_type(
    questions: Iterable[Mapping[str, Any]], left_out: Counter[str]
) -> dict[str, list[str]]:
    """Return the different short answers to open questions of each type, in sorted order."""
    types: dict[str, dict[str, str]] = defaultdict(dict)
    for row in questions:
        if row["answer_type"].strip() != "OPEN":
            continue
        answer = str(row["answer"])
        if not 0 < len(_words(answer)) <= LONGEST:
            left_out[f"open, no word or more than {LONGEST}"] += 1
            continue
        if "?" in answer:
            left_out["open, a question itself"] += 1
            continue
        types[row["question_type"].strip().upper()].setdefault(" ".join(_words(answer)), answer)
    return {kind: [named[key] for key in sorted(named)] for kind, named in sorted(types.items())}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _others(answer: str, rest: Iterable[str]) -> list[str]:
    """Return the next answers of which no word is like one of its own nor of each other's."""
    chosen = [answer]
    for other in rest:
        if len(chosen) <= GROUP and not any(_alike(one, other) for one in chosen):
            chosen.append(other)
    return chosen[1:]


@cache
def _alike(one: str, other: str) -> bool:
    """Whether the texts have words that begin alike or are spelt alike ("abcess")."""
    pairs = product(_words(one), _words(other))
    return any(a[:BEGINNING] == b[:BEGINNING] or fuzz.ratio(a, b) >= ALIKE for a, b in pairs)


def _near(answer: str, rest: Iterable[str]) -> list[str]:
    """Return the next answers that share a word, where no answer has only words of another."""
    chosen = [answer]
    for other in rest:
        words = set(_words(other))
        apart = all(words - set(_words(one)) and set(_words(one)) - words for one in chosen)
        if len(chosen) < GROUP and apart and words & set(_words(answer)):
            chosen.append(other)
    return chosen[1:]


def _card(kind: str, answers: Sequence[str], measure: str, left_out: Counter[str]) -> Task | None:
    """Return a card with these labels; None, counted, if they are too few or it is refused."""
    if len(answers) < GROUP:
        left_out[f"{measure}, too few others of its type"] += 1
        return None
    labels = [" ".join(answer.split()) for answer in answers]
    try:
        return Task(kind.lower(), question=f"Which one is it ({kind})?", labels=labels)
    except ConfigError:
        left_out[f"{measure}, the card is refused"] += 1
        return None
