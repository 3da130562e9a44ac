"""Copy the chart into a folder, with the addresses of its publisher: `addresses.py FOLDER [--home URL] …`.

Chart.yaml has no home, no icon and no sources, for the project has no address of its own. A picture in the place of an
icon's address (`data:`) is taken by Helm, and not by every page that shows charts.
"""

# ruff: noqa: INP001 - a script beside the chart, not a package

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

CHART = Path(__file__).parent / "batkol"


def address(text: str) -> str:
    """Return what is an address for everybody: absolute, by HTTP, without a login. Raises `ValueError`."""
    parts = urlsplit(text)
    if parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc or text != text.strip():
        raise ValueError(f"{text!r} must be an address such as https://batkol.example.com/chart")
    return text


def addressed(chart: str, *, home: str = "", icon: str = "", sources: list[str]) -> str:
    """Return Chart.yaml with these addresses. Raises `ValueError` for one that is none."""
    said = {"home": address(home)} if home else {}
    said |= {"icon": address(icon)} if icon else {}
    lines = [f"{name}: {json.dumps(url)}\n" for name, url in said.items()]
    if sources:
        lines += ["sources:\n", *(f"  - {json.dumps(address(url))}\n" for url in sources)]
    return chart + "".join(lines)


def main() -> None:
    """Write the copy."""
    parser = argparse.ArgumentParser(description="Copy the chart into a folder, with your addresses in it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", default="", help="page of the project")
    parser.add_argument("--icon", default="", help="picture of the project, such as docs/icon.svg")
    parser.add_argument("--sources", default="", help="addresses of the source, separated by spaces")
    given = parser.parse_args()
    try:
        text = addressed(
            (CHART / "Chart.yaml").read_text(), home=given.home, icon=given.icon, sources=given.sources.split()
        )
    except ValueError as error:
        parser.error(str(error))
    shutil.rmtree(given.folder, ignore_errors=True)
    shutil.copytree(CHART, given.folder)
    (given.folder / "Chart.yaml").write_text(text)


if __name__ == "__main__":
    main()
