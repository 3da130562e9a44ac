import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batkol.speech.passage import Passage
from batkol.speech.results import Portion, Transcript, Word
from batkol.speech.seam import SEAM
from batkol.speech.timeline import Timeline
from support.properties import few_by_day

SLOT = 4000  # samples: one word of the simulated call, with its silence


def spoken(first: int, last: int, *, base: int, jitter: int = 0, final: bool = True) -> Portion:
    """The words number first … last-1 of a call, as the RPC that began at `base` tells of them."""
    words = [Word(f"w{n}", n * SLOT + 800 - base + jitter, n * SLOT + 3200 - base + jitter) for n in range(first, last)]
    text = " ".join(word.text for word in words)
    return Portion(text=text, end=last * SLOT - base, final=final, words=tuple(words) if final else ())


def following(base: int = 0) -> tuple[Timeline, Passage]:
    """A time line and its first RPC."""
    timeline = Timeline(start=base)
    return timeline, timeline.follow(base)


def after_three_words() -> tuple[Timeline, Passage]:
    """An RPC that begins one word in, after another one told of three."""
    timeline, rpc = following()
    timeline.place(rpc, [spoken(0, 3, base=0)])
    timeline.finish(rpc)
    return timeline, timeline.follow(SLOT)


rpcs = st.lists(
    st.tuples(
        st.integers(0, 3),  # words that it is fed again
        st.lists(st.integers(1, 4), min_size=1, max_size=4),  # words in each of its finals
        st.sampled_from([-600, 0, 600]),  # its clock against the last one's, in samples
    ),
    min_size=1,
    max_size=5,
)


