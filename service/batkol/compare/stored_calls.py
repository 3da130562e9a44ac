"""Known speech from the store: calls whose every utterance a person corrected, and their recordings.

The store has no audio. A call is compared as a whole: the words of all its corrections, against a recording of its
caller, which need not begin with the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batkol.compare.known_speech import KnownSpeech
from batkol.compare.reading import Channel, FindSpans, Note, note_oddities, read_sound
from batkol.errors import ConfigurationError
from batkol.paths import is_file, is_folder
from batkol.quantity import quantity
from batkol.store.correcting import MOST, reading_store
from batkol.store.postgres.corrections import corrected_calls
from batkol.store.postgres.queries import utterances_of
from batkol.store.postgres.reading import rows


@dataclass(frozen=True, slots=True)
class CorrectedCalls:
    """Calls with corrections. `said` has the words of those that were corrected to the end, by call SID."""

    said: Mapping[str, str]
    unfinished: Mapping[str, int]
    """Utterances without a correction, by call SID."""

    async def with_recordings(
        self, folder: Path, *, find_spans: FindSpans, channel: Channel, note: Note
    ) -> list[KnownSpeech]:
        """Return the calls that have a recording. Raises `ConfigurationError` for none; notes what is left out."""
        if not is_folder(folder):
            raise ConfigurationError(f"--recordings {folder} is no folder.")
        for sid, missing in self.unfinished.items():
            lacking = quantity(missing, "of its utterances has", "of its utterances have")
            note(
                f"{sid} is left out: {lacking} no correction. Those that were heard right need one, too: batkol "
                f"correct {sid} --rest-as-heard"
            )
        found = {sid: folder / f"{sid}.wav" for sid in self.said}
        speech, mixed = [], 0
        for sid, file in found.items():
            await asyncio.sleep(0)
            if not is_file(file):
                note(f"{sid} is left out: there is no {file}.")
                continue
            sound = read_sound(file, channel)
            mixed += sound.is_mixed
            speech.append(KnownSpeech(sid, sid, self.said[sid], sound.mulaw, find_spans(sound.mulaw)))
        note_oddities(speech, mixed, note)
        if not speech:
            raise ConfigurationError(
                f"no call of the store is corrected to the end and has a recording in {folder}: correct calls with "
                "`batkol correct`, and name each recording after its call, SID.wav."
            )
        return speech


async def read_corrected_calls(url: str) -> CorrectedCalls:
    """Read all calls with a correction. Raises `ConfigurationError`."""
    said: dict[str, str] = {}
    unfinished: dict[str, int] = {}
    async with reading_store(url) as (engine, _):
        for call in await rows(engine, corrected_calls()):
            sid: str = call["call_sid"]
            utterances = await rows(engine, utterances_of(sid, MOST))
            missing = sum(each["correction"] is None for each in utterances)
            if missing:
                unfinished[sid] = missing
            else:
                said[sid] = " ".join(text for each in utterances if (text := each["correction"].strip()))
    return CorrectedCalls(said, unfinished)
