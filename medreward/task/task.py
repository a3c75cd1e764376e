"""A task: what is asked about an image, what may be answered, and how answers are rewarded."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache, cached_property
from hashlib import sha256
from numbers import Real
from pathlib import Path
from typing import Any

from medreward.checks import text, texts, whole
from medreward.errors import ConfigError, expected, quote
from medreward.language.answer_text import split_answer
from medreward.language.lexicon import Lexicon
from medreward.language.prose import stated_phrases
from medreward.language.rivals import find_taken_groups
from medreward.language.understanding import Reader
from medreward.language.vocabulary import (
    DEFAULT_LANGUAGES,
    PhraseTree,
    check_languages,
    find_scales,
    lookalikes,
    make_vocabulary,
)
from medreward.language.word_checks import check_forms, check_modifiers
from medreward.task.card import card_text, make_task, read_card, reviews_of, shipped
from medreward.task.labels import (
    Label,
    Statement,
    check_fields,
    check_label,
    check_statements,
)
from medreward.task.laterality import Laterality
from medreward.task.registry import rules_of
from medreward.task.review import (
    REVIEWED,
    ReviewCount,
    SignedText,
    attach_reviews,
    cite_statements,
    find_stale,
    is_draft,
    merge_reviews,
)
from medreward.task.settings import RewardSettings
from medreward.task.traits import Trait
from medreward.task.words import cite_words, is_of_words

NO_FINDING = (
    *("no finding", "no findings", "no abnormality", "no abnormalities", "no abnormal findings"),
    *("no significant findings", "no acute findings", "no abnormal finding"),
    *("unremarkable", "nothing abnormal", "no disease", "no pathology"),
)
KNOWLEDGE_LEVELS = ("none", "context", "full")
_DEFAULT = RewardSettings()
# Fields that shape no score: those of prompts and of the card itself. A signature has its own items
# for the name, the reward settings and the knowledge, of which the labels' attributes are a part.
_NO_SCORE = frozenset(
    ("name", "question", "modality", "data", "references", "laterality", "reward", "knowledge")
) | {"specialty", "urls", "unopened", "reviews"}
_NO_SCORE_OF_LABEL = frozenset(("attributes", "display"))


class _LabelsField:
    """The field `Task.labels`: takes names as well as labels, and holds labels."""

    def __get__(self, task: object | None, owner: type | None = None) -> tuple[Label, ...]:
        """Return the task's labels, and of the class the default."""
        found: tuple[Label, ...] = () if task is None else vars(task)["labels"]
        return found

    def __set__(self, task: object, labels: Iterable[Label | str]) -> None:
        """Set them; what is no list is kept as it is, for the task to refuse."""
        if not isinstance(labels, str) and isinstance(labels, Iterable):
            labels = tuple(Label(x) if isinstance(x, str) else x for x in labels)
        vars(task)["labels"] = labels


class _RewardField:
    """The field `Task.reward`: takes a mapping of settings as well, and holds `RewardSettings`."""

    def __get__(self, task: object | None, owner: type | None = None) -> RewardSettings:
        """Return the task's settings, and of the class the default."""
        found: RewardSettings = _DEFAULT if task is None else vars(task)["reward"]
        return found

    def __set__(self, task: object, reward: RewardSettings | Mapping[str, Any]) -> None:
        """Set them; what is neither is kept as it is, for the task to refuse."""
        vars(task)["_says_recitation"] = _says_recitation(reward)
        if isinstance(reward, Mapping):
            reward = _DEFAULT.updated(reward)
        vars(task)["reward"] = reward


def _says_recitation(reward: object) -> bool:
    """Whether a card's settings say anything of recitation, or are whole settings already."""
    if not isinstance(reward, Mapping):
        return reward is not _DEFAULT
    weights = reward.get("weights")
    named = isinstance(weights, Mapping) and "recitation" in weights
    return named or "delta" in reward or "gates" in reward


