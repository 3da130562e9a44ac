"""The process that `forked` keeps: it has imported the service, and forks for each that is asked for.

Run with the number of its control socket, and the modules to import. It ends when the other end is closed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys


def serve(control: socket.socket) -> str | None:
    """Fork for each request; returns its code in the process that is to run it, None when nobody asks any more."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 18, 4)
        _reap()
        if not message:
            return None
        if os.fork() == 0:
            control.close()
            return _keep(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(asked: dict[str, str], telling: int, *streams: int) -> str:
    """Fork once more: return in the child, and tell of it in its parent, which ends with it."""
    if child := os.fork():
        with socket.socket(fileno=telling) as told:
            told.send(str(child).encode())
            _, status = os.waitpid(child, 0)
            told.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for descriptor in (telling, *streams):
        os.close(descriptor)
    code = asked.pop("")
    os.environ.clear()
    os.environ.update(asked)
    return code


def _reap() -> None:
    """Wait for who has ended, so that the time they took is counted where they came from."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def main() -> str | None:
    with socket.socket(fileno=int(sys.argv[1])) as control:
        for module in sys.argv[2:]:
            importlib.import_module(module)
        gc.freeze()
        return serve(control)


if __name__ == "__main__" and (code := main()) is not None:
    sys.argv = ["-c"]
    exec(code, {"__name__": "__main__"})
