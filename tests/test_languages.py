"""Answers in German and Chinese: honest short forms are read, nothing else is paid."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medreward import ConfigError, Task, explain
from medreward.language.vocabulary import (
    LANGUAGES,
    WordClass,
    contested_phrases,
    make_vocabulary,
    phrases_of,
)
from medreward.task.labels import Label
from medreward.task.task import parse_card

# Lists whose phrases say nothing of a label, and those that deny it or leave it open.
HARMLESS = ("articles", "fillers", "pictures", "clauses", "frames", "scale_names", "modifiers")
TURNING = ("not", "deny_before", "absent", "open")


def german(name: str, **fields: Any) -> Task:
    return Task(name, languages=("de",), **fields)


def chinese(name: str, **fields: Any) -> Task:
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


FILES = {
    name: yaml.safe_load((Path(__file__).parent / f"answers_{name}.yaml").read_text("utf-8"))
    for name in ("german", "chinese")
}
READ = [
    (card, said, str(answer))
    for file in FILES.values()
    for card, by_target in file["read"].items()
    for said, answers in by_target.items()
    for answer in answers
]
UNPAID = [
    (card, str(answer))
    for file in FILES.values()
    for card, answers in file["unpaid"].items()
    for answer in answers
]


def targets(card: str) -> list[Any]:
    """Return what the answers of the files say, as targets."""
    said = next(file["read"][card] for file in FILES.values() if card in file["read"])
    return [target_of(card, one) for one in said]


def target_of(card: str, said: Any) -> Any:
    """Return a target as the files write it: labels of a set have a plus between them."""
    if CARDS[card].kind != "multilabel":
        return said
    return [name for name in said.split("+") if name]


def paid(card: str, answer: str) -> list[Any]:
    """Return the targets for which an answer earns anything."""
    return [target for target in targets(card) if accuracy(CARDS[card], answer, target) > 0]


def accuracy(task: Task, answer: str, target: object) -> float:
    """Return what an answer earns for being right."""
    completion = f"<think>x</think><answer>{answer}</answer>"
    return explain(completion, target, task=task, decay="exact").parts["accuracy"]


def test_there_are_answers_of_each_card() -> None:
    assert {card for card, _, _ in READ} == {card for card, _ in UNPAID} == set(CARDS)
    assert len(READ) >= 300
    assert len(UNPAID) >= 150


@pytest.mark.parametrize("card", CARDS)
def test_honest_answers_are_read(card: str) -> None:
    wrong = [
        (answer, said)
        for one, said, answer in READ
        if one == card and accuracy(CARDS[card], answer, target_of(card, said)) != 1.0
    ]
    assert wrong == []


@pytest.mark.parametrize("card", [c for c in CARDS if CARDS[c].kind != "multilabel"])
def test_an_answer_is_right_for_one_label(card: str) -> None:
    answers = [answer for one, _, answer in READ if one == card]
    assert [a for a in answers if len(paid(card, a)) > 1] == []


@pytest.mark.parametrize("card", CARDS)
def test_what_denies_or_leaves_open_is_not_paid(card: str) -> None:
    answers = [answer for one, answer in UNPAID if one == card]
    assert [(a, paid(card, a)) for a in answers if paid(card, a)] == []


@pytest.mark.parametrize(("language", "card"), [("de", "skin"), ("zh", "皮肤")])
def test_no_turning_word_leaves_a_label_asserted(language: str, card: str) -> None:
    phrases = [phrase for phrase, name in phrases_of(language).items() if name in TURNING]
    assert len(phrases) > 40
    label = CARDS[card].labels[0].name
    gap = "" if language == "zh" else " "
    answers = [
        answer
        for phrase in (_written(phrase, language) for phrase in phrases)
        for answer in (f"{phrase}{gap}{label}", f"{label}{gap}{phrase}")
    ]
    assert [answer for answer in answers if paid(card, answer)] == []


def _written(phrase: str, language: str) -> str:
    return phrase.replace(" ", "") if language == "zh" else phrase


@pytest.mark.parametrize("language", ["de", "zh"])
def test_words_of_another_language_are_not_understood(language: str) -> None:
    """English cards pay for nothing beside which a word of German or Chinese stands."""
    task = Task("skin", labels=["melanoma", "nevus", "basalioma"])
    english = set(phrases_of("en"))
    foreign = [p for p, name in phrases_of(language).items() if name in TURNING]
    answers = [
        answer
        for phrase in foreign
        if phrase not in english
        for answer in (f"{phrase} melanoma", f"melanoma {phrase}")
    ]
    assert len(answers) > 80
    assert [answer for answer in answers if accuracy(task, answer, "melanoma")] == []


# What denies or doubts a label in other languages, before it or behind it.
FOREIGN = {
    "German": "kein {}|keine {}|keinen {}|nicht {}|ohne {}|{} ausgeschlossen|{} nicht vorhanden|"
    "{} liegt nicht vor|weder {}|niemals {}|Ausschluss {}|{}: nein|{} negativ|{} fehlt|{} entfällt",
    "French": "pas de {}|pas d'{}|sans {}|aucun {}|aucune {}|ni {}|{} absent|{} absente|{}: non|"
    "absence de {}|non {}|{} exclu|{} exclue|jamais {}|il n'y a pas de {}|{} n'est pas présent",
    "Spanish": "sin {}|no hay {}|ningún {}|ninguna {}|ni {}|{} ausente|ausencia de {}|{}: no|"
    "no se observa {}|{} descartado|{} descartada|negativo para {}|nunca {}|no es {}|tampoco {}",
    "Italian": "nessun {}|nessuna {}|senza {}|non {}|assenza di {}|{} assente|{}: no|né {}|"
    "{} escluso|{} esclusa|non c'è {}|mai {}|negativo per {}|non si vede {}|privo di {}",
    "Portuguese": "sem {}|não há {}|nenhum {}|nenhuma {}|nem {}|{} ausente|ausência de {}|{}: não|"
    "{} excluído|{} excluída|não é {}|nunca {}|negativo para {}|não se observa {}|livre de {}",
    "Dutch": "geen {}|niet {}|zonder {}|{} afwezig|{}: nee|{} uitgesloten|noch {}|nooit {}|"
    "er is geen {}|afwezigheid van {}|{} niet aanwezig|negatief voor {}|vrij van {}",
    "Polish": "brak {}|nie {}|bez {}|{} nieobecny|{}: nie|{} wykluczone|ani {}|nigdy {}|"
    "nie ma {}|nie stwierdzono {}|{} nie występuje|wolny od {}",
    "Swedish": "ingen {}|inte {}|utan {}|{} saknas|{}: nej|{} utesluten|varken {}|aldrig {}|"
    "inga tecken på {}|{} ej påvisad|fri från {}",
    "Turkish": "{} yok|{} değil|{} bulunmuyor|{}: hayır|{} izlenmedi|{} saptanmadı|hiç {}|asla {}",
    "Russian": "нет {}|не {}|без {}|{} отсутствует|{}: нет|{} исключена|ни {}|никогда {}|"
    "признаков {} нет|{} не выявлена|отсутствие {}|{} не обнаружена",
    "Greek": "όχι {}|χωρίς {}|δεν υπάρχει {}|{} απουσιάζει|ούτε {}|ποτέ {}|{}: όχι",
    "Arabic": "لا {}|ليس {}|بدون {}|لا يوجد {}|{} غير موجود|{}: لا|عدم وجود {}|نفي {}",
    "Hebrew": "אין {}|לא {}|ללא {}|{} נשלל|{}: לא|בלי {}",
    "Hindi": "{} नहीं|कोई {} नहीं|बिना {}|{} अनुपस्थित|{}: नहीं|न {}",
    "Chinese": "无{}|没有{}|未见{}|非{}|{}阴性|{}：否|不是{}|排除{}|未发现{}|并非{}|无 {}|{} 无|"
    "未见 {}",
    "Japanese": "{}なし|{}ではない|{}は認めない|{}を認めず|{}無し|{}：いいえ|{}陰性|"
    "{}の所見なし|非{}",
    "Korean": "{} 없음|{} 아님|{}이 아니다|{} 음성|{}: 아니요|{} 소견 없음|비{}|{} 배제",
    "Vietnamese": "không {}|không có {}|chưa thấy {}|{} âm tính|{}: không|loại trừ {}",
    "Indonesian": "tidak ada {}|bukan {}|tanpa {}|{} tidak ada|{}: tidak|belum {}|tiada {}",
    "Latin": "nullum {}|sine {}|{} absens|nunquam {}|minime {}",
    "Finnish": "ei {}|ilman {}|{} puuttuu|{}: ei|ei näy {}|{} ei todettu",
}
ENGLISH_CARDS = {"pneumoniamnist": "pneumonia", "dermamnist": "melanoma", "busi": "malignant"}


@pytest.mark.parametrize("name", ENGLISH_CARDS)
def test_denials_in_other_languages_pay_nothing(name: str) -> None:
    task, label = Task.load(name), ENGLISH_CARDS[name]
    patterns = [*chain.from_iterable(text.split("|") for text in FOREIGN.values())]
    assert len(patterns) >= 200
    said = [pattern.format(label) for pattern in patterns]
    said += [answer.capitalize() + "." for answer in said]
    # "no", "no hay" and "non" begin with what is English for no, too: these deny, and so pay
    # nothing for the label; a card with two labels may read the other one.
    assert [answer for answer in said if accuracy(task, answer, label) > 0] == []


INSERTED = st.tuples(st.sampled_from(UNPAID), st.sampled_from(["zorbic", "flimm", "qux"]))


@given(INSERTED, st.data())
def test_an_unknown_word_never_turns_an_unpaid_answer_into_a_paid_one(
    drawn: tuple[tuple[str, str], str], data: st.DataObject
) -> None:
    (card, answer), word = drawn
    place = data.draw(st.integers(0, len(answer)))
    changed = f"{answer[:place]} {word} {answer[place:]}"
    assert paid(card, changed) == []


def test_contested_phrases_are_not_understood() -> None:
    assert ("also",) in contested_phrases(("en", "de"))
    both = Task("skin", labels=["melanoma", "nevus"], languages=("en", "de"))
    for answer in ("also melanoma", "melanoma, also"):
        completion = f"<think>x</think><answer>{answer}</answer>"
        score = explain(completion, "melanoma", task=both)
        assert (score.reasons, score.unread) == (("answer_not_understood",), "also")


def test_a_card_of_two_languages_takes_both() -> None:
    task = Task(
        "chest",
        labels=[Label("normal", absence=True), Label("pneumonia", ("Pneumonie", "肺炎"))],
        languages=("en", "de", "zh"),
    )
    for answer, right in (
        ("no pneumonia", "normal"),
        ("keine Pneumonie", "normal"),
        ("未见肺炎", "normal"),
        ("The diagnosis is pneumonia.", "pneumonia"),
        ("Die Diagnose lautet Pneumonie.", "pneumonia"),
        ("诊断：肺炎", "pneumonia"),
    ):
        assert accuracy(task, answer, right) == 1.0, answer
    for answer in ("Verdacht auf Pneumonie", "疑似肺炎", "possibly pneumonia", "nicht normal"):
        assert not any(accuracy(task, answer, label) for label in ("normal", "pneumonia")), answer


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ("de", "languages: 'de' is not a list of languages, such as \\[en\\]"),
        ([], "languages: .* is not a list of languages"),
        (["fr"], "languages: 'fr' is not one of en, de, zh"),
        (["en", "en"], r"\['en', 'en'\] names a language twice"),
        ([["en"]], "languages: "),
        ({"en": 1}, "languages: "),
    ],
)
def test_wrong_languages_name_the_field(languages: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Task("x", labels=["a", "b"], languages=languages)  # type: ignore[arg-type]
    card = {"name": "x", "kind": "classification", "question": "Which?", "labels": [{"name": "a"}]}
    with pytest.raises(ConfigError, match=message):
        parse_card(yaml.safe_dump({**card, "languages": languages}))


def test_a_language_is_one_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/explanation/architecture.md says; the toy language borrows the file of German."""
    monkeypatch.setitem(LANGUAGES, "xx", "german")
    task = Task("x", labels=["Pneumonie", "Melanom"], languages=("xx",))
    assert accuracy(task, "Die Diagnose lautet Pneumonie.", "Pneumonie") == 1.0
    assert "xx" in task.languages
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="'xx'"):
        Task("x", labels=["Pneumonie", "Melanom"], languages=("xx",))


