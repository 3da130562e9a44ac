"""A real Kubernetes node, in namespaces of its own: `python -m support.node [COMMAND …]`.

Without a command it builds the images, starts the node, and keeps it until Ctrl-C; `--addons NAME,…` installs those of
`support.node.addons` on it. With one it runs the command in the
namespaces of the node that is there, where `kubectl` and `helm` are on the PATH. `--alone COMMAND …` runs it in new
namespaces, without a node: the command starts one itself. `--check` says what the machine lacks. `make cluster` and
`make e2e-node` use it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time

from support.node import addons, images
from support.node.cluster import Cluster
from support.node.namespaces import entered, environment, isolated, running
from support.node.needs import lacking, unbuilt
from support.node.places import FOLDER


def main(arguments: list[str]) -> int:
    """Return the exit status of the command."""
    match arguments:
        case ["--serve", *wanted]:
            return _serve(wanted)
        case ["--addons", names]:
            return _keep(names.replace(",", " ").split())
        case ["--check"]:
            return _refuse(said) if (said := lacking()) else 0
        case ["--alone", *command]:
            return _alone(command)
        case []:
            return _keep([])
    return _enter(arguments)


def _keep(wanted: list[str]) -> int:
    if said := addons.lacking(wanted):
        return _refuse(said)
    return _alone([sys.executable, "-m", "support.node", "--serve", *wanted])


def _alone(command: list[str]) -> int:
    if said := lacking() or unbuilt():
        return _refuse(said)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _refuse("Another node of this folder runs: end it (Ctrl-C in its terminal), and run this again.")
        images.build()
        return isolated(command)


def _enter(command: list[str]) -> int:
    if running():
        os.execvpe("nsenter", entered(command), environment())
    return _refuse("No node runs: start one with `make cluster` in another terminal, and run this again.")


def _serve(wanted: list[str]) -> int:
    """Run in the namespaces: keep a node until SIGINT or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        with Cluster():
            asyncio.run(_install(wanted))
            having = f" with {', '.join(wanted)}" if wanted else ""
            sys.stdout.write(
                f"The node{having} is ready after {time.monotonic() - began:.0f} s. In another terminal:\n"
                '    make cluster ARGS="kubectl get pods --all-namespaces"\n'
                "Ctrl-C ends it.\n"
            )
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        sys.stdout.write("The node has ended.\n")
    return 0


async def _install(wanted: list[str]) -> None:
    for name in wanted:
        await addons.install(addons.ADDONS[name])


def _refuse(said: str) -> int:
    sys.stderr.write(f"{said}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
