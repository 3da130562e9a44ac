"""Plug-ins as packages that are installed: a module, and the metadata with its entry points."""

from __future__ import annotations

import importlib
import itertools
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batkol.plugins.contract import GROUP

_numbers = itertools.count(1)


@contextmanager
def installed_package(
    folder: Path, code: str, *, entries: dict[str, str] | None = None, version: str = "1.2.3"
) -> Iterator[str]:
    """Install a package whose module has that code; yield the name of the module.

    `entries`: names of plug-ins, each with the name of its function; by default `bot` is `bot`.
    """
    module = f"a_plugin_{next(_numbers)}"
    site = folder / f"site_{module}"
    metadata = site / f"{module}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (site / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
    lines = [f"{name} = {module}:{function}" for name, function in (entries or {"bot": "bot"}).items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    try:
        yield module
    finally:
        sys.path.remove(str(site))
        sys.modules.pop(module, None)
        importlib.invalidate_caches()


def module_of(name: str) -> Any:
    """Return a plug-in's module, which its thread has imported: where its code put what it saw."""
    return sys.modules[name]
