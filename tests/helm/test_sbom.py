"""The lists of what is in the images, and how chart and images are published."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import ROOT, load


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    """The script, which is no package."""
    spec = importlib.util.spec_from_file_location("tools_sbom", ROOT / "tools/sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REQUIREMENTS = (
    "# a comment\n"
    "attrs==26.1.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"
    "orjson==3.1 \\\n    --hash=sha256:" + "b" * 64 + " \\\n    --hash=sha256:" + "c" * 64 + "\n"
)


def test_every_package_is_listed_with_all_its_hashes(sbom: ModuleType) -> None:
    assert sbom.pinned(REQUIREMENTS) == [
        ("attrs", "26.1.0", ["a" * 64]),
        ("orjson", "3.1", ["b" * 64, "c" * 64]),
    ]


def test_the_list_names_the_base_and_every_part_and_never_changes_by_itself(sbom: ModuleType) -> None:
    first, second = (sbom.bill("batkol", "1.2.3", "python:3.11", REQUIREMENTS) for _ in range(2))

    assert json.dumps(first) == json.dumps(second)
    assert [each["bom-ref"] for each in first["components"]] == [
        "python:3.11",
        "pkg:pypi/attrs@26.1.0",
        "pkg:pypi/orjson@3.1",
    ]
    assert first["dependencies"] == [
        {"ref": "pkg:oci/batkol@1.2.3", "dependsOn": [each["bom-ref"] for each in first["components"]]}
    ]
    other = sbom.bill("batkol", "1.2.4", "python:3.11", REQUIREMENTS)
    assert first["serialNumber"] != other["serialNumber"]


def test_both_images_have_a_list(sbom: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sbom.py", str(tmp_path)])
    sbom.main()
    version = load("Chart.yaml")["version"]
    names = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}

    assert sorted(names) == [f"batkol-{version}.cdx.json", f"batkol-operator-{version}.cdx.json"]
    listed = {each["name"] for each in names[f"batkol-operator-{version}.cdx.json"]["components"]}
    assert {"kopf", "lightkube"} <= listed
    assert "fastapi" not in listed


def planned(*arguments: str) -> str:
    """What make would run, without running it."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", "VENV=/nowhere", "HELM=helm", *arguments]
    return subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=True).stdout


def test_a_chart_is_packaged_and_with_a_key_signed() -> None:
    assert "helm package helm/batkol --destination dist" in planned("package")
    assert "--sign" not in planned("package")
    assert '--sign --key "release" --keyring "ring.gpg"' in planned("package", "KEY=release", "KEYRING=ring.gpg")


def test_a_chart_is_packaged_with_the_addresses_of_who_publishes_it() -> None:
    found = planned("push", "SITE=https://a.example", "SOURCES=https://b.example https://c.example", "REGISTRY=oci://r")
    yours = '--home "https://a.example"  --sources "https://b.example https://c.example"'
    copied = f"helm/addresses.py dist/chart/batkol {yours}"

    assert "addresses.py" not in planned("package")
    assert found.index(copied) < found.index("helm package dist/chart/batkol --destination dist")


def test_the_copy_has_the_addresses_and_is_the_chart_otherwise(tmp_path: Path) -> None:
    def copy(*given: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "helm/addresses.py"), str(tmp_path / "batkol"), *given]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    home, icon, sources = "https://a.example/#b", "https://a.example/i.svg", ["https://b.example/x", "http://c.example"]
    assert copy("--home", home, "--icon", icon, "--sources", " ".join(sources)).returncode == 0
    files = {path.relative_to(tmp_path / "batkol") for path in (tmp_path / "batkol").rglob("*")}

    assert files == {path.relative_to(ROOT / "helm/batkol") for path in (ROOT / "helm/batkol").rglob("*")}
    assert yaml.safe_load((tmp_path / "batkol/Chart.yaml").read_text()) == {
        **load("Chart.yaml"),
        "home": home,
        "icon": icon,
        "sources": sources,
    }
    for none in ("batkol.example.com", "ftp://batkol.example.com", "https://", "https://me:pw@batkol.example.com"):
        refused = copy("--home", none)
        assert refused.returncode == 2
        assert "must be an address such as https://" in refused.stderr


def test_what_is_pushed_is_what_was_packaged() -> None:
    found = planned("push", "REGISTRY=oci://registry.example.com/charts")
    version = load("Chart.yaml")["version"]

    assert found.index("helm package") < found.index("helm push")
    assert f'helm push dist/batkol-{version}.tgz "oci://registry.example.com/charts"' in found


def test_images_are_pushed_with_provenance_and_a_list_of_their_parts() -> None:
    found = planned("images", "REGISTRY=registry.example.com/voice")

    assert "--provenance=mode=max --sbom=true --push" in found
    assert "service:batkol operator:batkol-operator" in found
