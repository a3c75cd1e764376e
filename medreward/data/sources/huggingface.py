"""Data sets of the Hugging Face ``datasets`` library: a local folder, or a name on the hub."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medreward.data.picture import load_bytes
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.measures import measured, say_measures
from medreward.data.sources.objects import Found, class_name, read_objects
from medreward.data.sources.record import (
    Picture,
    ReadingOptions,
    Record,
    Remark,
    Source,
    UnusableError,
)
from medreward.data.sources.table import column_options, unused_columns
from medreward.data.splits import split_name
from medreward.errors import ConfigError, expected, quote


class HuggingFaceDataset(SourceType):
    """A Hugging Face data set."""

    flags = (option("--hf", metavar="NAME", help="a Hugging Face data set: folder or name"),)
    options = (
        *column_options("--image-column", "--label-column", "--patient-column"),
        option("--hf-config", metavar="NAME", help="configuration of the data set"),
        option(
            "--objects-column",
            metavar="NAME",
            help="of a Hugging Face set: objects with bbox and category, instead of labels",
        ),
        option(
            "--box-format",
            metavar="NAME",
            help="of its boxes: coco (x, y, width, height) or voc (x1, y1, x2, y2)",
        ),
    )
    example = "--task skin.yaml --hf saved --label-column dx"

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the data set's images."""
        return open_hugging_face(
            arguments.hf,
            config=arguments.hf_config,
            image=arguments.image_column,
            label=arguments.label_column,
            patient=arguments.patient_column,
            objects=arguments.objects_column,
            box_format=arguments.box_format,
            measures=getattr(arguments, "measures", ()),
        )


def open_hugging_face(
    name: str | Path,
    *,
    config: str | None = None,
    image: str = "image",
    label: str = "label",
    patient: str | None = None,
    objects: str | None = None,
    box_format: str | None = None,
    measures: Sequence[str] = (),
) -> Source:
    """Return the images of a data set with its own splits.

    A data set with the single split "train", as the library calls what was not split, has none.

    Args:
        name: a folder that `save_to_disk` wrote or `load_dataset` reads, or a name on the hub.
        config: the data set's configuration, where it has several.
        image: column of images.
        label: column of labels; a ClassLabel gives its names, a Sequence of them several an image.
        patient: column of patients, to split by; None: the column "patient" if there is one.
        objects: column of objects with ``bbox`` and ``category``, in place of labels.
        box_format: "coco" or "voc", see `medreward.data.sources.objects.BOX_FORMATS`; None: what
            the boxes themselves allow, if that is one of the two.
        measures: where labels are numbers, columns such as "unit" that belong to them, where the
            data set has them.

    Raises:
        ConfigError: if ``datasets`` is not installed, the data set or a column is missing, or the
            boxes could be of either format.

    From the hub, or from a folder::

        source = open_hugging_face("name/of-a-data-set", label="finding", patient="patient")
        source = open_hugging_face("saved", image="scan")
    """
    parts = _splits(str(name), config)
    content, records = {}, []
    columns = next(iter(parts.values())).column_names if parts else []
    patient = patient or ("patient" if "patient" in columns else None)
    named = objects or label
    looks = unused_columns(columns, {image, named}, patient=patient is not None, split=True)
    remarks = [
        Remark(
            Path(name).name,
            f"column {quote(column)} looks like a {what}, and is not used",
            f"--{what}-column {column} uses it",
        )
        for column, what in looks
    ]
    for split, data in parts.items():
        what = "objects" if objects else "label"
        _check_columns(str(name), data, {"image": image, what: named, "patient": patient})
        content[split] = _undecoded(data, image)
    if objects is None:
        own = [one for one in measures if one in columns]
        remarks += say_measures(Path(name).name, own)
        rows = {split: _with_measures(d, _labels(d, label), own) for split, d in parts.items()}
    else:
        rows, said = read_objects(parts, objects, box_format)
        remarks += said
    for split, data in parts.items():
        groups = [None] * len(data) if patient is None else [str(v) for v in data[patient]]
        records += [
            Record(
                id=f"{split}-{i}",
                where=f"split {split}, row {i}",
                place=(split, i),
                label=found.label,
                boxes=found.boxes,
                dropped=found.dropped,
                unsaid=found.unsaid,
                split=None if len(parts) == 1 and split == "train" else split_name(split),
                group=group,
            )
            for i, (found, group) in enumerate(zip(rows[split], groups, strict=True))
        ]
    if not records:
        raise ConfigError(f"{name}: the data set has no rows")
    fetch = _FetchRow(content, image)
    return Source(f"Hugging Face {Path(name).name}", records, _load, fetch, remarks=tuple(remarks))


