"""The closed vocabularies of languages: which words an answer may consist of, and what they do.

A language is one data file of this package, such as ``english.yaml``; it says what each list is.

A task may take several languages, and one phrase may do different things in two of them: "also" is
"thus" in German and says nothing, in English it adds something. Which one is meant cannot be told,
so a phrase that two of the languages put into different lists (or that only one of them allows in
an answer itself) is *contested*: it is not understood, neither alone nor in an explanation. It is
not taken out of the files, since each language reads it well where it is the only one.
`contested_phrases` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache, lru_cache
from importlib import resources
from itertools import combinations
from typing import Any, Generic, TypeVar

from medreward.errors import ConfigError, expected, quote
from medreward.language.answer_text import split_answer

LANGUAGES = {"en": "english", "de": "german", "zh": "chinese"}
DEFAULT_LANGUAGES = ("en",)
_SCALES, _GRADES, _RIVALS = "scales", "grades", "rivals"
_USUAL, _SOUND, _HARMLESS, _REMAINDER = "usual", "sound", "harmless", "remainder"
_ENTRY = re.compile(r'"([^"]*)"|(\S+)')
_OPTIONAL = re.compile(r"\(([\w|]+)\)")
# Between the words of a phrase.
_INSIDE = frozenset((" ", "", "-", "_", "'", "/"))
_DRESS = ' \t"*_`'  # marks that change nothing
_ABBREVIATED = ". "  # behind a single letter: "V. a."
_Value = TypeVar("_Value")


class WordClass(Enum):
    """What a word or phrase does in an answer: the name of its list, and the code it is read as."""

    ARTICLE = "articles", "f"
    FILLER = "fillers", "f"
    EMPHASIS = "emphases", "f"
    LIKENESS = "likenesses", "f"
    RESEMBLES = "resembles", "f"
    COPULA = "copulas", "f"
    PICTURE = "pictures", "v"
    EXAMINATION = "examinations", "v"
    PREPOSITION = "prepositions", "o"
    PART = "parts", "u"
    CLAUSE = "clauses", "i"
    EXISTS = "exists", "i"
    FRAME = "frames", "F"
    SCALE_NAME = "scale_names", "F"
    ASPECT = "aspects", "F"
    MEASURE = "measures", "F"
    TALLY = "tallies", "F"
    IS_ANSWER = "is_answer", "F"
    MODIFIER = "modifiers", "m"
    CARRIER = "carriers", "k"
    NOT = "not", "t"
    DENY = "deny_before", "d"
    NO = "plain_no", "n"
    YES = "plain_yes", "y"
    ABSENT = "absent", "a"
    WRONG = "wrong", "a"
    PRESENT = "present", "p"
    PARTICLE = "particles", "p"
    OPEN = "open", "q"
    ELSEWHERE = "elsewhere", "q"
    AND = "and", "&"
    WITH = "with", "&"
    OR = "or", "|"
    BUT = "but", "b"
    BECAUSE = "because", "e"
    CONFIDENCE = "confidence", "c"
    ECHO_NO = "echo_no", "z"
    HIGH = "high", "h"
    CONTESTED = "", "X"

    @property
    def key(self) -> str:
        """The name of the list in a language's file; "" if it has none."""
        return self.value[0]

    @property
    def code(self) -> str:
        """The letter that stands for it in the grammar."""
        return self.value[1]


# Words before an answer: its own name, such as "grade", and that of a scale.
FRAMES = frozenset(
    (
        WordClass.FRAME,
        WordClass.SCALE_NAME,
        WordClass.ASPECT,
        WordClass.MEASURE,
        WordClass.TALLY,
    )
)


class Role(Enum):
    """What a word may be in an explanation: the name of its list in a language's file."""

    NOUN = "nouns"
    GENERIC = "generic"
    DEGREE = "degrees"
    WORD = "words"


# What a phrase is in an answer itself, and in an explanation.
_Meaning = tuple[WordClass | None, Role | None]


