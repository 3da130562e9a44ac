"""A kubeconfig, and a process that goes by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def reaching(url: str, folder: Path, **user: str) -> Iterator[None]:
    """Have everything in the block go to that API server; `user` as `tokenFile`."""
    file = folder / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "elsewhere"}}],
        "current-context": "x",
    }
    file.write_text(json.dumps(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(file))
        yield
