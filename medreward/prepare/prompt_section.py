"""What a data set's card says about the prompts."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from medreward.files.markdown import pairs, pathless, plain, verbatim
from medreward.files.reading import read_bytes
from medreward.prepare.options import Options
from medreward.priors.prompt import Prompt, PromptBuilder
from medreward.task.task import Task
from medreward.task.traits import Trait


def prompt_facts(prompts: PromptBuilder, options: Options) -> dict[str, str]:
    """Return what is to be said of a run's prompts, by name: knowledge, order, template, budget."""
    task = prompts.task
    facts = {
        "knowledge": f"{options.knowledge}: {task.count_reviews(prompts.level)}",
        **_readers(task),
        "options"
        if Trait.OPTIONS in task.traits
        else "labels": f"in an order of each row's own (seed {prompts.seed})"
        if prompts.shuffled
        else "in the order of the source"
        if Trait.OPTIONS in task.traits
        else "in the card's order",
        "template": _template(options.template),
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


def _readers(task: Task) -> dict[str, str]:
    """Return who reviewed the card's statements, each once."""
    said = [one for statement in task.reviewed_statements for one in statement.opinions]
    names = dict.fromkeys(f"{one.by} ({one.role})" for one in said)
    return {"readers": ", ".join(names)} if names else {}


def _template(path: str | Path | None) -> str:
    if path is None:
        return "medreward's"
    digest = sha256(read_bytes(path)).hexdigest()[:8]
    return f"{pathless(str(path))} (SHA-256 {digest}…)"
