"""The tests. On a busy machine a hypothesis example may take long, so there is no deadline."""

from hypothesis import settings

settings.register_profile("medreward", deadline=None)
settings.load_profile("medreward")
