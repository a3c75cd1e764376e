"""A plain task of each kind, for tests that are about all of them."""

from __future__ import annotations

from typing import Any

from medreward import Task
from medreward.task.labels import Statement
from medreward.task.laterality import Laterality
from medreward.task.registry import kind_names, rules_of
from medreward.task.traits import Trait

# What a card of the kind needs beside its name; four labels where nothing else is said.
_NEEDS: dict[str, dict[str, Any]] = {
    "segmentation": {},
    "pointing": {"labels": ["lesion"]},
    "localisation": {"labels": ["lesion", "cyst"]},
    "multi_image_localisation": {"labels": ["lesion", "cyst"]},
    "report": {"labels": ["effusion", "edema", "mass", "fracture"]},
    "free_report": {},
    "choice": {},
    "short_answer": {},
    "number": {},
    "fields": {
        "fields": {
            "side": Task("side", labels=["left", "right"]),
            "grade": Task("grade", kind="ordinal", labels=["none", "mild", "severe"]),
            "size": Task("size", kind="number"),
        }
    },
}

_COMMON: dict[str, Any] = {
    "knowledge": (Statement("Compare both halves of the picture before you answer.", "book"),),
    "references": {"book": "A book"},
    "laterality": Laterality(dependent=False),
}


def sample_task(kind: str, name: str = "sample", **settings: Any) -> Task:
    """Return a task of a kind; those whose credit comes near to 1 go with delta 0 only."""
    needs = _NEEDS.get(kind, {"labels": ["alpha", "beta", "gamma", "delta"]})
    places = Trait.PLACES in rules_of(kind).traits
    reward = {**({"delta": 0} if places or kind in ("report", "free_report") else {}), **settings}
    common = {"laterality": _COMMON["laterality"]} if places else _COMMON
    return Task(name, kind=kind, question="What is it?", reward=reward, **common, **needs)


SAMPLES = {kind: sample_task(kind) for kind in kind_names()}
