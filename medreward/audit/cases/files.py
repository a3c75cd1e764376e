"""Case files: YAML or JSON lines -> :class:`CaseFile`, with the line of each case for messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from medreward.audit.cases.case import SUFFIXES, Case, CaseFile
from medreward.audit.cases.schema import FILE_FIELDS, Defaults, unique
from medreward.audit.user_rewards import OWN, SIGNATURES, beside
from medreward.checks import mapping, text
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_json, parse_yaml_nodes, read_text


class _Content(NamedTuple):
    """What a file holds: its head, and each case or reading with its line."""

    head: dict[str, Any]
    cases: list[tuple[int, Any]]
    readings: list[tuple[int, Any, Any]]  # line, label, answer


def case_files(paths: Iterable[str | Path]) -> list[Path]:
    """Return the files at `paths`; a folder stands for the case files in it, at any depth.

    Raises:
        ConfigError: if a path does not exist, or there is no case file in a folder.

    >>> [path] = case_files([shipped_cases()[0]])
    >>> path.name.endswith(".cases.yaml")
    True
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.name.endswith(SUFFIXES))
            if not inside:
                raise ConfigError(f"{path}: no case files ({', '.join(SUFFIXES)}) in this folder")
            found += inside
        else:
            found.append(path)
    return found


def shipped_cases() -> list[Path]:
    """Return the files of the case library that comes with medreward.

    >>> "ordinal.cases.yaml" in [path.name for path in shipped_cases()]
    True
    """
    return case_files([Path(str(files("medreward").joinpath("cases")))])


def load_cases(path: str | Path) -> CaseFile:
    """Return the cases of a file: JSON lines where its name ends so, else YAML.

    Raises:
        ConfigError: if the file cannot be read or a field is not allowed; the message names the
            file, the line, the field and what is allowed.

    >>> load_cases(shipped_cases()[0]).reward
    'shaped'
    """
    path = Path(path)
    return parse_cases(read_text(path), str(path), json_lines=path.suffix == ".jsonl")


def parse_cases(content: str, where: str = "cases", *, json_lines: bool = False) -> CaseFile:
    """Return the cases in the text of a file; `where` names it in messages.

    >>> text = "{task: yes_no, cases: [{answer: 'yes', target: 'no', expect: {correct: false}}]}"
    >>> [case.text for case in parse_cases(text).cases]
    ['<think>Looked at closely.</think><answer>yes</answer>']
    """
    found = _from_json_lines(content, where) if json_lines else _from_yaml(content, where)
    try:
        head = _head(found.head)
        folder = Path(where).parent
        head["reward"] = beside(head["reward"], folder)
        defaults = Defaults(head, folder)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    cases = [*_cases(found, defaults, where), *_readings(found, defaults, where)]
    if not cases:
        raise ConfigError(f"{where}: there are no cases; give cases: or read:")
    tuned = next((case for case in cases if case.settings and head["reward"] != OWN), None)
    if tuned is not None:
        raise ConfigError(f"{tuned.place}: settings: they are for the reward {quote(OWN)} only")
    return CaseFile(where, unique(cases, defaults.named), head["reward"], head.get("signature"))


def _cases(found: _Content, defaults: Defaults, where: str) -> Iterator[Case]:
    for line, item in found.cases:
        place = f"{where}, line {line}"
        try:
            yield defaults.case(item, place)
        except ConfigError as error:
            name = f"case {item['id']!r}: " if isinstance(item, Mapping) and "id" in item else ""
            raise ConfigError(f"{place}: {name}{error}") from error


def _readings(found: _Content, defaults: Defaults, where: str) -> Iterator[Case]:
    for line, label, item in found.readings:
        place = f"{where}, line {line}"
        try:
            yield defaults.reading(label, item, place)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from error


def _head(content: Mapping[str, Any]) -> dict[str, Any]:
    values = mapping("file", content, FILE_FIELDS)
    for name in ("about", "source"):
        text(name, values.get(name, ""), empty=True)
    values["reward"] = text("reward", values.get("reward", OWN))
    signature = values.get("signature")
    if signature is not None and signature not in SIGNATURES:
        raise expected("signature", signature, SIGNATURES)
    return values


def _from_yaml(content: str, where: str) -> _Content:
    try:
        head, node = parse_yaml_nodes(content)  # which refuses control characters
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    head = {} if node is None else head
    if not isinstance(head, dict):
        raise ConfigError(f"{where}: {quote(head, 60)} is not a mapping with {FILE_FIELDS}")
    nodes = {key.value: value for key, value in node.value} if node is not None else {}
    return _Content(
        {key: value for key, value in head.items() if key not in ("cases", "read")},
        _numbered(f"{where}: cases", head.get("cases", []), nodes.get("cases")),
        _table(f"{where}: read", head.get("read", {}), nodes.get("read")),
    )


def _numbered(what: str, content: Any, node: Any) -> list[tuple[int, Any]]:
    if not isinstance(content, list):
        raise ConfigError(f"{what}: {quote(content, 60)} is not a list")
    lines = [child.start_mark.line + 1 for child in node.value] if content else []
    return list(zip(lines, content, strict=True))


def _table(what: str, content: Any, node: Any) -> list[tuple[int, Any, Any]]:
    if not isinstance(content, dict):
        raise ConfigError(f"{what}: {quote(content)} is not a mapping of labels to answers")
    nodes = [value for _, value in node.value] if content else []
    if len(nodes) != len(content):  # a key merged in by << stands in both mappings
        raise ConfigError(f"{what}: merged mappings (<<) are not supported here")
    return [
        (line, label, item)
        for (label, answers), child in zip(content.items(), nodes, strict=True)
        for line, item in _numbered(f"{what}.{label}", answers, child)
    ]


def _from_json_lines(content: str, where: str) -> _Content:
    """Read a case a line; a first line with ``defaults`` alone holds what a YAML file's head does.

    Lines end at line feeds alone: other separators may stand inside of a JSON text.
    """
    head: dict[str, Any] = {}
    cases: list[tuple[int, Any]] = []
    for line, row in enumerate(content.split("\n"), start=1):
        if not row.strip():
            continue
        try:
            item = parse_json(row)
        except ConfigError as error:
            raise ConfigError(f"{where}, line {line}: {error}") from error
        if isinstance(item, dict) and [*item] == ["defaults"] and not head and not cases:
            head = mapping(f"{where}, line {line}: defaults", item["defaults"])
        else:
            cases.append((line, item))
    return _Content(head, cases, [])
