"""The images of a node: built by `tools/images`, and brought to its containerd without a registry."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from support.node.configuration import PAUSE
from support.node.places import CONTAINERD, IMAGES, ROOT, SOCKET

SERVICE: Final = "localhost/batkol"
OPERATOR: Final = "localhost/batkol-operator"
TAG, NEXT_TAG = "one", "two"
"""Two tags of the same image: from one to the other an image is rolled."""

_NAMES: Final = {"service": f"{SERVICE}:{TAG}", "operator": f"{OPERATOR}:{TAG}", "pause": PAUSE}
_BROUGHT: Final = CONTAINERD / "brought.json"


def build() -> None:
    """Build what is not built yet, as archives in `IMAGES`. Ends the program where that fails."""
    if subprocess.run([str(ROOT / "tools/images"), str(IMAGES)], check=False).returncode:
        raise SystemExit("The images did not build: `tools/images` has said why, above.")


def bring() -> None:
    """Import into containerd the archives that changed since the last time, and give the service its second tag."""
    for name in _NAMES:
        bring_once(name, (IMAGES / f"{name}.id").read_text(), IMAGES / f"{name}.tar")
    ctr("images", "tag", "--force", f"{SERVICE}:{TAG}", f"{SERVICE}:{NEXT_TAG}")
    ctr("images", "tag", "--force", f"{OPERATOR}:{TAG}", f"{OPERATOR}:{NEXT_TAG}")


def bring_once(name: str, mark: str, archive: Path, make: Callable[[Path], object] = Path.exists) -> None:
    """Import an archive into containerd, unless the last one of that name had this mark: containerd keeps images.
    `make` makes it first.
    """
    brought = json.loads(_BROUGHT.read_text()) if _BROUGHT.exists() else {}
    if brought.get(name) == mark:
        return
    make(archive)
    ctr("images", "import", str(archive))
    _BROUGHT.write_text(json.dumps({**brought, name: mark}))


def ctr(*arguments: str) -> str:
    """Ask containerd something. Raises `CalledProcessError`; what it says goes to where this program speaks."""
    command = ["ctr", "--address", str(SOCKET), "--namespace", "k8s.io", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
