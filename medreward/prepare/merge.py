"""The parts of a run -> the rows, card and contact sheet of the whole run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from medreward.data.check import open_parquet, rows_in
from medreward.data.parquet import write_parquet
from medreward.data.row_files import write_shards
from medreward.data.rows import Row
from medreward.errors import ConfigError
from medreward.files.atomic import write_text_atomic
from medreward.prepare.dataset_card import Summary, card
from medreward.prepare.output import CARD, ORDER, SHEET, partial_folder, publish
from medreward.prepare.parts import (
    PartState,
    find_parts,
    journal_file,
    read_journal,
    rows_file,
    totals,
)
from medreward.prepare.tally import Tally
from medreward.sheets.contact_sheet import contact_sheet


def merge_parts(
    folders: Sequence[str | Path], out: str | Path, *, shard_rows: int | None = None
) -> Summary:
    """Join the parts of a run: the same files as one run would have written.

    What only the whole run can know is checked here: pictures in two splits, splits of which no
    image is left, that all parts saw the same labels, splits and patients with the same options.

    Args:
        folders: the parts, or folders that hold them.
        out: the folder to write to.
        shard_rows: at most so many rows a file; None: as the parts were told.

    Raises:
        ConfigError: if a part is missing, broken or of another run, or as `prepare` does. Nothing
            is written then.

    Four machines make a part each, into one folder or into four that are copied to one::

        prepare(source, task, "rows", Options(part=(1, 4)))
        merge_parts(["rows"], "rows")
    """
    parts = find_parts(folders)
    state = parts[0][1]
    summary = Summary(source=state.source, noun=state.noun, remarks=list(state.remarks))
    tally = Tally(summary, drop_duplicates=state.drop_duplicates, on_error=state.on_error)
    size = shard_rows or state.shard_rows
    emptied = []
    with partial_folder(Path(out)) as folder:
        for split in ORDER:
            if not state.expected.get(split):
                continue
            rows = _rows(parts, split, tally)
            first = next(rows, None)
            if first is None:
                emptied.append(split)
                continue
            if split in state.copies:
                summary.copies[split] = state.copies[split]
            if size is None:
                write_parquet(folder / f"{split}.parquet", chain([first], rows))
            else:
                write_shards(folder, split, chain([first], rows), size)
        tally.check(emptied)
        if tally.tiles:
            contact_sheet(tally.tiles, folder / SHEET)
        write_text_atomic(folder / CARD, card(summary, state.facts))
        summary.files = publish(folder, Path(out))
    return summary


def _rows(parts: Sequence[tuple[Path, PartState]], split: str, tally: Tally) -> Iterator[Row]:
    """Yield the rows of a split that are kept, part by part."""
    for folder, state in parts:
        yield from _rows_of_part(folder, state, split, tally)


def _rows_of_part(folder: Path, state: PartState, split: str, tally: Tally) -> Iterator[Row]:
    path = rows_file(folder, split)
    rows: Iterator[Row] = iter(rows_in(open_parquet(path), path) if path.is_file() else ())
    each, count = 1 + state.copies.get(split, 0), 0
    for outcome in read_journal(journal_file(folder, split)):
        count += 1
        own = list(islice(rows, outcome.rows * each))
        if len(own) != outcome.rows * each:
            raise ConfigError(f"{path}: it has fewer rows than when it was written; make it again")
        if tally.add(outcome):
            yield from own
    expected = totals(state.expected, state.index, state.count)[split]
    if count != expected or next(rows, None) is not None:
        raise ConfigError(
            f"{folder}: {split} has {count} records, and its share is {expected}; or it has rows "
            f"of no record; make the part again: --part {state.index}/{state.count}"
        )
