"""Ports that nothing listens on, and that the kernel gives to no client: they stay free until they are taken."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

_CHANCE: Final = random.SystemRandom()
"""Not the generator that tests seed: two workers would take the same port."""


def free_port() -> int:
    """Return one."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = _CHANCE.randrange(10_240, lowest)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def free_ports(count: int) -> list[int]:
    """Return so many, all different."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
