"""Finding labels: whole words, longest first, and typos that cannot confuse two labels."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rapidfuzz.distance import DamerauLevenshtein

from medreward import Task
from medreward.language.answer_text import split_answer
from medreward.language.lexicon import MIN_TYPO_LENGTH, Lexicon
from medreward.task.card import shipped

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CARDS = [name for name in shipped() if Task.load(name).kind != "localisation"]


def found(lexicon: Lexicon, text: str) -> list[int]:
    """Return the labels that a text names, not those of which it says the opposite."""
    mentions = lexicon.find(split_answer(text))
    return [m.label for m in mentions if not (m.is_denied_in or m.is_negated)]


def edits(word: str) -> set[str]:
    """Every word one edit away from `word`."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    deleted = {a + b[1:] for a, b in cuts if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    replaced = {a + c + b[1:] for (a, b), c in product(cuts, LETTERS) if b}
    inserted = {a + c + b for (a, b), c in product(cuts, LETTERS)}
    return (deleted | swapped | replaced | inserted) - {word}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("severe", [1]),
        ("severe nonproliferative", [2]),
        ("severe non-proliferative", [2]),
        ("severe. nonproliferative", [1]),
        ("nonproliferative", []),
        ("proliferative", [3]),
        ("moderate severe mild", [0, 1]),
        ("moderatesevere", []),
        ("Severe!", [1]),
    ],
)
def test_forms_are_whole_words_longest_first(text: str, labels: list[int]) -> None:
    lexicon = Lexicon(
        [["moderate"], ["severe"], ["severe nonproliferative"], ["proliferative"]], max_typos=0
    )
    assert found(lexicon, text) == labels


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("pnuemonia", True),
        ("pneumona", True),
        ("pneumonnia", True),
        ("pneumonja", True),
        ("pnuemona", False),
        ("neumonia", False),
        ("xneumonia", False),
        ("pneumonia2", False),
    ],
)
def test_one_typo_is_forgiven_behind_the_first_letter(word: str, known: bool) -> None:
    assert bool(found(Lexicon([["pneumonia"], ["normal"]]), word)) is known
    assert not found(Lexicon([["pneumonia"], ["normal"]], max_typos=0), word)


def test_short_words_are_not_corrected() -> None:
    lexicon = Lexicon([["mild"], ["healthy"]])
    assert len("mild") < MIN_TYPO_LENGTH
    assert found(lexicon, "milb wild mil milds") == []


def test_words_that_say_the_opposite_are_marked() -> None:
    lexicon = Lexicon([["no fracture", "no broken bone"], ["malignant"], ["non-benign"]])
    text = split_answer("fracture nonmalignant nonbenign broken bone")
    found = [(m.label, m.is_denied_in, m.is_negated) for m in lexicon.find(text)]
    assert found == [(0, True, False), (1, False, True), (2, False, False), (0, True, False)]


