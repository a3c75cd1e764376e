"""What came of one record of a run: all that the counts, checks and the card need of it.

A run makes one for each record. A part of a run (`--part`) writes them to a file, so that the parts
can be joined by the same counting as in one run.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medreward.data.record_list import number_values
from medreward.data.sources.record import NamedBox, Record, Remark
from medreward.sheets.contact_sheet import Tile


@dataclass(frozen=True, slots=True)
class Identity:
    """Which record it is; the same numbers mean the same thing in all parts of a run.

    Attributes:
        where: names the image in reports.
        split: the record's.
        place: a number for its image file, equal for two records of one file.
        target: a number for its target, equal for equal targets.
    """

    where: str
    split: str
    place: int
    target: int


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """What came of a record.

    Attributes:
        identity: which record it is.
        digest: the same for two images of the same pixels.
        look: the grey values of a thumbnail, by which pictures look alike.
        problem: why its image cannot be used; None where it can.
        names: what the image is counted by: labels, or names of its boxes.
        remarks: what was done to it.
        facts: allow-listed facts from its header.
        rows: how many rows it gives, without copies.
        asked: the grounding question of each row.
        left_out: statements that had no room in its prompts.
        example: its first prompt, where it may become the card's example.
        tile: its picture, where it may be on the contact sheet.
    """

    identity: Identity
    digest: bytes = b""
    look: bytes = b""
    problem: Remark | None = None
    names: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    asked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    example: str = ""
    tile: Tile | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON holds, without what is empty."""
        one = self.identity
        content: dict[str, Any] = {
            "identity": [one.where, one.split, one.place, one.target],
            "digest": self.digest.hex(),
            "look": self.look.hex(),
            "problem": self.problem and list(self.problem),
            "names": list(self.names),
            "remarks": [list(remark) for remark in self.remarks],
            "facts": dict(self.facts),
            "rows": self.rows,
            "asked": list(self.asked),
            "left_out": list(self.left_out),
            "example": self.example,
            "tile": self.tile and _tile_to_json(self.tile),
        }
        return {name: value for name, value in content.items() if value}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RecordOutcome:
        """Return what `to_json` wrote."""
        where, split, place, target = content["identity"]
        problem = content.get("problem")
        return cls(
            identity=Identity(where, split, int(place), int(target)),
            digest=bytes.fromhex(content.get("digest", "")),
            look=bytes.fromhex(content.get("look", "")),
            problem=problem and Remark(*problem),
            names=tuple(content.get("names", ())),
            remarks=tuple(Remark(*remark) for remark in content.get("remarks", ())),
            facts=content.get("facts", {}),
            rows=int(content.get("rows", 0)),
            asked=tuple(content.get("asked", ())),
            left_out=tuple(content.get("left_out", ())),
            example=content.get("example", ""),
            tile=_tile_from_json(content["tile"]) if "tile" in content else None,
        )


def _tile_to_json(tile: Tile) -> list[Any]:
    boxes = [[name, list(box)] for name, box in tile.boxes]
    png = base64.b64encode(tile.png).decode("ascii")
    return [tile.rank, tile.title, tile.id, png, boxes, list(tile.masks)]


def _tile_from_json(content: list[Any]) -> Tile:
    rank, title, name, png, boxes, *masks = content  # a part of an older version has no masks
    found = [NamedBox(label, tuple(box)) for label, box in boxes]
    return Tile(int(rank), title, name, base64.b64decode(png), found, *masks)


class Identities:
    """Gives the records of a run their identities, by their place in the source.

    >>> a = Record("a", "a", ("images", "1.png"), label="normal", split="train")
    >>> b = Record("b", "b", ("images", "1.png"), label="pneumonia", split="train")
    >>> second = Identities([a, b]).of(1)
    >>> second.where, second.place, second.target
    ('b', 0, 1)
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._places = number_values(record.place for record in records)
        self._targets = number_values(
            (record.label, record.boxes, record.readers) for record in records
        )

    def of(self, index: int) -> Identity:
        """Return the identity of a record."""
        record = self._records[index]
        place, target = int(self._places[index]), int(self._targets[index])
        return Identity(record.where, str(record.split), place, target)
