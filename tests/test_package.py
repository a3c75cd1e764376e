"""Wheel and sdist in an environment that has nothing else: imports, data files, command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from medreward.version import __version__

ROOT = Path(__file__).parent.parent
ADAPTERS = ("trl", "verl", "easyr1", "swift", "conformance")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS = ["score", "explain", *PROJECT["entry-points"]["medreward.commands"]]


def run(*words: object, folder: Path, needs: str = "") -> str:
    """Return what a command prints; the checkout is not on its path.

    With `needs`, it may say instead that this extra has to be installed.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)), cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if needs and f"pip install 'medreward[{needs}]'" in done.stderr:
        return done.stderr
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", out, folder=ROOT)
    return out


def test_the_citation_has_the_version() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_pages_name_their_version() -> None:
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert site.startswith(f"site_name: medreward {__version__} ")


def test_both_archives_have_the_data_files(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert wheel.name == f"medreward-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    for pattern in ("tasks/*.yaml", "cases/*.yaml", "profiles/*.yaml", "sheets/*.jinja"):
        files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "medreward").glob(pattern)]
        assert files
        assert inside.issuperset(files)
        assert packed.issuperset(files)
    assert packed >= {"README.md", "CHANGELOG.md", "LICENSE", "constraints.txt", "docs/index.md"}
    assert not [name for name in packed if name.startswith((".ci", ".github"))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_an_empty_environment_runs_it(kind: str, built: Path, tmp_path: Path) -> None:
    (archive,) = built.glob(kind)
    venv.create(tmp_path / "venv", with_pip=True)
    bin_ = tmp_path / "venv" / "bin"
    run(bin_ / "pip", "install", "-q", "-c", ROOT / "constraints.txt", archive, folder=tmp_path)
    names = ["medreward", *(f"medreward_{name}" for name in ADAPTERS)]
    for name in names:
        run(bin_ / "python", "-c", f"import {name}", folder=tmp_path)
    medreward = bin_ / "medreward"
    assert run(medreward, "--version", folder=tmp_path).split() == ["medreward", __version__]
    for command in COMMANDS:
        said = run(medreward, command, "--help", folder=tmp_path, needs="data")
        assert "usage: medreward" in said or command == "prepare"
    text = "<think>Dot bleeds.</think><answer>2</answer>"
    words = ["explain", text, "--task", "retinamnist", "--target", "2"]
    assert "total       +1.2000" in run(medreward, *words, folder=tmp_path)
    assert "retinamnist" in run(medreward, "tasks", folder=tmp_path)
    assert "masks.cases.yaml" not in run(medreward, "check", folder=tmp_path)  # left out
    run(medreward, "audit", "--task", "yes_no", "--family", "hedge-or", folder=tmp_path)


@pytest.mark.slow
def test_the_descriptions_render_on_an_index(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    run(tmp_path / "venv" / "bin" / "pip", "install", "-q", "twine", folder=tmp_path)
    twine = tmp_path / "venv" / "bin" / "twine"
    said = run(twine, "check", "--strict", *sorted(built.iterdir()), folder=tmp_path)
    assert said.count("PASSED") == 2
