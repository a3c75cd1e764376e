"""Stand-ins for rewards that others use: written from descriptions of what theirs do, not copied.

Each has one of the habits that public issues and code readings describe, and nothing else that is
wrong on purpose. All take a completion and a target and return a number in [0, 1].
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

Box = Sequence[float]
_FORMAT = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)


def first_tag(completion: str, target: object) -> float:
    """The first answer tag counts, in any case of letters; ``.`` does not match a line break."""
    found = re.search(r"<answer>(.*?)</answer>", completion)
    return float(found is not None and found[1].strip().lower() == str(target).lower())


def last_tag(completion: str, target: object) -> float:
    """The last answer tag counts, also over line breaks."""
    found = re.findall(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    return float(bool(found) and found[-1].strip().lower() == str(target).lower())


def substring_both_ways(completion: str, target: object) -> float:
    """Right where the answer stands in the label, or the label in the answer."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    if found is None:
        return 0.0
    answer, label = found[1].strip().lower(), str(target).lower()
    return float(answer in label or label in answer)


def label_in_answer(completion: str, target: object) -> float:
    """Right where the label stands anywhere in the answer."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    return float(found is not None and str(target).lower() in found[1].lower())


def case_sensitive(completion: str, target: object) -> float:
    """Right where the answer is the label, letter for letter."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    return float(found is not None and found[1] == str(target))


def whole_completion(completion: str, target: object) -> float:
    """Where there is no answer tag, the label is looked for in the whole completion."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    if found is not None:
        return float(found[1].strip().lower() == str(target).lower())
    return float(str(target).lower() in completion.lower())


def yes_no(completion: str, target: object) -> float:
    """The first "yes" or "no" anywhere in the answer counts, also inside of a word."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    said = re.search(r"(yes|no)", (found[1] if found else completion).lower())
    return float(said is not None and said[1] == str(target).lower())


def format_by_pattern(completion: str, target: object) -> float:
    """Half for the label in the first tag, half for a pattern that nested tags also match."""
    well_formed = _FORMAT.fullmatch(completion.strip()) is not None
    return 0.5 * first_tag(completion, target) + 0.5 * well_formed


def first_number(completion: str, target: object) -> float:
    """A grade: the first digits in the answer count."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    number = re.search(r"\d+", found[1]) if found else None
    return float(number is not None and number[0] == str(target))


def boxes_of(completion: str) -> list[list[float]]:
    """Every four numbers in brackets in the first answer tag."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    text = found[1] if found else ""
    return [
        [float(number) for number in json.loads(match)]
        for match in re.findall(r"\[\s*-?[\d.]+(?:\s*,\s*-?[\d.]+){3}\s*\]", text)
    ]


def _iou(one: Box, other: Box) -> float:
    """Intersection over union by the usual formula, without a look at the corners' order."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0


def best_iou(completion: str, target: Sequence[Box]) -> float:
    """For each true box the best of any number of answered ones; nothing is lost by a surplus."""
    boxes = boxes_of(completion)
    best = [max((_iou(box, true) for box in boxes), default=0.0) for true in target]
    return sum(best) / len(best) if best else 1.0


def greedy_iou(completion: str, target: Sequence[Box]) -> float:
    """Boxes are matched first come, first served; only the matched ones are averaged."""
    left = list(target)
    matched = []
    for box in boxes_of(completion):
        best = max(left, key=lambda true: _iou(box, true), default=None)
        if best is not None and _iou(box, best) > 0:
            matched.append(_iou(box, best))
            left.remove(best)
    return sum(matched) / len(matched) if matched else float(not target)


def points_hit(completion: str, target: Sequence[Box]) -> float:
    """The share of the true boxes with any of the answered points in them."""
    numbers = r"[-+]?[0-9]+(?:\.[0-9]+)?"
    pairs = re.findall(rf"\[({numbers}), ({numbers})\]", completion)
    hit = [any(a <= float(x) < c and b <= float(y) < d for x, y in pairs) for a, b, c, d in target]
    return sum(hit) / len(hit) if hit else 1.0


def first_box(completion: str, target: Sequence[Box]) -> float:
    """1 where the first box overlaps the first true one by half."""
    boxes = boxes_of(completion)
    return float(bool(boxes and target) and _iou(boxes[0], target[0]) > 0.5)


LABELLED: tuple[Callable[..., float], ...] = (
    first_tag,
    last_tag,
    substring_both_ways,
    label_in_answer,
    case_sensitive,
    whole_completion,
    format_by_pattern,
)
GRADES: tuple[Callable[..., float], ...] = (first_number,)
LOCALISATION: tuple[Callable[..., float], ...] = (best_iou, greedy_iou, first_box)


def recall_of_names(completion: str, target: Sequence[str]) -> float:
    """The share of the true labels that stand anywhere in the first answer; a surplus is free."""
    found = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    answer = found[1].lower() if found else ""
    return sum(label in answer for label in target) / len(target) if target else 1.0


MULTILABEL: tuple[Callable[..., float], ...] = (recall_of_names,)
