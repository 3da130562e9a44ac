"""What the chart has from elsewhere is what is there now: `make chart` writes it."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from typer.testing import CliRunner

from batkol_operator.main import app
from batkol_operator.model.crd import crd
from support.chart.files import CHART, LOADER, ROOT


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script, which is no package."""
    spec = importlib.util.spec_from_file_location("helm_generate", ROOT / "helm/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_nothing_generated_is_stale(generate: ModuleType) -> None:
    stale = [str(path.relative_to(ROOT)) for path, content in generate.wanted().items() if path.read_text() != content]

    assert not stale, f"run `make chart`: {stale}"


def test_the_definition_is_what_the_operator_prints() -> None:
    written = (CHART / "files/crds/voiceagents.yaml").read_text()

    assert written == CliRunner().invoke(app, ["crd"]).stdout
    assert yaml.load(written, LOADER) == crd()


def test_the_definition_has_its_name_where_the_template_puts_labels() -> None:
    """The template exchanges this one line: a second one would be exchanged too."""
    assert (CHART / "files/crds/voiceagents.yaml").read_text().count("  name: voiceagents.batkol.dev\n") == 1


def test_every_value_is_documented(generate: ModuleType) -> None:
    assert not generate.undocumented((CHART / "values.yaml").read_text())


def test_the_readme_lists_values_and_rights(generate: ModuleType) -> None:
    readme = (CHART / "README.md").read_text()

    assert "| `image.digest` |" in readme
    assert "| `keda.sh` | scaledobjects | list, watch, create, patch, delete |" in readme
    assert "| core | secrets | create, update |" in readme
    assert len(list(generate.documented((CHART / "values.yaml").read_text()))) > 60


def test_a_comment_belongs_to_the_key_below_it(generate: ModuleType) -> None:
    text = "# -- A group.\na:\n  # -- B is c.\n  b: [1]\nd: {}\n"

    found = [(value.path, value.default, value.text) for value in generate.documented(text)]

    assert found == [("a", '{"b": [1]}', "A group."), ("a.b", "[1]", "B is c.")]
    assert generate.undocumented(text) == {"d"}
