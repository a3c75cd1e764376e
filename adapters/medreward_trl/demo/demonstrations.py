"""Completions for the warm start to imitate: what is measured on a slice, then its grade."""

from __future__ import annotations

from medreward.data.example import Example

_AREAS = ("small", "medium", "large")
_SHARES = ("little", "some", "much")
_MUCH_WHITE = 0.6  # no slice has a larger share of white matter


def demonstration(example: Example) -> str:
    """Return a right, well-formed completion for a slice, by its measured area and white matter.

    >>> from medreward.data import mni152
    >>> demonstration(mni152.examples("mni152_level", split="train", count=1, seed=0)[0])
    '<think> small area, little white matter </think> <answer> 0 </answer>'
    """
    area = _word(_AREAS, example.meta["size"])
    white = _word(_SHARES, example.meta["white"] / _MUCH_WHITE)
    reasoning = f"{area} area, {white} white matter"
    return f"<think> {reasoning} </think> <answer> {example.target} </answer>"


def _word(words: tuple[str, ...], share: float) -> str:
    """Return the word for a share in [0, 1], cut into equal bands."""
    return words[min(len(words) - 1, int(share * len(words)))]
