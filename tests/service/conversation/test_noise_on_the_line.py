"""Music on hold, a television and coughs, as the detectors hear them, on the line of a conversation.

The recordings come out of Debian's packages: `make nightly` fetches them, and without them these tests fail.
"""

from __future__ import annotations

import asyncio

import pytest

from batkol.audio.segmenter import SegmenterSettings, SegmentLasted, SpeechEnded, SpeechEvent, SpeechStarted
from batkol.conversation import events
from batkol.conversation.agent import AgentSettings
from batkol.speech.turn_thresholds import TurnThresholds
from batkol.speech.utterance import Source
from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import Talk, talking
from support.speech.coughs import coughs
from support.speech.music import music, television
from support.vad.rounds import in_rounds

pytestmark = [pytest.mark.virtual_time, pytest.mark.nightly]

SECONDS = 40
LONG = " ".join(["שלום אני רוצה לקבוע פגישה מחר בבוקר."] * 8)


def noise(what: str) -> bytes:
    """Return so many seconds of it, as mu-law."""
    match what:
        case "music":
            return music(SECONDS * 8000).mulaw
        case "television":
            return television(SECONDS).mulaw
    gap = b"\xff" * 8000
    return b"".join(clip.mulaw + gap for clip in coughs(30))


def heard_by(engine: EngineName, sound: bytes) -> list[tuple[float, SpeechEvent]]:
    """Return what the detector finds, with the second at which it knows."""
    found, _ = in_rounds(create(engine), sound, SegmenterSettings())
    return [(event.decided_at / 8000, event) for event in found]


async def make_noise(talk: Talk, found: list[tuple[float, SpeechEvent]]) -> None:
    """Have the detector hear it from now on. The recognizer makes out nothing in it."""
    loop = asyncio.get_running_loop()
    begun, open_ = loop.time(), False
    for at, event in found:
        await asyncio.sleep(max(0.0, begun + at - loop.time()))
        match event:
            case SpeechStarted():
                talk.begin()
                open_ = True
            case SegmentLasted():
                talk.lasts()
            case SpeechEnded() if open_:
                talk.stop(ago_s=0.5)
                open_ = False
                loop.call_later(0.5, talk.final, "", Source.SINGLE)


@pytest.mark.parametrize("engine", [EngineName.SILERO, EngineName.WEBRTC])
@pytest.mark.parametrize("what", ["music", "television", "coughs"])
async def test_noise_costs_the_reply_pauses_and_never_its_end(engine: EngineName, what: str) -> None:
    found = heard_by(engine, noise(what))
    patient = AgentSettings(thresholds=TurnThresholds(idle_ms=0))
    async with talking(ScriptedAnswerer(lambda _: LONG), settings=patient) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1)
        making = asyncio.create_task(make_noise(talk, found))
        await asyncio.sleep(SECONDS + 20)
        making.cancel()

        [ended] = talk.of(events.ReplySettled)
        assert (ended.heard, ended.interrupted) == (LONG, False)
        assert len(talk.of(events.ReplyContinued)) <= 2, "after two, only words interrupt"


@pytest.mark.parametrize("what", ["music", "television"])
async def test_noise_that_never_ends_does_not_keep_a_caller_waiting(what: str) -> None:
    found = heard_by(EngineName.WEBRTC, noise(what))
    async with talking(ScriptedAnswerer(lambda _: "שלום תודה")) as talk:
        making = asyncio.create_task(make_noise(talk, found))
        await asyncio.sleep(4)
        talk.interim("אני רוצה לקבוע תור")
        await asyncio.sleep(3.5)
        making.cancel()

        assert talk.words[:1] == ["שלום"]
