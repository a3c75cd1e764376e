"""The tests. On a busy machine a hypothesis example may take long, so there is no deadline."""

import os

from hypothesis import Phase, settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "medreward")
settings.register_profile("medreward", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1000)  # see `make fuzz`
# The same few examples each time: what kills a mutant once does so again, and soon.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile(PROFILE)


def at_most(examples: int) -> int:
    """Return how many examples of a wide property to try: all of them in `make fuzz` only."""
    return examples if PROFILE == "thorough" else max(100, examples // 4)
