"""Checking rows before a trainer reads them, since trainers skip or pad over rows they cannot use.

verl leaves out a row whose image it cannot decode, and pads over a group whose reward fails; both
only show in its log. So a file is checked whole: columns, task, ground truth, image marks, images.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from medreward.data.image_file import image_of_row, open_image
from medreward.data.parquet import batches_of
from medreward.data.picture import load_bytes
from medreward.data.row_files import RowFiles, open_rows
from medreward.data.sources.record import ReadingOptions, UnusableError
from medreward.errors import ConfigError, quote
from medreward.files.progress import show_progress
from medreward.geometry.regions import check_size
from medreward.kinds.truth import target_of, target_size
from medreward.priors.asked import contradictions
from medreward.priors.template import IMAGE_MARK
from medreward.scoring.parts.recitation import words_needed
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.task_book import TaskBook
from medreward.text.words import tokenize

COLUMNS = ("data_source", "prompt", "images", "reward_model", "extra_info")
_MOST_SHOWN = 10  # different problems
_ALIKE = 3  # further problems of one form, from which on they are one
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\{[^}]*\}|[-+]?\d+(\.\d+)?")
_FIRST = 3  # rows of a problem that are named
_FEW = 20  # rows of which the reach of recitation is told
# The data source and extra_info of a row -> its scorer.
ScorerOf: TypeAlias = Callable[[Any, Mapping[str, Any] | None], Scorer]


def scorers_of(book: TaskBook | None, settings: Mapping[str, Any] | None = None) -> ScorerOf:
    """Return what gives the scorer of a row.

    Args:
        book: the tasks that rows may be of; None: the shipped ones.
        settings: settings of the reward in place of the cards', ``model_profile`` too.
    """
    own = book or TaskBook()
    return lambda source, info: scorer(own.task_of(source, info), settings)


def check_parquet(
    path: str | Path,
    book: TaskBook | None = None,
    *,
    images: bool = True,
    limit: int | None = None,
    image_root: str | Path | None = None,
    scorer_of: ScorerOf | None = None,
) -> int:
    """Check the rows at a path (the first `limit`) and return how many were checked.

    Args:
        path: a parquet file in veRL's schema, a folder of them, or a pattern.
        book: the tasks that rows may be of; None: the shipped ones.
        images: whether to decode the images too.
        limit: how many rows; None for all.
        image_root: the folder under which rows may name pictures; None: they hold bytes.
        scorer_of: returns the scorer of a row's data source and extra_info; None: that of the
            card. Prompts have to ask for what it reads.

    Raises:
        ConfigError: if the file cannot be read, lacks a column, or has rows with problems; the
            message says each of the first ones once, with the numbers of rows, counted from 0.
    """
    with open_parquet(path) as file:
        total: int = file.metadata.num_rows
        if not total:
            raise ConfigError(f"{path}: there are no rows")
        count = total if limit is None else min(limit, total)
        numbered = enumerate(islice(rows_in(file, path), count))
        bar = show_progress(numbered, total=count, desc=f"checking {Path(path).name}", unit="row")
        found: dict[str, list[int]] = defaultdict(list)
        for number, row in bar:
            for problem in problems(
                row, book, images=images, image_root=image_root, scorer_of=scorer_of
            ):
                found[problem].append(number)
    if found:
        merged = _join_alike(found)
        shown = [
            f"{path}: row {rows[0]}: {problem}{_others(rows)}"
            for problem, rows in islice(merged.items(), _MOST_SHOWN)
        ]
        more = [f"… and {len(merged) - _MOST_SHOWN} more"] if len(merged) > _MOST_SHOWN else []
        raise ConfigError("\n".join([*shown, *more]))
    return count


def _join_alike(found: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Return problems with their rows, those together that differ in values only.

    A whole file that is checked by another card than its own has a problem of its own in each row.

    >>> _join_alike({f"target '{i}' is none": [i] for i in range(5)})
    {"target '0' is none (and 4 alike)": [0, 1, 2, 3, 4]}
    """
    by_form: dict[str, list[str]] = defaultdict(list)
    for problem in found:
        by_form[_VALUES.sub("…", problem)].append(problem)
    merged: dict[str, list[int]] = {}
    for problems_alike in by_form.values():
        first, *others = problems_alike
        if len(others) < _ALIKE:
            merged |= {problem: found[problem] for problem in problems_alike}
        else:
            rows = sorted({row for problem in problems_alike for row in found[problem]})
            merged[f"{first} (and {len(others)} alike)"] = rows
    return merged


