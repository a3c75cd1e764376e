"""The layers of docs/explanation/architecture.md, read from imports; names and kinds, from code."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from enum import EnumMeta
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from medreward.kinds.base import TargetType
from medreward.perception.moving import MOVING
from medreward.prepare.finish import FINISHERS
from medreward.prepare.labels import SETTLERS
from medreward.sheets.shapes import SHAPES
from medreward.task.registry import kind_names

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "medreward"
# From the lowest up. A package imports from its own layer's packages only what is its own.
LAYERS = (
    ("errors", "lazy", "version"),
    ("text",),
    ("checks", "files", "language"),
    ("geometry",),
    ("task",),
    ("kinds",),
    ("priors",),
    ("scoring",),
    ("data",),
    ("perception", "grounding", "sheets"),
    ("prepare", "runs", "audit"),
    ("commands",),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if path not in (PACKAGE / "__init__.py", PACKAGE / "__main__.py")
}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a module imports, also late and for types only."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [x if x.removeprefix("medreward.") in MODULES else node.module for x in below]
        else:
            continue
        for name in names:
            if name.removeprefix("medreward.") in MODULES and name.startswith("medreward."):
                yield name.removeprefix("medreward.")


IMPORTS = {name: set(imported(path)) - {name} for name, path in MODULES.items()}


def test_every_package_has_a_layer() -> None:
    assert {name.partition(".")[0] for name in MODULES} == set(RANK)


def test_no_module_imports_up_the_layers() -> None:
    found = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        for here, there in [(name.partition(".")[0], other.partition(".")[0])]
        if here != there and RANK[there] >= RANK[here]
    ]
    assert found == []


def test_no_imports_go_round_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(IMPORTS[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_the_core_imports_no_adapter() -> None:
    adapters = {path.name for path in (ROOT / "adapters").iterdir() if path.is_dir()}
    for name, path in MODULES.items():
        for node in ast.walk(tree_of(path)):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            assert (module or "").partition(".")[0] not in adapters, name


def code_constants(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the texts in a module's code: all but docstrings and annotations."""
    expressions = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and node.value
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in expressions:
            yield node


# A card's kind where it names none.
# Words that name other things too, such as the fields of an object.
ALLOWED = {
    ("task/task.py", "classification"),
    ("task/task.py", "fields"),
    ("task/card.py", "fields"),
    ("priors/show.py", "fields"),
    ("sheets/report.py", "number"),
    ("data/sources/coco.py", "segmentation"),
}


@pytest.mark.parametrize("folder", ["medreward", "adapters"])
def test_no_kind_is_named_outside_of_its_package(folder: str) -> None:
    kinds = set(kind_names())
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        if path.is_relative_to(PACKAGE / "kinds"):
            continue
        for constant in code_constants(tree_of(path)):
            if isinstance(constant.value, str) and constant.value in kinds:
                place = path.relative_to(ROOT / folder).as_posix()
                if (place, constant.value) not in ALLOWED:
                    found.add(f"{folder}/{place}, line {constant.lineno}: {constant.value!r}")
    assert sorted(found) == []


def test_a_class_name_stands_once() -> None:
    found = defaultdict(set)
    for folder in ("medreward", "adapters"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.ClassDef):
                    found[node.name].add(path.relative_to(ROOT).as_posix())
    assert {name: sorted(paths) for name, paths in found.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("table", [SETTLERS, FINISHERS, MOVING, SHAPES])
def test_every_table_by_type_of_target_has_all_types(table: dict[TargetType, object]) -> None:
    assert set(table) == set(TargetType)


# Faces: what users import, and what README, docs and recipes import. A package that declares no
# names is for medreward itself.
FACES = [
    ".".join(("medreward", *path.parent.relative_to(PACKAGE).parts))
    for path in sorted(PACKAGE.rglob("__init__.py"))
    if "__all__" in path.read_text(encoding="utf-8")
]
FACES += ["medreward_trl", "medreward_trl.recipe", "medreward_verl", "medreward_easyr1"]
FACES += ["medreward_swift", "medreward_conformance"]
# Modules that a trainer's configuration names; verl loads them by their path.
NAMED_MODULES = {"medreward_verl.dataset", "medreward_verl.manager", "medreward_verl.check"}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^( *)```(?:python|py)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def shown_code() -> Iterator[tuple[str, ast.Module]]:
    """Yield the name of each recipe and page, and the Python in it."""
    own = ROOT / "recipes" / "evidence"  # a tool of the project: it is run, never copied from
    for path in sorted(set((ROOT / "recipes").rglob("*.py")) - set(own.rglob("*.py"))):
        yield path.name, tree_of(path)
    for page in PAGES:
        for indent, code in FENCED.findall(page.read_text(encoding="utf-8")):
            yield page.name, ast.parse(re.sub(rf"(?m)^{indent}", "", code))


def from_our_packages() -> Iterator[tuple[str, str, str]]:
    """Yield place, module and name of each import of ours that users are shown."""
    for place, tree in shown_code():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medreward"):
                yield from ((place, node.module or "", alias.name) for alias in node.names)
            if isinstance(node, ast.Import):
                yield from (
                    (place, alias.name, "")
                    for alias in node.names
                    if alias.name.startswith("medreward")
                )


def test_readme_docs_and_recipes_import_from_faces() -> None:
    shown = list(from_our_packages())
    assert len(shown) > 60
    wrong = [
        f"{place}: from {module} import {name}"
        for place, module, name in shown
        if module not in NAMED_MODULES
        if module not in FACES or name not in import_module(module).__all__
    ]
    assert wrong == []


def faces() -> Iterator[tuple[ModuleType, str, object]]:
    for name in FACES:
        face = import_module(name)
        assert face.__doc__, name
        assert sorted(face.__all__) == sorted(set(face.__all__)), name
        yield from ((face, public, getattr(face, public)) for public in face.__all__)


def test_a_face_names_what_there_is() -> None:
    """Each name resolves, is no module of the package, and comes where type checkers see it."""
    for face, name, found in faces():
        assert not isinstance(found, ModuleType), f"{face.__name__}.{name}"
        assert name in dir(face), f"{face.__name__}.{name}"
        source = tree_of(Path(str(face.__file__)))
        seen = {
            alias.asname or alias.name
            for node in ast.walk(source)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        seen |= {node.name for node in source.body if isinstance(node, ast.FunctionDef)}
        assert name in seen, f"{face.__name__}.{name}"


# Made by medreward and not by users, who read them: a list of attributes says all.
RESULTS = {"CaseFile", "Case", "Outcome", "RewardFuncs", "AttackCase", "Family"}


def test_public_functions_and_classes_have_an_example() -> None:
    missing = {
        f"{face.__name__}.{name}"
        for face, name, found in faces()
        if hasattr(face, "__path__") and name not in RESULTS
        if inspect.isfunction(found) or (inspect.isclass(found) and not isinstance(found, EnumMeta))
        if not any(mark in (inspect.getdoc(found) or "") for mark in (">>>", "::\n"))
    }
    assert missing == set()


def test_all_that_is_public_is_described() -> None:
    for face, name, found in faces():
        if inspect.isfunction(found) or inspect.isclass(found):
            assert inspect.getdoc(found), f"{face.__name__}.{name}"
