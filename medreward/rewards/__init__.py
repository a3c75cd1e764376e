"""One small module a reward; :mod:`medreward.rewards.shaped` is where they meet."""
