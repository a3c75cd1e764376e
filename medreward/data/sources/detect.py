"""From a path to the options of `medreward prepare` by which its data are read, by what is there.

Only facts count: files of a format, columns whose cells are files. Where two readings are possible,
it is an error that names both.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from medreward.data.image_file import SUFFIXES
from medreward.data.sources.mask_names import in_place_of_classes, pair_by_folders
from medreward.data.sources.table import files_in, is_picture
from medreward.data.splits import split_or_none
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_text

_MOST_LABELS = 60  # values that a column of labels may have
_MOST_ROWS = 2000  # of a table that are looked at
_SEPARATORS = "|;"


class Detected(NamedTuple):
    """How data are read: options of `medreward prepare`, and why, in words."""

    options: list[str]
    why: list[str]


def detect_source(
    path: str | Path, images: str | Path | None = None, given: Collection[str] = ()
) -> Detected:
    """Return the options for the data at a path: a folder, or a table or annotation file.

    Args:
        path: the data.
        images: the folder of the images, where it is not beside the file.
        given: options that need not be seen in the data, such as "--label-column".

    Raises:
        ConfigError: if no layout is seen, or several are.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for label in ("benign", "malignant"):
    ...     (folder / label).mkdir()
    ...     Image.new("L", (8, 8)).save(folder / label / "1.png")
    >>> detect_source(folder).options[0]
    '--folders'
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, given)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file or folder")
    root = Path(images) if images is not None else path.parent
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt"):
        return _table(path, root, given)
    if suffix == ".json":
        return _json(path, root)
    if suffix == ".npz":
        return Detected(["--npz", str(path)], [f"{path.name} is an npz file"])
    if suffix == ".xml":
        return Detected(["--cvat", str(path)], [f"{path.name} is taken for CVAT's"])
    raise ConfigError(
        f"{path}: neither a folder nor a .csv, .tsv, .json, .xml or .npz file; the options of "
        f"`medreward prepare --help` name other sources"
    )


def _folder(folder: Path, given: Collection[str]) -> Detected:
    paths = files_in(folder)
    found = [Detected([*options], [why]) for options, why in _layouts(folder, paths)]
    if len(found) > 1:
        named = " or ".join(" ".join(one.options[:1]) for one in found)
        said = "; ".join(one.why[0] for one in found)
        raise ConfigError(f"{folder}: {said}: give {named} in place of --from")
    if found:
        return found[0]
    tables = [p for p in paths if p.lower().endswith((".csv", ".tsv"))]
    if len(tables) == 1:
        return _table(folder / tables[0], folder, given)
    pictures = [p for p in paths if is_picture(p)]
    if in_place_of_classes(pair_by_folders(pictures)):
        both = ["--images", str(folder), "--masks", str(folder)]
        return Detected(both, ["its folders of images and masks hold the same names"])
    if any(len(PurePath(p).parts) > 1 for p in pictures):
        return Detected(["--folders", str(folder)], ["its folders have images: a class each"])
    many = f"{len(tables)} tables ({', '.join(tables[:5])}): give one of them" if tables else ""
    raise ConfigError(f"{folder}: {many or 'no layout is seen in it'}")


