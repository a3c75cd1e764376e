"""Several named fields in one answer, each of a kind of its own: an answer and boxes, two grades.

With r_i what field i earns by itself and w_i its weight, over all fields of the card::

    mean  = sum of w_i * r_i / sum of w_i
    R     = (1 - field_balance) * mean + field_balance * min r_i

in [0, 1]. The share of the worst field is what keeps one field from buying off another: with
``field_balance`` 0.5, the default, giving a field up costs at least half of the reward, whatever
its weight. A field that is missing, unreadable or given twice earns 0; an answer with a field that
the card does not have earns 0 as a whole.

An answer is one JSON object, or a line a field, "name: value".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json
from medreward.geometry.regions import Size
from medreward.kinds.base import Kind, TargetType, kind_of
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.open_questions import OpenQuestion
from medreward.kinds.reading import unfenced, unreadable
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

MAX_ANSWER_LENGTH = 16_000  # boxes take room
_SAMPLES = 4


class FieldsTarget(NamedTuple):
    """The parsed targets of the fields, in the card's order."""

    targets: tuple[Any, ...]


class _Values(NamedTuple):
    """The text of each field of an answer that has it, or why it cannot be taken apart."""

    texts: Mapping[str, str]
    reason: str = ""
    unread: str = ""
    twice: bool = False


def fields_reward(
    answer: str | None, target: FieldsTarget, task: Task, settings: RewardSettings
) -> Verdict:
    r"""Return what the fields of an answer earn together, in [0, 1].

    >>> card = Task("mammogram", kind="fields", question="Read the mammogram.", fields={
    ...     "density": Task("density", labels=["A", "B", "C", "D"]),
    ...     "masses": Task("masses", kind="number"),
    ... })
    >>> target = card.parse_target({"density": "B", "masses": 2})
    >>> for text in ('{"density": "B", "masses": 2}', "density: B\nmasses: 1", "density: B"):
    ...     verdict = fields_reward(text, target, card, RewardSettings())
    ...     print(verdict.value, verdict.reason)
    1.0 correct
    0.25 fields_partial
    0.25 field_missing
    """
    values = _taken_apart(answer, task)
    return _verdict_on(values, _field_verdicts(values, target, task), task, settings)


def _verdict_on(
    values: _Values, verdicts: Mapping[str, Verdict], task: Task, settings: RewardSettings
) -> Verdict:
    """Return what fields earn together, given what each of them earns."""
    if values.reason:
        return Verdict(0.0, values.reason, unread=values.unread)
    value = _together({name: one.value for name, one in verdicts.items()}, task, settings)
    shown = json.dumps({name: one.prediction for name, one in verdicts.items()}, ensure_ascii=False)
    notes = tuple(dict.fromkeys(one.reason for one in verdicts.values() if one.reason != "correct"))
    unread = next((one.unread for one in verdicts.values() if one.unread), "")
    if not notes:
        return Verdict(1.0, "correct", shown)
    missing = "field_twice" if values.twice else "field_missing"
    return Verdict(
        min(value, BEST_WRONG),
        missing if len(values.texts) < len(task.fields) else "fields_partial",
        shown,
        notes,
        unread,
    )


def _taken_apart(answer: str | None, task: Task) -> _Values:
    reason = unreadable(answer, MAX_ANSWER_LENGTH)
    return _Values({}, reason) if reason else split_fields(str(answer), task)


def _field_verdicts(values: _Values, target: FieldsTarget, task: Task) -> dict[str, Verdict]:
    return {
        name: kind_of(field).reward(values.texts.get(name), true, field, field.reward)
        for (name, field), true in zip(task.fields.items(), target.targets, strict=True)
    }


def _together(values: Mapping[str, float], task: Task, settings: RewardSettings) -> float:
    """Return weighted mean and minimum of what fields earn, in the share that the settings give."""
    weights = {name: task.field_weights.get(name, 1.0) for name in task.fields}
    mean = sum(weights[name] * value for name, value in values.items()) / sum(weights.values())
    share = settings.field_balance
    return (1 - share) * mean + share * min(values.values())


def split_fields(answer: str, task: Task) -> _Values:
    r"""Return the text of each field in an answer: one JSON object, or a line a field.

    >>> card = Task("two", kind="fields", fields={
    ...     "view": Task("view", labels=["CC", "MLO"]), "side": Task("s", labels=["left", "right"]),
    ... })
    >>> split_fields('{"View": "CC", "side": "left"}', card).texts
    {'view': 'CC', 'side': 'left'}
    >>> split_fields("- **view**: CC\n- side = left", card).texts
    {'view': 'CC', 'side': 'left'}
    >>> split_fields('{"view": "CC", "age": 50}', card).reason
    'field_unknown'
    """
    text = unfenced(answer)
    return _from_json(text, task) if text.startswith("{") else _from_lines(text, task)


