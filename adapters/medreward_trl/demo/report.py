"""The demo's result as a table on the terminal and as an HTML report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medreward.sheets.report import Chart, Report, ReportSample, Row

if TYPE_CHECKING:
    from medreward_trl.demo.run import DemoResult

COLUMNS = ("warm start", "after GRPO")
NOTES = {
    "accuracy": "share of exactly right grades; higher is better",
    "balanced accuracy": "mean over the grades of the share that is right; higher is better",
    "macro F1": "mean F1 over the grades; higher is better",
    "mean absolute error": "in grades, of five; an unreadable answer is as far off as can be; "
    "lower is better",
    "quadratic weighted kappa": "agreement beyond chance, far misses weigh more; higher is better",
    "unreadable": "share of answers that name no grade; lower is better",
    "reward": "mean of 8 completions a slice, sampled at temperature 1",
    "zero_variance": "share of those groups of 8 whose rewards are all the same: nothing to learn "
    "from",
}
_NAMES = {"reward": "mean reward", "zero_variance": "zero-variance groups"}
_SAMPLES = 8


def table(result: DemoResult) -> str:
    """Return the held-out metrics before and after as lines of text."""
    return table_of("held-out slices", _rows(result))


def table_of(heading: str, rows: Sequence[Row], columns: Sequence[str] = COLUMNS) -> str:
    """Return metrics as lines of text, by default of the policy before and after GRPO."""
    widths = [max(12, len(column) + 2) for column in columns]
    lines = [f"{heading:26}{_in_columns(columns, widths)}"]
    lines += [
        f"{row.name:26}{_in_columns([f'{value:.3f}' for value in row.values], widths)}"
        for row in rows
    ]
    return "\n".join(lines)


def _in_columns(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))


def report(result: DemoResult) -> Report:
    """Return what the HTML report shows."""
    options = result.options
    return Report(
        title="medreward demo: GRPO on MRI slices",
        summary="A tiny vision-language model names the axial level (0 to 4) of slices of the "
        "MNI152 brain template. One average brain: it shows a pipeline learn and says nothing "
        "about patients.",
        facts={
            "reward": options.reward,
            "steps": str(options.steps),
            "seed": str(options.seed),
            "held-out slices": str(len(result.test)),
            "time": f"{result.seconds:.0f} s",
        },
        columns=COLUMNS,
        rows=_rows(result),
        charts=charts_of(
            result.history,
            f"accuracy{' with partial credit' if options.reward == 'mfrs' else ''}",
            most_tokens=16,
        ),
        samples=_samples(result),
        texts={"Prompt": result.prompt, "Signature of the reward": result.signature},
    )


def _rows(result: DemoResult) -> list[Row]:
    before, after = result.before.metrics, result.after.metrics
    return [
        Row(_NAMES.get(name, name), (before[name], after[name]), note)
        for name, note in NOTES.items()
    ]


def charts_of(
    history: Sequence[Mapping[str, float]], accuracy: str, most_tokens: int
) -> list[Chart]:
    """Return the curves of a run.

    Args:
        history: TRL's log, one mapping a step.
        accuracy: what to call the part accuracy.
        most_tokens: the longest completion that there can be.
    """

    def logged(key: str) -> Sequence[float]:
        return [float(step[key]) for step in history]

    parts = {
        accuracy: logged("rewards/accuracy/mean"),
        "format": logged("rewards/format/mean"),
        "exactly right": logged("correct"),
    }
    recitation = logged("rewards/recitation/mean")
    return [
        Chart("Parts of the reward", parts, "mean over the 64 completions of a step"),
        Chart(
            "Recitation",
            {"recitation": recitation},
            "overlap of the reasoning with the knowledge in the prompt, a penalty with δ⁻",
            low=min(-0.01, *recitation),
            high=max(0.0, *recitation),
        ),
        Chart(
            "What there is to learn from",
            {
                "zero-variance groups": logged("zero_variance"),
                "entropy per token (nats)": logged("entropy"),
            },
            "share of groups without any difference; entropy of the policy",
        ),
        Chart(
            "Length of completions",
            {"mean": logged("completions/mean_length")},
            f"tokens, at most {most_tokens}",
            high=float(most_tokens),
        ),
    ]


def _samples(result: DemoResult) -> list[ReportSample]:
    """Return slices of all grades, those whose answer changed first."""
    changed = sorted(
        range(len(result.test)),
        key=lambda i: result.before.scores[i].correct == result.after.scores[i].correct,
    )
    return [
        ReportSample(
            id=result.test[i].id,
            image=result.test[i].image,
            target=str(result.test[i].target),
            answers={
                column: (evaluation.completions[i], evaluation.scores[i])
                for column, evaluation in zip(COLUMNS, (result.before, result.after), strict=True)
            },
        )
        for i in changed[:_SAMPLES]
    ]
