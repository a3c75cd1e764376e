"""Answers in German and Chinese: honest short forms are read, nothing else is paid."""

from __future__ import annotations

from medreward import Task, explain
from medreward.task.labels import Label

# Lists that say nothing of a label, and those that deny it or leave it open.
HARMLESS = ("articles", "fillers", "prepositions", "pictures", "clauses", "frames", "modifiers")
TURNING = ("not", "deny_before", "plain_no", "absent", "open", "or")


def german(name: str, **fields: object) -> Task:
    return Task(name, languages=("de",), **fields)


def chinese(name: str, **fields: object) -> Task:
    return Task(name, languages=("zh",), **fields)


CARDS = {
    "chest": german(
        "chest",
        labels=[
            Label("normal", ("Normalbefund", "unauffällig", "unauffälliger Befund"), absence=True),
            Label("Pneumonie", ("Lungenentzündung",)),
        ],
        question="Was zeigt das Bild?",
    ),
    "ja": german("ja", labels=["ja", "nein"]),
    "skin": german("skin", labels=["Melanom", "Nävus", "Basaliom"]),
    "grad": german(
        "grad",
        kind="ordinal",
        labels=["normal", "leichte Retinopathie", "mittelgradig", "schwer", "proliferativ"],
    ),
    "befunde": german(
        "befunde",
        kind="multilabel",
        labels=[
            Label("Erguss", ("Pleuraerguss",)),
            Label("Rundherd"),
            Label("Kardiomegalie"),
            Label("Atelektase"),
        ],
        no_finding=("kein Befund", "keine Auffälligkeiten", "unauffällig"),
    ),
}
CARDS |= {
    "胸片": chinese(
        "胸片",
        labels=[
            Label("正常", ("未见异常", "未见明显异常", "无异常"), absence=True),
            Label("肺炎", ("肺部感染",)),
        ],
    ),
    "是否": chinese("是否", labels=[Label("是", ("是的",)), "否"]),
    "皮肤": chinese("皮肤", labels=["黑色素瘤", "痣", "基底细胞癌"]),
    "分级": chinese(
        "分级", kind="ordinal", labels=["正常", "轻度", Label("中度"), "重度", "增殖期"]
    ),
    "多标签": chinese(
        "多标签",
        kind="multilabel",
        labels=[Label("积液", ("胸腔积液",)), "结节", "心脏增大", "肺不张"],
        no_finding=("未见异常", "未见明显异常", "无异常"),
    ),
}


def paid(task: Task, answer: str) -> set[str]:
    """Return the targets for which an answer earns anything, as names of labels or numbers."""
    return {str(t) for t in targets(task) if accuracy(task, answer, t) > 0}


def accuracy(task: Task, answer: str, target: object) -> float:
    """Return what an answer earns for being right."""
    completion = f"<think>x</think><answer>{answer}</answer>"
    return explain(completion, target, task=task).parts["accuracy"]
