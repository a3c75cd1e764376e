"""Rows, and what was answered to them, as one self-contained HTML sheet.

The sheet needs no network, script or mouse, reads in light and dark and on paper, and shows every
text of rows and completions escaped. Pictures are scaled down, so that its size stays bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from medreward.audit.pictures import Picture, Shape, picture
from medreward.audit.view_rows import Answer, Choice, Sheet, chosen
from medreward.data.atomic import write_text_atomic
from medreward.data.check import TaskOf
from medreward.data.rows import IMAGE_MARK
from medreward.errors import ConfigError
from medreward.reasons import REASONS
from medreward.version import __version__