class PhraseTree(Generic[_Value]):
    """Phrases and what they stand for; finds the longest one that begins at a place.

    Attributes:
        words: all words of the phrases.
    """

    def __init__(self) -> None:
        self.words: set[str] = set()
        self._longer: dict[tuple[int, str], int] = {}
        self._values: dict[int, _Value] = {}

    def add(self, words: Sequence[str], value: _Value) -> None:
        """Add a phrase; one that is there keeps what it stands for."""
        at = 0
        self.words.update(words)
        for word in words:
            at = self._longer.setdefault((at, word), len(self._longer) + 1)
        self._values.setdefault(at, value)

    def find(
        self, words: Sequence[str], gaps: Sequence[str], start: int
    ) -> tuple[int, _Value] | None:
        """Return where the longest phrase from `start` on ends, and what it stands for."""
        found: tuple[int, _Value] | None = None
        at = 0
        for stop in range(start + 1, len(words) + 1):
            if at and not _goes_on(words[stop - 2], gaps[stop - 1]):
                break
            longer = self._longer.get((at, words[stop - 1]))
            if longer is None:
                break
            at = longer
            if at in self._values:
                found = stop, self._values[at]
        return found


def _goes_on(word: str, gap: str) -> bool:
    """Whether a phrase may go on behind a word and a gap."""
    is_dressed = not gap.strip(_DRESS) and "\n" not in gap  # "must be **excluded**"
    return gap in _INSIDE or is_dressed or (gap == _ABBREVIATED and len(word) == 1)


class Vocabulary:
    """What the words of some languages do.

    Attributes:
        classes: the phrases of an answer itself.
        roles: further phrases, of explanations only.
        usual: phrases of explanations for what is there where nothing was found.
        remainder: phrases, as words, for all but what was named.
        sound: phrases, as words, that say that all is normal.
        harmless: words for what was found and is harmless.
        numbers: numbers in words.
        own: the phrases, as words, that the card adds as modifiers.
        scales: the scales that the card names (`find_scales`).
        contrary: words of the groups that labels take, which name another one in an explanation.
    """

    def __init__(
        self,
        languages: Sequence[str],
        modifiers: Iterable[str] = (),
        *,
        has_degrees: bool = True,
        taken: Collection[str] = (),
        contrary: Collection[str] = (),
    ) -> None:
        self.classes: PhraseTree[WordClass] = PhraseTree()
        self.roles: PhraseTree[Role] = PhraseTree()
        self.usual: PhraseTree[bool] = PhraseTree()
        self.numbers = frozenset(word for name in languages for word in number_words(name))
        for phrase in _of_all(languages, _USUAL):
            self.usual.add(phrase, True)
        self.remainder = frozenset(_of_all(languages, _REMAINDER))
        self.sound = frozenset(_of_all(languages, _SOUND))
        self.harmless = frozenset(word for words in _of_all(languages, _HARMLESS) for word in words)
        self.scales: frozenset[str] = frozenset()
        self.own = frozenset(split_answer(text).words for text in modifiers)
        for words in self.own:
            self.classes.add(*_modifier(words, languages))
        contested = contested_phrases(tuple(languages))
        rivals = {
            phrase for name in languages for phrase, group in rivals_of(name) if group in taken
        }
        self.contrary = frozenset(
            word
            for name in languages
            for phrase, group in rivals_of(name)
            if group in contrary
            for word in phrase
        )
        for phrase in contested:
            self.classes.add(phrase, WordClass.CONTESTED)
        for language in languages:
            for phrase, (kind, role) in _meanings(language).items():
                if kind and phrase not in rivals:
                    self.classes.add(phrase, kind)
                is_scale = role is Role.DEGREE and not has_degrees  # grades have rules of their own
                may_explain = is_scale or self.contrary.isdisjoint(phrase)
                if role and phrase not in contested and may_explain:
                    self.roles.add(phrase, role)
                if role is Role.DEGREE and has_degrees and phrase not in rivals:
                    self.classes.add(phrase, WordClass.MODIFIER)

    def is_of_other_scale(self, words: Sequence[str]) -> bool:
        """Whether words name a scale that the card has not, where it has one."""
        return bool(self.scales) and self.scales.isdisjoint(_scale_keys(words))

    def add_scale(self, languages: Sequence[str], first: int, last: int) -> None:
        """Add the ways to speak of the whole scale of grades, which name none of them."""
        for language in languages:
            for template in _templates(language, _SCALES):
                text = template.format(first=first, last=last)
                self.classes.add(split_answer(text).words, WordClass.FILLER)

    def class_of(self, text: str) -> WordClass | None:
        """Return the class of a whole text, None if it is no phrase."""
        words, gaps, _ = split_answer(text)
        found = self.classes.find(words, gaps, 0)
        return found[1] if found and found[0] == len(words) else None


