"""Write what each image has of Python packages, as CycloneDX 1.6: `tools/sbom.py FOLDER`.

The parts are those of requirements/*.txt, by version and hash, and our own distribution. The packages of Debian in the
base image are not among them: a scanner of images, or `docker buildx build --sbom=true`, lists those. The same source
gives the same bytes: no time and no random number is in a list.
"""

# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
IMAGES = {"batkol": "service", "batkol-operator": "operator"}


def pinned(text: str) -> list[tuple[str, str, list[str]]]:
    """Return name, version and SHA-256 hashes of every package of a requirements file."""
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    return [_entry(entry) for entry in entries]


def _entry(text: str) -> tuple[str, str, list[str]]:
    name, version = text.split(maxsplit=1)[0].split("==")
    return name, version, re.findall(r"--hash=sha256:([0-9a-f]{64})", text)


def bill(image: str, version: str, base: str, requirements: str) -> dict[str, Any]:
    """Return the bill of materials of one image."""
    parts = [_component(*each) for each in pinned(requirements)]
    whole = f"pkg:oci/{image}@{version}"
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": whole, "name": image, "version": version},
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        },
        "components": [{"type": "container", "bom-ref": base, "name": base, "description": "Base image."}, *parts],
        "dependencies": [{"ref": whole, "dependsOn": [base, *(each["bom-ref"] for each in parts)]}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return {**document, "serialNumber": f"urn:uuid:{serial}"}


def _component(name: str, version: str, hashes: list[str]) -> dict[str, Any]:
    """Describe a package. It has a hash for each of its files: one for each kind of machine."""
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": purl,
                "hashes": [{"alg": "SHA-256", "content": content} for content in hashes],
            }
        ],
    }


def main() -> None:
    """Write the lists of both images."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    folder.mkdir(parents=True, exist_ok=True)
    found = re.search(r"^ARG BASE_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    version = re.search(r'__version__ = "([^"]+)"', (ROOT / "service/batkol/__init__.py").read_text())
    if found is None or version is None:
        raise SystemExit("The Dockerfile names no BASE_IMAGE, or service/batkol/__init__.py no version.")
    for image, stage in IMAGES.items():
        written = bill(image, version[1], found[1], (ROOT / f"requirements/{stage}.txt").read_text())
        path = folder / f"{image}-{version[1]}.cdx.json"
        path.write_text(json.dumps(written, indent=2) + "\n")
        sys.stdout.write(f"{path}: {len(written['components'])} parts\n")


if __name__ == "__main__":
    main()
