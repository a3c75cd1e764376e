"""Does a trainer hand a reward what its model wrote? Run without a GPU: ``medreward conformance``.

A trainer's own path is run with completions that are known, and a probe in the reward's place
records what arrives. `check` holds the one to the other.

>>> from medreward_conformance import Arrival, Call, Observation, Sent, check
>>> seen = Observation("mine 1.0", [Sent("a", "p1", "<think>x", "Which?", ended=True)])
>>> seen.calls.append(Call(1, (Arrival("a", "p1", "<think>x<|im_end|>", ("target",)),)))
>>> seen.end_tokens = ("<|im_end|>",)
>>> [str(finding) for finding in check(seen) if finding.verdict == "differs"][0]
'end token: differs: <|im_end|> stands at the end of 1 of 1 texts'
"""

from __future__ import annotations

from medreward_conformance.protocol import (
    Arrival,
    Call,
    Conformity,
    Observation,
    Sent,
    check,
    probe_value,
)
from medreward_conformance.ranks import Rank, Ranks, Sampled
from medreward_conformance.table import TRAINERS, observe

__all__ = [
    "TRAINERS",
    "Arrival",
    "Call",
    "Conformity",
    "Observation",
    "Rank",
    "Ranks",
    "Sampled",
    "Sent",
    "check",
    "observe",
    "probe_value",
]