@given(rpcs)
@example([(0, [1], 0), (1, [2], 0)])  # the same base again
def test_each_stretch_of_audio_is_committed_once_however_many_rpcs_hear_it(
    script: list[tuple[int, list[int], int]],
) -> None:
    """Every word in its place, once; the finals lie end to end; what was fed twice is dropped or trimmed."""
    timeline = Timeline()
    finals: list[Transcript] = []
    for again, lengths, jitter in script:
        first = max(0, timeline.watermark // SLOT - again)
        base = first * SLOT
        rpc = timeline.follow(base)
        for length in lengths:
            before = timeline.watermark
            heard = timeline.place(rpc, [spoken(first, first + length, base=base, jitter=jitter)])
            assert len(heard) == (1 if (first + length) * SLOT > before else 0)
            finals += heard
            first += length
        assert timeline.finish(rpc) == []

    words = " ".join(final.text for final in finals).split()
    assert words == [f"w{n}" for n in range(timeline.watermark // SLOT)]
    assert [w.text for final in finals for w in final.words] == words
    assert [final.start for final in finals] == [0, *(final.end for final in finals[:-1])]
    assert finals[-1].end == timeline.watermark


@given(st.lists(st.integers(1, 4), min_size=1), st.integers(0, 10**8))
def test_a_final_told_twice_is_dropped_and_counted(lengths: list[int], start: int) -> None:
    timeline, end = Timeline(start=start), 0
    rpc = timeline.follow(start)
    for repeats, length in enumerate(lengths):
        end += length * SLOT
        final = Portion(text="כן", end=end, final=True)
        assert timeline.place(rpc, [final]) == [Transcript("כן", start + end - length * SLOT, start + end, final=True)]
        assert timeline.repeats == repeats
        assert timeline.place(rpc, [final]) == []
        assert timeline.watermark == start + end


def test_times_are_the_rpcs_base_and_its_own() -> None:
    timeline, rpc = following(80_000)
    final = Portion(text="שלום", end=8000, final=True, words=(Word("שלום", 1600, 4800),))

    assert timeline.place(rpc, [final]) == [
        Transcript("שלום", 80_000, 88_000, final=True, words=(Word("שלום", 81_600, 84_800),))
    ]


def test_the_silence_between_two_rpcs_belongs_to_nobody() -> None:
    timeline, rpc = following()
    timeline.place(rpc, [Portion(text="אחת", end=8000, final=True)])
    timeline.finish(rpc)
    later = timeline.follow(80_000)

    assert timeline.place(later, [Portion(text="שתיים", end=4000, final=True)])[0].start == 80_000


def test_a_final_that_straddles_the_watermark_keeps_only_its_words_beyond_it() -> None:
    timeline, again = after_three_words()
    (final,) = timeline.place(again, [spoken(1, 5, base=SLOT)])

    assert final.text == "w3 w4"
    assert (final.start, final.end) == (3 * SLOT, 5 * SLOT)
    assert [w.text for w in final.words] == ["w3", "w4"]


def test_a_final_whose_words_are_all_known_still_moves_the_watermark() -> None:
    """It says: there is nothing more up to here."""
    timeline, again = after_three_words()
    longer = spoken(1, 3, base=SLOT)
    heard = timeline.place(again, [Portion(longer.text, longer.end + 400, final=True, words=longer.words)])

    assert heard == [Transcript("", 3 * SLOT, 3 * SLOT + 400, final=True, rpc=1)]
    assert timeline.watermark == 3 * SLOT + 400


def test_the_finals_of_one_rpc_keep_all_their_words_even_where_a_words_time_is_off() -> None:
    """Word times come in steps of 100 ms: the first word of a final may seem to lie before its own beginning."""
    timeline, rpc = following()
    timeline.place(rpc, [Portion(text="אחת", end=8000, final=True, words=(Word("אחת", 0, 7200),))])
    word = Word("שתיים", 7200, 8000)

    assert timeline.place(rpc, [Portion(text="שתיים", end=9000, final=True, words=(word,))])[0].text == "שתיים"


def test_a_word_without_length_at_the_very_start_is_kept() -> None:
    word = Word("כן", 0, 0)

    timeline, rpc = following()

    assert timeline.place(rpc, [Portion(text="כן", end=800, final=True, words=(word,))])[0].words == (word,)


def test_the_interims_of_a_response_are_one_text() -> None:
    """Consecutive portions, with Google's own leading spaces; the least stable one says how stable it is."""
    portions = [
        Portion(text="אני רוצה", end=8000, final=False, stability=0.9),
        Portion(text=" לקבוע תור", end=16_000, final=False, stability=0.1),
    ]

    timeline, rpc = following()

    assert timeline.place(rpc, portions) == [Transcript("אני רוצה לקבוע תור", 0, 16_000, final=False, stability=0.1)]


def test_a_response_may_carry_a_final_and_the_interims_beyond_it() -> None:
    """Whoever reads only `results[0]` loses the tail."""
    final = Portion(text="שלום", end=8000, final=True)
    tail = Portion(text=" מה נשמע", end=12_000, final=False, stability=0.5)

    timeline, rpc = following()

    assert timeline.place(rpc, [final, tail]) == [
        Transcript("שלום", 0, 8000, final=True),
        Transcript("מה נשמע", 8000, 12_000, final=False, stability=0.5),
    ]


def test_an_interim_for_committed_audio_is_dropped() -> None:
    timeline, rpc = following()
    timeline.place(rpc, [Portion(text="שלום", end=8000, final=True)])

    assert timeline.place(rpc, [Portion(text="שלום", end=8000, final=False)]) == []
    assert timeline.place(rpc, [Portion(text="  ", end=9000, final=False)]) == []
    assert timeline.repeats == 0


def test_an_interim_commits_nothing() -> None:
    timeline, rpc = following(100)
    timeline.place(rpc, [spoken(0, 4, base=0, final=False)])

    assert timeline.watermark == 100


def test_an_empty_response_says_nothing() -> None:
    timeline, rpc = following()

    assert timeline.place(rpc, []) == []


# -- what a recognizer takes back ----------------------------------------------------------------------------------


def test_a_final_without_text_moves_the_watermark_and_says_which_rpc_it_is_of() -> None:
    timeline = Timeline()
    timeline.finish(timeline.follow(0))
    rpc = timeline.follow(SLOT)

    assert timeline.place(rpc, [Portion(text="", end=SLOT, final=True)]) == [
        Transcript("", SLOT, 2 * SLOT, final=True, rpc=1)
    ]
    assert timeline.watermark == 2 * SLOT
    assert timeline.place(rpc, [Portion(text="", end=SLOT, final=True)]) == []
    assert timeline.repeats == 1


def test_an_interim_without_text_is_told_once_if_there_was_one_with_text() -> None:
    timeline, rpc = following()
    nothing = Portion(text=" ", end=SLOT, final=False)

    assert timeline.place(rpc, [nothing]) == []
    timeline.place(rpc, [Portion(text="אחת", end=SLOT, final=False)])
    assert timeline.place(rpc, [nothing]) == [Transcript("", 0, SLOT, final=False)]
    assert timeline.place(rpc, [nothing]) == []


def test_a_final_without_text_commits_no_word_so_a_later_one_of_its_rpc_keeps_all_of_its_own() -> None:
    """Where it has no end of its own it reaches as far as the audio sent, perhaps into words that are to come."""
    timeline, rpc = following()
    timeline.place(rpc, [Portion(text="", end=3 * SLOT, final=True)])

    (final,) = timeline.place(rpc, [spoken(0, 2, base=0)])
    assert (final.text, final.start, final.end) == ("w0 w1", 0, 2 * SLOT)
    (final,) = timeline.place(rpc, [spoken(2, 4, base=0)])
    assert (final.text, final.start, final.end) == ("w2 w3", 2 * SLOT, 4 * SLOT)


def test_a_final_without_text_does_not_uncover_what_an_earlier_rpc_has_told() -> None:
    timeline, again = after_three_words()
    timeline.place(again, [Portion(text="", end=3 * SLOT, final=True)])

    (final,) = timeline.place(again, [spoken(1, 6, base=SLOT)])
    assert final.text == "w3 w4 w5"


def test_a_final_without_text_says_nothing_of_what_the_successor_hears() -> None:
    timeline, old = following()
    new = timeline.follow(SLOT)
    timeline.bound(old, 2 * SLOT)

    assert timeline.place(old, [Portion(text="", end=4 * SLOT, final=True)]) == [
        Transcript("", 0, 2 * SLOT, final=True)
    ]
    timeline.finish(old)
    assert [h.text for h in timeline.place(new, [spoken(1, 4, base=SLOT)])] == ["w2 w3"]


# -- finals that do not tell their end -----------------------------------------------------------------------------


def undated(text: str, end: int, *words: Word) -> Portion:
    """Its end is that of its last word, or a guess: as far as audio was sent."""
    return Portion(text, end, final=True, words=words, dated=False)


@pytest.mark.parametrize("second", [undated("שתיים", 80_000), Portion("שתיים", 64_000, final=True)])
def test_nothing_is_dropped_for_a_guessed_end(second: Portion) -> None:
    """After the half-close no more audio is sent, so that all guesses are the same; a true end may lie before them."""
    timeline, rpc = following()
    (first,) = timeline.place(rpc, [undated("אחת", 80_000)])
    (later,) = timeline.place(rpc, [second])

    assert (first.text, later.text) == ("אחת", "שתיים")
    assert later.start < later.end
    assert timeline.repeats == 0


def test_an_interim_that_ends_before_a_guessed_end_is_told() -> None:
    timeline, rpc = following()
    timeline.place(rpc, [undated("אחת", 80_000)])

    assert timeline.place(rpc, [Portion("שתיים", 72_000, final=False)]) == [Transcript("שתיים", 0, 72_000, final=False)]


def test_the_same_final_told_twice_without_its_end_is_dropped() -> None:
    timeline, rpc = following()
    timeline.place(rpc, [undated("אחת", 80_000)])

    assert timeline.place(rpc, [undated("אחת", 80_000)]) == []
    assert timeline.repeats == 1


def test_a_guessed_end_is_no_sure_one_and_a_true_one_puts_it_right() -> None:
    timeline, rpc = following()
    timeline.place(rpc, [undated("אחת", 80_000)])
    assert (timeline.watermark, timeline.sure) == (80_000, 0)

    timeline.place(rpc, [Portion("שתיים", 64_000, final=True)])
    assert (timeline.watermark, timeline.sure) == (64_000, 64_000)


def test_a_final_without_text_and_without_its_end_moves_nothing() -> None:
    """It comes in mid-speech, perhaps: the words that are being said are not settled."""
    timeline, rpc = following()
    timeline.place(rpc, [spoken(0, 2, base=0)])

    assert timeline.place(rpc, [undated("", 6 * SLOT)]) == [Transcript("", 2 * SLOT, 6 * SLOT, final=True)]
    assert timeline.watermark == timeline.sure == 2 * SLOT
    assert [h.text for h in timeline.place(rpc, [spoken(2, 5, base=0)])] == ["w2 w3 w4"]


def test_a_guessed_end_beyond_the_seam_does_not_end_what_the_earlier_rpc_says() -> None:
    timeline, old = following()
    timeline.follow(8 * SLOT)
    timeline.place(old, [undated("אחת", 9 * SLOT)])
    assert timeline.bound(old, 8 * SLOT) == []

    (second,) = timeline.place(old, [undated("שתיים", 10 * SLOT)])
    (third,) = timeline.place(old, [undated("שלוש", 10 * SLOT)])
    assert (second.text, third.text) == ("שתיים", "שלוש")
    assert third.end == 8 * SLOT


@pytest.mark.parametrize("silent", [True, False])
def test_a_text_of_audio_beyond_the_seam_is_the_successors_where_nobody_spoke_before_the_seam(silent: bool) -> None:
    """The next stream opened late, and the caller speaks by then: the old one heard that, too."""
    timeline, old = following()
    new = timeline.follow(7 * SLOT)
    timeline.place(old, [undated("אחת", 6 * SLOT)])
    timeline.bound(old, 8 * SLOT, 5 * SLOT if silent else 7 * SLOT)

    heard = [each.text for each in timeline.place(old, [undated("שתיים", 10 * SLOT)])]
    timeline.finish(old)
    heard += [each.text for each in timeline.place(new, [undated("שתיים שלוש", 4 * SLOT)])]

    assert heard == (["שתיים שלוש"] if silent else ["שתיים", "שלוש"])


def test_behind_a_guessed_end_no_more_is_heard_again_than_at_a_seam_in_mid_speech() -> None:
    timeline, rpc = following()
    assert timeline.resume(rpc) == 0
    timeline.place(rpc, [spoken(0, 3, base=0)])
    assert timeline.resume(rpc) == timeline.watermark == 3 * SLOT
    timeline.place(rpc, [undated("אחת", 4 * SLOT)])
    assert timeline.resume(rpc) == 3 * SLOT, "what is sure is not heard again"
    timeline.place(rpc, [undated("שתיים", 10 * SLOT)])
    assert timeline.resume(rpc) == 10 * SLOT - 8000


def test_an_rpc_that_has_committed_nothing_is_followed_from_where_it_began() -> None:
    """The seam lies in a word that is the successor's, which heard it from its beginning on."""
    timeline, old = following()
    new = timeline.follow(2 * SLOT)
    timeline.bound(old, 3 * SLOT + 1600)
    timeline.place(old, [spoken(0, 5, base=0)])
    timeline.finish(old)

    assert 2 * SLOT < timeline.watermark < 3 * SLOT + 3200
    assert timeline.resume(new) == 2 * SLOT
    timeline.place(new, [spoken(3, 5, base=2 * SLOT)])
    assert timeline.resume(new) == timeline.watermark == 5 * SLOT


@pytest.mark.parametrize("times", [(), (Word("שתיים", 4000, 8000), Word("שלוש", 8000, 12_000))])
def test_what_a_later_rpc_says_again_before_a_guessed_end_is_known_by_its_words(times: tuple[Word, ...]) -> None:
    timeline, old = following()
    timeline.place(old, [undated("אחת שתיים", 40_000)])
    timeline.finish(old)
    new = timeline.follow(8000)

    assert [h.text for h in timeline.place(new, [undated("שתיים שלוש", 40_000, *times)])] == ["שלוש"]


def test_a_word_without_length_that_alone_tells_a_finals_end_is_not_taken_for_a_repeat() -> None:
    timeline, rpc = following()
    first = Word("אחת", 12_000, 16_000)
    told = undated("אחת", 16_000, first)
    timeline.place(rpc, [told])

    assert timeline.place(rpc, [told]) == []
    (second,) = timeline.place(rpc, [undated("לא", 16_000, Word("לא", 16_000, 16_000))])
    assert second.text == "לא"


# -- words whose times include the pause before them ---------------------------------------------------------------


def absorbing(*ends: tuple[str, int], start: int, base: int = 0) -> Portion:
    """A final whose words start where the ones before them ended, the first one at `start`."""
    words = []
    for text, end in ends:
        words.append(Word(text, start - base, end - base))
        start = end
    return Portion(" ".join(word.text for word in words), words[-1].end, final=True, words=tuple(words))


def test_a_first_word_that_includes_the_pause_before_it_is_not_taken_for_a_repeat() -> None:
    """The watermark is at 2.9 s, and the word at 2.0 to 3.2 s, most of which is silence."""
    timeline, old = following()
    timeline.place(old, [Portion("אחת", 23_200, final=True, words=(Word("אחת", 8000, 16_000),))])
    timeline.finish(old)
    new = timeline.follow(16_000)

    (final,) = timeline.place(new, [absorbing(("לא", 25_600), start=16_000, base=16_000)])
    assert final.text == "לא"


def test_the_finals_of_one_rpc_keep_a_first_word_that_includes_a_long_pause() -> None:
    timeline, rpc = following()
    timeline.place(rpc, [Portion("אחת", 12_000, final=True, words=(Word("אחת", 4000, 8000),))])

    (final,) = timeline.place(rpc, [absorbing(("לא", 40_000), ("כן", 42_000), start=8000)])
    assert final.text == "לא כן"


def test_a_word_behind_a_pause_across_the_seam_is_the_successors_and_told_once() -> None:
    """The old RPC hears it, too: there it starts before the seam, and ends behind it."""
    timeline, old = following()
    new = timeline.follow(12_000)
    timeline.bound(old, 16_000)

    (before,) = timeline.place(old, [absorbing(("אחת", 8000), ("לא", 26_000), start=4000)])
    timeline.finish(old)
    (behind,) = timeline.place(new, [absorbing(("לא", 26_400), ("כן", 30_000), start=12_000, base=12_000)])
    assert (before.text, behind.text) == ("אחת", "לא כן")
    assert before.end == behind.start


def test_a_word_without_length_at_the_seam_is_told_once() -> None:
    """For the old RPC it lies where the word before it ended, for the new one 100 ms earlier: before the seam."""
    timeline, old = following()
    timeline.place(old, [absorbing(("אחת", 4000), ("שתיים", 8000), start=1000)])
    timeline.finish(old)
    new = timeline.follow(2000)

    told = absorbing(("שתיים", 7200), ("לא", 7200), ("כן", 12_000), start=4000, base=2000)
    assert timeline.place(new, [told])[0].text == "לא כן"


def test_a_repeat_whose_text_is_new_is_known_by_its_time() -> None:
    timeline, old = following()
    timeline.place(old, [absorbing(("אחת", 4000), ("שתיים", 8000), start=1000)])
    timeline.finish(old)
    new = timeline.follow(2000)

    told = absorbing(("שניים", 8400), ("כן", 12_000), start=4000, base=2000)
    assert timeline.place(new, [told])[0].text == "כן"


def test_a_short_word_in_which_the_last_final_seems_to_end_is_told_by_the_later_rpc() -> None:
    """The watermark is good to 100 ms: here it lies in the word after the last one, behind its middle."""
    timeline, old = following()
    timeline.place(old, [Portion("אחת", 42_800, final=True, words=(Word("אחת", 38_400, 41_600),))])
    timeline.finish(old)
    new = timeline.follow(41_900)

    (final,) = timeline.place(new, [absorbing(("לא", 43_200), ("כן", 47_000), start=41_900, base=41_900)])
    assert final.text == "לא כן"


absorbed = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=2, max_size=16)


@few_by_day(30)
@given(absorbed, st.integers(1, 15), st.sampled_from([-800, 0, 800]), st.booleans())
def test_words_that_include_pauses_are_told_once_wherever_the_seam_lies(
    said: list[tuple[int, int]], seam: int, off: int, first: bool
) -> None:
    """Pauses of up to 1.2 s, words of 200 ms and more. The seam lies in a word, or in the pause before it."""
    at, words = 0, []
    for number, (pause, length) in enumerate(said):
        at += pause * 3200 + length * 1600
        words.append((f"w{number}", at))
    cut = min(seam, len(words) - 1)
    limit = words[cut][1] - 800
    base = words[cut - 1][1] - said[cut - 1][1] * 1600 - 400
    timeline, old = following()
    new = timeline.follow(max(0, base))
    timeline.bound(old, limit)

    heard = timeline.place(old, [absorbing(*words[: cut + 1], start=0)]) + timeline.finish(old)
    again = [(text, end + off) for text, end in words[cut - 1 :]]
    start = max(0, base) if first else max(0, base, again[0][1] - said[cut - 1][1] * 1600)
    heard += timeline.place(new, [absorbing(*again, start=min(start, again[0][1]), base=max(0, base))])

    assert " ".join(final.text for final in heard).split() == [text for text, _ in words]


# -- one RPC hands over to the next ------------------------------------------------------------------------------


@st.composite
def successions(draw: st.DrawFn) -> list[tuple[int, int, list[int]]]:
    """RPCs that follow each other: where each begins, where it hands over (in slots), and how its words are cut."""
    told, passages = 0, []
    for _ in range(draw(st.integers(1, 5))):
        seam = told + draw(st.integers(2, 6))
        base = max(0, told - draw(st.integers(1, 3)))
        passages.append((base, seam, draw(st.lists(st.integers(1, 3), min_size=12, max_size=12))))
        told = seam
    return passages


@few_by_day(30)
@given(successions(), st.sampled_from([-600, 0, 600]), st.integers(0, 1))
def test_however_rpcs_overlap_at_a_seam_every_word_is_told_once_and_in_order(
    passages: list[tuple[int, int, list[int]]], jitter: int, extra: int
) -> None:
    """Both hear the words around a seam, each with a clock of its own; the later one even before the earlier ends."""
    timeline = Timeline()
    rpcs = [timeline.follow(base * SLOT) for base, _, _ in passages]
    heard: list[Transcript] = []
    for rpc, (_, seam, _) in zip(rpcs[:-1], passages, strict=False):
        heard += timeline.bound(rpc, seam * SLOT)
    order = [*range(1, len(rpcs)), 0]
    for number in order if len(rpcs) > 1 else [0]:
        base, seam, lengths = passages[number]
        end = seam + 1 + extra if number < len(rpcs) - 1 else seam
        first = base
        for length in lengths:
            if first < end:
                last = min(first + length, end)
                off = jitter if number % 2 else 0
                heard += timeline.place(rpcs[number], [spoken(first, last, base=base * SLOT, jitter=off)])
                first = last
        if number:
            assert timeline.finish(rpcs[number]) == []
    heard += timeline.finish(rpcs[0])

    words = " ".join(final.text for final in heard).split()
    assert words == [f"w{n}" for n in range(passages[-1][1])]
    assert [final.start for final in heard] == [0, *(final.end for final in heard[:-1])]


def test_what_the_later_rpc_says_is_held_until_the_earlier_one_was_read_to_its_end() -> None:
    timeline, old = following()
    new = timeline.follow(2 * SLOT)
    timeline.bound(old, 2 * SLOT)

    assert timeline.place(new, [spoken(2, 3, base=2 * SLOT, final=False)]) == []
    assert timeline.place(new, [spoken(2, 4, base=2 * SLOT)]) == []
    assert timeline.place(new, [spoken(4, 5, base=2 * SLOT, final=False)]) == []
    assert timeline.place(new, [spoken(4, 6, base=2 * SLOT, final=False)]) == []
    assert [h.text for h in timeline.place(old, [spoken(0, 2, base=0)])] == ["w0 w1"]
    assert [h.text for h in timeline.finish(old)] == ["w2 w3", "w4 w5"]
    assert [h.text for h in timeline.place(new, [spoken(4, 6, base=2 * SLOT)])] == ["w4 w5"]


def test_what_the_earlier_rpc_hears_beyond_the_seam_is_not_believed() -> None:
    """It was half-closed in mid-word: its last word is half of one, and the later RPC heard it whole."""
    timeline, old = following()
    new = timeline.follow(SLOT)
    timeline.bound(old, 2 * SLOT)
    cut_off = spoken(0, 3, base=0)
    half = Word("חצי", 2 * SLOT + 800, 2 * SLOT + 1600)
    told = Portion("w0 w1 חצי", 2 * SLOT + 1600, final=True, words=(*cut_off.words[:2], half))

    assert [h.text for h in timeline.place(old, [told])] == ["w0 w1"]
    timeline.finish(old)
    assert [h.text for h in timeline.place(new, [spoken(1, 4, base=SLOT)])] == ["w2 w3"]


@pytest.mark.parametrize("more", [None, (("שמונה", 48_800),), ()])
def test_once_the_seam_lies_between_two_words_nothing_the_earlier_rpc_still_says_moves_it(
    more: tuple[tuple[str, int], ...] | None,
) -> None:
    """It says another word beyond the seam, or has no words for what it heard there. The later one is 100 ms off."""
    timeline, old = following()
    new = timeline.follow(32_000)
    timeline.bound(old, 40_720)
    straddling = absorbing(("חמש", 37_600), ("שש", 42_400), ("שבע", 47_200), start=32_000)

    heard = timeline.place(old, [straddling])
    if more is not None:
        heard += timeline.place(old, [absorbing(*more, start=47_200) if more else Portion("", 48_800, final=True)])
    assert timeline.finish(old) == []
    again = absorbing(("חמש", 37_200), ("שש", 41_600), ("שבע", 46_800), start=32_000, base=32_000)
    heard += timeline.place(new, [again])

    assert [(final.text, final.start) for final in heard] == [("חמש", 0), ("שש שבע", 38_800)]


def test_an_rpc_that_has_told_all_up_to_the_seam_holds_nobody_up() -> None:
    timeline, old = following()
    timeline.place(old, [spoken(0, 2, base=0)])
    new = timeline.follow(2 * SLOT)

    assert timeline.bound(old, 2 * SLOT) == []
    assert [h.text for h in timeline.place(new, [spoken(2, 3, base=2 * SLOT)])] == ["w2"]
    assert timeline.place(old, [spoken(2, 4, base=0)]) == []


def test_a_successor_that_dies_first_is_still_heard_after_its_predecessor() -> None:
    timeline, old = following()
    new = timeline.follow(2 * SLOT)
    timeline.bound(old, 2 * SLOT)
    timeline.place(new, [spoken(2, 3, base=2 * SLOT)])
    timeline.finish(new)
    third = timeline.follow(3 * SLOT)
    timeline.place(third, [spoken(3, 4, base=3 * SLOT)])

    assert [h.text for h in timeline.finish(old)] == ["w2", "w3"]


def test_without_word_times_what_is_said_again_is_known_by_its_words() -> None:
    """Half a word at the very beginning too: the RPC began in the middle of it."""
    timeline, old = following()
    timeline.place(old, [Portion(text="אני רוצה לקבוע פגישה", end=4 * SLOT, final=True)])
    timeline.finish(old)
    new = timeline.follow(2 * SLOT)

    (interim,) = timeline.place(new, [Portion(text="בוע פגישה דחופה", end=3 * SLOT, final=False)])
    assert interim.text == "דחופה"
    (final,) = timeline.place(new, [Portion(text="בוע פגישה דחופה היום", end=3 * SLOT, final=True)])
    assert final.text == "דחופה היום"
    assert not timeline.timed


def test_a_final_without_word_times_that_is_nearly_all_beyond_the_seam_is_the_successors() -> None:
    timeline, old = following()
    new = timeline.follow(2 * SLOT)
    timeline.place(old, [Portion(text="אחת", end=2 * SLOT - SEAM, final=True)])
    timeline.bound(old, 2 * SLOT)

    assert timeline.place(old, [Portion(text="שתיים", end=4 * SLOT, final=True)]) == []
    timeline.finish(old)
    assert timeline.place(new, [Portion(text="שתיים", end=2 * SLOT, final=True)])[0].text == "שתיים"


def test_the_next_rpc_may_resume_a_little_before_the_watermark_where_words_have_times() -> None:
    timeline, rpc = following()
    assert timeline.slack == 0
    timeline.place(rpc, [spoken(0, 3, base=0)])
    assert timeline.slack > 0
    timeline.place(rpc, [Portion(text="עוד", end=4 * SLOT, final=True)])
    assert timeline.slack == 0


def test_a_mark_of_punctuation_does_not_make_another_word_at_a_seam() -> None:
    """A recognizer that punctuates hears a word with a mark in one RPC and without it in the next."""
    timeline, rpc = following()
    first = Portion(text="כן, מחר.", end=8000, final=True, words=(Word("כן,", 800, 3200), Word("מחר.", 4800, 7200)))
    timeline.place(rpc, [first])
    timeline.finish(rpc)
    after = timeline.follow(4000)
    words = (Word("מחר", 2200, 4600), Word("בבוקר", 5200, 7600))  # by its time alone "מחר" would be another one
    (heard,) = timeline.place(after, [Portion(text="מחר בבוקר", end=8000, final=True, words=words)])

    assert [word.text for word in heard.words] == ["בבוקר"]


def test_without_word_times_a_mark_does_not_hide_what_is_said_again() -> None:
    timeline, rpc = following()
    timeline.place(rpc, [Portion(text="כן, מחר.", end=8000, final=True)])
    timeline.finish(rpc)
    after = timeline.follow(4000)
    (heard,) = timeline.place(after, [Portion(text="מחר בבוקר", end=8000, final=True)])

    assert heard.text == "בבוקר"


def test_the_words_of_an_interim_have_their_places_in_the_call() -> None:
    timeline, rpc = after_three_words()
    words = tuple(Word(f"w{n}", n * SLOT + 800 - SLOT, n * SLOT + 3200 - SLOT) for n in range(1, 5))
    (interim,) = timeline.place(rpc, [Portion(text="w1 w2 w3 w4", end=4 * SLOT, final=False, words=words)])

    assert interim.text == "w3 w4"  # the others are committed
    assert interim.words == tuple(Word(f"w{n}", n * SLOT + 800, n * SLOT + 3200) for n in (3, 4))
    assert not interim.final
