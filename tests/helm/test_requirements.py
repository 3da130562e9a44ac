"""The images hold what constraints.txt says, by hash, from no place in particular."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "requirements").glob("*.txt"))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, str]:
    return {plain(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE)}


def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    stated: dict[str, list[str]] = project["project"]["optional-dependencies"]
    return {**stated, "build": project["build-system"]["requires"], "reload": ["watchfiles"]}


CONSTRAINTS = pins(ROOT / "constraints.txt")


def test_there_is_one_for_each_stage_of_the_dockerfile() -> None:
    asked = set(re.findall(r"requirements/(\w+)\.txt", (ROOT / "Dockerfile").read_text()))

    assert {path.stem for path in FILES} == asked


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_versions_are_those_that_are_tested(path: Path) -> None:
    ours = pins(path)
    tools = {"hatchling", "tomlkit", "trove-classifiers"}  # they build, and are not in the image

    assert ours
    assert {name: version for name, version in ours.items() if name not in tools}.items() <= CONSTRAINTS.items()
    assert path.stem == "build" or not tools & set(ours)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_everything_stated_is_there(path: Path) -> None:
    """Anything forgotten would stop the build: with hashes pip takes nothing that has none."""
    stated = {plain(re.split(r"[\[<>=~! ]", each)[0]) for each in extras()[path.stem]}

    assert stated <= set(pins(path)), f"run `make requirements`: {stated - set(pins(path))}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_version_has_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    for entry in re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]:
        assert re.fullmatch(r"[\w.-]+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", entry), entry
    assert "://" not in text
    assert "--index" not in text


def test_the_operator_is_without_clients_that_kopf_would_load() -> None:
    """kopf imports them where they are installed, for 50 MB of memory."""
    assert not {"kubernetes", "kubernetes-asyncio", "pykube-ng"} & set(pins(ROOT / "requirements/operator.txt"))