@pytest.mark.parametrize(
    ("forms", "message"),
    [
        ([["benign"], ["Benign!"]], "names two labels, 'benign' and 'Benign!'"),
        ([["normal"], ["x", "NORMAL"]], "names two labels, 'normal' and 'x'"),
        ([["..."], ["benign"]], "'...' has no letter or digit"),
        ([["hypertrophy"], ["hypertrophie"]], "'hypertrophy' and 'hypertrophie' are so close"),
        ([["adenoma"], ["adenomas"]], "misspelling could stand for both"),
        ([["stage lesion"], ["stage lesions"]], "set max_typos: 0"),
    ],
)
def test_confusable_labels_are_refused(forms: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        Lexicon(forms)


def test_without_typos_close_labels_are_allowed() -> None:
    lexicon = Lexicon([["adenoma"], ["adenomas"]], max_typos=0)
    assert found(lexicon, "adenoma") == [0]
    assert found(lexicon, "adenomas") == [1]


@pytest.mark.parametrize("name", CARDS)
def test_no_edit_of_a_card_label_is_read_as_another(name: str) -> None:
    """Every string one edit away from a form, the first letter kept, is that label or none."""
    task = Task.load(name)
    for index, label in enumerate(task.labels):
        for form in (label.name, *label.synonyms):
            assert found(task.lexicon, form) == [index]
            words = form.lower().split()
            for place, word in enumerate(words):
                if not word.isalpha() or len(word) < MIN_TYPO_LENGTH:
                    continue
                for typo in edits(word):
                    if typo[:1] != word[0]:
                        continue
                    text = " ".join([*words[:place], typo, *words[place + 1 :]])
                    if task.lexicon.label(text) is None:
                        assert set(found(task.lexicon, text)) <= {index}, text


words = st.text(alphabet="abc", min_size=1, max_size=9)


@given(st.lists(words, min_size=2, max_size=5, unique=True), words)
def test_a_word_in_reach_of_two_labels_is_never_read(names: list[str], word: str) -> None:
    try:
        lexicon = Lexicon([[name] for name in names])
    except ValueError:
        assume(False)
    read = found(lexicon, word)
    assume(word not in names)
    near = [
        i
        for i, name in enumerate(names)
        if name[0] == word[0]
        and len(name) >= MIN_TYPO_LENGTH
        and DamerauLevenshtein.distance(name, word) <= 1
    ]
    assert len(near) <= 1
    assert read == near


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("pleural effusion", [1]),
        ("pleural, effusion", [0, 1]),
        ("normal, benign", [2]),
        ("normal benign", [2]),
    ],
)
def test_a_comma_parts_words_unless_the_form_has_it(text: str, labels: list[int]) -> None:
    lexicon = Lexicon([["pleural"], ["effusion", "pleural effusion"], ["normal, benign"]])
    assert [mention.label for mention in lexicon.find(split_answer(text))] == labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("retroperitoneum; retroperitoneal space", [0]),
        ("It is retroperitoneum; retroperitoneal space.", [0]),
        ("sinusitis vs. hemorrhage", [1]),
        ("sinusitis vs hemorrhage", [1]),
        ("retroperitoneum. retroperitoneal space", []),
        ("retroperitoneum", []),
        ("pleural. effusion", []),
        ("pleural effusion", [2]),
    ],
)
def test_a_sentence_end_parts_words_unless_the_form_has_it(text: str, labels: list[int]) -> None:
    forms = [["retroperitoneum; retroperitoneal space"], ["sinusitis vs. hemorrhage"]]
    assert found(Lexicon([*forms, ["pleural effusion"]]), text) == labels


def test_what_a_no_is_of_is_the_rest_of_its_form() -> None:
    """Also where the rest of that is a form itself, and for one word with a prefix only."""
    lexicon = Lexicon([["no acute fracture"], ["fracture"], ["mass"]], 0)
    text = split_answer("acute fracture")
    [mention] = lexicon.find(text)
    assert (mention.label, mention.is_denied_in) == (0, True)
    [mention] = lexicon.find(split_answer("nonmass"))
    assert (mention.label, mention.is_negated) == (2, True)
    assert lexicon.find(split_answer("nonacute")) == []


def test_a_form_that_denies_another_is_found_as_itself() -> None:
    """The order of the labels makes no difference."""
    names = [["malignant"], ["nonmalignant"], ["tumour"], ["no tumour"]]
    for forms in (names, names[::-1]):
        lexicon = Lexicon(forms, max_typos=0)
        for label, (form,) in enumerate(forms):
            assert found(lexicon, form) == [label]


@pytest.mark.parametrize("spare", [0, 40])
def test_close_forms_are_found_among_many(spare: int) -> None:
    """With many forms, only those whose words are near each other are compared."""
    forms = [["pale granuloma"], ["pale granulomas"]]
    others = [[f"p{'abcdefgh'[i // 8] * 6} g{'klmnopqr'[i % 8] * 8}"] for i in range(spare)]
    message = (
        "'pale granuloma' and 'pale granulomas' are so close that a misspelling could stand for "
        "both 'pale granuloma' and 'pale granulomas'; set max_typos: 0 for this task"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Lexicon([*forms, *others])
    # Two edits apart: a word between them is a misspelling of both.
    with pytest.raises(ValueError, match="so close"):
        Lexicon([["pale granulomata"], ["pale granuloma"], *others])
    apart = Lexicon([["pale granulomatous"], ["pale granuloma"], *others])
    assert found(apart, "pale granulom") == [1]


def test_the_name_that_is_too_long_is_quoted() -> None:
    message = (
        r"^the name or synonym 'aaaa.* has 1001 characters; at most 1000 are allowed, as no "
        r"longer answer is read$"
    )
    with pytest.raises(ValueError, match=message):
        Lexicon([["a" * 1001]])
