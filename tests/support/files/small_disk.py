"""A small file system that a test can fill: a tmpfs of its own, for which the kernel wants CAP_SYS_ADMIN."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PIECES = (1 << 20, 4096, 1)


class SmallDisk:
    """Mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in _PIECES:
                _write_until_full(ballast.fileno(), size)

    def empty(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mount one. The test is skipped, with mount's own words, where this process may not."""
    folder = Path(tempfile.mkdtemp(prefix="batkol-small-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "batkol-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        if mounted.returncode:
            pytest.skip(
                f"no small disk can be mounted ({mounted.stderr.strip()}): run this test as root with CAP_SYS_ADMIN"
            )
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        shutil.rmtree(folder)


def _write_until_full(descriptor: int, size: int) -> None:

    try:
        while os.write(descriptor, bytes(size)) == size:
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
