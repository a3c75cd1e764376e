"""``medreward evaluate``."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from medreward.checks import whole
from medreward.commands.reward_options import add_reward_options
from medreward.errors import ConfigError


def add_parser(commands: Any) -> None:
    """Add the sub-command; what it needs is imported when it runs."""
    evaluate = commands.add_parser(
        "evaluate",
        help="metrics of completions on held-out rows, with intervals, baselines, comparisons",
        description="Scores the completions of a file, or those of a model, and prints the metrics "
        "of each task with 95 % bootstrap intervals and baselines: accuracy, F1, kappa, IoU, AP, "
        "Dice, errors, and AUROC if there are confidences. Compares models, and writes a page.",
    )
    evaluate.add_argument("rows", type=Path, help="parquet file of `medreward prepare`")
    evaluate.add_argument(
        "--completions",
        type=Path,
        metavar="FILE",
        help="JSON lines or parquet with id, completion and perhaps confidence",
    )
    evaluate.add_argument(
        "--model",
        metavar="FOLDER|NAME",
        help="a model that writes the completions first, into --completions",
    )
    evaluate.add_argument(
        "--endpoint",
        metavar="URL",
        help="ask --model NAME there, such as http://localhost:8000/v1 (vLLM, SGLang and others)",
    )
    evaluate.add_argument(
        "--key-env", metavar="NAME", help="environment variable that holds the endpoint's key"
    )
    evaluate.add_argument("--max-new-tokens", type=int, default=512, help="(default: 512)")
    evaluate.add_argument(
        "--samples",
        type=int,
        default=1,
        metavar="K",
        help="completions a row: pass@1, pass@K, the answer that most give (default: 1, greedy)",
    )
    evaluate.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        help="of the samples that --model draws (default: 1.0)",
    )
    evaluate.add_argument(
        "--batch",
        type=int,
        default=1,
        help="rows that --model answers at once; of --endpoint, rows that are asked about at once "
        "(default: 1)",
    )
    evaluate.add_argument(
        "--compare",
        "--against",
        nargs="+",
        action="extend",
        default=[],
        metavar="[NAME=]FILE",
        help="completions of other models for the same rows; each pair of models is compared",
    )
    evaluate.add_argument(
        "--by",
        default="",
        metavar="NAMES",
        help="metrics for each value of these fields of extra_info, separated by commas",
    )
    evaluate.add_argument(
        "--cluster",
        metavar="NAME",
        help="field of extra_info, such as a patient, whose rows are drawn together (default: rows "
        "of the same images)",
    )
    evaluate.add_argument(
        "--rules",
        action="store_true",
        help="also the verdicts by the rules of MedEvalKit, VLMEvalKit, lmms-eval and others",
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
    add_reward_options(evaluate)
    evaluate.add_argument(
        "--completion-format", metavar="NAME|FILE", help="the same as for the reward"
    )
    evaluate.add_argument("--model-profile", metavar="NAME|FILE", help="the same as for the reward")
    evaluate.add_argument(
        "--resamples",
        type=int,
        default=2000,
        help="draws of the bootstrap and of the test (default: 2000)",
    )
    evaluate.add_argument(
        "--seed", type=int, default=0, help="of samples and of the bootstrap (default: 0)"
    )
    evaluate.add_argument(
        "--out", type=Path, metavar="DIR", help="write report.html, .md, .json and .tex"
    )
    evaluate.add_argument(
        "--errors",
        type=int,
        default=24,
        help="how many errors report.html shows with their images (default: 24)",
    )
    evaluate.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from medreward.commands.reward_options import reading_settings, reward_options
    from medreward.data.check import scorers_of
    from medreward.runs import evaluation
    from medreward.scoring.task_book import name_tasks

    whole("--resamples", arguments.resamples, 100, 1_000_000)
    whole("--errors", arguments.errors, 0, 1000)
    whole("--seed", arguments.seed, 0)
    samples = whole("--samples", arguments.samples, 1, 1000)
    if arguments.out:
        _make_folder(arguments.out)
    files = _files(arguments)
    _generate(arguments)
    answers = {name: evaluation.read_answers(file, samples) for name, file in files.items()}
    scorer_of = scorers_of(
        name_tasks(arguments.task), reading_settings(arguments) | reward_options(arguments)
    )
    by = [*dict.fromkeys(name.strip() for name in arguments.by.split(",") if name.strip())]
    models = {
        name: evaluation.score_completions(
            arguments.rows,
            own,
            scorer_of,
            missing=arguments.missing,
            by=by,
            cluster=arguments.cluster,
        )
        for name, own in answers.items()
    }
    chance = {"resamples": arguments.resamples, "seed": arguments.seed}
    found = [
        one
        for name, tasks in models.items()
        for own in tasks.values()
        for one in evaluation.evaluate(own, by=by, model=name if len(models) > 1 else "", **chance)
    ]
    comparisons = evaluation.compare_all(models, **chance)
    rules = _suites(models) if arguments.rules else []
    sources = _sources(arguments, files)
    report = evaluation.markdown(found, comparisons, _told(sources), rules)
    print(report, end="")
    if arguments.out:
        tables = {
            "report.md": report,
            "report.json": evaluation.as_json(
                found, comparisons, **sources, rules=[one._asdict() for one in rules]
            ),
            "report.tex": evaluation.latex(found, comparisons, _told(sources)),
        }
        if find_spec("jinja2") is None:
            print("report.html is left out: it needs jinja2 (pip install 'medreward[report]')")
        else:
            tables["report.html"] = _page(
                arguments, models, found, comparisons, rules, _told(sources)
            )
        _write(arguments.out, tables)
    return 0


def _page(arguments: argparse.Namespace, *found: Any) -> str:
    from medreward.runs.evaluation_page import evaluation_page
    from medreward.sheets.evaluation import render_evaluation

    *results, facts = found
    content = evaluation_page(arguments.rows, *results, facts=facts, errors=arguments.errors)
    return render_evaluation(content)


def _suites(models: dict[str, dict[str, Any]]) -> list[Any]:
    from medreward.runs.evaluation_rules import suite_agreement

    found = [
        one
        for name, tasks in models.items()
        for own in tasks.values()
        for one in suite_agreement(own.bound, own.predictions, name if len(models) > 1 else "")
    ]
    if not found:
        raise ConfigError(
            "--rules: no suite has a rule for these tasks; there are rules for options, labels and "
            "short answers"
        )
    return found


def _generate(arguments: argparse.Namespace) -> None:
    """Write a model's completions to the file that --completions names."""
    if not arguments.model:
        if arguments.endpoint:
            raise ConfigError("--endpoint: add --model NAME, the model's name there")
        return
    from medreward.runs.generation import Sampling, draws_nothing, generate

    made = generate(
        _completer(arguments),
        arguments.rows,
        arguments.completions,
        batch=whole("--batch", arguments.batch, 1),
        sampling=Sampling(arguments.samples, arguments.temperature, arguments.seed),
    )
    print(f"{arguments.completions}: {made} new completions")
    if arguments.samples > 1 and draws_nothing(arguments.completions):
        print(
            f"{arguments.completions}: the {arguments.samples} samples of each row are all the "
            f"same. Does the server draw at all (transformers serve: only where the model's "
            f"generation_config.json has do_sample), or has the policy no variance left?"
        )