def _others(rows: Sequence[int]) -> str:
    """Return how many rows have a problem, and the first of them; nothing for a single one.

    >>> _others([4]), _others([4, 5]), _others([4, 5, 7, 8, 9])
    ('', ' (2 rows: 4, 5)', ' (5 rows: 4, 5, 7, …)')
    """
    if len(rows) == 1:
        return ""
    shown = ", ".join(map(str, rows[:_FIRST])) + ", …" * (len(rows) > _FIRST)
    return f" ({len(rows)} rows: {shown})"


def constant_targets(path: str | Path) -> Iterator[str]:
    """Yield the tasks all of whose rows at a path have one target, so that nothing is learnt."""
    with open_parquet(path) as file:
        table = file.read(["data_source", "reward_model"])
    targets: dict[str, list[object]] = defaultdict(list)
    columns = (table[name].to_pylist() for name in ("data_source", "reward_model"))
    for source, model in zip(*columns, strict=True):
        targets[source].append(model["ground_truth"])
    for source, own in targets.items():
        yield from one_target(source, own)


def one_target(task: str, targets: Sequence[object]) -> Iterator[str]:
    """Yield what to say of several rows of a task with one target; nothing of others."""
    if len(targets) > 1 and len({*map(str, targets)}) == 1:
        yield (
            f"{task}: all {len(targets)} rows have the target {quote(str(targets[0]))}: an answer "
            f"that is always the same earns all, and nothing else is learnt; was a file that is "
            f"sorted by label cut?"
        )


def recitation_reach(path: str | Path, scorer_of: ScorerOf) -> Iterator[str]:
    """Yield what reasoning it takes for recitation to matter in the rows of a file.

    Of the first row of each kind of settings with δ⁺ or δ⁻ and knowledge: R_recite is bounded by
    the lengths of reasoning and knowledge (`medreward.scoring.parts.recitation`).
    """
    said: set[str] = set()
    for row in first_rows(path, _FEW):
        bound = scorer_of(row["data_source"], row.get("extra_info"))
        words = len(tokenize((row.get("extra_info") or {}).get("knowledge") or ""))
        settings = bound.settings
        if not words or not settings.delta or not settings.weights.recitation:
            continue
        measure = settings.recitation_measure
        least, more = (words_needed(measure, words, value) for value in (0.01, 0.1))
        line = (
            f"{bound.task.name}: knowledge of {words} words: R_recite ({measure}) can reach 0.01 "
            f"from {least} words of reasoning on, 0.1 from {more} on"
        )
        if line not in said:
            said.add(line)
            yield line


def open_parquet(path: str | Path | Sequence[Path]) -> RowFiles:
    """Open the rows at a path, which is a parquet file, a folder or a pattern, or in some files.

    Raises:
        ConfigError: if there is none, or one cannot be read or lacks a column.
    """
    files = open_rows(path)
    names = files.schema_arrow.names
    for column in COLUMNS:
        if column not in names:
            raise ConfigError(
                f"{files.paths[0]}: column {quote(column)} is missing; it has {', '.join(names)}"
            )
    return files


def first_rows(path: str | Path, count: int) -> list[dict[str, Any]]:
    """Return the first rows of a parquet file, at most `count`."""
    with open_parquet(path) as file:
        return list(islice(rows_in(file, path), count))


