"""How evaluation suites read answers, by the rules that were read in their sources.

Written anew from a description of the rules (August 2026). What a suite does by a judge, a language
model or by chance is not here: such an answer is none. Suites change; the versions that were read
are older than yours, and a figure for a paper comes from the suite itself. This is to see which of
your completions another rule would count otherwise, and how many.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase, punctuation

NONE = "-"
_LETTERS = ascii_uppercase
_MARKS = str.maketrans(dict.fromkeys(punctuation, " "))
_YES, _NO = frozenset(("yes", "yeah", "yep", "true")), frozenset(("no", "nope", "false"))


def _nearest(text: str, options: Sequence[str], otherwise: str) -> str:
    """Return the letter of the option with the largest difflib ratio, the first of several."""
    ratios = [difflib.SequenceMatcher(None, one, text).ratio() for one in options]
    return _LETTERS[ratios.index(max(ratios))] if any(ratios) else otherwise


def medevalkit(answer: str, options: Sequence[str]) -> str:
    """A letter before or behind a blank line; else what is said as the answer.

    That is a letter or an option up to its first full stop, behind its last colon, or else the
    option that is nearest to all of it.
    """
    text = answer.lower()
    letters = [letter.lower() for letter in _LETTERS[: len(options)]]
    parts = text.split("\n\n")
    alone = (parts[0], parts[-1].split(".")[0])
    text = next((part for part in alone if part in letters), text)
    text = _medevalkit_answer(text).strip().lower().replace("\n", "")
    said = text.split(".")[0].split(":")[-1]
    if said in letters:
        return said.upper()
    names = [one.lower() for one in options]
    return _LETTERS[names.index(said)] if said in names else _nearest(text, names, "A")


def _medevalkit_answer(answer: str) -> str:
    """What is boxed or in answer tags, and of it what stands behind the last announcement."""
    text = answer.lower()
    if "boxed" in text:
        text = _boxed(text)
    elif tagged := re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL):
        text = " ".join(tagged).strip() or text
    for said in _ANNOUNCED:
        text = text.split(said)[-1]
    return text


_ANNOUNCED = (
    *("**answer**:", "**answer**", "*answer*:", "**answer:**", "answer is", "answer:", "答案:"),
    *("final answer", "final answer is"),
)


def _boxed(text: str) -> str:
    """What the last box holds, braces in it included; "None" where there is none."""
    _, found, content = text.rpartition("\\boxed{")
    depth = 0
    for i, char in enumerate(content if found else ""):
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return content[:i].strip()
    return "None"


def vlmevalkit(answer: str, options: Sequence[str]) -> str:
    """One option letter, first said among the last four tokens; else one option's text; else none.

    A letter that is said twice is one. An answer of more than twice the length of all options
    together is not searched for their texts.
    """
    tokens = re.sub(r"[.()\[\],:;!*#{}]", " ", answer).split()
    letters = [letter for letter in _LETTERS[: len(options)] if letter in tokens]
    if len(letters) == 1 and letters[0] not in tokens[: max(0, len(tokens) - 4)]:
        return letters[0]
    if len(answer) > 2 * sum(map(len, options)):
        return NONE
    found = [i for i, one in enumerate(options) if one.lower() in answer.lower()]
    return _LETTERS[found[0]] if len(found) == 1 else NONE


def medxpertqa(answer: str, options: Sequence[str]) -> str:
    """The first letter from A to J that stands alone."""
    found = re.search(r"\b[A-J]\b", answer)
    return found.group() if found else NONE


def pmc_vqa(answer: str, options: Sequence[str]) -> str:
    """The option whose text is nearest, in upper and lower case as it is written."""
    return _nearest(answer, options, NONE)


def medvlthinker(answer: str, options: Sequence[str]) -> str:
    """A letter, a text, or "letter. text", in any case."""
    for letter, option in zip(_LETTERS, options, strict=False):
        if answer.strip().lower() in {
            form.lower() for form in (letter, option, f"{letter}. {option}", f"{letter}.{option}")
        }:
            return letter
    return NONE


def medevalkit_closed(answer: str) -> str:
    """Yes or no, whichever of the two is a part of the text where the other one is not."""
    text = _medevalkit_answer(answer).replace("\n", "").replace(".", "")
    has_yes, has_no = "yes" in text, "no" in text
    return NONE if has_yes == has_no else "yes" if has_yes else "no"


def lmms_eval_slake(answer: str) -> str:
    """Equality after brackets and marks are taken away; "true" and "yeah" are yes."""
    text = _plain(answer)
    return text if text in ("yes", "no") else NONE


def _plain(text: str) -> str:
    """Without brackets, with a space for each mark, and one name of each of a few things."""
    text = re.sub(r"\([^)]*\)|（[^）]*）", " ", text.lower())
    plain = " ".join(text.translate(_MARKS).split())
    if plain in ("x ray", "xray"):
        return "xray"
    return "yes" if plain in _YES else "no" if plain in _NO else plain


def lmms_eval_open(answer: str, accepted: str) -> bool:
    """Whether answers are equal after brackets and marks are taken away."""
    return _plain(answer) == _plain(accepted)


def medevalkit_equal(answer: str, accepted: str) -> bool:
    """Equality but for case and the answer's full stops and new lines: closed, not yes or no."""
    return _medevalkit_answer(answer).replace(".", "").replace("\n", "") == accepted.lower()


def medvlthinker_open(answer: str, accepted: str) -> bool:
    """Whether the accepted answer is a part of what is said: its rule for LLaVA-Med."""
    said, true = answer.lower(), accepted.lower()
    return true in said or true.strip() == said.strip()


# The letter that a suite reads of an answer to options, NONE for none.
CHOICE: Mapping[str, Callable[[str, Sequence[str]], str]] = {
    "MedEvalKit": medevalkit,
    "VLMEvalKit": vlmevalkit,
    "MedXpertQA": medxpertqa,
    "PMC-VQA": pmc_vqa,
    "MedVLThinker": medvlthinker,
}
# Yes or no, NONE for neither.
CLOSED: Mapping[str, Callable[[str], str]] = {
    "MedEvalKit": medevalkit_closed,
    "lmms-eval": lmms_eval_slake,
}
# Whether an answer to an open question is right, given an accepted one.
OPEN: Mapping[str, Callable[[str, str], bool]] = {
    "MedEvalKit": medevalkit_equal,
    "lmms-eval": lmms_eval_open,
    "MedVLThinker": medvlthinker_open,
}
