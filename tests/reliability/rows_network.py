"""What networks do: cut, forget, go dead, crawl; and what callers' lines do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from batkol.app.patience import Patience
from reliability.ground import line, network, slow_network, starve
from reliability.rows_ends import MID_S, QUIET_S, TALKS
from reliability.scenario import FIRST, SECOND, Scenario, Seen, Step, Talk, sentences

LONGER: Final = (
    Talk(utterances=sentences(FIRST, 4, 4, 4, 4)),
    Talk(utterances=sentences(SECOND, 3, 5, 3, 5), starts_s=0.6),
)


def networked(**fields: Any) -> Scenario:
    """Return a row of this page."""
    return Scenario(**{"group": "network", "talks": TALKS, "relay": True, **fields})


def media(**fields: Any) -> Scenario:
    """Return a row about what comes from Twilio."""
    return Scenario(**{"group": "media", "seen": Seen(quiet=True), **fields})


def _forward() -> Talk:
    talk = Talk(utterances=sentences(FIRST, 4, 3, 3))
    return replace(talk, jumps=((round(talk.quiet_s(0, 600) * 50) * 20, 10_000),))


def _backward() -> Talk:
    talk = Talk(utterances=sentences(SECOND, 4, 3, 3))
    return replace(talk, jumps=((round(talk.quiet_s(0, 600) * 50) * 20, -10_000),), starts_s=0.6)


def _gaps(vocabulary: tuple[str, ...], starts_s: float) -> Talk:
    """Return a talk with 50 ms lost between two words, in a word, and between two sentences."""
    talk = Talk(utterances=sentences(vocabulary, 4, 3, 3), pause_ms=120)
    places = (talk.word_s(0, 1.0) + 0.03, talk.word_s(5), talk.quiet_s(0))
    return replace(talk, starts_s=starts_s, gaps=tuple((round(place * 50) * 20, 50) for place in places))


def _stutter(vocabulary: tuple[str, ...], starts_s: float) -> Talk:
    """Return a talk whose media stops for 50 ms now and again, between words and in them."""
    talk = Talk(utterances=sentences(vocabulary, 4, 3, 3), pause_ms=120)
    places = (talk.word_s(0, 1.0) + 0.04, talk.word_s(2, 1.0) + 0.04, talk.quiet_s(0), talk.word_s(5, 1.0) + 0.04)
    holds = tuple((round(place * 50) * 20 + 60 * number, 60) for number, place in enumerate(places))
    return replace(talk, starts_s=starts_s, holds=tuple(sorted(holds)))


def _long_gap(vocabulary: tuple[str, ...], starts_s: float) -> Talk:
    talk = Talk(utterances=sentences(vocabulary, 4, 6, 3))
    return replace(talk, starts_s=starts_s, gaps=((round(talk.word_s(4, 0.8) * 50) * 20, 2000),))


def _brief_gap(vocabulary: tuple[str, ...], starts_s: float) -> Talk:
    talk = Talk(utterances=sentences(vocabulary, 2, 5))
    return replace(talk, starts_s=starts_s, gaps=((round(talk.word_s(2, 0.8) * 50) * 20, 1200),))


def _skipping(vocabulary: tuple[str, ...], starts_s: float) -> Talk:
    talk = Talk(utterances=sentences(vocabulary, 4, 3, 3))
    skips = ((round(talk.word_s(2) * 50) * 20, 7), (round(talk.quiet_s(0) * 50) * 20, 500))
    return replace(talk, starts_s=starts_s, skips=skips)


ROWS: Final = (
    networked(
        name="cut-mid-utterance",
        what="The connection to Google is reset (TCP RST) in mid-word",
        steps=(Step(network("cut"), at_s=MID_S),),
        seen=Seen(streams=(4, 8)),
    ),
    networked(
        name="cut-between",
        what="The connection is reset in the silence between two sentences",
        steps=(Step(network("cut"), at_s=QUIET_S),),
        seen=Seen(streams=(4, 8)),
    ),
    networked(
        name="cut-before-final",
        what="The connection is reset between the end of a sentence and its final",
        steps=(Step(network("cut"), at_s=TALKS[0].quiet_s(0, 150)),),
        seen=Seen(streams=(4, 8)),
    ),
    networked(
        name="cut-again-and-again",
        what="The connection is reset five times, every 1.3 s",
        steps=tuple(Step(network("cut"), at_s=MID_S + 1.3 * number) for number in range(5)),
        talks=LONGER,
        seen=Seen(streams=(4, 20)),
    ),
    networked(
        name="unreachable",
        what="The connection is reset and new ones are refused for 3 s",
        steps=(
            Step(network("refuse"), at_s=MID_S - 0.05),
            Step(network("cut"), at_s=MID_S),
            Step(network("accept"), at_s=MID_S + 3.0),
        ),
        talks=LONGER,
    ),
    networked(
        name="unreachable-at-start",
        what="Google cannot be reached for the call's first 3 s",
        steps=(Step(network("refuse")), Step(network("cut")), Step(network("accept"), at_s=3.0)),
        talks=LONGER,
    ),
    networked(
        name="unreachable-whisper",
        what="Google cannot be reached any more; there is a Whisper server",
        steps=(Step(network("refuse"), at_s=MID_S - 0.05), Step(network("cut"), at_s=MID_S)),
        whisper=True,
        seen=Seen(whispered=True),
    ),
    networked(
        name="forgotten",
        what="The connection goes dead without a word, for good (NAT lost it); a new one would work",
        steps=(Step(network("forget"), at_s=MID_S),),
        talks=LONGER,
        whisper=True,
        brief={"patience": Patience(stall=1.2, close=1.0, single=1.5)},
    ),
    networked(
        name="dead-briefly",
        what="The network to Google swallows everything for 2.5 s, then delivers it",
        steps=(Step(network("swallow"), at_s=MID_S), Step(network("release"), at_s=MID_S + 2.5)),
        talks=LONGER,
    ),
    networked(
        name="dead-briefly-no-pause",
        what="The same while nobody pauses",
        talks=(Talk(utterances=sentences(FIRST, 16)), Talk(utterances=sentences(SECOND, 16), starts_s=0.6)),
        steps=(Step(network("swallow"), at_s=MID_S), Step(network("release"), at_s=MID_S + 2.5)),
        brief={"steps": (Step(network("swallow"), at_s=MID_S), Step(network("release"), at_s=MID_S + 1.8))},
    ),
    networked(
        name="dead",
        what="The network to Google is dead, sockets open, until after the call; there is a Whisper server",
        steps=(Step(network("swallow"), at_s=MID_S),),
        talks=LONGER,
        whisper=True,
        seen=Seen(whispered=True),
    ),
    networked(
        name="slow-network",
        what="Every piece takes 0.4 s more, each way",
        steps=(Step(slow_network(0.4)),),
    ),
    media(
        name="media-stutter",
        what="Media stops for 60 ms now and again",
        talks=(_stutter(FIRST, 0.0), _stutter(SECOND, 0.6)),
    ),
    media(
        name="media-gaps-50ms",
        what="50 ms of media are lost between words, in a word and between sentences",
        talks=(_gaps(FIRST, 0.0), _gaps(SECOND, 0.6)),
    ),
    media(
        name="media-gap-2s",
        what="2 s of media are lost in mid-sentence, several words with them",
        talks=(_long_gap(FIRST, 0.0), _long_gap(SECOND, 0.6)),
        brief={"talks": (_brief_gap(FIRST, 0.0), _brief_gap(SECOND, 0.3))},
    ),
    media(
        name="media-hold",
        what="No media for 3 s, between two sentences",
        talks=(
            Talk(utterances=sentences(FIRST, 4, 3, 3), holds=((3000, 3000),)),
            Talk(utterances=sentences(SECOND, 4, 3, 3), starts_s=0.6),
        ),
    ),
    media(
        name="media-jitter",
        what="Media comes with up to 80 ms of jitter",
        talks=tuple(replace(talk, jitter_ms=80, tail_ms=1500) for talk in TALKS),
    ),
    media(
        name="media-burst-short",
        what="The caller's network stops for 0.8 s in mid-word, then delivers everything at once",
        talks=TALKS,
        line=True,
        steps=(Step(line("swallow"), at_s=MID_S), Step(line("release"), at_s=MID_S + 0.8)),
        seen=Seen(),
    ),
    media(
        name="media-burst",
        what="The caller's network stops for 2 s in mid-word, then delivers everything at once",
        talks=TALKS,
        line=True,
        steps=(Step(line("swallow"), at_s=MID_S), Step(line("release"), at_s=MID_S + 2.0)),
        seen=Seen(),
    ),
    media(
        name="media-sequence",
        what="Sequence numbers skip by 7 and by 500; no media is missing",
        talks=(_skipping(FIRST, 0.0), _skipping(SECOND, 0.6)),
    ),
    media(
        name="clock-forward-backward",
        what="One caller's media timestamps jump 10 s forward, the other's 10 s backward",
        talks=(_forward(), _backward()),
        seen=Seen(),
    ),
    media(
        name="starved-loop",
        what="The event loop stands still for 1.2 s in mid-word",
        talks=TALKS,
        steps=(Step(starve(1.2), at_s=MID_S),),
        seen=Seen(),
    ),
)