def _from_json(text: str, task: Task) -> _Values:
    try:
        content = parse_json(text)
    except ConfigError:  # not JSON, or with a key twice
        return _Values({}, "fields_unreadable")
    if not isinstance(content, dict):
        return _Values({}, "fields_unreadable")
    names = {_key(name): name for name in task.fields}
    found: dict[str, list[str]] = {}
    for key, value in content.items():
        name = names.get(_key(key))
        if name is None:
            return _Values({}, "field_unknown", key)
        if value is not None:  # null: the field is missing
            found.setdefault(name, []).append(_text_of(value, task.fields[name]))
    return _once(found)


def _from_lines(text: str, task: Task) -> _Values:
    names = {_key(name): name for name in task.fields}
    texts: dict[str, list[str]] = {}
    last = ""
    for line in text.splitlines():
        found = _heading(tuple(task.fields)).match(line)
        if found:
            last = names[_key(found["name"])]
            texts.setdefault(last, []).append(found["value"])
        elif last and (_has_lines(task.fields[last]) or not texts[last][-1].strip()):
            texts[last][-1] += f"\n{line}"
        elif line.strip():
            return _Values({}, "fields_unreadable", line.split()[0])
    return _once(texts)


def _text_of(value: object, field: Task) -> str:
    """Return the text of a field's value; "" of an object where the field is none: it is no answer.

    What the keys of such an object name is not what was asked for: `{"size": 2}` of a count.
    """
    if isinstance(value, dict) and not _has_lines(field):
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _has_lines(field: Task) -> bool:
    """Whether a field's answer may go on for lines: it has places, or several things to say."""
    return field.has_places or field.traits.isdisjoint((Trait.ONE_ANSWER, Trait.NUMBER))


def _once(found: Mapping[str, Sequence[str]]) -> _Values:
    """Return the texts of the fields that are given once; those given twice have none."""
    texts = {name: values[0].strip() for name, values in found.items() if len(values) == 1}
    return _Values(texts, twice=len(texts) < len(found))


