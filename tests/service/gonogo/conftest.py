from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _copies_go_with_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag that is not put back leaves a copy in the folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
