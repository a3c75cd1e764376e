"""The probe in veRL's reward workers: a file of its own, loaded by its path in each of them."""

from __future__ import annotations

import fcntl
import json
from typing import Any

from medreward_conformance.protocol import NEEDED, probe_value


def compute_score(*args: Any, **columns: Any) -> float:
    """Write down what arrives and return the probe's value of the text; or fail, if told to."""
    names = ("data_source", "solution_str", "ground_truth", "extra_info")
    given = {**dict(zip(names, args, strict=False)), **columns}
    info = given.get("extra_info") or {}
    if info.get("fails"):
        raise RuntimeError("the probe fails")
    text = given["solution_str"]
    values = {"task": given.get("data_source"), "target": given.get("ground_truth"), **info}
    arrival = {
        "key": info.get("key"),
        "group": info.get("id"),
        "text": text,
        "columns": [name for name in NEEDED if values.get(name) is not None],
    }
    with open(given["out"], "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"positional": len(args), "arrivals": [arrival]}) + "\n")
    return probe_value(text)
