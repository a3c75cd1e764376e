"""Boxes around the values of a mask are those that one pass over the image for each value gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medreward.geometry.value_boxes import boxes_of_values


def boxes_by_passes(values: np.ndarray, *, connected: bool) -> list[tuple[int, list[int]]]:
    found = []
    for value in np.unique(values[values != 0]):
        marked = (values == value).astype(np.int32)
        if connected:
            marked, _ = ndimage.label(marked, structure=np.ones((3, 3)))
        for rows, columns in ndimage.find_objects(marked):
            found.append((int(value), [columns.start, rows.start, columns.stop, rows.stop]))
    return found


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("most", [1, 2, 5, 2**16])
def test_boxes_are_those_of_a_pass_for_each_value(most: int, connected: bool) -> None:
    chance = np.random.default_rng(most)
    for _ in range(60):
        height, width, scale = chance.integers(1, 12, 3)
        values = chance.integers(-1, most + 1, (height, width))
        values = np.kron(values, np.ones((1 + scale % 2, 1 + scale % 3), np.int64))
        found, boxes = boxes_of_values(values, connected=connected)
        assert list(zip(found.tolist(), boxes, strict=True)) == boxes_by_passes(
            values, connected=connected
        )


def test_a_spiral_is_one_part() -> None:
    spiral = np.array([[1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]])
    found, boxes = boxes_of_values(spiral, connected=True)
    assert (found.tolist(), boxes) == ([1], [[0, 0, 4, 5]])


@pytest.mark.parametrize("connected", [True, False])
def test_an_empty_mask_has_no_box(connected: bool) -> None:
    assert boxes_of_values(np.zeros((4, 5), np.int64), connected=connected)[1] == []
