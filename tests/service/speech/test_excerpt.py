import numpy as np

from batkol.audio import mulaw
from batkol.audio.ring import Ring
from batkol.speech.excerpt import HEAD, TAIL, excerpt
from batkol.speech.utterance import Mode, Utterance

SECOND = 8000


def sound(samples: int) -> bytes:
    return mulaw.encode(np.full(samples, 4000, np.int16))


def heard(*parts: bytes) -> Ring:
    ring = Ring(capacity=60 * SECOND)
    for part in parts:
        ring.append(part)
    return ring


def utterance(begin: int, end: int, silent_to: int | None = None) -> Utterance:
    return Utterance(0, begin=begin, speech_at=begin, mode=Mode.SINGLE, end=end, silent_to=silent_to)


def test_it_reaches_beyond_the_utterance_on_both_sides() -> None:
    ring = heard(mulaw.silence(4 * SECOND), sound(SECOND), mulaw.silence(4 * SECOND))

    audio = excerpt(ring, utterance(4 * SECOND, 5 * SECOND), 0, None)

    assert HEAD + SECOND + TAIL - 100 <= len(audio) <= HEAD + SECOND + TAIL
    assert audio[HEAD : HEAD + SECOND] == sound(SECOND)


def test_it_holds_nothing_of_the_utterances_beside_it() -> None:
    ring = heard(sound(9 * SECOND))

    audio = excerpt(ring, utterance(4 * SECOND, 5 * SECOND), 4 * SECOND - 100, 5 * SECOND + 200)

    assert SECOND + 100 <= len(audio) <= SECOND + 300


def test_it_ends_before_a_word_of_which_no_detector_has_told_yet() -> None:
    ring = heard(sound(SECOND), mulaw.silence(4800), sound(2000))

    audio = excerpt(ring, utterance(0, SECOND, silent_to=SECOND + 3840), 0, None)

    assert SECOND + 3000 < len(audio) <= SECOND + 4800


def test_a_word_whose_end_the_detector_missed_is_whole() -> None:
    """The detector was sure of silence from one second on; the word went on for another 0.2 s after that."""
    ring = heard(sound(SECOND + 1600), mulaw.silence(SECOND))

    audio = excerpt(ring, utterance(0, SECOND, silent_to=SECOND + 3840), 0, None)

    assert len(audio) > SECOND + 1600


def test_an_utterance_that_has_not_ended_goes_on_to_what_was_heard_last() -> None:
    ring = heard(sound(3 * SECOND))
    speaking = Utterance(0, begin=SECOND, speech_at=SECOND, mode=Mode.SINGLE)

    assert excerpt(ring, speaking, SECOND, None) == sound(2 * SECOND)
