import pytest

from batkol.simulators.twilio.ear import Ear
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked import voice


class Clock:
    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_what_was_played_by_now_was_heard_and_the_rest_was_not() -> None:
    ear = Ear(clock=(clock := Clock()))
    ear.append(b"\x01" * 8000, 100.0)
    heard = []
    for clock.now in (100.0, 100.25, 101.0, 102.0):
        heard.append(len(ear.heard))

    assert heard == [0, 2000, 8000, 8000]


def test_what_a_clear_throws_away_is_never_heard() -> None:
    ear = Ear(clock=(clock := Clock()))
    ear.append(b"\x01" * 8000, 100.0)
    ear.append(b"\x02" * 8000, 101.0)
    ear.append(b"\x03" * 8000, 103.0)
    ear.clear(101.5)
    ear.append(b"\x04" * 800, 101.6)
    clock.now = 110.0

    assert ear.heard == b"\x01" * 8000 + b"\x02" * 4000 + b"\x04" * 800
    assert ear.seconds == 1.6
    assert ear.gaps == (), "silence that was asked for is no gap"
    assert [(sound.begins_at, len(sound.mulaw)) for sound in ear.sounds] == [(100.0, 12_000), (101.6, 800)]


def test_sound_that_comes_too_late_is_a_gap_and_sound_after_a_pause_is_not() -> None:
    ear = Ear(clock=(clock := Clock()))
    ear.append(b"\x01" * 8000, 100.0)
    ear.append(b"\x01" * 8000, 101.03)  # too short to be noticed
    ear.append(b"\x01" * 8000, 102.13)
    ear.append(b"\x01" * 8000, 105.0)
    assert list(ear.gaps) == []
    clock.now = 110.0

    (gap,) = ear.gaps
    assert gap == pytest.approx((102.03, 0.1))


def test_time_that_is_bent_bends_the_sound_and_the_gaps() -> None:
    ear = Ear(speed=4.0, clock=(clock := Clock()))
    ear.append(b"\x01" * 8000, 100.0)
    ear.append(b"\x01" * 8000, 100.275)
    clock.now = 100.3

    assert len(ear.heard) == 8000 + 800
    (gap,) = ear.gaps
    assert gap == pytest.approx((100.25, 0.025))  # 100 ms of audio time


def test_words_are_heard_with_their_times_and_a_word_that_was_cut_is_a_fragment() -> None:
    spoken = voice.say(("שלום", "תודה", "מחר"))
    ear = Ear(clock=Clock(200.0))
    ear.append(spoken.mulaw, 100.0)
    ear.append(voice.say(("כן",)).mulaw, 110.0)
    whole = ear.words()
    ear = Ear(clock=Clock(200.0))
    ear.append(spoken.mulaw, 100.0)
    ear.clear(100.0 + (spoken.words[1].end - 1600) / 8000)
    cut = ear.words()

    assert [word.text for word in whole] == ["שלום", "תודה", "מחר", "כן"]
    assert [word.begins_at for word in whole[:3]] == pytest.approx(
        [100.0 + word.start / 8000 for word in spoken.words], abs=0.01
    )
    assert whole[3].begins_at == pytest.approx(110.0, abs=0.01)
    assert [word.text for word in cut] == ["שלום", GARBLE]


def test_a_gap_in_a_word_spoils_it() -> None:
    spoken = voice.say(("שלום", "תודה"))
    middle = (spoken.words[1].start + spoken.words[1].end) // 2
    ear = Ear(clock=Clock(200.0))
    ear.append(spoken.mulaw[:middle], 100.0)
    ear.append(spoken.mulaw[middle:], 100.1 + middle / 8000)

    assert "תודה" not in [word.text for word in ear.words()]
    assert ear.words()[0].text == "שלום"
    assert len(ear.gaps) == 1
    assert ear.texts() == ("שלום", "תודה"), "it was late, and nothing of it was lost"


@pytest.mark.parametrize("late_s", [0.1, 3.0])
def test_sound_that_is_lost_or_doubled_spoils_a_word_however_late_the_rest_is(late_s: float) -> None:
    spoken = voice.say(("שלום", "תודה"))
    middle = (spoken.words[1].start + spoken.words[1].end) // 2
    heard = []
    for begins in (middle, middle + 800, middle - 800):
        ear = Ear(clock=Clock(200.0))
        ear.append(spoken.mulaw[:middle], 100.0)
        ear.append(spoken.mulaw[begins:], 100.0 + late_s + middle / 8000)
        heard.append(ear.texts())

    assert heard[0] == ("שלום", "תודה")
    assert all(GARBLE in texts for texts in heard[1:])


def test_what_a_clear_cuts_off_is_a_fragment_and_what_follows_is_not_joined_to_it() -> None:
    spoken = voice.say(("שלום", "תודה"))
    middle = (spoken.words[1].start + spoken.words[1].end) // 2
    ear = Ear(clock=(clock := Clock(100.0)))
    ear.append(spoken.mulaw, 100.0)
    ear.clear(100.0 + middle / 8000)
    ear.append(spoken.mulaw[middle:], 101.5)
    clock.now = 200.0

    assert ear.texts() == ("שלום", GARBLE, GARBLE)
