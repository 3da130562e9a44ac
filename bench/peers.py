"""Install pipecat-ai in a virtual environment of its own, so that the benchmark can measure it.

Its dependencies are none of the service's: nothing of this reaches the project's own environment.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parent / ".venv-peers"
WHAT: Final = "pipecat-ai[google,silero,websocket]==1.14.0"
SERVED_BY: Final = ("uvicorn", "uvloop")  # what serves the others too


def main() -> None:
    """Make the environment if there is none, and install what is pinned."""
    python = FOLDER / "bin" / "python"
    if not python.exists():
        print(f"creating {FOLDER.name}", flush=True)
        venv.create(FOLDER, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--constraint", str(HERE / "peers-constraints.txt"), WHAT, *SERVED_BY]
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(f"pip could not install {WHAT}; what it says is above. The benchmark runs without it.")
    print(f"{WHAT} is in {FOLDER.name}", flush=True)


if __name__ == "__main__":
    main()
