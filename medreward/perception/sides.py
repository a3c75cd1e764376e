"""Whether a pipeline is fit for a task: checked before anything is read or trained."""

from __future__ import annotations

from dataclasses import replace

from medreward.errors import ConfigError, quote
from medreward.perception.moving import moving_type
from medreward.perception.transforms.pipeline import Pipeline
from medreward.perception.transforms.transform import Transform
from medreward.task.laterality import Laterality, Mirror, check_quarter_turn, mirrored_texts
from medreward.task.task import Task

_BOTH: tuple[Mirror, ...] = ("horizontal", "vertical")
# Answers that depend on all that is on an image, and are no boxes that could be dropped with it.
_WHOLE = ("grounding_count", "grounding_present")


def check_task(pipeline: Pipeline, task: Task) -> None:
    """Make sure that no transform, whatever is drawn, makes the task's texts or targets wrong.

    Raises:
        ConfigError: if one mirrors or turns a task that depends on side and whose card does not say
            how words change; if swapped words are not labels of the task; if one shows what is
            to be found in a task that asks for a place; or if nobody said how the targets of the
            task's kind follow their images.

    >>> from medreward.perception import parse
    >>> check_task(parse("Flip()"), Task.load("organamnist"))  # femur-left becomes femur-right
    >>> check_task(parse("Flip()"), Task.load("organsmnist"))
    Traceback (most recent call last):
    medreward.errors.ConfigError: task 'organsmnist': Flip(): labels[1]: 'left' may be wrong ...
    """
    moving_type(task)  # raises where nobody said how targets follow
    for transform in pipeline.transforms:
        try:
            _check(transform, task)
        except ConfigError as error:
            raise ConfigError(f"task {quote(task.name)}: {transform}: {error}") from error


def check_knowledge(drawn: Pipeline, task: Task, knowledge: str) -> None:
    """Make sure that no statement in a prompt would be about a mirrored patient.

    Labels and questions are rewritten for a mirrored image. A statement with a source is not: "the
    right lung has three lobes" would become false.

    Raises:
        ConfigError: if the pipeline mirrors or turns, and the knowledge has words that depend on
            side.
    """
    stated = replace(task.laterality or Laterality(), swap=(), swap_vertical=())
    for transform in drawn.transforms:
        for mirror in (
            ("horizontal", "vertical") if transform.mirrors is None else transform.mirrors
        ):
            if words := stated.left_over(knowledge, mirror):
                raise ConfigError(
                    f"{transform}: knowledge: {quote(words[0])}: statements are not rewritten, "
                    f"as they "
                    f"would be false of people; prepare rows with less knowledge, or without this"
                )


def _check(transform: Transform, task: Task) -> None:
    if task.has_places and transform.reveals:
        raise ConfigError(transform.reveals)
    if task.name in _WHOLE and transform.cuts:
        raise ConfigError("it may cut away what is asked about, and the answer would not follow")
    texts = _texts(task)
    mirrors = transform.mirrors
    if mirrors is None:
        check_quarter_turn(task.laterality, texts)
    for mirror in mirrors or ():
        _check_labels(task, mirror, mirrored_texts(task.laterality, texts, mirror))


def _texts(task: Task) -> dict[str, str]:
    """Return question and labels of a card by the name of the field; knowledge may be left out."""
    texts = {"question": task.question}
    for i in range(len(task.labels)):
        texts |= {f"labels[{i}]{name}": form for name, form in _forms(task, i).items()}
    for name, field in task.fields.items():
        texts |= {f"fields.{name}.{key}": text for key, text in _texts(field).items()}
    return texts


def _forms(task: Task, index: int) -> dict[str, str]:
    label = task.labels[index]
    synonyms = {f".synonyms[{j}]": synonym for j, synonym in enumerate(label.synonyms)}
    return {"": label.name, **synonyms}


def _check_labels(task: Task, mirror: Mirror, texts: dict[str, str]) -> None:
    """Make sure that each label becomes one of the task's, and its synonyms the same one's."""
    index = {form: i for i in range(len(task.labels)) for form in _forms(task, i).values()}
    for i, label in enumerate(task.labels):
        new = texts[f"labels[{i}]"]
        if new not in index:
            raise ConfigError(
                f"labels[{i}]: {quote(label.name)} becomes {quote(new)} in a {mirror} flip, "
                f"which is "
                f"not a "
                f"label of the task"
            )
        for name, synonym in _forms(task, i).items():
            changed = texts[f"labels[{i}]{name}"]
            if changed != synonym and index.get(changed, index[new]) != index[new]:
                raise ConfigError(
                    f"labels[{i}]{name}: {quote(synonym)} becomes {quote(changed)} in a "
                    f"{mirror} flip, but "
                    f"{quote(label.name)} becomes {quote(new)}, another label"
                )
            if changed != synonym and new == label.name:
                raise ConfigError(
                    f"labels[{i}]{name}: {quote(synonym)} becomes {quote(changed)} in a "
                    f"{mirror} flip, but "
                    f"its label {quote(label.name)} stays as it is"
                )
