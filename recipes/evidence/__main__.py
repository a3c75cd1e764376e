"""``python -m recipes.evidence``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from medreward import ConfigError, Task
from medreward.errors import expected
from medreward.files.atomic import replacing, write_text_atomic
from recipes.evidence.studies import STUDIES, Arm, Study

if TYPE_CHECKING:
    from datasets import Dataset

    from recipes.evidence.policy import Stage


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = _parser().parse_args(words)
    try:
        if arguments.study not in STUDIES:
            raise expected("--study", arguments.study, STUDIES)
        return int(arguments.run(arguments, STUDIES[arguments.study]))
    except ConfigError as error:
        print(f"evidence: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recipes.evidence", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run the arms of a study that are not there yet")
    run.add_argument("--arms", nargs="+", metavar="NAME", help="(default: all of the study)")
    run.add_argument("--seeds", nargs="+", type=int, default=[1], help="(default: 1)")
    run.add_argument("--steps", type=int, help="GRPO steps (default: the study's)")
    run.add_argument(
        "--warm-seed", type=int, help="one warm start for all seeds (default: each has its own)"
    )
    run.add_argument("--warm-steps", type=int, help="of the warm start (default: the study's)")
    run.add_argument(
        "--limit", type=int, help="pictures of each label and split, for a trial (default: all)"
    )
    run.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    run.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("MEDREWARD_TEST_DATA", "../shared/data")),
        help="the folder of the pictures (docs/evidence/method.md)",
    )
    run.set_defaults(run=_run)
    table = commands.add_parser("table", help="what the arms gave, as Markdown")
    table.add_argument("--page", type=Path, help="a page whose table is replaced")
    table.add_argument("--figure", type=Path, help="an SVG file for the steps of the training")
    table.set_defaults(run=_table)
    for command in (run, table):
        command.add_argument("--study", required=True, help=", ".join(STUDIES))
        command.add_argument("--out", type=Path, default=Path("runs/evidence"))
    return parser


def _run(arguments: argparse.Namespace, study: Study) -> int:
    names = arguments.arms or list(study.arms)
    for name in names:
        if name not in study.arms:
            raise expected("--arms", name, study.arms)
    for seed in arguments.seeds:
        for name in names:
            home = arguments.out / (study.folder or arguments.study)
            out = home / name.replace(" ", "-") / f"seed{seed}"
            if (out / "result.json").is_file():
                print(f"{name}, seed {seed}: is there", flush=True)
                continue
            _arm(arguments, study, name, seed, out)
    return 0


def _arm(arguments: argparse.Namespace, study: Study, name: str, seed: int, out: Path) -> None:
    """Run one arm; what an arm that was ended has left is made again."""
    from medreward_trl.demo.pretrained_run import SETTINGS
    from recipes.evidence import policy

    arm, task = study.arms[name], Task.load(study.source)
    steps = arguments.steps or study.steps
    print(f"{name}, seed {seed}: begins", flush=True)
    warm_seed = seed if arguments.warm_seed is None else arguments.warm_seed
    rows = _rows(arguments, study.source, arm.level)  # before the model is built, which takes long
    warm = _warm(arguments, study, task, warm_seed)
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob("*.jsonl"):
        left.unlink()
    clock, wall = time.process_time(), time.monotonic()
    run = {"steps": steps, "seed": seed, "device": arguments.device, "quoting": study.quoting}
    made = policy.train(arm, _stages(arguments, study, arm), warm, out, **run)
    trained = time.process_time() - clock
    policy.test(made, rows, out)
    result = {
        "study": arguments.study,
        "arm": name,
        "seed": seed,
        "level": arm.level,
        "training": arm.training,
        "rows": rows.name,
        "steps": steps,
        "stages": list(arm.stages),
        "warm_start": {"seed": warm_seed, "steps": arguments.warm_steps or study.warm_steps},
        "device": arguments.device,
        "settings": SETTINGS,
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        "cpu_seconds": {"training": round(trained), "all": round(time.process_time() - clock)},
        "wall_seconds": round(time.monotonic() - wall),
    }
    write_text_atomic(out / "result.json", json.dumps(result, indent=1) + "\n")
    print(f"{name}, seed {seed}: {result['cpu_seconds']}", flush=True)


def _rows(arguments: argparse.Namespace, source: str, level: str) -> Path:
    from recipes.evidence.pictures import rows_of

    return rows_of(source, level, arguments.data, arguments.out, arguments.limit)


def _stages(arguments: argparse.Namespace, study: Study, arm: Arm) -> list[Stage]:
    """Return the runs of an arm; a stage on other pictures is rewarded by their card."""
    from recipes.evidence.policy import Stage

    stages = []
    for number, source in enumerate(arm.stages or (study.source,), start=1):
        is_own = source == study.source
        stages.append(
            Stage(
                task=Task.load(source),
                rows=_rows(arguments, source, arm.level if is_own else "none"),
                reward=arm.reward if is_own else {},
                name="" if is_own and number == max(1, len(arm.stages)) else f"-stage{number}",
            )
        )
    return stages


def _warm(arguments: argparse.Namespace, study: Study, task: Task, seed: int) -> Path:
    """Return the folder of the warm start, which studies of the same one share."""
    from medreward_trl.dataset import from_parquet
    from medreward_trl.demo.model import load, save
    from medreward_trl.demo.pretrained import build_smollm2
    from recipes.evidence.pictures import WARM
    from recipes.evidence.warm_start import warm_start

    words = [study.source, *study.levels, *(["quoting"] if study.quoting else [])]
    words += [study.beside] if study.beside else []
    steps = arguments.warm_steps or study.warm_steps
    kind = "-".join([*words, *([f"limit{arguments.limit}"] if arguments.limit else [])])
    folder: Path = arguments.out / "warm" / f"{kind}-{steps}-seed{seed}"
    if folder.is_dir():
        return folder
    base = arguments.out / "base"
    if not base.is_dir():
        base.parent.mkdir(parents=True, exist_ok=True)
        with replacing(base) as scratch:
            save(build_smollm2(), scratch)
    tiny = load(base)
    tiny.model.to(arguments.device)

    def shown(source: str, level: str) -> Dataset:
        return from_parquet(_rows(arguments, source, level) / f"{WARM}.parquet")

    data = {level: shown(study.source, level) for level in study.levels}
    places = (Task.load(study.beside), shown(study.beside, "none")) if study.beside else None
    clock = time.process_time()
    warmed = warm_start(
        tiny, task, data, steps=steps, seed=seed, quoting=study.quoting, beside=places
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as scratch:
        save(warmed, scratch)
    print(f"{folder.name}: {time.process_time() - clock:.0f} CPU s", flush=True)
    return folder


def _table(arguments: argparse.Namespace, study: Study) -> int:
    from recipes.evidence.figure import figure
    from recipes.evidence.table import fill, tables

    text = tables(arguments.study, study, arguments.out)
    if arguments.page:
        fill(arguments.page, text)
    if arguments.figure:
        write_text_atomic(arguments.figure, figure(arguments.study, study, arguments.out))
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
