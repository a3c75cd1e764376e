"""Whether the rows that a trainer has are of the tasks that its reward functions know.

A function gives None for rows of other tasks, so that a mixture can have several sets of functions.
Where no function takes a row, TRL goes on with a loss of 0, so that is an error here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from medreward import ConfigError
from medreward.errors import quote

SetOf: TypeAlias = "Callable[[Any], RowTasks | None]"
_SHOWN = 5


class RowTasks:
    """Checks the tasks of rows against those of a set of reward functions.

    Args:
        ours: the tasks that the set takes.
        others: the tasks that other functions take, as the user says.
    """

    def __init__(self, ours: Sequence[str], others: Sequence[str] = ()) -> None:
        self.ours, self.others = tuple(ours), tuple(others)
        self._has_seen = False  # a row of ours, in any batch
        self._has_checked = False  # the trainer's data set

    def check(self, tasks: Sequence[str | None], trainer: Any, set_of: SetOf) -> None:
        """Make sure that a function takes each row of a batch.

        Where the trainer or its data set is not seen, a batch without any row of ours is let pass
        after one that had some: what other functions take is not known there.

        Args:
            tasks: those of the batch's rows; None stands for ours.
            trainer: the trainer, None where it is not known.
            set_of: returns the `RowTasks` of a reward function, None of one that is not ours.

        Raises:
            ConfigError: naming the tasks of both, and the mend.
        """
        funcs = [] if trainer is None else list(trainer.reward_funcs)
        sets = [one for func in funcs if (one := set_of(func)) is not None]
        taken = {*self.ours, *self.others, *(name for one in sets for name in one.all_taken)}
        is_whole = bool(funcs) and len(sets) == len(funcs)  # no function of another make
        if not self._has_checked:
            self._has_checked = True
            data = tasks_of_data(getattr(trainer, "train_dataset", None))
            self._check_data(data, taken, is_whole)
        foreign = sorted({name for name in tasks if name is not None} - taken)
        self._has_seen = self._has_seen or any(name in (None, *self.ours) for name in tasks)
        if foreign and (is_whole or not self._has_seen):
            raise self._unknown("the rows of this batch", foreign)

    @property
    def all_taken(self) -> tuple[str, ...]:
        """The tasks that this set or others take, as far as the set says it."""
        return (*self.ours, *self.others)

    def _check_data(self, tasks: set[str], taken: set[str], is_whole: bool) -> None:
        if not tasks:
            return
        if not tasks & set(self.ours):
            raise self._unknown("the rows of the data set", sorted(tasks))
        self._has_seen = True
        if is_whole and tasks - taken:
            raise self._unknown("some rows of the data set", sorted(tasks - taken))

    def _unknown(self, which: str, tasks: Sequence[str]) -> ConfigError:
        return ConfigError(
            f"column 'task': {which} are of {_list(tasks)}, and the reward is for "
            f"{_list(self.ours)}: it would be None for them, and nothing learnt; name the card "
            f"that the rows were prepared with, reward_funcs({tasks[0]!r}), or several in a list, "
            f"or prepare the rows with --task {self.ours[0]}; if functions of your own reward "
            f"these rows, say so: other_tasks={[*tasks[:_SHOWN]]!r}"
        )


def tasks_of_data(data: Any) -> set[str]:
    """Return the tasks of a data set's rows; none where they cannot be told without reading it.

    >>> tasks_of_data(iter([{"task": "a"}]))  # a stream
    set()
    """
    if not hasattr(data, "unique") or "task" not in (data.column_names or ()):
        return set()
    found: Iterable[Any] = data.unique("task")
    return {name for name in found if isinstance(name, str)}


def _list(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(map(quote, names[:_SHOWN]))
    return shown if more <= 0 else f"{shown} and {more} more"
