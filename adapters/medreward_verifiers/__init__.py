r"""medreward in verifiers and prime-rl: rows of ``medreward prepare`` as a taskset with images.

::

    vf-eval medreward_verifiers --env.taskset.rows rows/test.parquet --env.agent.harness.id null

The reward of a task is the shaped total of its row; its parts, whether the answer is exactly right
and whether none could be read are metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward_verifiers.taskset import MedicalTaskset
else:
    __getattr__, __dir__ = import_late(__name__, {"medreward_verifiers.taskset": "MedicalTaskset"})

__all__ = ["MedicalTaskset"]