def test_degrees_are_modifiers_but_where_labels_are_grades() -> None:
    assert make_vocabulary(("en",)).class_of("mild") is WordClass.MODIFIER
    assert make_vocabulary(("en",), scale=(0, 4)).class_of("mild") is None


COMMITS = {
    "en": ["probably {0}", "likely {0}", "most likely {0}", "{0} is likely", "suggestive of {0}"],
    "de": ["wahrscheinlich {0}", "am ehesten {0}", "höchstwahrscheinlich {0}"],
    "zh": ["很可能{0}", "最可能是{0}"],
}
LEAVES_OPEN = {
    "en": ["possibly {0}", "presumably {0}", "suspected {0}", "{0} suspected", "concern for {0}"],
    "de": ["möglicherweise {0}", "vermutlich {0}", "Verdacht auf {0}", "mutmaßlich {0}"],
    "zh": ["可能是{0}", "疑似{0}", "考虑{0}"],
}


@pytest.mark.parametrize("language", COMMITS)
def test_hedges_follow_one_rule_in_each_language(language: str) -> None:
    """More likely than not commits itself; what could be, or is suspected, is left open."""
    card = Task("chest", labels=["normal", "pneumonia"], languages=("en", "de", "zh"))
    for forms, reason in ((COMMITS, "correct"), (LEAVES_OPEN, "label_open")):
        for form in forms[language]:
            text = f"<think>x</think><answer>{form.format('pneumonia')}</answer>"
            assert explain(text, "pneumonia", task=card).reasons[0] == reason, form