@lru_cache(maxsize=256)
def _heading(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches the beginning of a line that gives a field."""
    known = "|".join(
        r"[ _-]?".join(map(re.escape, _key(name).split())) for name in sorted(names, key=len)[::-1]
    )
    return re.compile(
        rf"[\s*•-]{{0,9}}[\"'_]{{0,3}}(?P<name>{known})[\"'*_]{{0,3}}\s{{0,9}}[:=]"
        rf"[*_]{{0,3}}\s{{0,9}}(?P<value>.*)",
        re.IGNORECASE,
    )


def _key(name: str) -> str:
    """Return a field's name as it is compared: in any case, its words divided by anything."""
    return " ".join(re.split(r"[\s_-]+", name.strip().lower()))


class Fields(Kind):
    """Several named fields in one answer."""

    name = "fields"
    traits = frozenset((Trait.FIELDS, Trait.PARTIAL_CREDIT))
    target_type = TargetType.FIELDS
    settings = ("field_balance",)
    shuffles = False

    def check(self, task: Task) -> None:
        """Raise `ConfigError` unless the card has fields that can be told apart, and no labels."""
        if task.labels:
            raise ConfigError("labels: a card of fields has none; its fields have")
        if len(task.fields) < 2:
            raise ConfigError(f"fields: {len(task.fields)} given; a card of fields has at least 2")
        keys = [_key(name) for name in task.fields]
        if not all(keys) or len({*keys}) < len(keys):
            raise ConfigError(
                f"fields: {quote([*task.fields])}: two names read alike, or one is empty"
            )
        for name, field in task.fields.items():
            if Trait.MEASURED in field.traits:
                raise ConfigError(
                    f"fields.{name}: a free_report is measured and not read, so that it is no "
                    f"field beside answers that are"
                )
            if field.fields:
                raise ConfigError(f"fields.{name}: a field has no fields of its own")
            if field.knowledge or any(label.attributes for label in field.labels):
                raise ConfigError(
                    f"fields.{name}: knowledge stands in the card's own knowledge, not in a field"
                )
        places = [name for name, field in task.fields.items() if field.has_places]
        if len(places) > 1:
            raise ConfigError(
                f"fields: {', '.join(places)} ask for places all; one of them is possible"
            )

    def parse(self, task: Task, target: object) -> FieldsTarget:
        """Return the parsed targets of a mapping from each field to its target.

        Raises:
            ConfigError: if a field is missing or unknown, or a target is not its field's.
        """
        if isinstance(target, FieldsTarget):
            return target
        where = f"task {quote(task.name)}: target"
        if not isinstance(target, Mapping):
            raise ConfigError(f"{where}: {quote(target)} is not a mapping of fields to targets")
        known_fields(where, target, task.fields)
        parsed = []
        for name, field in task.fields.items():
            if target.get(name) is None:
                raise ConfigError(f"{where}: field {quote(name)} is missing")
            try:
                given = target[name]
                own = kind_of(field)
                parsed.append(
                    own.parse(
                        field, own.from_text(field, given) if isinstance(given, str) else given
                    )
                )
            except ConfigError as error:
                raise ConfigError(f"{where}: field {quote(name)}: {error}") from error
        return FieldsTarget(tuple(parsed))

    def to_text(self, task: Task, target: FieldsTarget) -> str:
        """Return the ground truth of each field as JSON."""
        texts = {
            name: kind_of(field).to_text(field, true)
            for (name, field), true in zip(task.fields.items(), target.targets, strict=True)
        }
        return json.dumps(texts, ensure_ascii=False)

    def from_text(self, task: Task, text: str) -> object:
        """Return the target that JSON stands for."""
        return json_target(task, text, '{"field": target, …}')

    def size(self, target: FieldsTarget) -> Size | None:
        """Return width and height of the image, where the target of a place says so."""
        sizes = (getattr(true, "size", None) for true in target.targets)
        return next((size for size in sizes if size is not None), None)

    def reward(
        self, answer: str | None, target: FieldsTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return what the fields earn together."""
        return fields_reward(answer, target, task, settings)

    def undecided(
        self, answer: str, verdict: Verdict, target: FieldsTarget, task: Task
    ) -> tuple[OpenQuestion, ...]:
        """Return the questions that the fields leave open, in the order of the card."""
        values = _taken_apart(answer, task)
        asked = self._undecided(values, _field_verdicts(values, target, task), target, task)
        return tuple(question for _, questions in asked for question in questions)

    def decided(
        self,
        answer: str,
        verdict: Verdict,
        target: FieldsTarget,
        task: Task,
        settings: RewardSettings,
        decisions: Sequence[float | None],
    ) -> Verdict:
        """Return what the fields earn together; no reward where one has no decision."""
        values, left = _taken_apart(answer, task), [*decisions]
        verdicts = _field_verdicts(values, target, task)
        trues = dict(zip(task.fields, target.targets, strict=True))
        for name, questions in [*self._undecided(values, verdicts, target, task)]:
            field, own = task.fields[name], left[: len(questions)]
            del left[: len(questions)]
            verdicts[name] = kind_of(field).decided(
                values.texts[name], verdicts[name], trues[name], field, field.reward, own
            )
        whole = _verdict_on(values, verdicts, task, settings)
        if None in decisions:
            return whole._replace(value=math.nan, reason="judge_unavailable")
        judged = ("judged_same",) * (True in decisions) + ("judged_other",) * (False in decisions)
        return whole._replace(notes=whole.notes + judged)

    def _undecided(
        self,
        values: _Values,
        verdicts: Mapping[str, Verdict],
        target: FieldsTarget,
        task: Task,
    ) -> Iterator[tuple[str, tuple[OpenQuestion, ...]]]:
        """Yield each field that leaves something open, and what."""
        for (name, field), true in zip(task.fields.items(), target.targets, strict=True):
            text = values.texts.get(name)
            known = verdicts[name]
            asked = () if text is None else kind_of(field).undecided(text, known, true, field)
            if asked:
                yield name, asked

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return what is earned where all fields but one are right, and that one nearly."""

        def with_one_wrong(wrong: str) -> float:
            field = task.fields[wrong]
            least = kind_of(field).best_wrong(field, field.reward)
            values = {name: least if name == wrong else 1.0 for name in task.fields}
            return _together(values, task, settings)

        return min(BEST_WRONG, max(map(with_one_wrong, task.fields)))

    def right(self, task: Task, target: FieldsTarget, settings: RewardSettings) -> str:
        """Return the right answers of the fields as a JSON object."""
        return _written(
            {
                name: kind_of(field).right(field, true, field.reward)
                for (name, field), true in zip(task.fields.items(), target.targets, strict=True)
            }
        )

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield samples of all fields side by side, or each of `targets`."""
        for given in _samples(task) if targets is None else targets:
            parsed = self.parse(task, given)
            text: Any = self.from_text(task, self.to_text(task, parsed))
            each = {
                name: next(kind_of(field).honest(field, [_target_of(field, text[name])]))
                for name, field in task.fields.items()
            }
            right = {name: honest.right for name, honest in each.items()}
            wrong = {name: honest.wrong[0] for name, honest in each.items()}
            near = [
                _written({**right, name: answer})
                for name, honest in each.items()
                for answer in (*honest.near[:1], *honest.wrong[:1])
            ]
            boxes = next((honest for honest in each.values() if honest.boxes), None)
            yield Honest(
                text,
                right=self.right(task, parsed, task.reward),
                wrong=(_written(wrong),),
                near=tuple(dict.fromkeys(near)),
                boxes=boxes.boxes if boxes else (),
            )


def _samples(task: Task) -> Iterator[dict[str, object]]:
    """Yield targets of all fields: the first samples of each, the second ones, and so on."""
    each = {
        name: [honest.target for honest in islice(kind_of(field).honest(field, None), _SAMPLES)]
        for name, field in task.fields.items()
    }
    for i in range(max(map(len, each.values()))):
        yield {name: targets[i % len(targets)] for name, targets in each.items()}


def _target_of(field: Task, text: str) -> object:
    return kind_of(field).from_text(field, text)


def _written(answers: Mapping[str, str]) -> str:
    """Return answers as one JSON object; those that are JSON themselves as such."""
    return json.dumps({name: _value(text) for name, text in answers.items()}, ensure_ascii=False)


def _value(text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return text
    try:
        return parse_json(text)
    except ConfigError:
        return text
