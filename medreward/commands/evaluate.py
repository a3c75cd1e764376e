"""``medreward evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medreward.checks import whole
from medreward.errors import ConfigError


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    evaluate = commands.add_parser(
        "evaluate",
        help="metrics of completions on held-out rows, with intervals, baselines, comparisons",
        description="Scores the completions of a file, or a model's, and prints accuracy, balanced "
        "accuracy, macro F1, kappa, F1 of sets or the mean credit of boxes and answers, each with "
        "a 95 % bootstrap interval over images.",
    )
    evaluate.add_argument("rows", type=Path, help="parquet file of `medreward prepare`")
    evaluate.add_argument(
        "--completions", type=Path, metavar="FILE", help="JSON lines or parquet with id, completion"
    )
    evaluate.add_argument(
        "--model", metavar="FOLDER|NAME", help="generate them greedily, into --completions"
    )
    evaluate.add_argument("--max-new-tokens", type=int, default=512, help="(default: 512)")
    evaluate.add_argument("--batch", type=int, default=1, help="rows at once (default: 1)")
    evaluate.add_argument(
        "--against", type=Path, metavar="FILE", help="other completions of the same rows to compare"
    )
    evaluate.add_argument(
        "--by", default="", metavar="NAMES", help="fields of extra_info, separated by commas"
    )
    evaluate.add_argument(
        "--missing",
        default="error",
        choices=("error", "unread"),
        help="rows without a completion: an error (default), or unread",
    )
    evaluate.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="[SOURCE=]CARD",
        help="the card of a data source that is not a shipped task; may be repeated",
    )
    evaluate.add_argument("--completion-format", metavar="NAME|FILE", help="that of the reward")
    evaluate.add_argument("--model-profile", metavar="NAME|FILE", help="that of the reward")
    evaluate.add_argument("--resamples", type=int, default=2000, help="(default: 2000)")
    evaluate.add_argument("--seed", type=int, default=0, help="of the resamples (default: 0)")
    evaluate.add_argument(
        "--out", type=Path, metavar="DIR", help="write report.md, report.json and table.tex"
    )
    evaluate.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from medreward.commands.reward_options import reading_settings
    from medreward.data.check import scorers_of
    from medreward.files.atomic import write_text_atomic
    from medreward.runs import evaluation
    from medreward.scoring.task_book import name_tasks

    whole("--resamples", arguments.resamples, 100, 1_000_000)
    if arguments.completions is None:
        raise ConfigError("--completions FILE is needed; with --model it is where they are written")
    if arguments.model:
        from medreward.runs.generation import generate

        made = generate(
            arguments.model,
            arguments.rows,
            arguments.completions,
            max_new_tokens=whole("--max-new-tokens", arguments.max_new_tokens, 1),
            batch=whole("--batch", arguments.batch, 1),
        )
        print(f"{arguments.completions}: {made} new completions")
    scorer_of = scorers_of(name_tasks(arguments.task), reading_settings(arguments))
    by = [name for name in arguments.by.split(",") if name]
    files = [arguments.completions, *([arguments.against] if arguments.against else [])]
    scored = [
        evaluation.score_completions(
            arguments.rows,
            evaluation.read_completions(file),
            scorer_of,
            missing=arguments.missing,
            by=by,
        )
        for file in files
    ]
    chance = {"resamples": arguments.resamples, "seed": arguments.seed}
    found = [one for own in scored[0].values() for one in evaluation.evaluate(own, by=by, **chance)]
    changes = (
        {
            task: evaluation.compare(own, scored[1][task], **chance)
            for task, own in scored[0].items()
        }
        if arguments.against
        else {}
    )
    report = evaluation.markdown(found, changes)
    print(report, end="")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        inputs = {"rows": str(arguments.rows), "completions": [str(file) for file in files]}
        content = evaluation.as_json(found, changes, **inputs, **chance)
        write_text_atomic(arguments.out / "report.md", report)
        write_text_atomic(arguments.out / "report.json", content)
        write_text_atomic(arguments.out / "table.tex", evaluation.latex(found))
        print(f"wrote {arguments.out}/report.md, report.json, table.tex")
    return 0
