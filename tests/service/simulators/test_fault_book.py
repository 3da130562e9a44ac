"""Faults in force: each hits so often, or so long, as it says."""

from __future__ import annotations

from batkol.simulators.fault_book import FaultBook, FirstFaultBook
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.speaker.faults import VoiceFault, VoiceFaultKind


def test_a_book_forgets_what_is_over() -> None:
    book = FaultBook[VoiceFault]()
    book.inject(VoiceFault(kind=VoiceFaultKind.STALL, times=1), now=0)
    book.inject(VoiceFault(kind=VoiceFaultKind.EMPTY, lasts_s=5), now=0)

    hit = [[fault.kind for fault in book.befall(lambda _: True, now)] for now in (1, 4.9, 5)]
    assert hit == [["stall", "empty"], ["empty"], []]


def test_what_is_for_others_is_not_used_up() -> None:
    book = FaultBook[VoiceFault]()
    book.inject(VoiceFault(kind=VoiceFaultKind.STALL, times=1, requests=(2,)), now=0)

    def befallen(number: int) -> int:
        return len(book.befall(lambda fault: fault.befalls(number), now=0))

    hit = [befallen(number) for number in (1, 2, 2)]
    assert hit == [0, 1, 0]


def test_of_several_the_first_that_is_for_a_request_hits_it() -> None:
    book = FirstFaultBook[LLMFault]()
    book.inject(LLMFault(kind=LLMFaultKind.CUT, contains="a", times=1), LLMFault(kind=LLMFaultKind.EMPTY, contains="b"))

    assert [getattr(book.take(text), "kind", None) for text in ("ab", "ab", "a")] == ["cut", "empty", None]
    assert [fault.kind for fault in book.faults()] == ["empty"]
