"""In which frame are a policy's boxes? What a batch of completions earns under each one.

A wrong frame shows in no single number of a run: boxes are read, some overlap, the reward is low.
Over a batch it is evident, since the same boxes earn far more under another frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from medreward.errors import ConfigError, quote
from medreward.geometry.frames import FRAMES, known_extents
from medreward.geometry.regions import Box, BoxTarget, TrueBox
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.truth import target_of
from medreward.scoring.scorer import Scorer
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.text.completion import CompletionLike

# Another frame has to win by this much reward, and by this many standard errors.
_LEAST_GAIN = 0.05
_STANDARD_ERRORS = 3.0


@dataclass(frozen=True)
class FrameReport:
    """What completions earn under each frame.

    Attributes:
        configured: the frame that the task's settings name.
        likely: the frame in which the boxes are by all appearances: `configured` unless another
            one earns more beyond doubt.
        count: the number of completions with boxes for an image that has some.
        accuracy: the mean accuracy under each frame for which the targets have the sizes. A name
            that ends in " (y first)" is the same frame with boxes [y1, x1, y2, x2].
        outside: the share of these completions with a box outside of the image.
    """

    configured: str
    likely: str
    count: int
    accuracy: dict[str, float]
    outside: dict[str, float]

    @property
    def is_suspect(self) -> bool:
        """Whether the boxes are in another frame than the configured one."""
        return self.likely != self.configured

    def text(self) -> str:
        """Return the report as a few lines for a terminal."""
        lines = [f"{self.count} completions with boxes", "frame                accuracy  outside"]
        for name, value in sorted(self.accuracy.items(), key=lambda item: -item[1]):
            mark = " <- configured" if name == self.configured else ""
            lines.append(f"{name:20} {value:8.3f} {self.outside[name]:8.0%}{mark}")
        if self.is_suspect:
            lines.append(f"the boxes seem to be in frame {self.likely!r}: set it, or the prompt")
        return "\n".join(lines)


def compare_frames(
    completions: Sequence[CompletionLike],
    targets: Sequence[object],
    task: Task,
    settings: RewardSettings | None = None,
) -> FrameReport:
    """Score completions under each frame and say in which one their boxes are.

    Args:
        completions: what the policy wrote.
        targets: the target of each, or the ground truth of its row; with sizes, or only the frame
            "pixels" can be tried.
        task: the localisation or pointing task.
        settings: of the reward; default: the task's.

    Raises:
        ConfigError: if the task asks for neither boxes nor points, a target is not its, or targets
            are masks.

    >>> task = Task("lesion", kind="localisation", reward={"delta": 0})
    >>> target = {"boxes": [[64, 48, 320, 240]], "size": [640, 480]}
    >>> compare_frames(["<answer>[[100, 100, 500, 500]]</answer>"] * 2, [target] * 2, task).likely
    'per-mille'
    """
    if kind_of(task).target_type not in (TargetType.BOXES, TargetType.PLACES):
        raise ConfigError(
            f"task {quote(task.name)} is {task.kind}; frames are of localisation and pointing tasks"
        )
    settings = settings or task.reward
    parsed = [task.parse_target(target_of(task, target)) for target in targets]
    rows = [
        (completion, target)
        for completion, target in zip(completions, parsed, strict=True)
        if any(target.annotators)
    ]
    values: dict[str, list[float]] = {}
    outside: dict[str, list[bool]] = {}
    for name in _frames(parsed, settings.frame):
        scorer = Scorer(task, replace(settings, frame=name.removesuffix(_Y_FIRST)))
        turn = _transposed if name.endswith(_Y_FIRST) else _same
        scores = [scorer.score(text, turn(target)) for text, target in rows]
        found = [score for score in scores if score.prediction is not None]
        values[name] = [score.parts["accuracy"] for score in found]
        outside[name] = ["out_of_image" in score.reasons for score in found]
    count = len(values[settings.frame])
    return FrameReport(
        configured=settings.frame,
        likely=_likely(values, settings.frame) if count else settings.frame,
        count=count,
        accuracy={name: fmean(found) if count else 0.0 for name, found in values.items()},
        outside={name: sum(found) / max(count, 1) for name, found in outside.items()},
    )


_Y_FIRST = " (y first)"


def _frames(targets: Sequence[BoxTarget], configured: str) -> list[str]:
    """Return the frames for which every target has the sizes, and the configured one."""
    known = [set(known_extents(target)) for target in targets]
    usable = set.intersection(*known) if known else set()
    if any(target.size is None for target in targets):
        usable = {"pixels"}
    names = [name for name in FRAMES if name in usable | {configured}]
    return names + [name + _Y_FIRST for name in names]


def _likely(values: dict[str, list[float]], configured: str) -> str:
    """Return the frame with the highest mean if it beats the configured one beyond doubt."""
    best = max(values, key=lambda name: (fmean(values[name]), name == configured))
    gains = [a - b for a, b in zip(values[best], values[configured], strict=True)]
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    is_clear = fmean(gains) > max(_LEAST_GAIN, _STANDARD_ERRORS * error)
    return best if is_clear else configured


def _same(target: BoxTarget) -> BoxTarget:
    return target


def _transposed(target: BoxTarget) -> BoxTarget:
    """Return a target with x and y exchanged, against which boxes with y first are right."""
    lists = tuple(
        tuple(TrueBox(_turned(box), label) for box, label in boxes) for boxes in target.annotators
    )
    size, seen = (sides and (sides[1], sides[0]) for sides in (target.size, target.seen))
    return BoxTarget(lists, size, seen)


def _turned(box: Box) -> Box:
    return box[1], box[0], box[3], box[2]
