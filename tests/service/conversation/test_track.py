"""What was heard of a reply, by the place in its sound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.conversation.track import Track


def test_words_are_heard_when_their_ends_are() -> None:
    track = Track()
    track.add_piece("שלום רב לך")
    track.add_sound(b"a" * 3000, 0, last=False, word_ends=(1000, 2500))
    track.add_sound(b"b" * 1000, 0, last=True, word_ends=(3800,))

    assert track.heard(0) == ""
    assert track.heard(999) == ""
    assert track.heard(1000) == "שלום"
    assert track.heard(3799) == "שלום רב"
    assert track.heard(4000) == "שלום רב לך"
    assert track.intended == "שלום רב לך"


def test_without_times_of_words_their_letters_share_the_sound() -> None:
    track = Track()
    track.add_piece("aaaa bbbb cccc dddd")
    track.add_sound(b"x" * 8000, 0, last=True)

    assert [len(track.heard(at).split()) for at in (0, 1900, 2100, 4100, 6100, 8000)] == [0, 1, 1, 2, 3, 4]


def test_a_piece_that_is_not_whole_is_measured_by_the_speed_of_the_ones_before() -> None:
    track = Track()
    track.add_piece("aaaa bbbb")
    track.add_sound(b"x" * 9000, 0, last=True)  # eight letters a second
    track.add_piece("cccc dddd eeee ffff")
    track.add_sound(b"x" * 6000, 1, last=False)

    assert track.heard(9000 + 5500) == "aaaa bbbb cccc"


def test_a_piece_of_which_no_sound_came_was_not_heard() -> None:
    track = Track()
    track.add_piece("one two")
    track.add_sound(b"x" * 4000, 0, last=True)
    track.add_piece("three")

    assert track.heard(100_000) == "one two"
    assert track.intended == "one two three"


def test_finds_the_piece_at_a_sample_and_the_sound_from_there() -> None:
    track = Track()
    for number, sound in enumerate((b"aaaa", b"bb", b"cccccc")):
        track.add_piece(str(number))
        track.add_sound(sound, number, last=True)

    assert [track.piece_at(at) for at in (0, 3, 4, 6, 100)] == [0, 0, 1, 2, 2]
    assert track.sound_from(5) == b"bcccccc"
    assert track.sound_from(12) == b""


def test_a_voice_cannot_speak_a_piece_that_it_was_not_given() -> None:
    with pytest.raises(ValueError, match="piece 0 of 0"):
        Track().add_sound(b"x", 0, last=False)


words = st.text(alphabet="אבגד", min_size=1, max_size=6)


@given(st.lists(st.tuples(st.lists(words, min_size=1, max_size=5), st.integers(1, 500)), min_size=1, max_size=6))
def test_what_was_heard_only_grows_and_ends_with_all_of_it(pieces: list[tuple[list[str], int]]) -> None:
    track = Track()
    for number, (text, samples) in enumerate(pieces):
        track.add_piece(" ".join(text))
        track.add_sound(b"x" * samples, number, last=True)

    before = 0
    for at in range(0, track.samples + 1, 7):
        heard = track.heard(at).split()
        assert len(heard) >= before
        assert track.intended.split()[: len(heard)] == heard
        before = len(heard)
    assert track.heard(track.samples) == track.intended


def test_a_piece_that_broke_off_was_heard_as_far_as_its_sound_goes_though_others_follow() -> None:
    track = Track()
    for text in ("aaaa bbbb", "cccc dddd eeee ffff", "gggg"):
        track.add_piece(text)
    track.add_sound(b"x" * 9000, 0, last=True)  # eight letters a second
    track.add_sound(b"x" * 6000, 1, last=False)
    track.add_sound(b"x" * 4000, 2, last=True)

    assert track.heard(9000 + 6000) == "aaaa bbbb cccc"
    assert track.heard(track.samples) == "aaaa bbbb cccc gggg"


def test_a_piece_without_anything_to_speak_hides_none_behind_it() -> None:
    track = Track()
    for text in ("one", "…", "two"):
        track.add_piece(text)
    track.add_sound(b"x" * 4000, 0, last=True)
    track.add_sound(b"", 1, last=True)
    track.add_sound(b"x" * 4000, 2, last=True)

    assert track.heard(8000) == "one two"
