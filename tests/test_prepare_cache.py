"""Rendered images that a run keeps for the next one: not decoded again, and the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medreward import ConfigError
from medreward.data.picture import load_file
from medreward.data.render import Job, Rendered, Renderer
from medreward.data.render_cache import RenderCache
from medreward.data.sources import Picture, ReadingOptions, Record, Source, open_class_folders
from medreward.prepare import Options, merge_parts, prepare
from tests import prepare_support as support
from tests.prepare_support import content

CACHE = ".medreward-cache"
COUNT = 70  # more than are rendered again without a thought
OPTIONS = Options(size=8, workers=1, fractions={"train": 0.8, "test": 0.2})
TASK = support.task(support.LETTERS)


class Counting:
    """Loads files and notes which, as a source's loader may be any callable."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def __repr__(self) -> str:
        return "Counting()"  # by which the cache knows that it loads as another one does

    def __call__(self, place: tuple[str, str], reading: ReadingOptions) -> Picture:
        self.loaded.append(place[1])
        return load_file(place, reading)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [f"{'alpha' if i % 2 else 'beta'}/{i:02}.png" for i in range(COUNT)]
    return support.folder_of_images(tmp_path / "in", names)


def counted(folder: Path) -> tuple[Source, Counting]:
    load = Counting()
    return replace(open_class_folders(folder), load=load), load


def test_a_run_after_an_error_decodes_only_what_is_new(folder: Path, tmp_path: Path) -> None:
    broken = folder / "beta" / "68.png"
    good = broken.read_bytes()
    broken.write_bytes(b"no picture")
    source, load = counted(folder)
    with pytest.raises(ConfigError, match=r"1 images cannot be used(.*\n)*.*kept in .*--no-cache"):
        prepare(source, TASK, tmp_path / "out", OPTIONS)
    assert len(load.loaded) == COUNT
    assert [path.name for path in (tmp_path / "out").iterdir()] == [CACHE]
    broken.write_bytes(good)
    source, load = counted(folder)
    prepare(source, TASK, tmp_path / "out", OPTIONS)
    assert load.loaded == ["beta/68.png"]
    prepare(open_class_folders(folder), TASK, tmp_path / "plain", replace(OPTIONS, cache=False))
    assert content(tmp_path / "out") == content(tmp_path / "plain")  # and no cache is left


def test_another_option_or_content_renders_again(folder: Path, tmp_path: Path) -> None:
    fail = replace(OPTIONS, mapping={}, fractions={"train": 1.0})
    (folder / "beta" / "68.png").write_bytes(b"no picture")
    source, _ = counted(folder)
    with pytest.raises(ConfigError):
        prepare(source, TASK, tmp_path / "out", fail)
    for options, count in (
        (replace(fail, knowledge="none"), 1),  # only the one that could not be rendered
        (replace(fail, size=9), COUNT),
        (replace(fail, reading=ReadingOptions(max_pixels=1000)), COUNT),
        (replace(fail, cache=False), COUNT),
    ):
        source, load = counted(folder)
        with pytest.raises(ConfigError):
            prepare(source, TASK, tmp_path / "out", options)
        assert len(load.loaded) == count
    (folder / "alpha" / "01.png").write_bytes((folder / "alpha" / "03.png").read_bytes() + b" ")
    source, load = counted(folder)
    with pytest.raises(ConfigError):
        prepare(source, TASK, tmp_path / "out", fail)
    assert load.loaded == ["alpha/01.png", "beta/68.png"]


def test_few_images_and_no_cache_keep_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "beta" / "68.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError) as caught:
        prepare(open_class_folders(folder), TASK, tmp_path / "a", replace(OPTIONS, cache=False))
    assert "kept in" not in str(caught.value)
    few = support.folder_of_images(tmp_path / "few", ["alpha/1.png"])
    (few / "alpha" / "2.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError):
        prepare(open_class_folders(few), TASK, tmp_path / "b", OPTIONS)
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()


def test_a_part_keeps_its_own(folder: Path, tmp_path: Path) -> None:
    bad = folder / "beta" / "68.png"
    good = bad.read_bytes()
    bad.write_bytes(b"no picture")
    parts = [replace(OPTIONS, part=(number, 2)) for number in (1, 2)]
    prepare(open_class_folders(folder), TASK, tmp_path / "out", parts[0])
    with pytest.raises(ConfigError, match="kept in"):
        prepare(open_class_folders(folder), TASK, tmp_path / "out", parts[1])
    bad.write_bytes(good)
    prepare(open_class_folders(folder), TASK, tmp_path / "out", parts[1])
    merge_parts([tmp_path / "out"], tmp_path / "joined")
    prepare(open_class_folders(folder), TASK, tmp_path / "whole", OPTIONS)
    assert content(tmp_path / "joined") == content(tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "part-00001-of-00002",
        "part-00002-of-00002",
    ]


def spoil_length(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def spoil_content(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3] + b"abc")


def spoil_head(path: Path) -> None:
    path.write_bytes(b"{}\n")


@pytest.mark.parametrize("spoil", [spoil_length, spoil_content, spoil_head, Path.unlink])
def test_an_entry_that_is_not_whole_is_rendered_again(
    spoil: Callable[[Path], Any], folder: Path, tmp_path: Path
) -> None:
    cache = RenderCache(tmp_path / "cache", "how")
    load = Counting()
    renderer = Renderer(load, ReadingOptions(), 8, cache)
    place = (str(folder), "alpha/01.png")
    job = Job(Record("1", "1", place), place)
    first, second = renderer(job), renderer(job)
    assert isinstance(first, Rendered)
    assert first == second
    assert len(load.loaded) == 1
    [entry] = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    spoil(entry)
    assert renderer(job) == first
    assert len(load.loaded) == 2


@pytest.mark.parametrize(
    "payload",
    [b"content", {"bytes": b"content"}, np.zeros((4, 4), np.uint8), (b"a", b"b")],
)
def test_what_sources_fetch_has_a_name(payload: Any, tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, "how")
    assert cache.key(payload) == cache.key(payload)
    assert cache.key(payload) != RenderCache(tmp_path, "other").key(payload)


def test_what_is_not_known_has_none(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path, "how")
    for payload in (None, (), {"path": "x"}, 7, (str(tmp_path), "gone.png"), (object(),)):
        assert cache.key(payload) is None
    assert cache.key((b"a", b"b")) != cache.key((b"ab",))
