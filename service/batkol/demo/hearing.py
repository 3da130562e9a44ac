"""The replies at the caller's ear: how much of each one's sound was heard, and so which of its words.

This is measured at the caller's side, and is not what the service reports: the ear says how many samples were played
before a reply was cut, and the voice says where in the reply its words end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.conversation.track import Track
from batkol.simulators.client.reply_record import WatchedReply
from batkol.simulators.twilio.ear import STRETCH_S, Ear
from batkol.speech.pieces import Cutter
from batkol.voices.voice import Voice

_UNSURE: Final = 30 * SAMPLES_PER_MS  # espeak's sound of a text differs by some samples; the event comes a bit early


@dataclass(slots=True)
class Stretch:
    """Sound of the agent's without a cut or a long pause; monotonic seconds."""

    begins_at: float
    ends_at: float
    samples: int
    cut: bool


@dataclass(frozen=True, slots=True)
class HeardReply:
    """Words of one reply that the caller heard."""

    text: str
    ends_at: float  # monotonic seconds
    cut: bool

    @property
    def words(self) -> int:
        return len(self.text.split())


class ReplyEar:
    """The replies of one call, at its caller's ear."""

    def __init__(self, tracks: Mapping[str, Track]) -> None:
        self._tracks = tracks

    def of(self, reply: WatchedReply, earlier: Sequence[WatchedReply], ear: Ear) -> HeardReply | None:
        """Return what was heard by now of a reply; None if the ear heard less often than the agent spoke."""
        first = sum(1 + len(each.resumptions) for each in earlier)
        mine = stretches(ear)[first : first + 1 + len(reply.resumptions)]
        track = self._track(reply.pieces)
        if track is None or len(mine) < 1 + len(reply.resumptions):
            return None
        samples = sum(stretch.samples for stretch in mine)
        return HeardReply(track.heard(samples + _UNSURE), mine[-1].ends_at, mine[-1].cut)

    def _track(self, pieces: Sequence[str]) -> Track | None:
        """Return the track of the text that these pieces are the beginning of."""
        begun = " ".join(pieces)
        return next((track for text, track in self._tracks.items() if begun and text.startswith(begun)), None)


async def tracks(voice: Voice, texts: Mapping[str, Sequence[str]]) -> dict[str, Track]:
    """Have each text spoken, in its pieces, by a voice of the same kind as the agent's. Raises `VoiceError`."""
    return {text: await _track(voice, pieces) for text, pieces in texts.items()}


async def _track(voice: Voice, pieces: Sequence[str]) -> Track:
    track = Track()
    for text in pieces:
        track.add_piece(text)
    async with aclosing(voice.speak(_each(pieces))) as sounds:
        async for sound in sounds:
            track.add_sound(sound.mulaw, sound.piece, last=sound.last, word_ends=sound.word_ends)
    return track


def pieces_of(answer: str) -> list[str]:
    """Return the pieces in which the agent speaks an answer."""
    cutter = Cutter()
    return [*cutter.append(answer), *cutter.flush()]


def stretches(ear: Ear) -> list[Stretch]:
    """Return what the ear heard: a new stretch after each cut, and after each pause that ends one."""
    found: list[Stretch] = []
    for sound in ear.sounds:
        samples = len(sound.mulaw)
        ends_at = sound.begins_at + samples / SAMPLE_RATE
        last = found[-1] if found else None
        if last is None or last.cut or sound.begins_at - last.ends_at >= STRETCH_S:
            found.append(Stretch(sound.begins_at, ends_at, samples, sound.cut))
        else:
            last.ends_at, last.samples, last.cut = ends_at, last.samples + samples, sound.cut
    return found


async def _each(pieces: Sequence[str]) -> AsyncIterator[str]:
    for text in pieces:
        yield text
