"""Coverage on VQA-RAD: answers that people gave, read as a model would write them.

VQA-RAD (Lau et al., Scientific Data 5:180251, 2018, CC0) has questions of radiologists with their
answers. What is measured:

- **closed**: each answer that is "yes" or "no" in any case, on the shipped card `yes_no`, as it is
  in the file and in the forms of `CLOSED`. To a question that begins with "Is there" or "Are there"
  also as the sentence that models write: "Yes, there is evidence of a pneumothorax."
- **open**: each different answer to an open question, on a card of `GROUP` labels that has it and
  others to the same type of question (its `question_type`), as it is and in the forms of `OPEN`.
  The others share no word with it, nor the beginning of one (`BEGINNING` letters), so that a
  careful human has no doubt which is meant; they follow it in the sorted list of the type's
  answers, without a random choice.
- **near**: the same with others that do share a word with it, such as "Right upper lobe" beside
  "Right lower lobe"; none has only words of another.
- **absent**: the answers of "open" on a card of `GROUP` others that share no word with them. Each
  is null: whatever it is read as is paid for nothing.

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
from pathlib import Path
from typing import Any

from benchmarks.reading.labelled import LabelledAnswer
from medreward import ConfigError, Task

FILE = "trainset.json"
GROUP, LONGEST, BEGINNING = 4, 6, 5
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
    """Return an answer in each form, by the form's name."""
    dressed = {}
    for name, form in forms.items():
        text = answer if name == "as it is" else " ".join(answer.split())
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
    measured: Measured = {name: defaultdict(list) for name in ("open", "near", "absent")}
    for kind, answers in _answers_by_type(questions, left_out).items():
        for i, answer in enumerate(answers):
            rest = answers[i + 1 :] + answers[:i]
            for measure, others in (("open", _others(answer, rest)), ("near", _near(answer, rest))):
                task = _card(kind, [answer, *others[: GROUP - 1]], measure, left_out)
                for form, text in _dress(answer, OPEN).items() if task else ():
                    name = " ".join(answer.split())
                    row = LabelledAnswer(
                        f"{kind}: {name}, {measure}, {form}", task, text, name, "label", short=True
                    )
                    measured[measure][form].append(row)
            task = _card(kind, _others(answer, rest), "absent", left_out)
            if task:
                where, why = f"{kind}: {answer}, absent", "no label of the card"
                row = LabelledAnswer(where, task, answer, None, "unclear", why=why)
                measured["absent"]["as it is"].append(row)
    return measured


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
    """Return the next answers that share no beginning of a word with it nor with each other."""
    seen = _beginnings(answer)
    others: list[str] = []
    for other in rest:
        if len(others) < GROUP and not seen & _beginnings(other):
            seen |= _beginnings(other)
            others.append(other)
    return others


def _near(answer: str, rest: Iterable[str]) -> list[str]:
    """Return the next answers that share a word, where no answer has only words of another."""
    chosen = [answer]
    for other in rest:
        words = set(_words(other))
        apart = all(words - set(_words(one)) and set(_words(one)) - words for one in chosen)
        if len(chosen) < GROUP and apart and words & set(_words(answer)):
            chosen.append(other)
    return chosen[1:]


def _beginnings(text: str) -> set[str]:
    return {word[:BEGINNING] for word in _words(text)}


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
