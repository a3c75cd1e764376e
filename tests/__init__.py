"""The tests. On a busy machine a hypothesis example may take long, so there is no deadline."""

import os

from hypothesis import Phase, settings

settings.register_profile("medreward", deadline=None)
# The same few examples each time: what kills a mutant once does so again, and soon.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "medreward"))
