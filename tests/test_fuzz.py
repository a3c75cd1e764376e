"""A short run of the fuzzers; `make fuzz` runs them for minutes or hours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing import PROPERTIES, WORDS, spell

# Bytes that the fuzzers found a property broken by, kept from coming back.
FOUND: list[tuple[str, bytes]] = [
    ("targets", b"\x00\x1e4"),  # white space to re, but not to int()
    ("targets", b"\x01\x1e4"),
    ("reading", b"[m\x8a\x1b\x7f\x96\x0f\x94h"),  # a slash with nothing behind it
]


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name: str) -> None:
    @settings(max_examples=120, deadline=None)
    @given(st.binary(max_size=60))
    def holds(data: bytes) -> None:
        PROPERTIES[name](data)

    holds()


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_was_found_stays_mended(name: str, data: bytes) -> None:
    PROPERTIES[name](data)


def test_every_word_can_be_spelt() -> None:
    assert len(WORDS) < 256
    assert len({*WORDS}) == len(WORDS)
    assert spell(bytes([0, 10, 3])) == "<think>normal </answer>"
