"""The measure of growth tells linear from quadratic work."""

from __future__ import annotations

import pytest

from tests.growth import MOST, Work, assert_less, assert_linear, growth


def linear(size: int) -> Work:
    return lambda: sum(range(1000 * size))


def quadratic(size: int) -> Work:
    return lambda: sum(range(size * size))


def half_quadratic(size: int) -> Work:
    """The square is most of the work at the larger size, and a good half at the smaller one."""
    return lambda: (sum(range(size * size)), sum(range(size * 250)))


def test_linear_work_passes() -> None:
    assert_linear(linear, 2000)


@pytest.mark.parametrize("work", [quadratic, half_quadratic])
def test_quadratic_work_does_not(work: object) -> None:
    assert callable(work)
    assert growth(work, 1600) > MOST
    with pytest.raises(AssertionError, match="4 times the size takes"):
        assert_linear(work, 1600)


def test_work_that_takes_no_time_passes() -> None:
    assert growth(lambda size: lambda: sum(range(size)), 100) == 1.0


def test_one_piece_of_work_against_another() -> None:
    assert_less(linear(10), linear(1000))
    with pytest.raises(AssertionError):
        assert_less(linear(1000), linear(10))
