"""Members of the fleet, as one client's token finds them: addresses, the pods behind them, and what is in the way.

Pure. A pod may have two addresses (IPv4 and IPv6): it is known by its boot, and followed by one of them. A pod that
restarts keeps its address and has another boot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from batkol.fleet.endpoint import Endpoint

_DNS: Final = "DNS did not resolve this name."


class PeerStatus(msgspec.Struct, frozen=True):
    """One entry of `peers`."""

    pod: str
    """The pod's name, or its address as long as it has not answered."""
    reachable: bool
    why: str | None = None
    """Reason why it cannot be asked; None if the pod is reachable."""


class FleetPeers(msgspec.Struct, frozen=True, tag_field="type", tag="peers"):
    """An event of the feed of all pods, and of no call: the pods whose events it has, and those it has not."""

    peers: list[PeerStatus]


class _Member:
    __slots__ = ("asked", "boot", "pod", "why")

    def __init__(self) -> None:
        self.asked = False
        self.boot = ""  # of the last answer
        self.pod = ""
        self.why: str | None = None


class Answered(NamedTuple):
    """Meaning of a pod's answer."""

    is_followed: bool
    """Whether the pod is to be followed by this address; else by another one."""
    ended: str
    """The boot of a process that had this address before, or ""."""


class Change(NamedTuple):
    """Difference between two look-ups."""

    new: list[Endpoint]
    gone: set[Endpoint]


class Membership:
    """The members by address. `own` is the address by which this pod asks itself."""

    def __init__(self, own: Endpoint, own_boot: str) -> None:
        self._own = own
        self._own_boot = own_boot
        self._members = {own: _Member()}
        self._claims = {own_boot: own}  # by boot: the address by which the pod is followed
        self._failed_names: tuple[Endpoint, ...] = ()

    @property
    def addresses(self) -> tuple[Endpoint, ...]:
        """All addresses, this pod's own first."""
        return tuple(self._members)

    @property
    def is_settled(self) -> bool:
        """Whether each address has answered, or failed to, since it joined."""
        return all(member.asked for member in self._members.values())

    @property
    def boots(self) -> frozenset[str]:
        """The boots of the pods that have an address, whether they answer now or not."""
        return frozenset(member.boot for member in self._members.values() if member.boot)

    @property
    def has_strangers(self) -> bool:
        """Whether an address has never said whose it is."""
        return any(not member.boot for member in self._members.values())

    def address(self, boot: str) -> Endpoint | None:
        """Return the address by which a pod is followed."""
        address = self._claims.get(boot)
        return address if address in self._members and self._members[address].boot == boot else None

    def resolved(self, addresses: Iterable[Endpoint], failed: tuple[Endpoint, ...] = ()) -> Change:
        """Take the addresses that DNS has now."""
        now = {self._own, *addresses}
        gone = self._members.keys() - now
        for address in gone:
            del self._members[address]
        new = sorted(now - self._members.keys())
        self._members |= {address: _Member() for address in new}
        self._claims = {boot: each for boot, each in self._claims.items() if each in self._members}
        self._failed_names = failed
        return Change(new, gone)

    def answered(self, address: Endpoint, boot: str, pod: str) -> Answered:
        """A pod said who it is."""
        member = self._members.get(address)
        if member is None:
            return Answered(is_followed=False, ended="")
        ended = member.boot if member.boot != boot else ""
        member.boot, member.pod = boot, pod
        ended = "" if ended in self.boots else ended
        return Answered(self._claim(address, boot), ended)

    def reached(self, address: Endpoint) -> None:
        """A pod is followed, or needs not be by this address."""
        self._note(address, None)

    def failed(self, address: Endpoint, why: str) -> None:
        """A pod cannot be asked."""
        self._note(address, why)

    def peers(self) -> list[PeerStatus]:
        """Return the pods, each once, this pod first."""
        entries = [
            PeerStatus(member.pod or str(address), member.why is None, member.why)
            for address, member in self._members.items()
            if member.asked and self._claims.get(member.boot, address) == address
        ]
        return entries + [PeerStatus(str(name), reachable=False, why=_DNS) for name in self._failed_names]

    def _claim(self, address: Endpoint, boot: str) -> bool:
        """Whether a pod is to be followed by this address: the first that has answered, and answers still."""
        if boot == self._own_boot:
            return address == self._own
        claimed = self._members.get(self._claims.get(boot, address))
        if claimed is None or claimed.boot != boot or claimed.why is not None:
            self._claims[boot] = address
        return self._claims.setdefault(boot, address) == address

    def _note(self, address: Endpoint, why: str | None) -> None:
        if (member := self._members.get(address)) is not None:
            member.asked, member.why = True, why
