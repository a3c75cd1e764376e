r"""medreward in ms-swift: reward functions that an external plugin registers.

``python -m medreward_swift TASK …`` prints the options of ``swift rlhf --rlhf_type grpo``::

    --external_plugins …/medreward_plugin.py
    --reward_funcs medreward_accuracy medreward_format medreward_recitation
    --reward_weights 1.0 0.2 0.05

Rows are those of ``medreward rows export --to ms-swift``; their column ``task`` names their task.

>>> from medreward_swift import reward_classes
>>> format_reward = reward_classes()["medreward_format"]()
>>> format_reward(["<think>x</think><answer>1</answer>"], task=["retinamnist"], target=["2"])
[1.0]
"""

from __future__ import annotations

from medreward_swift.options import plugin_path, swift_options
from medreward_swift.rewards import reward_classes

__all__ = ["plugin_path", "reward_classes", "swift_options"]
