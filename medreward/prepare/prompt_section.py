"""What a data set's card says about the prompts."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from medreward.files.markdown import pairs, pathless, plain, verbatim
from medreward.files.reading import read_bytes
from medreward.priors.prompt import Prompt, PromptBuilder
from medreward.priors.selection import selections
from medreward.task.review import tally
from medreward.task.traits import Trait


def prompt_facts(prompts: PromptBuilder, template: str | Path | None) -> dict[str, str]:
    """Return what is to be said of a run's prompts, by name: knowledge, order, template, budget."""
    task = prompts.task
    whole = selections(task, prompts.level)[0]
    counts = tally(task.references, whole.statements(task, range(len(task.labels))))
    facts = {
        "knowledge": f"{prompts.level}: {counts}",
        "options"
        if Trait.OPTIONS in task.traits
        else "labels": f"in an order of each row's own (seed {prompts.seed})"
        if prompts.shuffled
        else "in the order of the source"
        if Trait.OPTIONS in task.traits
        else "in the card's order",
        "template": _template(template),
    }
    if prompts.budget is not None:
        facts["budget"] = f"{prompts.budget} tokens, without the image and the chat template"
    return facts


def prompt_section(
    facts: Mapping[str, str], example: str, left_out: Mapping[str, int]
) -> list[str]:
    """Return the paragraphs: the facts, what was left out of prompts, an example."""
    parts = [pairs(facts)]
    if left_out:
        lines = [f"- {plain(text)} ({count} prompts)" for text, count in left_out.items()]
        parts += ["Left out, as the budget had no room:", "\n".join(lines)]
    if example:
        parts += ["The prompt of one row:", verbatim(example)]
    return parts


def shown_prompt(prompt: Prompt) -> str:
    """Return a prompt's texts as the card shows them."""
    return "\n".join(filter(None, (prompt.system, prompt.text)))


def _template(path: str | Path | None) -> str:
    if path is None:
        return "medreward's"
    digest = sha256(read_bytes(path)).hexdigest()[:8]
    return f"{pathless(str(path))} (SHA-256 {digest}…)"
