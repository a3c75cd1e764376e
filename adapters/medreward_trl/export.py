"""Rows of ``medreward prepare`` -> a folder that TRL's command line reads by itself.

The rows' own columns are veRL's. TRL's command line loads a data set without a chance to map it, so
the columns have to be TRL's in the files::

    python -m medreward_trl.export rows/retina --out trl_rows/retina
    trl grpo --dataset_name trl_rows/retina --reward_funcs medreward_trl.tasks.retinamnist ...

Each file becomes a split: train.parquet, val.parquet (TRL calls it validation), test.parquet. The
shards of a split become one file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from medreward import ConfigError
from medreward.data.row_files import files_by_split
from medreward.files.atomic import replacing
from medreward_trl.dataset import check_together, count_images, load_rows, to_trl


def export_rows(folder: str | Path, out: str | Path) -> dict[str, int]:
    """Write the parquet files of a folder to another one with TRL's columns.

    Args:
        folder: what ``medreward prepare`` wrote.
        out: a folder, made if there is none.

    Returns:
        The number of rows of each file.

    Raises:
        ConfigError: if there is no parquet file, or one of them has other columns.
    """
    splits = files_by_split(folder)
    if Path(out).resolve() == Path(folder).resolve():
        raise ConfigError(f"--out: {out} is the folder of the rows themselves")
    loaded = {f"{split}.parquet": load_rows(files) for split, files in splits.items()}
    counts = {name: count_images(data) for name, data in loaded.items()}
    for name, own in counts.items():
        check_together(str(Path(folder) / name), own)
    # The splits of a data set share their columns.
    several = any(count != 1 for own in counts.values() for count in own)
    Path(out).mkdir(parents=True, exist_ok=True)
    for name, data in loaded.items():
        with replacing(Path(out) / name) as scratch:
            to_trl(data, several=several).to_parquet(scratch)
    return {name: len(data) for name, data in loaded.items()}


def main() -> int:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="what `medreward prepare` wrote")
    parser.add_argument("--out", type=Path, required=True, help="a folder for TRL's rows")
    arguments = parser.parse_args()
    try:
        written = export_rows(arguments.folder, arguments.out)
    except ConfigError as error:
        print(f"medreward_trl.export: {error}", file=sys.stderr)
        return 2
    for name, count in written.items():
        print(f"{arguments.out / name}: {count} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
