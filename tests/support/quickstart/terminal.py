"""A terminal with bash in a home of its own, in which a page's commands are run one block after another."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_END = "__the_block_has_ended__"


class Terminal:
    """One shell. The first command that fails ends it."""

    def __init__(self, shell: asyncio.subprocess.Process, secrets: Mapping[str, str], within_s: float) -> None:
        self._shell = shell
        self._secrets = secrets
        self._within_s = within_s

    async def run(self, block: str) -> str:
        """Run a block as it stands; return what it printed. What `read` asks for is pasted."""
        typed = "".join(f"{line}\n{self._pasted(line)}" for line in block.splitlines())
        await self._write(f"{typed}printf '\\n{_END}\\n'\n")
        assert self._shell.stdout is not None
        printed = []
        async with asyncio.timeout(self._within_s):
            while (line := (await self._shell.stdout.readline()).decode()) != f"{_END}\n":
                printed.append(line)
                assert line, f"the block failed:\n{block}\nIt printed:\n{''.join(printed)}"
        return "".join(printed).removesuffix("\n")

    async def begin(self, block: str, out: str) -> None:
        """Run a block beside those that follow; all that it prints goes into a file of the shell's folder."""
        await self.run(f"{{ {block.strip()}\n}} > {out} 2>&1 &")

    def _pasted(self, line: str) -> str:
        return f"{self._secrets[line.rsplit(maxsplit=1)[-1]]}\n" if line.startswith("read -rs ") else ""

    async def _write(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        await self._shell.stdin.drain()


@asynccontextmanager
async def terminal(
    folder: Path, environment: Mapping[str, str], secrets: Mapping[str, str], *, within_s: float = 60
) -> AsyncIterator[Terminal]:
    """Open one in a folder; with it ends all that was begun in it. `within_s` is the time of one block."""
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-e",
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=1 << 20,
    )
    try:
        yield Terminal(shell, secrets, within_s)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        await shell.wait()