def check_shape(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns of a row that hold another type than veRL's schema has."""
    for name in ("extra_info", "reward_model"):
        if not isinstance(row.get(name) or {}, Mapping):
            yield f"{name}: {quote(row[name])} is not a struct"
    info = row.get("extra_info")
    knowledge = info.get("knowledge") if isinstance(info, Mapping) else None
    if not isinstance(knowledge, str | None):
        yield f"extra_info.knowledge: {quote(knowledge)} is not a text"
    if not isinstance(row.get("data_source"), str):
        yield f"data_source: {quote(row.get('data_source'))} is not a text"
    for name in ("prompt", "images"):
        if name in row and not isinstance(row[name] or [], list):
            yield f"{name}: {quote(row[name])} is not a list"
    prompt = row.get("prompt") or []
    for i, message in enumerate(prompt if isinstance(prompt, list) else ()):
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            yield f"prompt[{i}]: {quote(message)} is not a message with a text as 'content'"


def problems(
    row: Mapping[str, Any],
    book: TaskBook | None = None,
    *,
    images: bool = True,
    image_root: str | Path | None = None,
    scorer_of: ScorerOf | None = None,
) -> Iterator[str]:
    """Yield what is wrong with a row, one text a problem.

    >>> row = {"data_source": "retinamist", "prompt": [], "images": [], "reward_model": {}}
    >>> [text.rpartition("; ")[2].partition(" (")[0] for text in problems(row)]
    ["did you mean 'retinamnist'?"]
    """
    misshapen = list(check_shape(row))
    if misshapen:  # the rest cannot be read then
        yield from misshapen
        return
    try:
        bound = _check_truth(row, scorer_of or scorers_of(book))
    except ConfigError as error:
        yield str(error)
    else:
        said = "\n".join(message["content"] for message in row["prompt"] or [])
        yield from contradictions(said, bound.task, bound.settings)
    pictures = row["images"] or []
    marks = sum(_marks(message) for message in row["prompt"] or [])
    if marks != len(pictures):
        yield f"prompt: {marks} {IMAGE_MARK} marks for {len(pictures)} images"
    if images:
        for i, picture in enumerate(pictures):
            try:
                _decode(picture, image_root)
            except ConfigError as error:
                yield f"images[{i}]: {error}"
        yield from _size_problems(row, book or TaskBook())


def _size_problems(row: Mapping[str, Any], book: TaskBook) -> Iterator[str]:
    """Yield that a target is for an image of another size, where both can be read."""
    try:
        task = book.task_of(row["data_source"], row.get("extra_info"))
        size = target_size(task, row["reward_model"]["ground_truth"])
        image = (
            None if size is None else load_bytes(row["images"][0]["bytes"], ReadingOptions()).image
        )
    except (ConfigError, UnusableError, LookupError, TypeError):
        return  # what cannot be read is a problem of its own
    try:
        if image is not None:
            check_size(size, image.size)
    except ConfigError as error:
        yield str(error)


def _check_truth(row: Mapping[str, Any], scorer_of: ScorerOf) -> Scorer:
    """Return the scorer of a row, which can score against its ground truth."""
    bound = scorer_of(row["data_source"], row.get("extra_info"))
    model = row["reward_model"] or {}
    if "ground_truth" not in model:
        raise ConfigError(f"reward_model: no field 'ground_truth'; it has {list(model)}")
    bound.score("", target_of(bound.task, model["ground_truth"]))
    return bound


def _marks(message: Mapping[str, Any]) -> int:
    return str(message["content"]).count(IMAGE_MARK)


def _decode(picture: Any, image_root: str | Path | None) -> None:
    """Decode an image given as bytes or, under the root, by its path."""
    if isinstance(picture, Mapping) and picture.get("bytes") is None and picture.get("path"):
        raise ConfigError(
            f"a path ({quote(picture['path'])}) beside empty bytes, which verl takes for an empty "
            f"image; store the file's bytes"
        )
    try:
        with open_image(image_of_row(picture, image_root)) as image:
            image.load()
    except UnusableError as error:
        raise ConfigError(str(error)) from error


def rows_in(file: RowFiles, path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of open parquet files."""
    for batch in batches_of(file, path):
        yield from batch
