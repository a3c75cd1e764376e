"""From rows to scores: the parts of the reward, the scorer, signatures, traces."""
