"""Packages that share a name (google, opentelemetry, openfeature): each that is imported is declared, as deptry asks.

deptry goes by the first part of a module's name, and so cannot tell `google.auth` from `google.cloud.speech`. Here the
file that is imported says which package it is of.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

import pytest

from support.files.sources import forget, nodes, parsed

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
SHARED = ("google", "opentelemetry", "openfeature")
IMPORTS = re.compile(rf"^\s*(from|import)\s+({'|'.join(SHARED)})\b", re.MULTILINE)
"""An import of one of them; one that follows a comma has a line of its own, as the formatter has it."""
PROGRAMS = {"service": ("service",), "operator": ("operator",), "tests": ("service", "operator", "dev")}
"""Folders, and the extras that declare what they import."""


@pytest.fixture(scope="module", autouse=True)
def _one_worker() -> Iterator[None]:
    """Have all of these tests in one worker, which forgets the sources after them."""
    yield
    forget(packages, imported)


@cache
def packages() -> dict[tuple[str, ...], set[str]]:
    """The packages that have a module, or something below it, by the parts of its name."""
    found = defaultdict(set)
    for package in distributions():
        name = ""  # asked for only where it is needed: each time, the whole metadata is parsed
        for line in (package.read_text("RECORD") or "").splitlines():  # `package.files` reads every line of every one
            file = PurePosixPath(line.partition(",")[0]) if line.startswith(SHARED) else PurePosixPath()
            if file.suffix == ".py" and file.parts[0] in SHARED:
                parts = file.with_suffix("").parts
                for length in range(1, len(parts) + 1):
                    name = name or normal(package.name)
                    found[parts[:length]].add(name)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def imported(folder: str) -> frozenset[tuple[str, ...]]:
    """Each module under a shared name that the folder imports, in its parts, a name that may be one included."""
    paths = [path for path in (ROOT / folder).rglob("*.py") if IMPORTS.search(path.read_text(encoding="utf-8"))]
    names = {name for path in paths for name in names_in(parsed(path))}
    return frozenset(tuple(name.split(".")) for name in names if name.partition(".")[0] in SHARED)


def names_in(tree: ast.Module) -> Iterator[str]:
    """What is imported, in full."""
    for node in nodes(tree):
        match node:
            case ast.Import(names):
                yield from (name.name for name in names)
            case ast.ImportFrom(str(module), names, 0):
                yield from (f"{module}.{name.name}" for name in names)


def package_of(module: tuple[str, ...]) -> str | None:
    """The one package that has a module, or the module that a name is imported from."""
    for length in range(len(module), 0, -1):
        of_it = packages().get((*module[:length], "__init__")) or packages().get(module[:length], set())
        if len(of_it) == 1:
            return next(iter(of_it))
    return None


@pytest.mark.parametrize(("folder", "extras"), PROGRAMS.items(), ids=PROGRAMS)
def test_each_package_that_is_imported_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    known = {normal(re.split(r"[\[<>=!~ ]", line)[0]) for extra in extras for line in declared[extra]}
    needed = {module: package_of(module) for module in imported(folder)}

    assert needed
    assert {module: package for module, package in needed.items() if package not in known} == {}


def test_every_shared_package_that_is_declared_for_the_service_is_imported() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["service"]
    shared = {normal(re.split(r"[\[<>=!~ ]", line)[0]) for line in declared} & set().union(*packages().values())

    assert shared - {package_of(module) for folder in ("service", "operator") for module in imported(folder)} == set()
