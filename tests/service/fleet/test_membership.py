from __future__ import annotations

from batkol.fleet.endpoint import Endpoint
from batkol.fleet.membership import Membership, PeerStatus

OWN, A, B = Endpoint("127.0.0.1", 8081), Endpoint("10.0.0.1", 8081), Endpoint("10.0.0.2", 8081)
WHY = "It did not answer."


def members() -> Membership:
    made = Membership(OWN, "own")
    made.resolved([A, B])
    return made


def test_this_pod_is_a_member_whatever_dns_says() -> None:
    made = Membership(OWN, "own")
    change = made.resolved([])

    assert (change.new, change.gone, made.addresses) == ([], set(), (OWN,))


def test_addresses_come_and_go() -> None:
    made = members()
    change = made.resolved([B, Endpoint("10.0.0.3", 8081)])

    assert (change.new, change.gone) == ([Endpoint("10.0.0.3", 8081)], {A})


def test_a_pod_is_followed_by_the_first_address_that_answered() -> None:
    made = members()

    assert made.answered(B, "boot", "pod").is_followed
    assert not made.answered(A, "boot", "pod").is_followed
    assert made.answered(B, "boot", "pod").is_followed
    assert made.address("boot") == B


def test_another_address_takes_over_where_the_first_does_not_answer_or_is_gone() -> None:
    made = members()
    made.answered(B, "boot", "pod")
    made.reached(B)
    made.failed(B, WHY)
    assert made.answered(A, "boot", "pod").is_followed
    made.reached(A)
    assert not made.answered(B, "boot", "pod").is_followed
    made.resolved([B])
    assert made.answered(B, "boot", "pod").is_followed


def test_this_pod_is_followed_by_its_own_address_alone() -> None:
    made = members()

    assert not made.answered(A, "own", "me").is_followed
    assert made.answered(OWN, "own", "me").is_followed


def test_a_process_that_replaces_another_one_at_its_address_ends_it() -> None:
    made = members()

    assert made.answered(A, "one", "pod").ended == ""
    assert made.answered(A, "one", "pod").ended == ""
    assert made.answered(A, "two", "pod").ended == "one"


def test_each_pod_is_listed_once_this_one_first() -> None:
    made = members()
    made.answered(A, "boot", "pod-a")
    made.answered(B, "boot", "pod-a")
    made.answered(OWN, "own", "me")
    for address in (A, B, OWN):
        made.reached(address)

    assert made.peers() == [PeerStatus("me", reachable=True), PeerStatus("pod-a", reachable=True)]


def test_a_pod_that_fails_keeps_its_name_and_one_that_never_answered_has_its_address() -> None:
    made = members()
    made.answered(A, "boot", "pod-a")
    made.failed(A, WHY)
    made.failed(B, WHY)

    assert made.peers() == [
        PeerStatus("pod-a", reachable=False, why=WHY),
        PeerStatus("10.0.0.2:8081", reachable=False, why=WHY),
    ]


def test_a_name_that_dns_does_not_resolve_is_listed() -> None:
    made = Membership(OWN, "own")
    made.resolved([], (Endpoint("reception-fleet", 8081),))

    assert made.peers() == [PeerStatus("reception-fleet:8081", reachable=False, why="DNS did not resolve this name.")]


def test_it_is_settled_when_each_address_was_asked() -> None:
    made = members()
    made.reached(OWN)
    made.failed(A, WHY)
    assert not made.is_settled
    made.reached(B)
    assert made.is_settled


def test_strangers_are_addresses_that_have_never_said_whose_they_are() -> None:
    made = members()
    for address, boot in ((OWN, "own"), (A, "a")):
        made.answered(address, boot, "")
    assert made.has_strangers
    made.answered(B, "b", "")
    made.failed(B, WHY)

    assert not made.has_strangers
    assert made.boots == {"own", "a", "b"}