def _layouts(folder: Path, paths: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """Yield the options of each layout of annotation files in a folder, and why."""
    there = {*paths}
    where = str(folder)
    if there & {"data.yaml", "data.yml", "dataset.yaml"}:
        yield ["--yolo", where], "data.yaml: YOLO"
    if "annotations.xml" in there:
        yield ["--cvat", where], "annotations.xml: CVAT"
    elif any(p.endswith(".xml") for p in paths):
        yield ["--voc", where], "xml files: Pascal VOC"
    if there & {"dataset_dict.json", "state.json"}:
        yield ["--hf", where], "a saved Hugging Face data set"
        return
    coco: dict[str, str] = {}
    for path in paths:
        if not path.endswith(".json"):
            continue
        content = _content(folder / path)
        if _is_coco(content):
            split = next(filter(None, map(split_or_none, _words(path))), None)
            coco[split or path] = path
        elif isinstance(content, Mapping) and isinstance(content.get("shapes"), list):
            yield ["--labelme", where], "json files with shapes: LabelMe"
            return
    if coco:
        one = len(coco) == 1
        files = [
            str(folder / path) if one else f"{split}={folder / path}"
            for split, path in coco.items()
        ]
        options = ["--images", where, *(x for file in files for x in ("--coco", file))]
        yield options, "json files with images, annotations and categories: COCO"


def _words(path: str) -> list[str]:
    """Return the words of a path, by one of which it may name a split."""
    return re.split(r"[/_.-]", os.path.splitext(path)[0])


def _content(path: Path) -> Any:
    try:
        return parse_json(read_text(path))
    except ConfigError:
        return None


def _is_coco(content: Any) -> bool:
    wanted = {"images", "annotations", "categories"}
    return isinstance(content, Mapping) and wanted <= {*content}


def _json(path: Path, root: Path) -> Detected:
    content = _content(path)
    if _is_coco(content):
        return Detected(["--images", str(root), "--coco", str(path)], [f"{path.name}: COCO"])
    if isinstance(content, list) and content and "annotations" in content[0]:
        options = ["--images", str(root), "--label-studio", str(path)]
        return Detected(options, [f"{path.name}: Label Studio"])
    raise ConfigError(
        f"{path}: neither COCO (images, annotations, categories) nor Label Studio's export"
    )


def _table(table: Path, root: Path, given: Collection[str]) -> Detected:
    """Return the options for a table: which columns are images and labels is seen in the cells."""
    rows, names = _rows(table)
    options, said = ["--images", str(root), "--csv", str(table)], []
    if "--image-column" not in given:
        image, suffix = _image_column(table, root, rows, names)
        options += [] if image == "image" else ["--image-column", image]
        options += ["--image-suffix", suffix] if suffix else []
        said.append(f"column {quote(image)} names files in {root}")
        names = [name for name in names if name != image]
    if not {"--label-column", "--label-columns"} & {*given}:
        label, why = _label_column(table, rows, names)
        options += [] if label == "label" else ["--label-column", label]
        said.append(why)
        separator = _separator([row[label] for row in rows])
        if separator and "--label-separator" not in given:
            options += ["--label-separator", separator]
            said.append(f"its cells have several labels with {separator!r} between them")
    return Detected(options, said)


def _rows(table: Path) -> tuple[list[dict[str, str]], list[str]]:
    text = read_text(table, "utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    rows = [
        {name: (cell or "").strip() for name, cell in row.items() if name}
        for _, row in zip(range(_MOST_ROWS), reader, strict=False)
    ]
    if not rows:
        raise ConfigError(f"{table}: it has no rows")
    return rows, list(reader.fieldnames or [])


def _image_column(
    table: Path, root: Path, rows: Sequence[Mapping[str, str]], names: Sequence[str]
) -> tuple[str, str]:
    """Return the column whose cells are files in the folder, and what to add to them."""
    files = {path.replace(os.sep, "/") for path in files_in(root) if is_picture(path)}
    bases = {os.path.basename(path) for path in files}
    suffixes = ["", *sorted({os.path.splitext(path)[1] for path in files} & {*_both_cases()})]
    for name in names:
        for suffix in suffixes:
            cells = [row[name] + suffix for row in rows if row.get(name)]
            hits = sum(cell in files or os.path.basename(cell) in bases for cell in cells)
            if cells and hits > len(rows) / 2:
                return name, suffix
    raise ConfigError(
        f"{table}: no column names pictures in {root}, which has {len(files)}; --images says where "
        f"they are; its columns are {', '.join(names)}"
    )


def _both_cases() -> Iterator[str]:
    for suffix in SUFFIXES:
        yield suffix
        yield suffix.upper()


def _label_column(
    table: Path, rows: Sequence[Mapping[str, str]], names: Sequence[str]
) -> tuple[str, str]:
    """Return the column of labels: the one named so, or the only one of few values that recur."""
    if "label" in names:
        return "label", "column 'label' has the labels"
    values = {
        name: Counter(part.strip() for row in rows for part in re.split(r"[|;]", row.get(name, "")))
        for name in names
    }
    known = ("split", "patient", "fold", "subset")
    few = {
        name: counts
        for name, counts in values.items()
        if 2 <= len(counts) <= min(_MOST_LABELS, len(rows) * 2 // 3) and name.lower() not in known
    }
    if len(few) == 1:
        name = next(iter(few))
        return name, f"column {quote(name)} is the only one with few values that recur"
    shown = "; ".join(f"{name}: {', '.join([*counts][:4])}" for name, counts in few.items())
    raise ConfigError(
        f"{table}: {len(few)} columns could be the labels ({shown or ', '.join(names)}); "
        f"--label-column NAME says which, --label-columns NAME… columns of 0 and 1"
    )


def _separator(cells: Sequence[str]) -> str:
    """Return what stands between several labels in cells, if the parts recur as whole cells do."""
    for sign in _SEPARATORS:
        joined = [cell for cell in cells if sign in cell]
        parts = {part.strip() for cell in joined for part in cell.split(sign)}
        if joined and len(parts) <= len({*joined}) + len({*cells} - {*joined}):
            return sign
    return ""
