"""What has to hold for any text whatever: the properties that the fuzzers try to break.

Every property takes bytes. :func:`spell` turns them into text made of the words that the readers
know, so that a fuzzer reaches deep into the rules with few bytes; bytes it has no word for stand
for themselves. `benchmarks/fuzz.py` runs the same properties for as long as one likes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

from medreward import ConfigError, Score, Task
from medreward.audit.cases.files import parse_cases
from medreward.kinds.boxes.read import read_boxes
from medreward.kinds.ordinal import read_grade
from medreward.kinds.reading import read_label
from medreward.kinds.truth import target_of
from medreward.language.answer_text import split_answer
from medreward.scoring.parts.base import used_parts
from medreward.scoring.parts.recitation import Reference
from medreward.scoring.scorer import Scorer
from medreward.task.task import parse_card
from medreward.text.completion import Completion
from medreward.text.reasons import REASONS
from medreward.text.words import tokenize

TASKS = (
    "pneumoniamnist",
    "retinamnist",
    "chestmnist",
    "mni152_brain_box",
    "bccd",
    "breastmnist",
    "bloodmnist",
)
_TAGS = "<think>|</think>|<answer>|</answer>|<THINK>|</ANSWER>|< answer >|<answer/>|<think|think>"
_NAMES = (
    "normal|pneumonia|viral pneumonia|pneumonai|moderate|severe|mild NPDR|no DR|malignant|benign|"
    "normal, benign|effusion|mass|edema|no finding|pleural thickening|hernia|basophil|platelet|"
    "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)|RBC|WBC|bbox_2d|label|"
    "grade|Grade 2|2.0|0|1|2|3|4"
)
_RULES = (
    "not|no|or|and|vs|but|if|then|unless|without|negative for|ruled out|cannot|exclude|unlikely|"
    "rather than|at least|between|more|out of 4|0-4|confidence 90%|none|absent|like|-like|non-|ab|"
    "un|yes|is|seen|which|neither|nor|never|anything but|false|incorrect|because|however|whether"
)
_SIGNS = (
    ", |. |; |: |? |! |\n|\n\n|\n- |(|)|(-)|[|]|[[|]]|{|}|\"|'|/|*|**|~~|-| - |--|+|%|<|>|≥|=|^|_|"
    "#|1e9|NaN|Infinity|-1|10, 10, 50, 50|[10, 20, 60, 80]|null|true|\\|&lt;|0.5|999999999|-0"
).split("|")
_MARKS = [
    "\u200b",
    "\u0301",
    "\u202e",
    "\ud800",
    "\x00",
    "½",
    "２",
    "а",
    "é",
    "ﬁ",
    "İ",
    "ß",
    "K",
    " ",
]
WORDS = [*_TAGS.split("|"), *_NAMES.split("|"), *_RULES.split("|"), *_SIGNS, "|", *_MARKS]


def spell(data: bytes) -> str:
    """Return the text that `data` spells: a word for each byte that has one, else a letter."""
    parts = (WORDS[b] + (" " if b % 3 else "") if b < len(WORDS) else chr(b) for b in data)
    return "".join(parts)


@cache
def scorer(name: str) -> Scorer:
    return Scorer(Task.load(name))


@cache
def right_answers(name: str) -> tuple[tuple[Any, str], ...]:
    """Return targets of a task with what an honest right answer to each says."""
    task = Task.load(name)
    if task.kind == "localisation":
        label = {"label": "RBC"} if task.labels else {}
        true = [{"box": [10, 10, 50, 50], **label}] if label else [[10, 10, 50, 50]]
        said = [{"bbox_2d": [10, 10, 50, 50], **label}] if label else true
        return ((true, json.dumps(said)), ([], "[]"))
    if task.kind == "multilabel":
        return (({0}, task.labels[0].name), ({1, 2}, "cardiomegaly, effusion"), ((), "no finding"))
    return tuple((i, label.name) for i, label in enumerate(task.labels))


def check_score(data: bytes) -> None:
    """A score is finite, in range, reproducible, explained, and no wrong one beats a right one."""
    bound = scorer(TASKS[data[0] % len(TASKS)] if data else TASKS[0])
    text = spell(data[1:])
    if data[1:2] > b"\x7f":
        text = f"<think>{spell(data[2:4])}</think><answer>{spell(data[4:])}</answer>"
    scores: list[Score] = []
    for target, answer in right_answers(bound.task.name):
        score = bound.score(text, target)
        assert score == bound.score(text, target)
        check_fields(bound, score)
        right = bound.score(f"<think>Hm</think><answer>{answer}</answer>", target)
        assert right.correct, (target, answer)
        # Where overlap earns a share, what rounds to 1 is as good as 1.
        assert score.correct or score.total < right.total, (text, score, right)
        scores.append(score)
    if bound.task.kind != "localisation":
        assert sum(score.correct for score in scores) <= 1, text


def check_fields(bound: Scorer, score: Score) -> None:
    low, high = bound.range
    assert math.isfinite(score.total)
    assert low <= score.total <= high
    assert list(score.parts) == [part.name for part in used_parts(bound.settings.weights)]
    assert 0.0 <= score.parts["accuracy"] <= 1.0
    assert -1.0 <= score.parts["recitation"] <= 1.0
    assert set(score.reasons) <= REASONS.keys()
    assert score.prediction is not None or not score.correct
    json.dumps(score.as_dict())


def check_completion(data: bytes) -> None:
    """A completion that is well formed has reasoning and an answer, which stand in the text."""
    text = spell(data)
    parsed = Completion.parse(text)
    if parsed.well_formed:
        assert parsed.think is not None
        assert parsed.answer
    for part in (parsed.think, parsed.answer):
        assert part is None or part in text
    assert parsed.reasoning is not None
    if parsed.answer is not None:
        framed = Completion.parse(f"<think>Hm</think><answer>{parsed.answer}</answer>")
        assert framed.answer == parsed.answer


def check_words(data: bytes) -> None:
    """Words and the gaps between them alternate; BLEU of any text is a share."""
    text = spell(data)
    words = split_answer(text)
    assert len(words.gaps) == len(words.words) + 1
    assert all(words.words)
    bleu = Reference("Lobar consolidation is an area of opacity.").bleu(text)
    assert 0.0 <= bleu <= 1.0
    assert bleu == 0.0 or tokenize(text)


def check_reading(data: bytes) -> None:
    """What is read is a label of the task; white space around an answer is nothing to it."""
    text = spell(data)
    for name, read in (("pneumoniamnist", read_label), ("retinamnist", read_grade)):
        task = scorer(name).task
        found = read(text, task)
        assert found.label is None or 0 <= found.label < len(task.labels)
        assert (found.label is None) == bool(found.reason)
        if len(text) < 900 and text.strip():
            assert read(f" {text.strip()} ", task).label == read(text.strip(), task).label


def check_boxes(data: bytes) -> None:
    """Boxes that are read are finite and have an area."""
    for name in ("mni152_brain_box", "bccd"):
        found = read_boxes(spell(data), scorer(name).task)
        assert not (found.total and found.reason)
        assert len(found.boxes) == len(found.labels) <= found.total
        assert found.problems or len(found.boxes) == found.total
        for box in found.boxes:
            assert all(map(math.isfinite, box))
            assert box[0] < box[2]
            assert box[1] < box[3]


def check_targets(data: bytes) -> None:
    """A target is parsed, or refused by a `ConfigError`."""
    bound = scorer(TASKS[data[0] % len(TASKS)] if data else TASKS[0])
    for text in (spell(data[1:]), data[1:].decode("latin-1")):
        try:
            bound.task.parse_target(target_of(bound.task, text))
        except ConfigError:
            continue


def check_card(data: bytes) -> None:
    """A card is a task, or refused by a `ConfigError`."""
    head = "name: t\nkind: ordinal\nquestion: q\nlabels: [a, bb, ccc]\n"
    texts = [data.decode("utf-8", "replace"), spell(data), head + spell(data)]
    fields = ("labels", "reward", "knowledge", "first_grade", "no_finding")
    texts += [head.replace("labels:", "#") + f"{field}: {spell(data)}" for field in fields]
    for text in texts:
        try:
            assert parse_card(text).name
        except ConfigError:
            continue


def check_case_file(data: bytes) -> None:
    """A file of labelled cases is read, or refused by a `ConfigError`."""
    head = "task: pneumoniamnist\ncases:\n- target: normal\n  completion: x\n  "
    row = json.dumps({"task": "pneumoniamnist", "target": "normal", "completion": spell(data)})
    for text, lines in (
        (data.decode("utf-8", "replace"), False),
        (head + spell(data), False),
        (yaml.safe_dump({"task": "pneumoniamnist", "cases": [spell(data)]}), False),
        (data.decode("utf-8", "replace"), True),
        (row, True),
    ):
        try:
            parse_cases(text, json_lines=lines)
        except ConfigError:
            continue


PROPERTIES: dict[str, Callable[[bytes], None]] = {
    "score": check_score,
    "completion": check_completion,
    "words": check_words,
    "reading": check_reading,
    "boxes": check_boxes,
    "targets": check_targets,
    "card": check_card,
    "case-file": check_case_file,
}
