"""Prior knowledge in prompts (PA_p).

>>> from medreward import Task
>>> from medreward.priors import PromptBuilder
>>> PromptBuilder(Task.load("pneumoniamnist"), "none")("train-7").knowledge
''
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.priors.lint import lint_card
    from medreward.priors.prompt import Prompt, PromptBuilder
    from medreward.priors.review_files import apply_reviews, list_subjects
    from medreward.priors.show import card_json, card_text
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.priors.lint": "lint_card",
            "medreward.priors.prompt": "Prompt PromptBuilder",
            "medreward.priors.review_files": "apply_reviews list_subjects",
            "medreward.priors.show": "card_json card_text",
        },
    )

__all__ = [
    "Prompt",
    "PromptBuilder",
    "apply_reviews",
    "card_json",
    "card_text",
    "lint_card",
    "list_subjects",
]
