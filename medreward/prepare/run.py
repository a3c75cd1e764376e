"""A source of images -> parquet rows for both trainers, a data set card and a contact sheet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from medreward.data.parquet import write_parquet
from medreward.data.record_list import RecordList
from medreward.data.render import Job, Rendered, Renderer
from medreward.data.render_cache import RenderCache, forget_log
from medreward.data.row_files import write_shards
from medreward.data.rows import Row, make_row
from medreward.data.sources.record import NamedBox, Record, Remark, Source, report_lines
from medreward.data.splits import SPLITS, assign_splits, check_groups, limit_splits
from medreward.errors import ConfigError, quote
from medreward.files.atomic import write_text_atomic
from medreward.files.pool import cores, ordered_map
from medreward.grounding.questions import canonical, plan
from medreward.grounding.rows import GroundingRows
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.truth import target_of
from medreward.perception.copies import transform_copies
from medreward.perception.sides import check_task
from medreward.prepare.balance import say_balance, say_split_folders, stratify
from medreward.prepare.dataset_card import CardFacts, Summary, card, card_facts
from medreward.prepare.finish import finish_target
from medreward.prepare.labels import settle_labels, settle_unsaid
from medreward.prepare.masks import mask_counts, mask_names
from medreward.prepare.options import Options
from medreward.prepare.outcome import Identities, RecordOutcome
from medreward.prepare.output import CARD, ORDER, SHEET, kept_images, partial_folder, publish
from medreward.prepare.parts import (
    Journal,
    PartState,
    journal_file,
    plan_digest,
    publish_part,
    rows_file,
    share_of,
)
from medreward.prepare.patients import number_patients, patient_remarks
from medreward.prepare.prompt_section import shown_prompt
from medreward.prepare.tally import Tally
from medreward.priors.prompt import Prompt, PromptBuilder
from medreward.sheets.contact_sheet import Tile, contact_sheet, rank_records
from medreward.task.review import REVIEWED
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.shown import escape_controls

_MOST_LABELS = 40  # that are counted in a plan
_MOST_SHOWN = 10  # missing files
# Targets that a source gives whole, with places in pixels of the images as they are.
_IN_ANSWERS = (TargetType.FIELDS, TargetType.SERIES)
_FEW = 64  # images that are not worth starting processes for


def prepare(
    source: Source,
    task: Task,
    out: str | Path,
    options: Options | None = None,
    *,
    command: str = "",
) -> Summary:
    """Write the rows of a source to ``out/{train,val,test}.parquet`` and say what was done.

    The same source and options give the same bytes, whatever the number of workers and whenever an
    earlier run was killed. Old files of an earlier run are replaced at the end, or not at all.

    Args:
        source: the images and their labels.
        task: the card that says what is asked.
        out: the folder to write to.
        options: what to do.
        command: the command line, for the data set's card.

    Raises:
        ConfigError: for labels that the card does not know, a patient or picture in two splits,
            images that cannot be used (unless they are to be skipped), or a folder that cannot be
            written to. Nothing is written then.

    >>> import tempfile
    >>> from PIL import Image
    >>> from medreward.data.sources import open_class_folders
    >>> folder = Path(tempfile.mkdtemp())
    >>> for split, label in [("train", "normal"), ("train", "pneumonia"), ("test", "normal")]:
    ...     place = folder / "images" / split / label
    ...     place.mkdir(parents=True)
    ...     Image.new("L", (32, 32), len(split + label)).save(place / "1.png")
    >>> source, task = open_class_folders(folder / "images"), Task.load("pneumoniamnist")
    >>> sorted(prepare(source, task, folder / "rows", Options(size=28)).images.items())
    [('test', 1), ('train', 2)]
    """
    options = options or Options()
    run = _begin(source, task, options)
    del source  # its records, of which the run has its own
    if options.part is not None:
        return _write_part(run, Path(out), card_facts(run.prompts, options, command))
    with (
        kept_images(Path(out)) as run.cache,
        partial_folder(Path(out)) as folder,
        closing(run.results),
    ):
        tally = run.tally
        for split in ORDER:
            run.write(split, folder)
        tally.check(run.emptied)
        if tally.tiles:  # no row has an image where questions are of text only
            contact_sheet(tally.tiles, folder / SHEET)
        facts = card_facts(run.prompts, options, command)
        write_text_atomic(folder / CARD, card(run.summary, facts))
        run.summary.files = publish(folder, Path(out))
    return run.summary


def _begin(source: Source, task: Task, options: Options) -> _Run:
    """Return a run whose labels and splits are settled."""
    prompts, records, remarks = _settled(source, task, options)
    planned = _planned(records, prompts, options)
    run = _Run(replace(source, records=()), prompts, options, *planned)
    _say_missing(run, source)
    run.summary.noun = "questions" if any(record.question for record in records) else "images"
    run.summary.remarks += remarks
    return run


def _write_part(run: _Run, out: Path, facts: CardFacts) -> Summary:
    """Write the rows of one part of a run, and what joining the parts needs to know."""
    assert run.options.part is not None  # noqa: S101 - for the type checker
    number, count = run.options.part
    state = PartState(
        index=number,
        count=count,
        plan=plan_digest(run.records),
        noun=run.summary.noun,
        source=run.summary.source,
        remarks=list(run.summary.remarks),
        copies=run.copies,
        expected={split: run.expected(split) for split in ORDER},
        on_error=run.options.on_error,
        drop_duplicates=run.options.drop_duplicates,
        shard_rows=run.options.shard_rows,
        facts=facts,
    )
    name = f"-{state.name}"
    with (
        kept_images(out, name) as run.cache,
        partial_folder(out, name) as folder,
        closing(run.results),
    ):
        for split in ORDER:
            with Journal(journal_file(folder, split)) as journal:
                run.write(split, folder, journal)
        run.tally.check()
        state.write(folder)
        run.summary.files = (publish_part(folder, out / state.name),)
    return run.summary


def _say_missing(run: _Run, source: Source) -> None:
    """Say at once that files are not there, where looking at the others takes long.

    The run ends with an error then, or leaves them out, once all problems are known. Where more
    files are missing than not, nothing is decoded.

    Raises:
        ConfigError: if more than half of the files are missing.
    """
    if len(run.records) <= _FEW:
        return
    missing = [record for record in run.records if _is_missing(record.place)]
    if not missing:
        return
    renderer = Renderer(source.load, run.options.reading)
    shown = [renderer(Job(record, source.fetch(record))) for record in missing[:_MOST_SHOWN]]
    lines = [
        f"{len(missing)} of {len(run.records)} files are not there:",
        *report_lines([one for one in shown if isinstance(one, Remark)]),
        *([f"  and {len(missing) - _MOST_SHOWN} more"] if len(missing) > _MOST_SHOWN else []),
    ]
    if len(missing) > len(run.records) / 2:
        raise ConfigError("\n".join(lines))
    said = "\n".join([*lines, "looking at the others"])
    print(escape_controls(said), file=sys.stderr, flush=True)


def plan_rows(source: Source, task: Task, options: Options | None = None) -> str:
    """Return what `prepare` would write, as far as it is known without decoding an image.

    Counts of each split and label, images that are not there, and remarks; as text.

    Raises:
        ConfigError: for what `prepare` would refuse before it looks at images.
    """
    options = options or Options()
    prompts, records, remarks = _settled(source, task, options)
    lines = []
    for split in SPLITS:
        own = RecordList(r for r in records if r.split == split and not r.problem)
        if own:
            lines.append(f"{split}: {len(own)} rows")
            lines += [f"  {name}: {count}" for name, count in _named(prompts.task, own)]
    problems = [Remark(r.where, r.problem) for r in records if r.problem]
    if problems:
        lines += [f"cannot be used: {len(problems)} images", *report_lines(problems, 10)]
    missing = [Remark(r.where, "no such file") for r in records if _is_missing(r.place)]
    if missing:
        lines += [f"missing: {len(missing)} of {len(records)} files", *report_lines(missing, 10)]
    if remarks:
        lines += ["remarks:", *report_lines(remarks, 10)]
    prompt = prompts.for_row(_target(prompts.task, records[0]), records[0].question)(records[0].id)
    return "\n".join([*lines, "first prompt:", *(f"  {x}" for x in prompt.text.splitlines())])


def _named(task: Task, records: Sequence[Record]) -> list[tuple[str, int]]:
    """Return how often each label, or name of a box, is in records; of masks, how many."""
    names: Counter[str] = Counter()
    for record in records:
        if record.boxes is not None:
            names.update([box.name for box in record.boxes] or ["nothing"])
        elif Trait.PLACES in task.traits:
            names.update(mask_names(task, str(record.label)))
        else:
            names[str(record.label)[:80]] += 1
    return names.most_common(_MOST_LABELS)


def _is_missing(place: Any) -> bool:
    """Whether a place is a folder and a path in it, and no file is there."""
    if not isinstance(place, tuple) or not all(isinstance(x, str) for x in place[:2]):
        return False
    return len(place) > 1 and not (Path(place[0]) / place[1]).is_file()


def _target(task: Task, record: Record) -> Any:
    """Return the target of a record, an empty one where its images are needed for it."""
    truth = "[]" if record.boxes is not None else record.label
    return task.parse_target(target_of(task, truth))


def _settled(
    source: Source, task: Task, options: Options
) -> tuple[PromptBuilder, Sequence[Record], list[Remark]]:
    """Return what makes prompts, the records with targets and splits, and remarks."""
    task = options.asked(task)
    if options.transforms is not None and options.asking is None:
        check_task(options.transforms, task)
    if options.size is not None and task.has_places and kind_of(task).target_type in _IN_ANSWERS:
        raise ConfigError(
            f"size: the boxes of task {quote(task.name)} stand in its answers, in pixels of the "
            f"image as it is; resize images and boxes before"
        )
    prompts = options.prompts(task)
    said, unsaid = settle_unsaid(source.records, negative=options.unannotated == "negative")
    records, left_out = settle_labels(
        said,
        task,
        options.mapping,
        options.box_labels,
        shuffle=prompts.shuffled,
        seed=options.seed,
        skip=options.on_error == "skip",
    )
    drawn = any(record.split is None for record in records)
    ignored = say_split_folders(records)
    if options.stratify:
        records = stratify(records, task, options.fractions, options.seed)
    records = assign_splits(records, None if options.stratify else options.fractions, options.seed)
    check_groups(records, private=source.private)
    patients = patient_remarks(records, options.fractions, has_splits=not drawn)
    records = limit_splits(records, options.limit, options.seed)
    remarks = [
        *source.remarks,
        *unsaid,
        *left_out,
        *ignored,
        *patients,
        *_untold(task, prompts, options),
    ]
    if options.asking is not None and task.reward.frame != RewardSettings().frame:
        what = "not used: grounding questions ask for pixels of the image in the row"
        remarks.append(Remark("the card's frame", what, task.reward.frame))
    remarks += say_balance(records, task, offer=drawn and not options.stratify)
    if not records:
        why = report_lines(remarks, most=10)
        raise ConfigError("\n".join([f"{source.name}: no image is left to write", *why]))
    return prompts, records, remarks


def _untold(task: Task, prompts: PromptBuilder, options: Options) -> list[Remark]:
    """Say which statements of a card are left out since they are not reviewed."""
    if options.knowledge != REVIEWED:
        return []
    told = {statement.digest for statement in prompts.task.reviewed_statements}
    return [
        Remark(quote(one.text), f"a statement that is {one.state}; left out (--knowledge reviewed)")
        for one in task.reviewed_statements
        if one.digest not in told
    ]


def _planned(
    records: Sequence[Record], prompts: PromptBuilder, options: Options
) -> tuple[Sequence[Record], GroundingRows | None]:
    """Return the records that give rows, and their grounding questions where these are asked."""
    if options.asking is None:
        return records, None
    records = canonical(records, prompts.task)
    planned = plan(records, prompts.task, options.asking, options.seed)
    kept = RecordList(record for record in records if planned.questions.get(record.id))
    return kept, GroundingRows(planned, prompts, options.seen, options.asked)


def _number_of(split: str) -> int:
    return ORDER.index(split)


class _Run:
    """One pass over the records, split by split, and what was seen on it."""

    def __init__(
        self,
        source: Source,
        prompts: PromptBuilder,
        options: Options,
        records: Sequence[Record],
        grounding: GroundingRows | None,
    ) -> None:
        self.source, self.options, self.records = source, options, records
        self.prompts, self.task, self.grounding = prompts, prompts.task, grounding
        self.summary = Summary(source=source.name)
        if grounding:
            self.summary.remarks += grounding.plan.remarks
        self.tally = Tally(
            self.summary, drop_duplicates=options.drop_duplicates, on_error=options.on_error
        )
        self.emptied: list[str] = []
        self.cache: Path | None = None
        self.results = self._rendered()
        self._ranks = rank_records(records)
        self._identities = Identities(records)
        self._patients = number_patients(records)
        self._has_example: set[str] = set()
        numbers = (_number_of(str(record.split)) for record in records)
        self._splits = np.fromiter(numbers, np.uint8, len(records))

    @property
    def copies(self) -> dict[str, int]:
        """Copies of each row, by split, where the rows of a split are transformed."""
        options = self.options
        if options.transforms is None:
            return {}
        return dict.fromkeys(options.transform_splits, options.copies)

    def expected(self, split: str) -> int:
        """Return how many records of the whole run are of a split."""
        return int((self._splits == _number_of(split)).sum())

    def write(self, split: str, folder: Path, journal: Journal | None = None) -> None:
        """Write the rows of a split, if it has any; of a part of a run, with a journal of them."""
        places = self._of(split)
        rows = self._rows(places, journal)
        first = next(rows, None)
        if first is not None:
            written = self._transformed(split, chain([first], rows))
            total = len(places)
            if self.grounding:
                total = self.grounding.total(self.records[int(i)].id for i in places)
            total *= 1 + self.summary.copies[split]
            size = self.options.shard_rows
            if journal is not None:
                write_parquet(rows_file(folder, split), written, total=total, desc=split)
            elif size is None:
                write_parquet(folder / f"{split}.parquet", written, total=total)
            else:
                write_shards(folder, split, written, size, total=total)
        elif len(places):
            self.emptied.append(split)

    def _transformed(self, split: str, rows: Iterator[Row]) -> Iterator[Row]:
        options = self.options
        if options.transforms is None or split not in options.transform_splits:
            return rows
        self.summary.copies[split] = options.copies
        return transform_copies(
            rows,
            self.task,
            options.transforms,
            seed=options.seed,
            copies=options.copies,
            workers=self._workers,
        )

    def _of(self, split: str) -> np.ndarray:
        """Return the places of a split's records; of a part of a run, its share of them."""
        places: np.ndarray = np.flatnonzero(self._splits == _number_of(split)).astype(np.uint32)
        return places if self.options.part is None else share_of(places, *self.options.part)

    def _rendered(self) -> Generator[Rendered | Remark, None, None]:
        """Yield what came of each record, split by split, from one pool of workers."""
        options = self.options
        cache = None
        if self.cache and options.cache and len(self.records) > _FEW:
            load = getattr(self.source.load, "__qualname__", None) or repr(self.source.load)
            module = getattr(self.source.load, "__module__", "")
            how = repr((module, load, options.reading, options.size))
            forget_log(self.cache)
            cache = RenderCache(self.cache, how)
        renderer = Renderer(self.source.load, options.reading, options.size, cache)
        records = (self.records[int(i)] for split in ORDER for i in self._of(split))
        jobs = (Job(record, self.source.fetch(record)) for record in records)
        yield from ordered_map(renderer, jobs, workers=self._workers)

    @property
    def _workers(self) -> int:
        return min(self.options.workers or cores(), 1 + len(self.records) // _FEW)

    def _rows(self, places: np.ndarray, journal: Journal | None) -> Iterator[Row]:
        for place in map(int, places):
            result = next(self.results)
            if isinstance(result, Remark):
                rows: list[Row] = []
                outcome = RecordOutcome(self._identities.of(place), problem=result)
            else:
                rows, outcome = self._finish(place, result)
            is_kept = self.tally.add(outcome)
            if journal is not None:
                journal.add(outcome)
            if is_kept or journal is not None:
                yield from rows

    def _finish(self, place: int, result: Rendered) -> tuple[list[Row], RecordOutcome]:
        """Return the rows of a record, and what came of it."""
        record = self.records[place]
        truth, names, title, boxes = finish_target(self.task, record, result, self.options.seen)
        asked: list[str] = []
        prompts: list[Prompt] = []

        def note(prompt: Prompt, what: str) -> None:
            prompts.append(prompt)
            asked.append(what)

        if self.grounding:
            rows = list(self.grounding.rows(record, result, note))
        else:
            prompts.append(self._prompts_of(record, truth)(record.id))
            split = str(record.split)
            rows = [make_row(self.task, prompts[0], truth, result.pngs, id=record.id, split=split)]
        if self._patients is not None:
            for row in rows:
                row["extra_info"]["patient"] = str(self._patients[place])
        return rows, RecordOutcome(
            identity=self._identities.of(place),
            digest=result.digest,
            look=result.look,
            names=tuple(names),
            remarks=result.remarks,
            facts=result.facts,
            rows=len(rows),
            asked=tuple(asked),
            left_out=tuple(one.text for prompt in prompts for one in prompt.left_out),
            example=self._example(str(record.split), prompts),
            tile=self._tile(record, result, title, boxes, truth),
        )

    def _example(self, split: str, prompts: Sequence[Prompt]) -> str:
        """Return the first prompt of each split as text, and nothing for the others."""
        if split in self._has_example or not prompts:
            return ""
        self._has_example.add(split)
        return shown_prompt(prompts[0])

    def _tile(
        self, record: Record, result: Rendered, title: str, boxes: Sequence[NamedBox], truth: str
    ) -> Tile | None:
        if record.id not in self._ranks or not result.png:
            return None
        heading, rank = f"{record.split}: {title}", self._ranks[record.id]
        masks = mask_counts(self.task, truth)
        return Tile(rank, heading, record.id, result.png, boxes or result.boxes, masks)

    def _prompts_of(self, record: Record, truth: str) -> PromptBuilder:
        """Return what makes the prompt of a record, which may have a question of its own."""
        target = self.task.parse_target(target_of(self.task, truth))
        return self.prompts.for_row(target, record.question)
