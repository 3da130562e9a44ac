"""The program `batkol-operator`, and `python -m batkol_operator`."""

from __future__ import annotations

from batkol_otel import extras


def main() -> None:
    """Run the command line; without its packages say what to install."""
    extras.run("batkol-operator", "operator", _command_line)


def _command_line() -> None:
    from batkol_operator.main import app  # noqa: PLC0415  its packages may be missing

    app()


if __name__ == "__main__":
    main()