@dataclass(frozen=True)
class Task:
    """A task and the rules by which its answers are rewarded.

    Attributes:
        name: short name; the one in the rows' ``task`` column.
        kind: "classification" (one of several labels), "ordinal" (a grade on a scale; labels in
            rising order), "multilabel" (any number of the labels), "localisation" (boxes),
            "segmentation" (a mask) or "pointing" (a point in each box or mask). Rows bring the
            answers of "choice", "short_answer", "number", "fields", "report" and "free_report".
        labels: the labels or grades; for localisation the classes of boxes, or none; for pointing
            the one class that is pointed at, or none.
        question: what the prompt asks.
        knowledge: general statements about the task (PA_p).
        references: key -> citation, for the sources of the statements.
        first_grade: the number of the first grade of an ordinal scale.
        no_finding: the phrases that say that no label applies, for a multi-label task, or, beside
            the usual ones, that there is nothing to find, where a place is asked for.
        max_typos: edits forgiven in a long word of an answer (0 or 1).
        reward: how answers are rewarded (settings, or a mapping of some of them); keyword
            arguments of the reward functions override it.
        modality: imaging modality of the data.
        data: where the data come from and under which licence.
        laterality: what depends on side, and how words change in a flipped image; None: unsaid.
        languages: the languages that answers may have: "en", "de", "zh".
        modifiers: words that may stand beside a label and never deny, grade or change it; the
            languages have some too.
        fields: name -> task of each field, for an answer with several of them.
        field_weights: name of a field -> its weight; 1 for a field that is not named.
        specialty: who reads such images, such as "ophthalmology"; "" where anyone does.
        urls: key of a reference -> its address on the web.
        unopened: keys of the references whose address was not opened by whoever wrote the card.
        reviews: what readers say of statements, those included that the card no longer has.

    Raises:
        ConfigError: if a field is not allowed, or labels could be confused with each other.

    >>> task = Task("effusion", labels=["none", "small", "large"], kind="ordinal")
    >>> task.target_index("small"), task.target_index(2)
    (1, 2)
    """

    name: str
    kind: str = "classification"
    labels: _LabelsField = _LabelsField()
    question: str = ""
    knowledge: tuple[Statement, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    first_grade: int = 0
    no_finding: tuple[str, ...] = NO_FINDING
    max_typos: int = 1
    reward: _RewardField = _RewardField()
    modality: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    laterality: Laterality | None = None
    languages: tuple[str, ...] = DEFAULT_LANGUAGES
    modifiers: tuple[str, ...] = ()
    fields: Mapping[str, Task] = field(default_factory=dict)
    field_weights: Mapping[str, float] = field(default_factory=dict)
    specialty: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    unopened: tuple[str, ...] = ()
    reviews: tuple[SignedText, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"name: {quote(self.name)} is not a non-empty string")
        rules_of(self.kind, f"task {self.name!r}: kind")
        if isinstance(self.labels, str) or not isinstance(self.labels, Iterable):
            raise ConfigError(
                f"task {quote(self.name)}: labels: {quote(self.labels)} is not a list"
            )
        if not isinstance(self.reward, RewardSettings):
            raise ConfigError(
                f"task {quote(self.name)}: reward: {quote(self.reward)} is not RewardSettings"
            )
        try:
            self._check_fields()
            self._check_labels()
            self.lexicon  # noqa: B018 - built now, so that a confusable label set fails here
            check_modifiers("modifiers", self.modifiers, self.lexicon, tuple(self.languages))
            check_forms("labels", self.forms[: len(self.labels)], tuple(self.languages))
            self._check_findings()
            self._settle_recitation()
        except ValueError as error:
            raise ConfigError(f"task {quote(self.name)}: {error}") from error

    def _check_findings(self) -> None:
        """Make sure that each finding of the attributes can be found in reasoning."""
        for finding in self.findings:
            stated = self.stated_findings(f"{finding}.")
            if stated != {finding}:
                raise ConfigError(
                    f"findings: {quote(finding)} could never be found in reasoning, as it names a "
                    f"label, or has a word that denies, leaves open or contrasts; give it without"
                )

    def stated_findings(self, text: str) -> frozenset[str]:
        """Return which of `findings` a text states (`medreward.language.prose`)."""
        if not self.findings:
            return frozenset()
        return stated_phrases(text, self._finding_phrases, self.lexicon, self.reader.words)

    @cached_property
    def _finding_phrases(self) -> PhraseTree[str]:
        phrases: PhraseTree[str] = PhraseTree()
        for finding in self.findings:
            phrases.add(finding.split(), finding)
        return phrases

    def _settle_recitation(self) -> None:
        """Leave recitation out where the card says nothing of it and it could outweigh the answer.

        Where a nearly right answer earns nearly all, as a box or a set of many labels does, the
        default weight of recitation would let a wrong answer win, which no reward accepts.
        """
        if vars(self)["_says_recitation"]:
            return
        weights = self.reward.weights
        room = weights.accuracy * (1 - rules_of(self.kind).best_wrong(self, self.reward))
        if Trait.PLACES in self.traits or weights.recitation >= room:
            vars(self)["reward"] = self.reward.updated({"delta": 0})

    def __hash__(self) -> int:
        return hash(self.digest)

    @classmethod
    def load(cls, task: str | Path, reviews: str | Path | None = None) -> Task:
        """Return the shipped task of that name, or the one in the YAML card at that path.

        Args:
            task: the name, or the path.
            reviews: a folder with reviews, beside those that lie beside the card.
        """
        if isinstance(task, str) and task in shipped():
            found = _load_shipped(task)
        else:
            found = parse_card(*card_text(task)).with_reviews(reviews_of(task))
        return found if reviews is None else found.with_reviews(reviews_of(task, reviews))

    @cached_property
    def forms(self) -> list[tuple[str, ...]]:
        """The forms in which an answer may name each label, its name first, and then nothing."""
        found: list[tuple[str, ...]] = rules_of(self.kind).forms(self)
        return found

    @cached_property
    def lexicon(self) -> Lexicon:
        """Finds the labels (for an ordinal task also the grades' numbers) in an answer."""
        same, alike = rules_of(self.kind).same_word, lookalikes(tuple(self.languages))
        return Lexicon(self.forms, self.max_typos, same, alike)

    @cached_property
    def named_groups(self) -> frozenset[str]:
        """The groups of silent words that the labels are told apart by."""
        return find_taken_groups(self.forms, tuple(self.languages))

    @cached_property
    def taken_groups(self) -> frozenset[str]:
        """The groups of silent words that may answer the question (`medreward.language.rivals`)."""
        if {Trait.OPEN, Trait.OPTIONS}.isdisjoint(self.traits):
            return self.named_groups
        return find_taken_groups(self.forms, tuple(self.languages), is_open=True)

    @cached_property
    def reader(self) -> Reader:
        """Reads what an answer says of the labels."""
        has_scale = Trait.ORDERED in self.traits
        last = self.first_grade + len(self.labels) - 1
        scale = (self.first_grade, last) if has_scale else None
        languages = tuple(self.languages)
        kind = rules_of(self.kind)
        contrary = self.named_groups - ({"degree", "numerals"} if has_scale else {"degree"})
        scales = find_scales(" ".join((self.name, self.question, *self.modifiers)), languages)
        words = make_vocabulary(
            languages, tuple(self.modifiers), scale, self.taken_groups, contrary, scales
        )
        rules = kind.reading_rules(self, words)
        return Reader(self.lexicon, words, rules)

    @cached_property
    def index_of_name(self) -> Mapping[str, int]:
        """The index of each label by its name, letter for letter."""
        return {label.name: i for i, label in enumerate(self.labels)}

    @cached_property
    def absences(self) -> frozenset[int]:
        """The indices of the labels that say that nothing was found.

        In tasks that need no label at all, the index after the last one stands for that.
        """
        if Trait.MAY_BE_EMPTY in self.traits:
            return frozenset({len(self.labels)})
        return frozenset(i for i, label in enumerate(self.labels) if label.absence)

    @cached_property
    def findings(self) -> Mapping[str, frozenset[int]]:
        """The findings that attributes name, in the words as they are read, and their labels."""
        found: dict[str, set[int]] = {}
        for i, label in enumerate(self.labels):
            for attribute in label.attributes:
                for finding in attribute.findings:
                    found.setdefault(" ".join(split_answer(finding).words), set()).add(i)
        return {finding: frozenset(labels) for finding, labels in found.items()}

    @cached_property
    def digest(self) -> str:
        """Eight hex digits that change with anything in the task that shapes a score.

        The reward settings and the knowledge text are named by a signature one by one. Fields at
        their default are left out, so that a new field does not change the digest of old cards.
        """
        content = _changed_fields(self, _NO_SCORE)
        content |= (
            {"fields": [_signed(*item) for item in self.fields.items()]} if self.fields else {}
        )
        content["labels"] = [_changed_fields(label, _NO_SCORE_OF_LABEL) for label in self.labels]
        if self.findings:
            content["findings"] = {text: sorted(found) for text, found in self.findings.items()}
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def traits(self) -> frozenset[Trait]:
        """What the task's kind has in common with others."""
        traits: frozenset[Trait] = rules_of(self.kind).traits
        return traits

    @property
    def has_places(self) -> bool:
        """Whether an answer, or a field of it, says where something is in the image."""
        return Trait.PLACES in self.traits or any(f.has_places for f in self.fields.values())

    @property
    def is_open(self) -> bool:
        """Whether an answer, or a field of it, may be one that the rules leave undecided."""
        return Trait.OPEN in self.traits or any(f.is_open for f in self.fields.values())

    @property
    def place_field(self) -> str | None:
        """The field that says where something is in the image; None if none does."""
        return next((name for name, field in self.fields.items() if field.has_places), None)

    @property
    def first_number(self) -> int:
        """The number of the first label: the first grade of a scale, else 0."""
        return self.first_grade if Trait.ORDERED in self.traits else 0

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All prior knowledge: about the task, then label by label."""
        return (*self.knowledge, *(s for label in self.labels for s in label.attributes))

    @cached_property
    def reviewed_statements(self) -> tuple[SignedText, ...]:
        """The `statements` in their order, each with what readers say of it."""
        cited = cite_statements(self.knowledge, self.labels, self.references)
        return attach_reviews(cited, self.reviews)

    @cached_property
    def reviewed_words(self) -> Mapping[str, SignedText]:
        """The card's question, names and costs by field, each with what readers say of it."""
        words = cite_words(self)
        return dict(zip(words, attach_reviews(words.values(), self.reviews), strict=True))

    @property
    def stale_reviews(self) -> tuple[SignedText, ...]:
        """The reviews of texts that the card no longer has."""
        known = {one.digest for one in (*self.reviewed_statements, *self.reviewed_words.values())}
        return find_stale(self.reviews, known)

    def count_reviews(self, level: str = "full") -> ReviewCount:
        """Count the statements of a level that are reviewed, disputed and so on, and stale reviews.

        >>> print(Task.load("pneumoniamnist").count_reviews())
        4 statements, 0 reviewed
        """
        if level not in KNOWLEDGE_LEVELS:
            raise expected("knowledge level", level, KNOWLEDGE_LEVELS)
        most = {"none": 0, "context": len(self.knowledge)}.get(level)
        found = self.reviewed_statements[:most]
        states = Counter(statement.state for statement in found)
        drafts = sum(is_draft(statement.source) for statement in found)
        stale = sum(not is_of_words(review) for review in self.stale_reviews)
        return ReviewCount(states, stale, drafts)

    def with_reviews(self, reviews: Iterable[SignedText]) -> Task:
        """Return the task with more reviews; itself where there are none."""
        added = tuple(reviews)
        return replace(self, reviews=merge_reviews(self.reviews, added)) if added else self

    def only_reviewed(self) -> Task:
        """Return the task with those statements alone that are reviewed and not disputed.

        Raises:
            ConfigError: if there is none.
        """
        kept = [one for one in self.reviewed_statements if one.state == REVIEWED]
        holds = iter([one.state == REVIEWED for one in self.reviewed_statements])
        knowledge = tuple(statement for statement in self.knowledge if next(holds))
        labels = [
            replace(label, attributes=tuple(s for s in label.attributes if next(holds)))
            for label in self.labels
        ]
        if not kept:
            raise ConfigError(
                f"knowledge: reviewed: task {quote(self.name)} has no statement that holds after "
                f"review ({self.count_reviews()}); have them read (medreward review sheet), give "
                f"the folder of the reviews (--reviews), or take another level of knowledge"
            )
        return replace(self, knowledge=knowledge, labels=labels, reviews=tuple(kept))

    def shown_name(self, index: int) -> str:
        """Return what prompts and sheets call a label: its shown name, or the number of a grade."""
        is_grade = Trait.ORDERED in self.traits
        return self.answer_name(index) if is_grade else self.labels[index].shown

    def answer_name(self, index: int) -> str:
        """Return what rows call a label: its name, or the number of a grade.

        >>> Task("effusion", labels=["none", "small"], kind="ordinal").answer_name(1)
        '1'
        """
        is_grade = Trait.ORDERED in self.traits
        return str(self.first_grade + index) if is_grade else self.labels[index].name

    def knowledge_text(self, level: str = "full") -> str:
        """Return the prior knowledge of a level: "none", "context", or "full" with attributes."""
        if level not in KNOWLEDGE_LEVELS:
            raise expected("knowledge level", level, KNOWLEDGE_LEVELS)
        statements = list(self.knowledge) if level != "none" else []
        if level == "full":
            statements += [s for label in self.labels for s in label.attributes]
        return " ".join(statement.text for statement in statements)

    def parse_target(self, target: object) -> Any:
        """Return `target` in the form in which the task's reward compares it.

        The index of a label or grade, a set of such indices, a `BoxTarget`, a `MaskTarget` or,
        for pointing, a `BoxTarget` or `MaskPlaces`.

        Raises:
            ConfigError: if `target` is not one of the task's.
        """
        return rules_of(self.kind).parse(self, target)

    def target_index(self, target: object) -> int:
        """Return the index of the label that `target` gives by name, synonym, index or grade.

        Raises:
            ConfigError: if `target` is not one of the task's labels or grades.
        """
        value = _unwrap(target)
        index = self._named(value) if isinstance(value, str) else self._numbered(value)
        if index is None or index >= len(self.labels):
            raise ConfigError(
                f"task {quote(self.name)}: target {quote(target)} is not one of its labels; "
                f"allowed: {self._allowed_targets()}"
            )
        return index

    def _check_fields(self) -> None:
        """Check the type of every field but the labels."""
        if isinstance(self.max_typos, bool) or self.max_typos not in (0, 1):
            raise ConfigError(f"max_typos: {quote(self.max_typos)} is not 0 or 1")
        whole("first_grade", self.first_grade, 0)
        if not isinstance(self.no_finding, list | tuple) or not all(
            isinstance(phrase, str) for phrase in self.no_finding
        ):
            raise ConfigError(f"no_finding: {quote(self.no_finding)} is not a list of phrases")
        check_languages("languages", self.languages)
        if not isinstance(self.modifiers, list | tuple):
            raise ConfigError(f"modifiers: {quote(self.modifiers)} is not a list of words")
        for i, modifier in enumerate(self.modifiers):
            text(f"modifiers[{i}]", modifier)
        for name in ("question", "modality", "specialty"):
            text(name, getattr(self, name), empty=True)
        if self.laterality is not None and not isinstance(self.laterality, Laterality):
            raise ConfigError(f"laterality: {quote(self.laterality)} is not a Laterality")
        check_statements("knowledge", self.knowledge)
        check_fields(self.fields, self.field_weights, Task)
        for name in ("references", "urls", "data"):
            _check_texts(name, getattr(self, name))
        for key in texts("unopened", list(self.unopened)):
            if key not in self.references:
                raise expected("unopened", key, self.references)

    def _check_labels(self) -> None:
        for i, label in enumerate(self.labels):
            if not isinstance(label, Label) or not isinstance(label.name, str):
                raise ConfigError(f"labels[{i}]: {quote(label)} is not a label name or a Label")
            check_label(f"labels[{i}]", label)
        rules_of(self.kind).check(self)

    def _named(self, text: str) -> int | None:
        index = self.lexicon.label(text)
        if index is None and re.fullmatch(r"\s*[0-9]{1,9}\s*", text):
            return self._numbered(int(text.strip()))
        return index

    def _numbered(self, value: object) -> int | None:
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        first = self.first_number
        number: Any = value
        is_one = first <= number < first + len(self.labels) and number % 1 == 0
        return int(number) - first if is_one else None

    def _allowed_targets(self) -> str:
        if Trait.ORDERED in self.traits:
            last = self.first_grade + len(self.labels) - 1
            grades = f"the grades {self.first_grade} to {last}"
        else:
            grades = f"the indices 0 to {len(self.labels) - 1}"
        names = ", ".join(repr(label.name) for label in self.labels[:20])
        more = ", …" if len(self.labels) > 20 else ""
        has_more = any(label.synonyms for label in self.labels)
        synonyms = " or a synonym of one" if has_more else ""
        return f"{grades}, or a name out of {names}{more}{synonyms}"


def _changed_fields(value: Task | Label, without: Set[str]) -> dict[str, Any]:
    """Return the fields that are not at their default, but for some; sequences as lists."""
    shaping = [known for known in fields(value) if known.name not in without]
    found = {known.name: _plain(getattr(value, known.name)) for known in shaping}
    defaults = {known.name: _plain(_default_of(known)) for known in shaping}
    return {name: content for name, content in found.items() if content != defaults[name]}


def _signed(name: str, field: Task) -> list[str]:
    """Return what a field's scores depend on: its digest and its settings."""
    return [name, field.kind, field.digest, repr(field.reward)]


def _default_of(known: Field[Any]) -> object:
    return known.default if known.default_factory is MISSING else known.default_factory()


def _plain(value: object) -> object:
    """Return a field's value in one form: sequences as lists, whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _check_texts(what: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what}: {quote(value)} is not a mapping of names to texts")
    for key, content in value.items():
        if not isinstance(key, str) or not isinstance(content, str):
            raise ConfigError(f"{what}.{key}: {quote(content)} is not a text (put it in quotes)")


def _unwrap(target: object) -> object:
    """Return the one number in an array of one element (MedMNIST's labels), else `target`."""
    if hasattr(target, "tolist"):
        target = target.tolist()
    found, depth = target, 0
    while isinstance(found, list) and len(found) == 1 and depth < 10:  # a list may hold itself
        found, depth = found[0], depth + 1
    return target if isinstance(found, list) else found


def parse_card(text: str, where: str = "card") -> Task:
    """Return the task that a card's YAML `text` describes; `where` names it in errors."""
    return read_card(text, where, Task)


def parse_task(content: object, where: str) -> Task:
    """Return the task that a card's content describes; `where` names it in errors."""
    return make_task(content, where, Task)


@cache
def _load_shipped(name: str) -> Task:
    return parse_card(*card_text(name)).with_reviews(reviews_of(name))
