"""The pods of the agent, as the settings name them."""

from __future__ import annotations

from batkol.app.patience import PRODUCTION, Patience
from batkol.app.service import Service
from batkol.fleet.addresses import Addresses
from batkol.fleet.conversations import PeerConversations
from batkol.fleet.endpoint import Endpoint, endpoint
from batkol.fleet.ends import PeerEnds
from batkol.fleet.fleet import Fleet
from batkol.fleet.others import OtherPods
from batkol.fleet.peers import HttpPods, OwnPod
from batkol.web.self_probe import bound_to


def fleet(service: Service, patience: Patience = PRODUCTION) -> Fleet:
    """Make the fleet of a service, and have its pods asked for conversations that go on here."""
    settings = service.settings
    host = bound_to(settings.internal_host)

    def own() -> OwnPod:
        return OwnPod(Endpoint(host, service.internal_port), service.bus.ring.boot)

    addresses, pods = Addresses(tuple(map(endpoint, settings.fleet_peers))), HttpPods(answer_s=patience.fleet.answer_s)
    if settings.fleet_peers:

        def others(within_s: float) -> OtherPods:
            return OtherPods(pods, addresses, lambda: own().at, within_s)

        service.continuations.peers = PeerConversations(others(patience.conversations), service.keys)
        service.peer_ends = PeerEnds(others(patience.ends), service.keys)
    return Fleet(addresses, own, patience.fleet, pods)


async def announce_end(service: Service, call_sid: str) -> None:
    """Announce to the other pods that this one has ended a call, of which Twilio will ask one of them."""
    if service.peer_ends is not None and await service.peer_ends.announce(call_sid):
        service.calls.note_announced(call_sid)
