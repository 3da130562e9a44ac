"""Install the peers, each in a virtual environment of its own, so that the benchmark can measure them.

Their dependencies are none of the service's: nothing of this reaches the project's own environment. What is installed
is pinned, name by name, in the constraints beside this file.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
_SERVED_BY: Final = ("fastapi", "uvicorn", "uvloop")  # what serves the others too


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, where it goes, and what pins it."""

    name: str
    packages: tuple[str, ...]
    folder: Path
    constraints: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def why_not(self) -> Path:
        """Says why it is not there."""
        return self.folder / "not-installed"


PIPECAT: Final = Peer(
    "pipecat-ai 1.14.0",
    ("pipecat-ai[google,silero,websocket]==1.14.0",),
    HERE.parent / ".venv-peers",
    HERE / "peers-constraints.txt",
)
LIVEKIT: Final = Peer(
    "livekit-agents 1.8.9",
    ("livekit-agents==1.8.9", "livekit-plugins-google==1.8.9"),
    HERE.parent / ".venv-livekit",
    HERE / "livekit-constraints.txt",
)


def install(peer: Peer) -> bool:
    """Make the environment if there is none, and install what is pinned. Returns whether pip could; says so if not."""
    if not peer.python.exists():
        print(f"creating {peer.folder.name}", flush=True)
        venv.create(peer.folder, with_pip=True)
    command = [str(peer.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--constraint", str(peer.constraints), *peer.packages, *_SERVED_BY]
    done = subprocess.run(command, check=False)
    if done.returncode:
        sentence = f"pip could not install {' '.join(peer.packages)} (its exit status was {done.returncode})"
        peer.why_not.write_text(sentence)
        print(f"{sentence}; what it says is above.", flush=True)
        return False
    peer.why_not.unlink(missing_ok=True)
    print(f"{peer.name} is in {peer.folder.name}", flush=True)
    return True


def missing(peer: Peer) -> str | None:
    """Return why the peer cannot be measured, or None if it can be."""
    if peer.why_not.exists():
        return peer.why_not.read_text()
    return None if peer.python.exists() else "`make bench-peers` has not installed it"


def main() -> None:
    install(LIVEKIT)  # the count of lost words says so if it is missing
    if not install(PIPECAT):
        sys.exit(1)


if __name__ == "__main__":
    main()