def _splits(name: str, config: str | None) -> Mapping[str, Any]:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ConfigError("--hf needs the datasets library: pip install datasets") from error
    try:
        saved = (Path(name) / "dataset_dict.json").is_file() or (
            Path(name) / "state.json"
        ).is_file()
        found = datasets.load_from_disk(name) if saved else datasets.load_dataset(name, config)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ConfigError(f"{name}: the data set cannot be loaded: {error}") from error
    return found if isinstance(found, dict) else {"train": found}


def _check_columns(name: str, data: Any, columns: Mapping[str, str | None]) -> None:
    for what, column in columns.items():
        if column is not None and column not in data.column_names:
            raise expected(f"{name}: {what} column", column, data.column_names)


def _undecoded(data: Any, image: str) -> Any:
    from datasets import Image

    feature = data.features[image]
    fields = {*feature} if isinstance(feature, Mapping) else set()
    # What pandas, veRL and others write: bytes and a path, without the type of an image.
    is_file = bool(fields) and fields <= {"bytes", "path"} and "bytes" in fields
    is_bytes = str(getattr(feature, "dtype", "")) in ("binary", "large_binary")
    if not (isinstance(feature, Image) or is_file or is_bytes):
        raise ConfigError(f"column {quote(image)} holds {feature}, not images")
    return data if is_file or is_bytes else data.cast_column(image, Image(decode=False))


def _labels(data: Any, label: str) -> list[Any]:
    """Return the labels of a column; of several an image, a tuple of them."""
    feature = data.features[label]
    each = getattr(feature, "feature", None)
    if each is None:
        return [class_name(feature, value) for value in data[label]]
    if not (hasattr(each, "names") or str(getattr(each, "dtype", "")) == "string"):
        raise ConfigError(
            f"column {quote(label)} holds {feature}; several labels an image are a Sequence of "
            f"ClassLabel or of texts, as numbers may be labels or zeros and ones"
        )
    return [
        None if values is None else tuple(class_name(each, value) for value in values)
        for values in data[label]
    ]


def _with_measures(data: Any, labels: Sequence[Any], names: Sequence[str]) -> list[Found]:
    """Return the labels of a split, each with what the columns that belong to it say."""
    if not names:
        return [Found(label=label) for label in labels]
    columns = [data[name] for name in names]
    cells = zip(labels, *columns, strict=True)
    return [Found(label=measured(x, dict(zip(names, own, strict=True)))) for x, *own in cells]


class _FetchRow:
    """Takes an image's file content in the main process, from memory-mapped tables."""

    def __init__(self, content: Mapping[str, Any], image: str) -> None:
        self.content, self.image = content, image

    def __call__(self, record: Record) -> dict[str, Any]:
        split, index = record.place
        file = self.content[split][index][self.image] or {}
        return {"bytes": file} if isinstance(file, bytes) else dict(file)


def _load(file: Mapping[str, Any], reading: ReadingOptions) -> Picture:
    if file.get("bytes") is not None:
        return load_bytes(file["bytes"], reading)
    if not file.get("path"):
        raise UnusableError("the row has no image")
    try:
        return load_bytes(Path(file["path"]).read_bytes(), reading)
    except OSError as error:
        raise UnusableError(f"its file cannot be read: {error.strerror}") from error
