"""Looking into files."""

from pathlib import Path


def holding(folder: Path, what: bytes) -> list[Path]:
    """Return the files below a folder that have these bytes in them, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and what in path.read_bytes())
