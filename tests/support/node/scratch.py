"""Images that have one program of `.tools/bin` and nothing else, as most Go programs are published.

They are written as archives of Docker's format, which containerd imports: one layer with one file needs no builder,
and nothing of it is kept but the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Final

from support.node.images import bring_once
from support.node.places import RUN
from support.process.programs import tool

TAG: Final = "node"
_USER: Final = "65532:65532"
"""Nobody's number, as the projects' own images have it: pods must not run as root."""


def name_of(program: str) -> str:
    """Return the image's name on the node, which no registry has."""
    return f"localhost/{program}:{TAG}"


def bring(program: str) -> None:
    """Have containerd know the image of a program. Raises `FileNotFoundError` where it is not built."""
    binary, archive = tool(program), RUN / f"{program}.tar"
    built = binary.stat()
    mark = f"{name_of(program)} {built.st_size} {built.st_mtime_ns}"
    bring_once(program, mark, archive, lambda file: _write(file, program, binary))
    archive.unlink(missing_ok=True)


def _layer(program: str, binary: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tar.gettarinfo(binary, arcname=program)
        entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o755, 0, 0, "", ""
        with binary.open("rb") as content:
            tar.addfile(entry, content)
    return packed.getvalue()


def _write(archive: Path, program: str, binary: Path) -> None:
    layer = _layer(program, binary)
    config: Any = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program}"], "User": _USER, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name_of(program)], "Layers": ["layer.tar"]}]
    parts = {
        "layer.tar": layer,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(archive, "w") as tar:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
