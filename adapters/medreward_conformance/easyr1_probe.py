"""The probe in EasyR1's reward manager: a file with its three names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from medreward_conformance.protocol import NEEDED, probe_value

REWARD_NAME = "probe"
REWARD_TYPE = "batch"


def compute_score(
    reward_inputs: Sequence[Mapping[str, Any]], *, out: str = "", fails: bool = False
) -> list[dict[str, float]]:
    """Write down what arrives and return the probe's values; or fail, if told to."""
    if fails:
        raise RuntimeError("the probe fails")
    arrivals = []
    for given in reward_inputs:
        truth = json.loads(given["ground_truth"])
        arrivals.append(
            {
                "key": truth["key"],
                "group": truth["id"],
                "text": given["response"],
                "columns": [name for name in NEEDED if truth.get(name) is not None],
            }
        )
    with open(out, "a", encoding="utf-8") as file:
        file.write(json.dumps({"positional": 0, "arrivals": arrivals}) + "\n")
    return [{"overall": probe_value(given["response"])} for given in reward_inputs]
