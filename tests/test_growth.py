"""The measure of growth tells linear from quadratic work."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.growth import Work, assert_less, assert_linear, growth


def linear(size: int) -> Work:
    return lambda: sum(range(1000 * size))


def quadratic(size: int) -> Work:
    return lambda: sum(range(size * size))


def half_quadratic(size: int) -> Work:
    """Beside the square there is linear work, a thirteenth of it at the smaller size."""
    return lambda: (sum(range(size * size)), sum(range(size * 60)))


def test_linear_work_passes() -> None:
    assert_linear(linear, 2000)


@pytest.mark.parametrize("work", [quadratic, half_quadratic])
def test_quadratic_work_does_not(work: object) -> None:
    assert callable(work)
    with pytest.raises(AssertionError, match="4 times the size takes"):
        assert_linear(work, 3200)


def test_work_that_takes_no_time_passes() -> None:
    assert growth(lambda size: lambda: sum(range(size)), 100, 4, 10.0) == 1.0


def test_one_piece_of_work_against_another() -> None:
    assert_less(linear(10), linear(1000))
    with pytest.raises(AssertionError):
        assert_less(linear(1000), linear(10))


CLOCKS = {"process_time", "perf_counter", "thread_time", "monotonic", "time"}
# Which waits until something has happened, and is a fault where it never does.
WAITS = {("test_prepare.py", "wait_for")}


def reads_a_clock(node: ast.AST) -> bool:
    return any(
        isinstance(call, ast.Call)
        and (
            (isinstance(call.func, ast.Name) and call.func.id in CLOCKS)
            or (
                isinstance(call.func, ast.Attribute)
                and isinstance(call.func.value, ast.Name)
                and (call.func.value.id, call.func.attr) in {("time", name) for name in CLOCKS}
            )
        )
        for call in ast.walk(node)
    )


def test_no_test_reads_a_clock() -> None:
    """Nothing is held to a number of seconds: `assert_linear` compares times of one run."""
    found = {
        (path.name, node.name)
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and reads_a_clock(node)
    }
    assert found == WAITS
