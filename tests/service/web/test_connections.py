from batkol.web.connections import Admission, Connections
from batkol.web.limits import ListenerLimits


class Waiting:
    """A connection whose end is reported later than it makes room, as a server's is."""

    made_room = False

    def make_room(self) -> None:
        self.made_room = True


def test_a_newcomer_has_a_place_of_its_own_before_the_end_of_the_other_one_is_reported() -> None:
    connections, open_ones = Connections("public", ListenerLimits(connections=2, spare=1)), list[Waiting]()
    connections.open = open_ones
    places = []
    for _ in range(5):
        open_ones.append(Waiting())
        places.append(connections.admit(open_ones[-1]))

    assert places == [Admission.OWN] * 5
    assert [each.made_room for each in open_ones] == [True, True, True, False, False]


def test_without_one_that_can_be_closed_there_is_what_is_to_spare_and_then_nothing() -> None:
    connections, open_ones = Connections("internal", ListenerLimits(connections=2, spare=1)), list[Waiting]()
    connections.open = open_ones
    places = []
    for _ in range(4):
        open_ones.append(Waiting())
        places.append(connections.admit(open_ones[-1]))
        connections.discard(open_ones[-1])  # its request is whole, and being answered

    assert places == [Admission.OWN, Admission.OWN, Admission.SPARE, Admission.NONE]
    assert not any(each.made_room for each in open_ones)