def _completer(arguments: argparse.Namespace) -> Any:
    most = whole("--max-new-tokens", arguments.max_new_tokens, 1)
    if arguments.endpoint is None:
        from medreward.runs.local_model import LocalModel

        return LocalModel(arguments.model, most)
    from medreward.files.chat import Endpoint, key_from
    from medreward.runs.endpoint_model import EndpointModel

    key = key_from(arguments.key_env)
    # A long completion may take minutes.
    return EndpointModel(Endpoint(arguments.endpoint, arguments.model, key, timeout=600), most)


def _files(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the files of completions by the names of their models."""
    if arguments.model and arguments.completions is None:
        raise ConfigError("--model: add --completions FILE, to which its completions are written")
    given = [("", arguments.completions)] if arguments.completions else []
    for text in arguments.compare:
        name, is_named, file = text.partition("=")
        # A path may hold "=", a name has no "/".
        given.append((name, Path(file)) if is_named and "/" not in name else ("", Path(text)))
    if not given:
        raise ConfigError("--completions FILE or --compare FILE FILE is needed")
    if arguments.compare and len(given) == 1:
        raise ConfigError(
            f"--compare: {arguments.compare[0]} is alone; name two files or more, or the first one "
            f"with --completions"
        )
    found: dict[str, Path] = {}
    for name, file in given:
        own = name or file.stem
        if own in found:
            raise ConfigError(
                f"--compare: two files are called {own!r}: {found[own]} and {file}; name them, as "
                f"in --compare base={found[own]} tuned={file}"
            )
        found[own] = file
    return found


def _sources(arguments: argparse.Namespace, files: dict[str, Path]) -> dict[str, Any]:
    """Return what the numbers come from."""
    from medreward.runs.evaluation_files import file_digest, rows_digest
    from medreward.version import __version__

    return {
        "medreward": __version__,
        "rows": {"file": arguments.rows.name, "sha256": rows_digest(arguments.rows)},
        "completions": {
            name: {"file": file.name, "sha256": file_digest(file)} for name, file in files.items()
        },
        "samples": arguments.samples,
        "cluster": arguments.cluster or "images",
        "resamples": arguments.resamples,
        "seed": arguments.seed,
    }


def _told(sources: dict[str, Any]) -> dict[str, str]:
    """Return the same in words, for a table."""
    rows = sources["rows"]
    named = "; ".join(
        f"{name}: {one['file']}, SHA-256 {one['sha256']}"
        for name, one in sources["completions"].items()
    )
    return {
        "medreward": sources["medreward"],
        "rows": f"{rows['file']}, SHA-256 {rows['sha256']}",
        "completions": named,
        "samples a row": str(sources["samples"]),
        "bootstrap": f"{sources['resamples']} samples of {sources['cluster']}, seed "
        f"{sources['seed']}",
    }


def _make_folder(folder: Path) -> None:
    """Make the folder of --out before there is anything to lose.

    Raises:
        ConfigError: if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"--out: {folder}: {error.strerror or error}; name a folder that can be written to"
        ) from error


def _write(folder: Path, texts: dict[str, str]) -> None:
    from medreward.files.atomic import write_text_atomic
    from medreward.text.shown import escape_controls

    for name, text in texts.items():
        write_text_atomic(folder / name, escape_controls(text))
    print(f"wrote {folder}/{', '.join(texts)}")
