"""A Python that has imported what programs need, and runs each in a fork of itself: a process, without its start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_PROGRAM: Final = """
import importlib, json, os, sys, tempfile
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    code, arguments, environment = json.loads(line)
    files = [tempfile.TemporaryFile() for _ in range(2)]
    child = os.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = arguments
        for number, file in enumerate(files, start=1):
            os.dup2(file.fileno(), number)
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        sys.exit()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for file in files:
        file.seek(0)
    print(json.dumps([ended, *(file.read().decode() for file in files)]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left."""

    returncode: int
    stdout: str
    stderr: str


class Warm:
    """Made by `warm_python`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, code: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
        """Run a program to its end, as `python -c CODE ARGUMENTS` would, with this environment and no other."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([code, arguments, environment]) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


@contextmanager
def warm_python(*modules: str) -> Iterator[Warm]:
    """Start one with these modules imported; they may start no threads."""
    command = [sys.executable, "-c", _PROGRAM, *modules]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Warm(process)
        finally:
            process.kill()
