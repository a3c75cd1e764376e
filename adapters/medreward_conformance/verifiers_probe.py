"""The probe in a task's place, on verifiers' environment server: a taskset like medreward's own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import verifiers.v1 as vf

from medreward_conformance.known import columns_with_values
from medreward_conformance.protocol import NEEDED, probe_value
from medreward_conformance.verifiers import FAILS, OUT
from medreward_verifiers.taskset import (
    MedicalTask,
    MedicalTaskset,
    MedicalTasksetConfig,
    written_text,
)


class ProbeTask(MedicalTask):
    """A row whose reward writes down what arrives."""

    @vf.reward  # type: ignore[untyped-decorator]
    async def medreward(self, trace: vf.Trace) -> float:
        """Return the probe's value of the text; or fail, if told to."""
        if os.environ.get(FAILS):
            raise RuntimeError("the probe fails")
        text = written_text(trace, joins_reasoning=True)
        given = {"task": self.data.data_source, "id": self.data.id, "target": self.data.target}
        given |= {"knowledge": self.data.knowledge, "split": self.data.split}
        columns = [name for name in NEEDED if name in columns_with_values(given)]
        arrival = {"key": None, "group": self.data.id, "text": text, "columns": columns}
        with open(os.environ[OUT], "a", encoding="utf-8") as file:
            file.write(json.dumps({"positional": 0, "arrivals": [arrival]}) + "\n")
        return probe_value(text)

    @vf.metric  # type: ignore[untyped-decorator]
    async def parts(self, trace: vf.Trace) -> dict[str, float]:
        """Return nothing beside the reward."""
        return {}


class ProbeTaskset(vf.Taskset[ProbeTask, MedicalTasksetConfig]):  # type: ignore[misc]
    """Rows whose tasks are probes; the server makes a task of the type that is named here."""

    def load(self) -> Iterator[ProbeTask]:
        """Yield a task for each row."""
        for task in MedicalTaskset(self.config).load():
            yield ProbeTask(task.data, self.config.task)
