"""Any reward, by name or dotted path, behind one call: completion and target in, number out.

medreward's own reward is ``shaped``. A user's is "package.module:function",
"package.module.function" or "file.py:function", and is called as a trainer would call it:

=============  =====================================================================================
``trl``        ``f(prompts=, completions=, completion_ids=, <target column>=, …)`` -> list; prompts
               and completions are chat messages, as TRL passes them where prompts are
``trl-text``   the same with prompts and completions as strings
``verl``       ``f(data_source=, solution_str=, ground_truth=, extra_info=)`` -> a number, or a
               dictionary with ``score``
``plain``      ``f(completion, target)`` -> a number
``batch``      ``f(completions, targets)`` -> list
=============  =====================================================================================

Which one it is, is read off the parameters' names (:func:`detect_signature`) unless it is named.
The function may be async. What it raises comes through as it is, with a note that says where.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

from medreward.errors import ConfigError, expected, quote
from medreward.files.functions import load_function
from medreward.kinds.truth import ground_truth, target_of
from medreward.scoring.scorer import Score, Scorer
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.text.completion import ChatMessages, CompletionLike, completion_text

OWN = "shaped"
SIGNATURES = ("trl", "trl-text", "verl", "plain", "batch")
# Under these names a data set's truth is looked for by a reward that takes any column.
TARGET_COLUMNS = ("target", "solution", "ground_truth", "answer", "label")
_OWN_COLUMNS = ("prompts", "completions", "completion_ids", "log_extra", "log_metric")
_OPTIONAL = ("task", "prompt", "knowledge")


class ReturnError(TypeError):
    """A reward returned something else than one finite number for one completion."""


@dataclass(frozen=True)
class Earned:
    """What a reward gives for one completion.

    Attributes:
        total: the number that the trainer would get.
        parts: the parts of our own score, or the other numbers in a veRL reward's dictionary.
        score: the whole score, for medreward's own reward.
    """

    total: float
    parts: Mapping[str, float] = field(default_factory=dict)
    score: Score | None = None


class Reward(Protocol):
    """A reward as the audit calls it; `name` and `signature` are for reports."""

    name: str
    signature: str

    def earned(
        self,
        completion: CompletionLike,
        target: object,
        *,
        prompt: str | None = None,
        knowledge: str | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> Earned:
        """Return what a completion earns, with parts where the reward gives them.

        Args:
            completion: a string, or chat messages.
            target: the truth, in any form that the task knows.
            prompt: the prompt's text (default: the task's question).
            knowledge: the knowledge in the prompt (default: the card's).
            columns: further columns of the row, which replace those of the same name.
        """
        ...

    def __call__(
        self,
        completion: CompletionLike,
        target: object,
        *,
        prompt: str | None = None,
        knowledge: str | None = None,
    ) -> float:
        """Return the number alone."""
        return self.earned(completion, target, prompt=prompt, knowledge=knowledge).total


def load_reward(
    path: str,
    task: str | Path | Task,
    *,
    signature: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Reward:
    """Return the reward at `path`, bound to a task.

    Args:
        path: "shaped" (medreward's own), "package.module:function", "package.module.function" or
            "file.py:function". The working directory is searched too.
        task: a shipped task's name, the path of a card, or a `Task`.
        signature: one of `SIGNATURES`; None to read it off the parameters.
        settings: override the card's reward settings, for medreward's own reward.

    Raises:
        ConfigError: if there is no such reward, or its signature cannot be told.

    >>> reward = load_reward("shaped", "pneumoniamnist")
    >>> reward("<think>Opacity.</think><answer>pneumonia</answer>", "pneumonia", knowledge="")
    1.2
    """
    loaded = task if isinstance(task, Task) else Task.load(task)
    if path == OWN:
        return OwnReward(Scorer(loaded, loaded.reward.updated(settings or {})))
    if settings:
        raise ConfigError(
            f"reward {quote(path)}: settings {quote(dict(settings))} are for {quote(OWN)} only"
        )
    return UserReward(path, loaded, signature)


class OwnReward(Reward):
    """medreward's own reward of a task, with its settings."""

    signature = OWN

    def __init__(self, scorer: Scorer) -> None:
        self.name = OWN
        self.scorer = scorer

    def earned(
        self,
        completion: CompletionLike,
        target: object,
        *,
        prompt: str | None = None,
        knowledge: str | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> Earned:
        """Return the score's total, its parts and the score itself (see `Reward.earned`)."""
        truth = target_of(self.scorer.task, target)
        score = self.scorer.score(completion, truth, knowledge)
        return Earned(score.total, score.parts, score)

    @property
    def settings(self) -> RewardSettings:
        """The settings that shape the score."""
        return self.scorer.settings


class UserReward(Reward):
    """A user's reward function, called with a batch of one as its trainer would call it.

    In the trainers' signatures the target is what a row of medreward's holds: text as it is given,
    all else as `medreward.kinds.truth.ground_truth` writes it. ``plain`` and ``batch`` get it as it
    is given, and ``task``, ``prompt`` and ``knowledge`` if they have parameters so named.
    ``completion_ids`` are the bytes of the completion, as there is no tokenizer here.
    """

    def __init__(self, path: str, task: Task, signature: str | None = None) -> None:
        if signature is not None and signature not in SIGNATURES:
            raise expected("signature", signature, SIGNATURES)
        self.name = path
        self.task = task
        self.function = resolve(path)
        self._parameters = _parameters(path, self.function)
        self.signature = signature or detect_signature(path, self.function)
        self._call = {"verl": self._verl, "plain": self._plain, "batch": self._batch}.get(
            self.signature, self._trl
        )

    def __reduce__(self) -> tuple[type[UserReward], tuple[str, Task, str]]:
        return type(self), (self.name, self.task, self.signature)

    def earned(
        self,
        completion: CompletionLike,
        target: object,
        *,
        prompt: str | None = None,
        knowledge: str | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> Earned:
        """Return what the function gives (see `Reward.earned`)."""
        row = _Row(
            completion,
            target,
            self.task.question if prompt is None else prompt,
            self.task.knowledge_text() if knowledge is None else knowledge,
            columns or {},
        )
        with raised_in(f"reward {self.name} ({self.signature} signature)"):
            return _earned(_finished(self._call(row)))

    def _plain(self, row: _Row) -> Any:
        return self.function(completion_text(row.completion), row.target, **self._options(row))

    def _batch(self, row: _Row) -> Any:
        return self.function([completion_text(row.completion)], [row.target], **self._options(row))

    def _options(self, row: _Row) -> dict[str, Any]:
        known = {"task": self.task, "prompt": row.prompt, "knowledge": row.knowledge}
        named = {name: known[name] for name in _OPTIONAL if name in self._parameters}
        return named | dict(row.columns)

    def _verl(self, row: _Row) -> Any:
        info = {"knowledge": row.knowledge, "prompt": row.prompt}
        return self.function(
            data_source=self.task.name,
            solution_str=completion_text(row.completion),
            ground_truth=self._truth(row.target),
            extra_info=info | dict(row.columns),
        )

    def _trl(self, row: _Row) -> Any:
        text = completion_text(row.completion)
        columns: dict[str, Any] = {
            "prompts": row.prompt,
            "completions": text,
            "completion_ids": [*text.encode("utf-8", "replace")],
            **dict.fromkeys(self._target_columns(row.columns), self._truth(row.target)),
            "task": self.task.name,
            "knowledge": row.knowledge,
            **row.columns,
        }
        if self.signature == "trl":
            columns["prompts"] = [{"role": "user", "content": row.prompt}]
            columns["completions"] = _chat(row.completion)
        batch = {name: [value] for name, value in columns.items()}
        arguments = batch | {"log_extra": _log_nothing, "log_metric": _log_nothing}
        return self.function(**self._accepted(arguments))

    def _accepted(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments that the function has a parameter for, all with ``**kwargs``."""
        if any(p.kind is p.VAR_KEYWORD for p in self._parameters.values()):
            return arguments
        return {name: value for name, value in arguments.items() if name in self._parameters}

    def _target_columns(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Return under which names the truth is passed.

        These are the usual ones; or, where the function has a parameter with none of these names,
        the first column that it requires too.
        """
        if not self._parameters.keys().isdisjoint(TARGET_COLUMNS):
            return TARGET_COLUMNS
        known = {*_OWN_COLUMNS, *_OPTIONAL, *given, "trainer_state"}
        required = [
            name
            for name, p in self._parameters.items()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            and p.default is p.empty
            and name not in known
        ]
        return (*TARGET_COLUMNS, *required[:1])

    def _truth(self, target: object) -> str:
        return target if isinstance(target, str) else ground_truth(self.task, target)


@dataclass(frozen=True)
class _Row:
    completion: CompletionLike
    target: object
    prompt: str
    knowledge: str
    columns: Mapping[str, Any]


def beside(path: str, folder: Path) -> str:
    """Return a reward's path with its file, if it names one, taken as relative to `folder`.

    >>> beside("mine.py:f", Path("cases")), beside("package:f", Path("cases"))
    ('cases/mine.py:f', 'package:f')
    """
    source, _, name = path.rpartition(":")
    return f"{folder / source}:{name}" if source.endswith(".py") else path


def is_same_reward(path: str, other: str) -> bool:
    """Whether two paths of rewards name the same one; files by where they are.

    >>> is_same_reward("mine.py:f", "./mine.py:f"), is_same_reward("mine.py:f", "mine:f")
    (True, False)
    """
    (source, _, name), (theirs, _, called) = path.rpartition(":"), other.rpartition(":")
    if source.endswith(".py") and theirs.endswith(".py"):
        return (Path(source).resolve(), name) == (Path(theirs).resolve(), called)
    return path == other


def resolve(path: str) -> Callable[..., Any]:
    """Return the function at "package.module:function", its dotted form or "file.py:function".

    Raises:
        ConfigError: if there is no such file, module or function, or it cannot be called. What
            the module itself raises while it is imported comes through.
    """
    return load_function(path, "reward", f"{quote(OWN)}, ")


def detect_signature(path: str, function: Callable[..., Any]) -> str:
    """Return which of `SIGNATURES` a function has, by its parameters' names.

    ``verl`` has ``solution_str``. ``trl`` has ``completions`` and, beside it, ``**kwargs``,
    ``prompts`` or ``completion_ids``, or takes it by keyword only. Anything else with two
    positional parameters is ``batch`` if the first one's name is a plural (ends in s), else
    ``plain``. ``trl-text`` cannot be told from ``trl`` and has to be named.

    >>> detect_signature("f", lambda completions, solution, **kwargs: [1.0])
    'trl'
    >>> detect_signature("f", lambda response, truth: 1.0)
    'plain'

    Raises:
        ConfigError: if it is none of them.
    """
    parameters = _parameters(path, function)
    if "solution_str" in parameters:
        return "verl"
    if "completions" in parameters and _is_trl(parameters):
        return "trl"
    positional = [
        name
        for name, p in parameters.items()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(positional) < 2:
        raise ConfigError(
            f"reward {quote(path)}: its signature ({', '.join(parameters)}) is none of "
            f"{', '.join(SIGNATURES)}; name the one to call it with (--signature)"
        )
    return "batch" if positional[0].endswith("s") else "plain"


def _is_trl(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return (
        any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        or not {"prompts", "completion_ids"}.isdisjoint(parameters)
        or parameters["completions"].kind is inspect.Parameter.KEYWORD_ONLY
    )


def _parameters(path: str, function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError as error:  # some built-in functions have none
        raise ConfigError(
            f"reward {quote(path)}: {error}; wrap it in a function of your own"
        ) from error


@contextmanager
def raised_in(place: str) -> Iterator[None]:
    """Add to whatever a user's code raises where that was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in {place}")
        raise


def _finished(result: Any) -> Any:
    """Return the result of a function that may be async, whether or not a loop runs here."""
    if not inspect.isawaitable(result):
        return result
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _awaited(result)).result()


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _earned(result: Any) -> Earned:
    """Return a number, a list of one, or a dictionary with ``score`` as what was earned."""
    if isinstance(result, Mapping):
        if "score" not in result:
            raise ReturnError(f"returns {_quoted(result)}, a dictionary without 'score'")
        parts = {k: float(v) for k, v in result.items() if k != "score" and isinstance(v, Real)}
        return Earned(_number(result["score"]), parts)
    if hasattr(result, "tolist"):
        result = result.tolist()
    if isinstance(result, Sequence) and not isinstance(result, str):
        if len(result) != 1:
            raise ReturnError(f"returns {_quoted(result)}, {len(result)} values for one completion")
        result = result[0]
    return Earned(_number(result))


def _number(value: Any) -> float:
    if hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, Real) or not math.isfinite(float(value)):
        raise ReturnError(f"returns {_quoted(value)}, which is not a finite number")
    return float(value)


def _quoted(value: object) -> str:
    return repr(value)[:200]


def _chat(completion: CompletionLike) -> ChatMessages:
    if isinstance(completion, str):
        return [{"role": "assistant", "content": completion}]
    return completion


def _log_nothing(*_: Any) -> None:
    """Take the place of TRL's ``log_extra`` and ``log_metric``, for which there is no run."""
