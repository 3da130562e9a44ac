"""A file system that does not answer: what touches a directory blocks in the kernel, as on a hard NFS mount.

No such mount can be had without privileges. So a call on that directory first opens a FIFO that has no writer, which
blocks the calling thread for as long; all the rest of the process is as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def hang(directory: Path, fifo: Path) -> Callable[[], None]:
    """Make `os.open` and `os.stat` of what is in `directory` hang, in this process; returns what ends that."""
    really: dict[str, Callable[..., Any]] = {"open": os.open, "stat": os.stat}

    def wrapped(name: str) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            if str(path).startswith(str(directory)):
                os.close(really["open"](fifo, os.O_RDONLY))
            return really[name](path, *args, **kwargs)

        return call

    def answer() -> None:
        for name, real in really.items():
            setattr(os, name, real)
        os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # whoever waits for a writer waits no longer

    for name in really:
        setattr(os, name, wrapped(name))
    return answer


@contextmanager
def hanging(directory: Path) -> Iterator[Callable[[], None]]:
    """Hang, until the end or until what is yielded is called."""
    fifo = directory.with_name(directory.name + ".fifo")
    os.mkfifo(fifo)
    answer = hang(directory, fifo)
    try:
        yield answer
    finally:
        answer()
