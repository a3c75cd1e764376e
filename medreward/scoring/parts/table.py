"""The parts of the reward: one line each, in the order of `Score.parts`."""

from __future__ import annotations

from medreward.scoring.parts.accuracy import Accuracy
from medreward.scoring.parts.base import register_part
from medreward.scoring.parts.findings import Findings
from medreward.scoring.parts.format import Format
from medreward.scoring.parts.recitation import Recitation

for part in (Accuracy, Format, Recitation, Findings):
    register_part(part())
