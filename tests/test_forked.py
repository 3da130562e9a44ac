"""`support.process.forked`: what it forks is a process as any other."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from support.process import forked

SAYS = "import os, sys; print(os.getpid(), sorted(os.environ), file=sys.stderr); "


async def said(tmp_path: Path, code: str, **environment: str) -> tuple[int, int, str]:
    """Run code; return its process id, its exit code and what it wrote to stderr."""
    with (tmp_path / "err").open("w+b") as err:
        process = await forked.start(code, environment, err.fileno())
        code_of_exit = await process.wait()
        assert process.returncode == code_of_exit
        with pytest.raises(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        err.seek(0)
        return process.pid, code_of_exit, err.read().decode()


async def test_it_has_its_own_id_environment_and_exit_code(tmp_path: Path) -> None:
    first = await said(tmp_path, SAYS + "sys.exit(3)", ONLY="this")
    second = await said(tmp_path, SAYS, OTHER="that")

    assert first == (first[0], 3, f"{first[0]} ['ONLY']\n")
    assert second == (second[0], 0, f"{second[0]} ['OTHER']\n")
    assert len({first[0], second[0], os.getpid()}) == 3


async def test_it_has_the_service_imported_and_an_exception_ends_it_with_a_traceback(tmp_path: Path) -> None:
    _, code, text = await said(tmp_path, "import sys; assert 'batkol.app.build' in sys.modules; raise KeyError('no')")

    assert code == 1
    assert text.endswith("KeyError: 'no'\n")


async def test_a_signal_that_nobody_handles_ends_it(tmp_path: Path) -> None:
    for name in (signal.SIGTERM, signal.SIGKILL):
        _, code, text = await said(tmp_path, f"import os; os.kill(os.getpid(), {name.value})")

        assert (code, text) == (-name, "")


@pytest.mark.parametrize(
    ("variable", "possible"), [("PORT", True), ("GRPC_TRACE", False), ("OTEL_SDK_DISABLED", False)]
)
def test_what_is_read_by_an_import_is_too_late_for_it(variable: str, possible: bool) -> None:
    assert forked.can_be_forked({"LOG_FORMAT": "json", variable: "x"}) is possible
