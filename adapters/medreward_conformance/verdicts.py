"""What a check can say."""

from __future__ import annotations

from typing import TypeAlias

OK, DIFFERS, NOT_SEEN, NOT_TRIED = "ok", "differs", "not seen", "not tried"
# A verdict and what was found.
Told: TypeAlias = tuple[str, str]