def _modifier(
    words: tuple[str, ...], languages: Sequence[str]
) -> tuple[tuple[str, ...], WordClass]:
    """Return a card's modifier and what it is: a frame where it ends as one of the language does.

    A frame stands beside labels as a modifier does, and before a number too, where a modifier would
    hide it: a card with the modifier "level" still reads "slice level 3". The name of a scale is
    what the card says: to a card of breast density, "BI-RADS 4" is no density.
    """
    tails = [words[i:] for i in range(len(words))]
    is_frame = any(
        _meanings(language).get(tail, (None, None))[0] is WordClass.FRAME
        for language in languages
        for tail in tails
    )
    return words, WordClass.FRAME if is_frame else WordClass.MODIFIER


@lru_cache(maxsize=64)
def make_vocabulary(
    languages: tuple[str, ...],
    modifiers: tuple[str, ...] = (),
    scale: tuple[int, int] | None = None,
    taken: frozenset[str] = frozenset(),
    contrary: frozenset[str] = frozenset(),
    scales: frozenset[str] = frozenset(),
) -> Vocabulary:
    """Return the vocabulary of some languages, a card's modifiers and its scale of grades.

    `scales` are the names of scales that the card has (`find_scales`); those of others are not
    understood then.

    The words of the groups in `taken` (`medreward.language.rivals`) are left out, and those of the
    groups in `contrary` may not stand in an explanation either.
    Degrees ("mild", "severe") are modifiers too, but not where labels are grades.
    """
    has_degrees = scale is None
    words = Vocabulary(
        languages,
        modifiers,
        has_degrees=has_degrees,
        taken=taken,
        contrary=contrary,
    )
    if scale is not None:
        words.add_scale(languages, *scale)
    words.scales = scales
    return words


def _of_all(languages: Iterable[str], name: str) -> list[tuple[str, ...]]:
    """Return the phrases of a list of several languages."""
    return [phrase for language in languages for phrase in _lists(language)[name]]


def number_words(language: str) -> tuple[str, ...]:
    """Return the numbers from 0 on in the words of a language.

    >>> number_words("en")[:3]
    ('zero', 'one', 'two')
    """
    return tuple(words[0] for words in _lists(language)["numbers"])


