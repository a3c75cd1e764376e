"""Rewards for visual reinforcement fine-tuning of medical vision-language models.

>>> from medreward import explain
>>> score = explain("<think>Hm</think><answer>normal</answer>", 0, task="pneumoniamnist")
>>> score.parts
{'accuracy': 1.0, 'format': 1.0, 'recitation': 0.0}
"""

from medreward.errors import ConfigError
from medreward.scoring.scorer import Score
from medreward.scoring.shaped import explain, shaped_reward
from medreward.task.labels import Label, Statement
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.weights import Weights
from medreward.version import __version__

__all__ = [
    "ConfigError",
    "Label",
    "RewardSettings",
    "Score",
    "Statement",
    "Task",
    "Weights",
    "__version__",
    "explain",
    "shaped_reward",
]
