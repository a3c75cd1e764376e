"""``medreward demo``: GRPO that learns in minutes, on two cores and with nothing to download."""
