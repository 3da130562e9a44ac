"""Write requirements/*.txt: every package of an image with its version and the hashes of its files.

An image is built with `pip install --require-hashes`, so that it holds what was looked at here and nothing else. The
versions are those of constraints.txt; the hashes are of the wheels that pip would choose on the platforms below, as the
package index gives them to pip's own resolver. No address of an index is written: who builds from a mirror gets the
same files, or an error.
"""

# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"  # of the base image
MACHINES = ("x86_64", "aarch64")
GLIBC = 36  # 2.36: Debian 12, the base image; wheels for an older one will do
HEADER = "# By `make requirements`, from pyproject.toml and constraints.txt: CPython {python} on Linux, {machines}.\n"

Pins = dict[tuple[str, str], set[str]]
"""Name and version to SHA-256 hashes."""


def wanted() -> dict[str, list[str]]:
    """Return what each file is for: the requirements that pyproject.toml states."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    return {
        "service": extras["service"],
        "operator": extras["operator"],
        "build": project["build-system"]["requires"],
        "reload": [each for each in extras["service"] if each.startswith("watchfiles")],
    }


def resolve(requirements: list[str], machine: str) -> Pins:
    """Ask pip what it would install on a machine, and of which files. Nothing is installed."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 16, -1)] + [f"manylinux2014_{machine}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--disable-pip-version-check"]
        command += ["--ignore-installed", "--only-binary=:all:", f"--python-version={PYTHON}", "--implementation=cp"]
        command += [argument for tag in tags for argument in ("--platform", tag)]
        command += ["--target", folder, "--report", str(report), "--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*command, *requirements], check=True)  # noqa: S603 - our own command
        found = json.loads(report.read_text())["install"]
    pins: Pins = defaultdict(set)
    for each in found:
        name = re.sub(r"[-_.]+", "-", each["metadata"]["name"]).lower()
        pins[name, each["metadata"]["version"]].add(each["download_info"]["archive_info"]["hashes"]["sha256"])
    return pins


def written(requirements: list[str]) -> str:
    """Return the file. Raises `SystemExit` where machines would get different versions."""
    pins: Pins = defaultdict(set)
    for machine in MACHINES:
        for package, hashes in resolve(requirements, machine).items():
            pins[package] |= hashes
    names = [name for name, _ in pins]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SystemExit(f"pip chooses different versions on {' and '.join(MACHINES)}: {', '.join(sorted(twice))}")
    lines = [HEADER.format(python=PYTHON, machines=" and ".join(MACHINES))]
    for (name, version), hashes in sorted(pins.items()):
        options = " \\\n".join(f"    --hash=sha256:{each}" for each in sorted(hashes))
        lines.append(f"{name}=={version} \\\n{options}\n")
    return "".join(lines)


def main() -> None:
    """Write all files, or those named."""
    for name, requirements in wanted().items():
        if name in (sys.argv[1:] or wanted()):
            path = ROOT / f"requirements/{name}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(written(requirements))
            sys.stdout.write(f"{path.relative_to(ROOT)}: {path.read_text().count('==')} packages\n")


if __name__ == "__main__":
    main()
