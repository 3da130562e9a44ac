from hypothesis import example, given
from hypothesis import strategies as st

from batkol.speech.results import Heard, Portion, Word
from batkol.speech.timeline import Timeline

SLOT = 4000  # samples: one word of the simulated call, with its silence


def spoken(first: int, last: int, *, base: int, jitter: int = 0, final: bool = True) -> Portion:
    """The words number first … last-1 of a call, as the RPC that began at `base` tells of them."""
    words = [Word(f"w{n}", n * SLOT + 800 - base + jitter, n * SLOT + 3200 - base + jitter) for n in range(first, last)]
    text = " ".join(word.text for word in words)
    return Portion(text=text, end=last * SLOT - base, final=final, words=tuple(words) if final else ())


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
    finals: list[Heard] = []
    for again, lengths, jitter in script:
        first = max(0, timeline.watermark // SLOT - again)
        base = first * SLOT
        for length in lengths:
            before = timeline.watermark
            heard = timeline.hear(base, [spoken(first, first + length, base=base, jitter=jitter)])
            assert len(heard) == (1 if (first + length) * SLOT > before else 0)
            finals += heard
            first += length

    words = " ".join(final.text for final in finals).split()
    assert words == [f"w{n}" for n in range(timeline.watermark // SLOT)]
    assert [w.text for final in finals for w in final.words] == words
    assert [final.start for final in finals] == [0, *(final.end for final in finals[:-1])]
    assert finals[-1].end == timeline.watermark


@given(st.lists(st.integers(1, 4), min_size=1), st.integers(0, 10**8))
def test_a_final_told_twice_is_dropped_and_counted(lengths: list[int], start: int) -> None:
    timeline, end = Timeline(start=start), 0
    for repeats, length in enumerate(lengths):
        end += length * SLOT
        final = Portion(text="כן", end=end, final=True)
        assert timeline.hear(start, [final]) == [Heard("כן", start + end - length * SLOT, start + end, final=True)]
        assert timeline.repeats == repeats
        assert timeline.hear(start, [final]) == []
        assert timeline.watermark == start + end


def test_times_are_the_rpcs_base_and_its_own() -> None:
    timeline = Timeline(start=80_000)
    final = Portion(text="שלום", end=8000, final=True, words=(Word("שלום", 1600, 4800),))

    assert timeline.hear(80_000, [final]) == [
        Heard("שלום", 80_000, 88_000, final=True, words=(Word("שלום", 81_600, 84_800),))
    ]


def test_the_silence_between_two_rpcs_belongs_to_nobody() -> None:
    timeline = Timeline()
    timeline.hear(0, [Portion(text="אחת", end=8000, final=True)])

    assert timeline.hear(80_000, [Portion(text="שתיים", end=4000, final=True)])[0].start == 80_000


def test_a_final_that_straddles_the_watermark_keeps_only_its_words_beyond_it() -> None:
    timeline = Timeline()
    timeline.hear(0, [spoken(0, 3, base=0)])
    (final,) = timeline.hear(SLOT, [spoken(1, 5, base=SLOT)])

    assert final.text == "w3 w4"
    assert (final.start, final.end) == (3 * SLOT, 5 * SLOT)
    assert [w.text for w in final.words] == ["w3", "w4"]


def test_a_final_whose_words_are_all_known_still_moves_the_watermark() -> None:
    """It says: there is nothing more up to here."""
    timeline = Timeline()
    timeline.hear(0, [spoken(0, 3, base=0)])
    longer = spoken(1, 3, base=SLOT)
    heard = timeline.hear(SLOT, [Portion(longer.text, longer.end + 400, final=True, words=longer.words)])

    assert heard == [Heard("", 3 * SLOT, 3 * SLOT + 400, final=True)]
    assert timeline.watermark == 3 * SLOT + 400


def test_the_finals_of_one_rpc_keep_all_their_words_even_where_a_words_time_is_off() -> None:
    """Word times come in steps of 100 ms: the first word of a final may seem to lie before its own beginning."""
    timeline = Timeline()
    timeline.hear(0, [Portion(text="אחת", end=8000, final=True, words=(Word("אחת", 0, 7200),))])
    word = Word("שתיים", 7200, 8000)

    assert timeline.hear(0, [Portion(text="שתיים", end=9000, final=True, words=(word,))])[0].text == "שתיים"


def test_a_word_without_length_at_the_very_start_is_kept() -> None:
    word = Word("כן", 0, 0)

    assert Timeline().hear(0, [Portion(text="כן", end=800, final=True, words=(word,))])[0].words == (word,)


def test_the_interims_of_a_response_are_one_text() -> None:
    """Consecutive portions, with Google's own leading spaces; the least stable one says how stable it is."""
    portions = [
        Portion(text="אני רוצה", end=8000, final=False, stability=0.9),
        Portion(text=" לקבוע תור", end=16_000, final=False, stability=0.1),
    ]

    assert Timeline().hear(0, portions) == [Heard("אני רוצה לקבוע תור", 0, 16_000, final=False, stability=0.1)]


def test_a_response_may_carry_a_final_and_the_interims_beyond_it() -> None:
    """Whoever reads only `results[0]` loses the tail."""
    final = Portion(text="שלום", end=8000, final=True)
    tail = Portion(text=" מה נשמע", end=12_000, final=False, stability=0.5)

    assert Timeline().hear(0, [final, tail]) == [
        Heard("שלום", 0, 8000, final=True),
        Heard("מה נשמע", 8000, 12_000, final=False, stability=0.5),
    ]


def test_an_interim_for_committed_audio_is_dropped() -> None:
    timeline = Timeline()
    timeline.hear(0, [Portion(text="שלום", end=8000, final=True)])

    assert timeline.hear(0, [Portion(text="שלום", end=8000, final=False)]) == []
    assert timeline.hear(0, [Portion(text="  ", end=9000, final=False)]) == []
    assert timeline.repeats == 0


def test_an_interim_commits_nothing() -> None:
    timeline = Timeline(start=100)
    timeline.hear(100, [spoken(0, 4, base=0, final=False)])

    assert timeline.watermark == 100


def test_an_empty_response_says_nothing() -> None:
    assert Timeline().hear(0, []) == []
