"""Data sets of the Hugging Face ``datasets`` library: a local folder, or a name on the hub."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medreward.data.picture import load_bytes
from medreward.data.sources.base import SourceType, option
from medreward.data.sources.record import (
    Picture,
    ReadingOptions,
    Record,
    Remark,
    Source,
    UnusableError,
)
from medreward.data.sources.table import COLUMN_OPTIONS, unused_columns
from medreward.data.splits import split_name
from medreward.errors import ConfigError, expected, quote


class HuggingFaceDataset(SourceType):
    """A Hugging Face data set."""

    flags = (option("--hf", metavar="NAME", help="a Hugging Face data set: folder or name"),)
    options = (
        *COLUMN_OPTIONS,
        option("--hf-config", metavar="NAME", help="configuration of the data set"),
    )

    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the data set's images."""
        return open_hugging_face(
            arguments.hf,
            config=arguments.hf_config,
            image=arguments.image_column,
            label=arguments.label_column,
            patient=arguments.patient_column,
        )


def open_hugging_face(
    name: str | Path,
    *,
    config: str | None = None,
    image: str = "image",
    label: str = "label",
    patient: str | None = None,
) -> Source:
    """Return the images of a data set with its own splits.

    A data set with the single split "train", as the library calls what was not split, has none.

    Args:
        name: a folder that `save_to_disk` wrote or `load_dataset` reads, or a name on the hub.
        config: the data set's configuration, where it has several.
        image: column of images.
        label: column of labels; a ClassLabel gives its names, a Sequence of them several an image.
        patient: column of patients, to split by; None: the column "patient" if there is one.

    Raises:
        ConfigError: if ``datasets`` is not installed, or the data set or a column is missing.

    From the hub, or from a folder::

        source = open_hugging_face("name/of-a-data-set", label="finding", patient="patient")
        source = open_hugging_face("saved", image="scan")
    """
    parts = _splits(str(name), config)
    content, records = {}, []
    columns = next(iter(parts.values())).column_names if parts else []
    patient = patient or ("patient" if "patient" in columns else None)
    looks = unused_columns(columns, {image, label}, patient=patient is not None, split=True)
    remarks = tuple(
        Remark(
            Path(name).name,
            f"column {quote(column)} looks like a {what}, and is not used",
            f"--{what}-column {column} uses it",
        )
        for column, what in looks
    )
    for split, data in parts.items():
        _check_columns(str(name), data, {"image": image, "label": label, "patient": patient})
        content[split] = _undecoded(data, image)
        labels = _labels(data, label)
        groups = [None] * len(labels) if patient is None else [str(v) for v in data[patient]]
        records += [
            Record(
                id=f"{split}-{i}",
                where=f"split {split}, row {i}",
                place=(split, i),
                label=value,
                split=None if len(parts) == 1 and split == "train" else split_name(split),
                group=group,
            )
            for i, (value, group) in enumerate(zip(labels, groups, strict=True))
        ]
    if not records:
        raise ConfigError(f"{name}: the data set has no rows")
    fetch = _FetchRow(content, image)
    return Source(f"Hugging Face {Path(name).name}", records, _load, fetch, remarks=remarks)


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
        return [_name(feature, value) for value in data[label]]
    if not (hasattr(each, "names") or str(getattr(each, "dtype", "")) == "string"):
        raise ConfigError(
            f"column {quote(label)} holds {feature}; several labels an image are a Sequence of "
            f"ClassLabel or of texts, as numbers may be labels or zeros and ones"
        )
    return [
        None if values is None else tuple(_name(each, value) for value in values)
        for values in data[label]
    ]


def _name(feature: Any, value: Any) -> Any:
    """Return the name of a value of a ClassLabel; other values, and -1 for none, as they are."""
    names = getattr(feature, "names", None)
    return names[value] if names and value is not None and value >= 0 else value


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
