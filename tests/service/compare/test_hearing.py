from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.compare.hearing import Arrival, measure, of_answers, sentence
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.compare.shown_text import ShownText
from batkol.errors import UpstreamError
from batkol.speech.results import Transcript


def at(ms: int) -> int:
    return ms * SAMPLES_PER_MS


def heard(text: str, begin_ms: int, end_ms: int, *, final: bool = False) -> Transcript:
    return Transcript(text, at(begin_ms), at(end_ms), final)


def speech(said: str, *spans: tuple[int, int]) -> KnownSpeech:
    found = tuple(SpeechSpan(at(begin), at(end), at(end + 480)) for begin, end in spans)
    return KnownSpeech("a.wav", "a.wav", said, mulaw.silence(at(6000)), found)


def test_interims_give_way_to_newer_ones_and_to_finals() -> None:
    shown, texts = ShownText(), []
    for each in (
        heard("שלום", 0, 400), heard(" אני", 400, 600), heard("שלום", 0, 700), heard(" אנו", 700, 900),
        heard("שלום", 0, 700, final=True), heard(" אני רוצה", 700, 1200), heard("", 700, 1300, final=True),
        heard(" תור", 1300, 1600, final=True),
    ):  # fmt: skip
        shown.take(each)
        texts.append(shown.text)

    assert texts == [
        "שלום", "שלום אני", "שלום", "שלום אנו", "שלום אנו", "שלום אני רוצה", "שלום", "שלום תור",
    ]  # fmt: skip
    assert not shown.unfinished


def test_times_count_from_the_end_of_speech_and_first_texts_from_its_beginning() -> None:
    arrivals = [
        Arrival(700.0, heard("שלום", 0, 600)),
        Arrival(1650.0, heard("שלום לך", 0, 1500)),
        Arrival(1800.0, heard("שלום לכם", 0, 1600)),
        Arrival(2400.0, heard("שלום לך", 0, 1500, final=True)),
        Arrival(3500.0, heard(" תודה", 1500, 3400)),
        Arrival(4900.0, heard(" תודה", 1500, 4000, final=True)),
    ]
    text, times, unfinished = measure(speech("שלום לך תודה", (300, 1500), (3000, 4000)), arrivals)

    assert text == "שלום לך תודה"
    assert not unfinished
    assert times.first_interims == (400.0, 500.0)
    assert times.finals == (900.0, 900.0)
    assert times.right == -500.0
    assert times.settled == -500.0
    assert times.forced is None


def test_a_text_that_is_never_right_has_no_time_for_that_and_one_without_a_final_is_unfinished() -> None:
    text, times, unfinished = measure(speech("שלום", (0, 500)), [Arrival(650.0, heard("חלום", 0, 480))])

    assert (text, unfinished) == ("חלום", True)
    assert times.right is None
    assert times.settled == 150.0
    assert times.finals == ()


def test_a_final_that_came_because_the_session_was_closed_is_text_and_no_time() -> None:
    arrivals = [Arrival(900.0, heard("שלום", 0, 500, final=True))]
    text, times, unfinished = measure(speech("שלום", (0, 500)), arrivals, unasked=0)

    assert (text, unfinished) == ("שלום", False)
    assert times.finals == ()


def test_what_single_requests_heard_is_shown_when_the_last_one_is_answered() -> None:
    of = speech("שלום לך", (0, 500), (1000, 1500))

    right, wrong, silent = (of_answers(of, text, finals) for text, finals in (
        ("שלום, לך.", (700.0, 650.0)), ("שלום לה", (700.0, 650.0)), ("", (700.0,)),
    ))  # fmt: skip
    assert (right.right, right.settled, right.finals) == (650.0, 650.0, (700.0, 650.0))
    assert (wrong.right, wrong.settled) == (None, 650.0)
    assert (silent.right, silent.settled) == (None, None)


def test_a_fault_is_a_sentence_and_what_to_do_is_another() -> None:
    broken = UpstreamError("Whisper cannot be\n reached", reason="unavailable", retryable=True, remedy="Check it.")
    ended = UpstreamError("It broke.", reason="closed", retryable=True)

    assert [sentence(broken), sentence(ended)] == ["Whisper cannot be reached. Check it.", "It broke."]


def test_a_sound_in_which_nothing_is_heard_has_no_times() -> None:
    text, times, unfinished = measure(speech("שלום", (0, 500)), [])

    assert (text, unfinished) == ("", False)
    assert (times.first_interims, times.finals, times.right, times.settled) == ((), (), None, None)


def test_a_text_that_was_right_early_and_stayed_so_was_right_then() -> None:
    arrivals = [
        Arrival(900.0, heard("שלום", 0, 480)),
        Arrival(1000.0, heard("חלום", 0, 480)),
        Arrival(1200.0, heard("שלום", 0, 500)),
        Arrival(9000.0, heard("שלום", 0, 500, final=True)),
    ]
    _, times, _ = measure(speech("שלום", (0, 6000)), arrivals)

    assert times.right == 1200.0 - 6000.0, "in force three seconds before the end, where comparing begins"
    assert times.settled == 1200.0 - 6000.0


class _Counted(str):
    """A text that counts how often one is made of it."""

    __slots__ = ()
    read = 0

    def strip(self, *_: object) -> str:
        _Counted.read += 1
        return str(self)


def test_the_texts_of_a_long_call_are_made_only_where_they_are_compared() -> None:
    """One each would take minutes and gigabytes for an hour, in which other sounds are played."""
    _Counted.read = 0
    arrivals = []
    for number in range(300):
        begin = number * 1000
        arrivals.append(Arrival(begin + 650.0, heard(_Counted(" מה"), begin, begin + 500)))
        arrivals.append(Arrival(begin + 900.0, heard(_Counted(" מחר"), begin, begin + 800, final=True)))
    text, times, _ = measure(speech(" ".join(["מחר"] * 300), (0, 299_800)), arrivals)

    assert len(text.split()) == 300
    assert times.right == times.settled == 100.0
    assert _Counted.read < 600 + 12 * 300
