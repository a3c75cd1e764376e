"""A source of images -> parquet rows for both trainers, a data set card and a contact sheet."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from medreward.data.parquet import write_parquet
from medreward.data.render import Job, Rendered, Renderer
from medreward.data.rows import Row, make_row
from medreward.data.sources.record import Record, Remark, Source, report_lines
from medreward.data.splits import SPLITS, assign_splits, check_groups, limit_splits
from medreward.errors import ConfigError, quote
from medreward.files.atomic import write_text_atomic
from medreward.files.pool import cores, ordered_map
from medreward.geometry.frames import qwen_resized
from medreward.grounding.questions import canonical, plan
from medreward.grounding.rows import GroundingRows
from medreward.kinds.truth import target_of
from medreward.perception.copies import transform_copies
from medreward.perception.sides import check_task
from medreward.prepare.dataset_card import Summary, card
from medreward.prepare.finish import finish_target
from medreward.prepare.labels import settle_labels, settle_unsaid
from medreward.prepare.options import Options
from medreward.priors.prompt import PromptBuilder
from medreward.sheets.contact_sheet import Tile, contact_sheet, rank_records
from medreward.task.review import REVIEWED
from medreward.task.task import Task

CARD, SHEET = "dataset_card.md", "contact_sheet.png"
_PARTIAL = ".medreward-partial"
_FIRST_TO_KEEP = ("test", "val", "train")  # of a picture in two splits, the one in test stays
_MOST_LABELS = 40  # that are counted in a plan
_FEW = 64  # images that are not worth starting processes for
_TORN = (
    "the same picture is in two splits (--drop-duplicates keeps the one in test, or else in val):"
)


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
    prompts, records, remarks = _settled(source, task, options)
    run = _Run(source, prompts, options, *_planned(records, prompts, options))
    run.summary.noun = "questions" if any(record.question for record in records) else "images"
    run.summary.remarks += remarks
    with _partial(Path(out)) as folder, closing(run.results):
        for split in _FIRST_TO_KEEP:
            run.write(split, folder)
        run.check()
        if run.tiles:  # no row has an image where questions are of text only
            contact_sheet(run.tiles, folder / SHEET)
        write_text_atomic(folder / CARD, card(run.summary, prompts, options, command))
        run.summary.files = _publish(folder, Path(out))
    return run.summary


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
        own = [record for record in records if record.split == split]
        if own:
            lines.append(f"{split}: {len(own)} rows")
            lines += [f"  {name}: {count}" for name, count in _named(own)]
    missing = [Remark(r.where, "no such file") for r in records if _is_missing(r.place)]
    if missing:
        lines += [f"missing: {len(missing)} of {len(records)} files", *report_lines(missing, 10)]
    if remarks:
        lines += ["remarks:", *report_lines(remarks, 10)]
    prompt = prompts.for_row(_target(prompts.task, records[0]), records[0].question)(records[0].id)
    return "\n".join([*lines, "first prompt:", *(f"  {x}" for x in prompt.text.splitlines())])


def _named(records: Sequence[Record]) -> list[tuple[str, int]]:
    """Return how often each label, or name of a box, is in records."""
    names: Counter[str] = Counter()
    for record in records:
        if record.boxes is None:
            names[str(record.label)[:80]] += 1
        else:
            names.update([box.name for box in record.boxes] or ["nothing"])
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
) -> tuple[PromptBuilder, list[Record], list[Remark]]:
    """Return what makes prompts, the records with targets and splits, and remarks."""
    task = options.asked(task)
    if options.transforms is not None and options.asking is None:
        check_task(options.transforms, task)
    if options.size is not None and task.fields and task.has_places:
        raise ConfigError(
            f"size: the boxes of task {quote(task.name)} are a field, in pixels of the image as it "
            f"is; resize images and boxes before"
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
    records = assign_splits(records, options.fractions, options.seed)
    check_groups(records, private=source.private)
    records = limit_splits(records, options.limit, options.seed)
    remarks = [*source.remarks, *unsaid, *left_out, *_untold(task, prompts, options)]
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
        Remark(quote(one.text), "a statement that does not hold after review; left out", one.state)
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
    kept = [record for record in records if planned.questions.get(record.id)]
    return kept, GroundingRows(planned, prompts, options.seen, options.asked)


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
            self.summary.questions = grounding.counts
            self.summary.remarks += grounding.plan.remarks
        self.tiles: list[Tile] = []
        self.results = self._rendered()
        self._ranks = rank_records(records)
        self._seen: dict[bytes, Record] = {}
        self._torn: list[Remark] = []

    def write(self, split: str, folder: Path) -> None:
        """Write the rows of a split, if it has any."""
        records = self._of(split)
        rows = self._rows(records)
        first = next(rows, None)
        if first is not None:
            written = self._transformed(split, chain([first], rows))
            total = self.grounding.total(r.id for r in records) if self.grounding else len(records)
            total *= 1 + self.summary.copies[split]
            write_parquet(folder / f"{split}.parquet", written, total=total)
        elif records:
            self.summary.emptied.append(split)

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

    def check(self) -> None:
        """Raise `ConfigError` for what must not be passed over."""
        if self._torn and not self.options.drop_duplicates:
            raise ConfigError("\n".join([_TORN, *report_lines(self._torn)]))
        problems = self.summary.skipped
        emptied = self.summary.emptied
        if problems and (self.options.on_error == "stop" or emptied):
            heading = f"{len(problems)} images cannot be used (--on-error skip leaves them out):"
            if emptied:
                heading = f"no image of {' and '.join(emptied)} can be used:"
            raise ConfigError("\n".join([heading, *report_lines(problems)]))
        if emptied:
            raise ConfigError(f"no image of {' and '.join(emptied)} is left: all are duplicates")
        self.summary.remarks += [
            torn._replace(what=f"left out: {torn.what}") for torn in self._torn
        ]

    def _of(self, split: str) -> list[Record]:
        return [record for record in self.records if record.split == split]

    def _rendered(self) -> Generator[Rendered | Remark, None, None]:
        """Yield what came of each record, split by split, from one pool of workers."""
        options = self.options
        renderer = Renderer(self.source.load, options.reading, options.size)
        records = (record for split in _FIRST_TO_KEEP for record in self._of(split))
        jobs = (Job(record, self.source.fetch(record)) for record in records)
        yield from ordered_map(renderer, jobs, workers=self._workers)

    @property
    def _workers(self) -> int:
        return min(self.options.workers or cores(), 1 + len(self.records) // _FEW)

    def _rows(self, records: Sequence[Record]) -> Iterator[Row]:
        for record in records:
            result = next(self.results)
            if isinstance(result, Remark):
                self.summary.skipped.append(result)
            elif self._is_new(record, result.digest):
                truth = self._noted(record, result)
                if self.grounding:
                    yield from self.grounding.rows(record, result, self.summary.prompt)
                else:
                    yield self._row(record, result, truth)

    def _is_new(self, record: Record, digest: bytes) -> bool:
        """Note a picture that was seen before; return False if it was in another split."""
        before = self._seen.setdefault(digest, record)
        if before is record or (before.split == record.split and before.place == record.place):
            return True  # or another question about the same image
        if before.split != record.split:
            torn = f"{before.split}: {before.where}"
            self._torn.append(Remark(record.where, "its picture is in another split", torn))
            return False
        what = "same pixels as another image of its split; kept"
        if (before.label, before.boxes) != (record.label, record.boxes):
            what = "same pixels as another image of its split with another target; kept"
        self.summary.remarks.append(Remark(record.where, what, before.where))
        return True

    def _noted(self, record: Record, result: Rendered) -> str:
        """Count an image, keep it for the contact sheet, and return its ground truth."""
        seen = self.options.seen and qwen_resized(result.size, *self.options.seen)
        truth, names, title = finish_target(self.task, record, result, seen)
        self.summary.count(record, result, names)
        if record.id in self._ranks and result.png:
            heading, rank = f"{record.split}: {title}", self._ranks[record.id]
            self.tiles.append(Tile(rank, heading, record.id, result.png, result.boxes))
        return truth

    def _row(self, record: Record, result: Rendered, truth: str) -> Row:
        prompt = self._prompts_of(record, truth)(record.id)
        self.summary.prompt(prompt)
        split = str(record.split)
        return make_row(self.task, prompt, truth, result.pngs, id=record.id, split=split)

    def _prompts_of(self, record: Record, truth: str) -> PromptBuilder:
        """Return what makes the prompt of a record, which may have a question of its own."""
        target = self.task.parse_target(target_of(self.task, truth))
        return self.prompts.for_row(target, record.question)


@contextmanager
def _partial(out: Path) -> Iterator[Path]:
    """Give an empty folder in `out` for what is not finished; a killed run's is removed."""
    folder, is_new = out / _PARTIAL, not out.exists()
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if is_new and not any(out.iterdir()):
            out.rmdir()


def _publish(folder: Path, out: Path) -> tuple[Path, ...]:
    """Move the finished files to `out`, the card last: without it, a folder is not complete."""
    (out / CARD).unlink(missing_ok=True)
    for split in SPLITS:
        (out / f"{split}.parquet").unlink(missing_ok=True)
    rows = [f"{split}.parquet" for split in SPLITS if (folder / f"{split}.parquet").exists()]
    (out / SHEET).unlink(missing_ok=True)
    sheet = [SHEET] if (folder / SHEET).exists() else []
    return tuple((folder / name).replace(out / name) for name in (*rows, *sheet, CARD))