@cache
def approximations(languages: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """Return the phrases, as words, behind which a number is meant if not to the last digit.

    >>> ("about",) in approximations(("en",)), ("at", "least") in approximations(("en",))
    (True, False)
    """
    return frozenset(phrase for name in languages for phrase in _lists(name)["approximate"])


@cache
def lookalikes(languages: tuple[str, ...]) -> frozenset[str]:
    """Return words that are a letter away from another medical word, and no misspelling of it.

    >>> "hematoma" in lookalikes(("en",))
    True
    """
    return frozenset(word for words in _of_all(languages, "lookalikes") for word in words)


@cache
def contested_phrases(languages: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """Return the phrases, as words, that do different things in two of the languages.

    >>> contested_phrases(("en", "de")), contested_phrases(("de",))
    (frozenset({('also',)}), frozenset())
    """
    return frozenset(
        phrase
        for one, other in combinations(map(_meanings, languages), 2)
        for phrase in one.keys() & other.keys()
        if _differ(one[phrase], other[phrase])
    )


def _differ(one: _Meaning, other: _Meaning) -> bool:
    roles = {one[1], other[1]} - {None}
    return one[0] is not other[0] or len(roles) > 1


def written_grades(language: str, number: str) -> list[str]:
    """Return how a language writes a grade of that number.

    >>> written_grades("en", "2")[:2]
    ['grade 2', 'stage 2']
    """
    return [template.format(number=number) for template in _templates(language, _GRADES)]


def scale_names(language: str) -> list[str]:
    """Return the names of scales of grades, in small letters.

    >>> "icdr" in scale_names("en")
    True
    """
    return [" ".join(phrase) for phrase in _lists(language)[WordClass.SCALE_NAME.key]]


def find_scales(text: str, languages: Iterable[str]) -> frozenset[str]:
    """Return the scales that a text names, each by its letters and its initials.

    >>> sorted(find_scales("Which KL grade is it?", ("en",)))
    ['k', 'kl']
    >>> "kl" in find_scales("Kellgren-Lawrence", ("en",))
    True
    """
    words, gaps, _ = split_answer(text)
    names = PhraseTree[bool]()
    for phrase in _of_all(languages, WordClass.SCALE_NAME.key):
        names.add(phrase, True)
    found = (names.find(words, gaps, i) for i in range(len(words)))
    named = (words[i : one[0]] for i, one in enumerate(found) if one)
    return frozenset(key for name in named for key in _scale_keys(name))


def _scale_keys(name: Sequence[str]) -> tuple[str, str]:
    """Return by what names of one scale are alike: "BI-RADS", "BIRADS"; "KL"."""
    return "".join(name), "".join(word[0] for word in name)


def phrases_of(language: str) -> dict[str, str]:
    """Return the phrases of a language and, of each, the name of its first list.

    >>> phrases_of("en")["rather than"]
    'not'
    """
    return {
        " ".join(phrase): _list_names(meaning)[0] for phrase, meaning in _meanings(language).items()
    }


def lists_of(language: str, phrase: str) -> frozenset[str]:
    """Return the names of the lists of a language that hold a phrase; none: it is not known.

    >>> sorted(lists_of("en", "lesion"))
    ['carriers', 'generic']
    """
    return frozenset(_list_names(_meanings(language).get(split_answer(phrase).words, (None, None))))


def _list_names(meaning: _Meaning) -> list[str]:
    """Return the names of the lists of a phrase, that of answers before that of explanations."""
    kind, role = meaning
    return [*([kind.key] if kind else []), *([role.value] if role else [])]


def check_languages(what: str, languages: object) -> None:
    """Raise `ConfigError` unless `languages` is a list of known ones, at least one, each once."""
    if not isinstance(languages, list | tuple) or not languages:
        raise ConfigError(f"{what}: {quote(languages)} is not a list of languages, such as [en]")
    for language in languages:
        if not isinstance(language, str) or language not in LANGUAGES:
            raise expected(what, language, LANGUAGES)
    if len({*languages}) < len(languages):
        raise ConfigError(f"{what}: {quote(languages)} names a language twice")


@cache
def _content(language: str) -> dict[str, Any]:
    """Return the lists of a language's file."""
    import yaml  # when an answer is read, not when medreward is imported

    file = resources.files(__package__) / f"{LANGUAGES[language]}.yaml"
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


@cache
def _meanings(language: str) -> dict[tuple[str, ...], _Meaning]:
    """Return what each phrase of a language is in an answer, and in an explanation."""
    lists = _lists(language)
    kinds: dict[tuple[str, ...], WordClass] = {}
    for kind in WordClass:
        for phrase in lists[kind.key] if kind.key else ():
            kinds.setdefault(phrase, kind)
    roles: dict[tuple[str, ...], Role] = {}
    for role in Role:
        for phrase in lists[role.value]:
            roles.setdefault(phrase, role)
    return {phrase: (kinds.get(phrase), roles.get(phrase)) for phrase in {**kinds, **roles}}


@cache
def _lists(language: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the phrases of each list of a language's file, as words."""
    lists = {
        name: text
        for name, text in _content(language).items()
        if name not in (_SCALES, _GRADES, _RIVALS)
    }
    return {name: tuple(_phrases(text)) for name, text in lists.items()}


@cache
def rivals_of(language: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Return phrases of a language that answer the same question as others, with their group.

    >>> (("left",), "side") in rivals_of("en")
    True
    """
    groups: Mapping[str, str] = _content(language)[_RIVALS]
    return tuple((phrase, group) for group, text in groups.items() for phrase in _phrases(text))


def _templates(language: str, name: str) -> list[str]:
    return [quoted or word for quoted, word in _ENTRY.findall(_content(language)[name])]


def _phrases(text: str) -> Iterator[tuple[str, ...]]:
    for quoted, word in _ENTRY.findall(text):
        for phrase in _variants(quoted or word):
            yield split_answer(phrase).words


def _variants(entry: str) -> list[str]:
    """Return an entry with and without each part in brackets, of which ``|`` divides several.

    >>> _variants("h(a)emorrhage(s)"), _variants("kein(e|en)")
    (['hemorrhage', 'hemorrhages', 'haemorrhage', 'haemorrhages'], ['kein', 'keine', 'keinen'])
    """
    head, *rest = _OPTIONAL.split(entry)
    found = [head]
    for i in range(0, len(rest), 2):  # what is in brackets, what follows
        middles = ("", *rest[i].split("|"))
        found = [start + middle + rest[i + 1] for start in found for middle in middles]
    return found
