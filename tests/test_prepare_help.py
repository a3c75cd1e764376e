"""`prepare --help`: which option goes with which source, an example a source; other options."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from medreward.commands.parser import LateParser
from medreward.commands.prepare import add_parser
from medreward.data.sources.registry import SOURCES, sources_help
from tests import prepare_support as support
from tests.prepare_support import card, run


def parse(words: list[str]) -> argparse.Namespace:
    parser = LateParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(words)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_every_source_has_an_example_that_names_it(source: object) -> None:
    arguments = parse(["prepare", *shlex.split(source.example), "--out", "rows"])  # type: ignore[attr-defined]
    for flag in source.flags:  # type: ignore[attr-defined]
        assert getattr(arguments, flag.attribute)


def test_the_help_names_the_sources_of_each_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["prepare", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "images of the row (default: slice) [--nifti --csv]" in said
    assert "default: label [--images --csv, --dicom --csv, --nifti --csv, --hf]" in said
    assert sources_help("medreward prepare").count("    medreward prepare --task ") == len(SOURCES)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--label-column", "dx"], "--label-column: it goes with --images --csv or --dicom --csv"),
        (
            ["--mask-regions", "whole"],
            "--mask-regions: it goes with --images --masks or --nifti --csv, not",
        ),
        (["--text-only"], "--text-only: it goes with --questions, not with --folders"),
    ],
)
def test_an_option_of_another_source_is_refused(
    option: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = support.folder_of_images(tmp_path / "in", ["alpha/1.png", "beta/2.png"])
    own = card(tmp_path, support.LETTERS)
    assert run("--task", own, "--folders", folder, *option, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
