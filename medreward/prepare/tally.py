"""Counting a run: which pictures were seen, what cannot be used, what is left of each split."""

from __future__ import annotations

from collections.abc import Collection

from medreward.data.sources.record import Remark, report_lines
from medreward.errors import ConfigError
from medreward.prepare.dataset_card import Summary
from medreward.prepare.look_alikes import WHAT, LookAlikes
from medreward.prepare.outcome import RecordOutcome
from medreward.prepare.seen import SeenPictures
from medreward.sheets.contact_sheet import Tile

_TORN = (
    "the same picture is in two splits (--drop-duplicates keeps the one in test, or else in val):"
)


class Tally:
    """Takes the outcomes of a run in the order of `medreward.prepare.run.ORDER` of its splits.

    Args:
        summary: is counted up.
        drop_duplicates: whether a picture in two splits is dropped from one, not refused.
        on_error: "stop" or "skip", at images that cannot be used.

    Attributes:
        summary: what was counted.
        tiles: pictures that may be on the contact sheet.
    """

    def __init__(self, summary: Summary, *, drop_duplicates: bool, on_error: str) -> None:
        self.summary = summary
        self.tiles: list[Tile] = []
        self._drop_duplicates, self._on_error = drop_duplicates, on_error
        self._seen, self._looks = SeenPictures(), LookAlikes()
        self._torn: list[Remark] = []

    def add(self, outcome: RecordOutcome) -> bool:
        """Count what came of a record, and return whether its rows are kept."""
        if outcome.problem is not None:
            self.summary.skipped.append(outcome.problem)
            return False
        if not self._is_new(outcome):
            return False
        self.summary.count(outcome)
        if outcome.tile is not None:
            self.tiles.append(outcome.tile)
        return True

    def _is_new(self, outcome: RecordOutcome) -> bool:
        """Note a picture that was seen before; return False if it was in another split."""
        one = outcome.identity
        before = self._seen.first(outcome.digest, one)
        if before is None:
            self._looks.add(outcome.look, one)
            return True
        if before.split == one.split and before.place == one.place:
            return True  # or another question about the same image
        if before.split != one.split:
            torn = f"{before.split}: {before.where}"
            self._torn.append(Remark(one.where, "its picture is in another split", torn))
            return False
        what = "same pixels as another image of its split; kept"
        if before.target != one.target:
            what = "same pixels as another image of its split with another target; kept"
        self.summary.remarks.append(Remark(one.where, what, before.where))
        return True

    def check(self, emptied: Collection[str] = ()) -> None:
        """Raise `ConfigError` for what must not be passed over.

        Args:
            emptied: splits that have records and no row; of a part of a run, that is nobody's
                concern yet.
        """
        if self._torn and not self._drop_duplicates:
            raise ConfigError("\n".join([_TORN, *report_lines(self._torn)]))
        problems = self.summary.skipped
        if problems and (self._on_error == "stop" or emptied):
            heading = f"{len(problems)} images cannot be used (--on-error skip leaves them out):"
            if emptied:
                heading = f"no image of {' and '.join(emptied)} can be used:"
            raise ConfigError("\n".join([heading, *report_lines(problems)]))
        if emptied:
            raise ConfigError(f"no image of {' and '.join(emptied)} is left: all are duplicates")
        alike, others = self._looks.remarks()
        self.summary.remarks += alike
        self.summary.more[WHAT] += others
        self.summary.remarks += [
            torn._replace(what=f"left out: {torn.what}") for torn in self._torn
        ]
