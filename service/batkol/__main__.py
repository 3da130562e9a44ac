"""The program `batkol`, and `python -m batkol`."""

from __future__ import annotations

import sys

from batkol import __version__
from batkol_otel import extras


def main() -> None:
    """Run the command line; without its packages say what to install. The version needs no package."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"batkol {__version__}\n")
    else:
        extras.run("batkol", "service", _command_line)


def _command_line() -> None:
    from batkol.main import app  # noqa: PLC0415  its packages may be missing

    app()


if __name__ == "__main__":
    main()
