"""One small module a reward; :mod:`medreward.rewards.scorer` is where they meet."""
