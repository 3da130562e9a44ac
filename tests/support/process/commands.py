"""Commands of ours, each a process of its own without the seconds of its imports: see `support.process.forked`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Final

from support.process import forked
from support.process.forked import ForkedProcess

_RUN: Final = "import sys; sys.argv = {words!r}; from {module} import main; main()"


@dataclass(frozen=True)
class RunningCommand:
    """A process, and what it prints."""

    process: ForkedProcess
    stdout: asyncio.StreamReader

    async def line(self) -> str:
        """Return the next line that it prints; empty when there is none any more."""
        async with asyncio.timeout(60):
            return (await self.stdout.readline()).decode()


@asynccontextmanager
async def command(
    *arguments: str, module: str = "batkol.__main__", **environment: str
) -> AsyncIterator[RunningCommand]:
    """Run `batkol ARGUMENTS`, or another module's `main`. It does not outlive the block."""
    assert forked.can_be_forked(environment), "that is read before a forked process has it"
    reading, out = os.pipe()
    code = _RUN.format(words=["batkol", *arguments], module=module)
    try:
        process = await forked.start(code, {**os.environ, **environment}, stdout=out)
    finally:
        os.close(out)
    stdout = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(reading, "rb")
    )
    try:
        yield RunningCommand(process, stdout)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        transport.close()


@dataclass(frozen=True)
class Ended:
    """What a process left."""

    returncode: int
    stdout: str
    stderr: str


async def ran(code: str, *arguments: str, **environment: str) -> Ended:
    """Run a program to its end, as `python -c CODE ARGUMENTS` would."""
    assert forked.can_be_forked(environment), "that is read before a forked process has it"
    code = f"import sys; sys.argv[1:] = {arguments!r}\n{code}"
    with TemporaryFile() as out, TemporaryFile() as err:
        process = await forked.start(code, {**os.environ, **environment}, err.fileno(), stdout=out.fileno())
        returncode = await process.wait()
        for file in (out, err):
            file.seek(0)
        return Ended(returncode, out.read().decode(), err.read().decode())
