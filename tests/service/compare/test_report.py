import io
import json
from datetime import UTC, datetime
from html.parser import HTMLParser

import msgspec
from rich.console import Console

from batkol.audio import mulaw
from batkol.compare.comparison import Comparison, Outcome, compared, scored
from batkol.compare.hearing import Hearing, Latencies
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.prices import price_of
from batkol.compare.report_html import report_html
from batkol.compare.report_json import report_json
from batkol.compare.table import cost, lines, show

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> \"'&<img src=x onerror=alert(1)>"


def comparison(said: list[str], **heard: list[Hearing]) -> Comparison:
    sounds = [
        scored(
            KnownSpeech(f"{number}.wav", f"CA{number}", text, mulaw.silence(8000)),
            {name: hearings[number] for name, hearings in heard.items()},
        )
        for number, text in enumerate(said)
    ]
    return compared(sounds, list(heard), {name: price_of(name) for name in heard}, seed=0)


def same(text: str, count: int) -> list[Hearing]:
    times = Latencies(finals=(600.0,), first_interims=(300.0,), right=200.0, settled=200.0)
    return [Hearing(text=text, latencies=times, heard_s=5.0)] * count


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def page(of: Comparison) -> _Page:
    read = _Page()
    read.feed(report_html(of, AT).decode())
    return read


def test_the_page_loads_nothing_runs_nothing_and_escapes_every_text() -> None:
    heard = {HOSTILE: same(f"{HOSTILE} ועוד", 1), "single": [Hearing(fault=HOSTILE)], "whisper": same("", 1)}
    read = page(comparison([HOSTILE], **heard))

    assert {tag for tag, _ in read.tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "ul", "li", "div", "table",
        "caption", "thead", "tbody", "tr", "th", "td", "section", "bdi", "dl", "dt", "dd", "mark", "s", "del", "ins",
        "small", "i",
    }  # fmt: skip
    assert {name for _, attributes in read.tags for name in attributes} <= {
        "lang", "charset", "http-equiv", "content", "name", "class", "scope", "dir",
    }  # fmt: skip
    policy = next(given["content"] for tag, given in read.tags if given.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert HOSTILE in read.words
    assert "url(" not in read.words


def test_the_page_marks_each_difference_and_lets_hebrew_run_from_right_to_left() -> None:
    said = "אני רוצה תור מחר בבוקר"
    read = page(comparison([said], **{"google-v1/default": same("כן אני רצה תור הבוקר", 1)}))

    marks = [(tag, given.get("class")) for tag, given in read.tags if tag in {"mark", "del", "ins"}]
    legend, marks = marks[:4], marks[4:]
    assert legend == [("mark", "wrong"), ("mark", "prefix"), ("del", None), ("ins", None)]
    assert marks == [("ins", None), ("mark", "wrong"), ("del", None), ("mark", "prefix")]
    assert [given.get("dir") for tag, given in read.tags if tag == "dd"] == ["rtl", "rtl"]
    assert "color-scheme: light dark" in read.words
    assert "prefers-color-scheme: dark" in read.words


def test_a_text_that_begins_with_a_latin_word_runs_as_the_others_of_its_sound_do() -> None:
    read = page(comparison(["אוקיי נקבע תור"], a=same("OK נקבע תור", 1)))
    latin = page(comparison(["okay"], a=same("okay", 1)))

    assert [given.get("dir") for tag, given in read.tags if tag == "dd"] == ["rtl", "rtl"]
    assert [given.get("dir") for tag, given in latin.tags if tag == "dd"] == ["auto", "auto"]


def test_the_tables_say_in_how_many_sounds_the_text_was_ever_right() -> None:
    never = msgspec.structs.replace(same("", 1)[0], latencies=Latencies(settled=200.0))
    outcome = comparison(["אני רוצה תור"] * 3, a=same("אני רוצה תור", 3), b=[*same("אני רוצה תור", 1), never, never])
    out = io.StringIO()
    show(outcome, Console(file=out, width=200))

    for text in (out.getvalue(), page(outcome).words):
        assert "3 of 3" in text
        assert "1 of 3" in text


def test_what_costs_less_than_a_cent_is_not_shown_as_free_and_the_page_says_what_times_count_from() -> None:
    outcome = comparison(["אני רוצה תור"], **{"google-v1/default": same("", 1), "soniox/stt-rt-v5": same("", 1)})

    assert [cost(each) for each in outcome.recognizers] == ["under $0.01, $1.44 an hour", "under $0.01, $0.12 an hour"]
    assert "First text: from the beginning of speech, the others from its end" in page(outcome).words


def test_a_better_recognizer_is_named_and_an_equal_one_is_not() -> None:
    said = ["אני רוצה תור"] * 12
    good, bad = same("אני רוצה תור", 12), [*same("אני רצה תור", 11), *same("אני רוצה תור", 1)]
    outcome = comparison(said, a=good, b=bad, c=good)

    assert [(each.first, each.second, each.outcome) for each in outcome.differences] == [
        ("a", "b", Outcome.FIRST),
        ("a", "c", Outcome.NOT_SHOWN),
        ("b", "c", Outcome.SECOND),
    ]
    assert outcome.confidence > 0.95, "three pairs together have it"
    assert [line.partition(".")[0] for line in lines(outcome)] == [
        "a is better than b",
        "No difference between a and c is shown",
        "c is better than b",
    ]
    mixed = comparison(said, a=[*good[:6], *bad[:6]], b=[*bad[:6], *good[:6]])
    assert mixed.differences[0].outcome is Outcome.NOT_SHOWN
    few = comparison(said[:5], a=good[:5], b=bad[:5])
    assert few.differences[0].outcome is Outcome.TOO_LITTLE


def test_a_sound_that_one_did_not_hear_counts_for_none_and_is_said() -> None:
    broken = [*same("אני רצה תור", 2), Hearing(fault="unavailable", why="The connection broke.")]
    outcome = comparison(["אני רוצה תור"] * 3, a=same("אני רוצה תור", 3), b=broken)

    assert [each.counts.words for each in outcome.recognizers] == [6, 6]
    assert outcome.recognizers[1].faults == {"unavailable": 1}
    assert lines(outcome)[1:] == [
        "1 of 3 sounds do not count, for a recognizer did not hear them:",
        "b: 1 time unavailable. The connection broke.",
    ]
    assert "does not count: unavailable" in page(outcome).words


def test_texts_that_no_final_settled_are_said() -> None:
    open_one = msgspec.structs.replace(same("שלום", 1)[0], unfinished=True)
    outcome = comparison(["שלום"] * 3, a=[open_one, open_one, *same("שלום", 1)], b=same("שלום", 3))

    assert [line for line in lines(outcome) if "partial" in line] == [
        "a: 2 texts end with a partial, for no final came within 4 s, nor at the end."
    ]


def test_the_json_has_figures_words_and_texts() -> None:
    outcome = comparison(["אני רוצה תור"], **{"google-v1/default": same("אני רצה תור", 1), "whisper": same("", 1)})
    report = json.loads(report_json(outcome, AT))

    google, whisper = report["recognizers"]
    assert google["word_error_rate"] == 1 / 3
    assert google["times"]["finals"] == {"number": 1, "p50": 600.0, "p95": 600.0}
    assert google["cost"] == 5 / 60 * 0.024
    assert (whisper["cost"], whisper["counts"]["missing"]) == (None, 3)
    (sound,) = report["speech"]
    assert sound["heard"]["google-v1/default"]["words"][1] == {"kind": "wrong", "said": "רוצה", "heard": "רצה"}
    assert report["differences"][0]["verdict"].startswith("Too little was compared")
