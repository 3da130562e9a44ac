"""A demo that stays up, in a clone of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.process.clones import clone, server_programs


@contextmanager
def staying(place: Path) -> Iterator[tuple[Path, str]]:
    """Have a demo stay up in a clone; give the clone's folder and what is printed to be tried."""
    made = clone(place)
    (made / ".venv").symlink_to(Path(sys.prefix))
    packages = server_programs(made / "packages")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE"))}
    page = place / "page"
    with page.open("w") as out:
        demo = subprocess.Popen(
            ["make", "--assume-old", ".venv/.installed", "demo", "ARGS=--short --stay"],
            cwd=made,
            env=inherited | {"PYTHONPATH": f"{made / 'service'}:{packages}"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while "\n    tail -f " not in (said := page.read_text()):
            assert demo.poll() is None, said
            time.sleep(0.2)
        yield made, said.partition("Everything stays up")[2]
        os.killpg(demo.pid, signal.SIGINT)
        demo.wait(60)
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()
