"""What a source of data is to `medreward prepare`: its flags, its options and its reader.

A source is one class in one module of this package, listed in `medreward.data.sources.registry`.
"""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from medreward.data.sources.record import Source


@dataclass(frozen=True)
class Option:
    """An option of the command line: its name and what `add_argument` takes beside it.

    >>> option("--mask-regions", default="components").attribute
    'mask_regions'
    """

    name: str
    settings: Mapping[str, Any] = field(compare=False)

    @property
    def attribute(self) -> str:
        """The name of its value among the parsed arguments."""
        return self.name.removeprefix("--").replace("-", "_")


def option(name: str, **settings: Any) -> Option:
    """Return an option, written as `add_argument` is called.

    >>> option("--grey", metavar="LABEL,LABEL", help="labels of grey images").name
    '--grey'
    """
    return Option(name, settings)


CSV = option(
    "--csv", metavar="FILE", help="a table with one row for each image: path, label, split, patient"
)
IMAGES = option(
    "--images", metavar="DIR", help="images, with --csv, --coco, --masks or --label-studio"
)


class SourceType(ABC):
    """A kind of source.

    Attributes:
        flags: the options that name it: all of them have to be given, and no other source's. The
            first one tells sources apart; several may share it if their other flags differ.
        options: further options, which may be left out; several sources may have the same ones.
        example: the words of a command line that name it, for the help.

    >>> from medreward.data.sources import open_class_folders
    >>> class Labelled(SourceType):
    ...     flags = (option("--labelled", metavar="DIR", help="a folder a label"),)
    ...     def open(self, arguments):
    ...         return open_class_folders(arguments.labelled)
    >>> [flag.attribute for flag in Labelled.flags]
    ['labelled']
    """

    flags: ClassVar[tuple[Option, ...]]
    options: ClassVar[tuple[Option, ...]] = ()
    example: ClassVar[str] = ""

    @abstractmethod
    def open(self, arguments: argparse.Namespace) -> Source:
        """Return the source that the arguments name.

        Raises:
            ConfigError: if a file is missing or not in the source's form.
        """
