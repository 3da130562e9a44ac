"""The namespaces of a node: what runs in them reaches no other network, and ends when their first process ends.

`isolated` makes them and runs a command in them; `entered` runs one in those of the node that is there already.
`python -m support.node.namespaces COMMAND …` is their first process: it makes the network, and reaps orphans.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from support.node.places import ADDRESS, KUBECONFIG, PID, ROOT, RUN
from support.process.programs import BIN

HIDDEN: Final = ("/run/netns", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/var/log/containers")
"""Folders whose names are fixed in the programs: in the namespaces they are empty ones in memory."""
CGROUPS: Final = Path("/sys/fs/cgroup")


def isolated(command: Sequence[str]) -> int:
    """Run a command as a child of the first process of new namespaces, and return its exit status."""
    RUN.mkdir(parents=True, exist_ok=True)
    for folder in HIDDEN:
        Path(folder).mkdir(parents=True, exist_ok=True)
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    program = [sys.executable, "-m", "support.node.namespaces", *command]
    process = subprocess.Popen([*unshare, *program], env=_environment())
    try:
        first_process = _child_of(process)
        PID.write_text(str(first_process))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command itself
        signal.signal(signal.SIGTERM, lambda *_: os.kill(first_process, signal.SIGTERM))
        return process.wait()
    finally:
        process.kill()
        process.wait()
        PID.unlink(missing_ok=True)
        _remove_cgroups()


def entered(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command in the namespaces of the running node, in this folder."""
    there = ["sh", "-c", 'cd "$0" && exec "$@"', str(Path.cwd())]
    return ["nsenter", "--target", PID.read_text(), "--net", "--mount", "--pid", *there, *command]


def running() -> bool:
    """Whether a node runs."""
    return PID.exists() and Path(f"/proc/{PID.read_text()}").exists()


def environment() -> dict[str, str]:
    """Return the environment of commands in the namespaces: they find kubectl, and the node by its address."""
    return {**_environment(), "KUBECONFIG": str(KUBECONFIG), "PATH": f"{BIN}:{os.environ['PATH']}"}


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}


def _child_of(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.01)
    raise SystemExit("No namespaces could be made: `unshare` has said why, above.")


def _remove_cgroups() -> None:
    """Remove the groups of pods that are gone; those of others, or of what still ends, cannot be removed."""
    for hierarchy in (CGROUPS, *CGROUPS.glob("*")):
        for name in ("kubepods", "k8s.io"):
            for folder, _, _ in os.walk(hierarchy / name, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()


# -- in the namespaces ------------------------------------------------------------------------------------------------


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _make_network() -> None:
    """An address and a way out that leads nowhere: the programs want both. Bridges serve where no dummy device can."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "uplink", "type", "bridge")
    _run("ip", "address", "add", f"{ADDRESS}/24", "dev", "uplink")
    _run("ip", "link", "set", "uplink", "up")
    _run("ip", "route", "add", "default", "via", f"{ADDRESS.rpartition('.')[0]}.2", "dev", "uplink")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _hide_folders() -> None:
    for folder in HIDDEN:
        _run("mount", "-t", "tmpfs", "tmpfs", folder)
    _run("mount", "--make-rshared", "/")  # the kubelet's mounts are to be seen by containerd


def _first(command: Sequence[str]) -> int:
    """Run the command to its end. Whose parent has ended is a child of this process, and is waited for as well."""
    _hide_folders()
    _make_network()
    child = subprocess.Popen(command, env=environment(), cwd=ROOT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child.pid, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(_first(sys.argv[1:]))
