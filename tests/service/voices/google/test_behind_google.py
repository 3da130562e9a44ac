"""A second voice behind Google's, on its wire: the ear hears every word once, or one sentence is cut."""

from __future__ import annotations

import pytest

from batkol.simulators.google_voice.faults import GoogleVoiceFault, GoogleVoiceFaultKind
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.behind import BehindVoice
from batkol.voices.builtin import BuiltinVoice
from support.voices.google import google_line
from support.voices.pieces import spoken, words_of

K = GoogleVoiceFaultKind
TEXTS = ("שלום תודה", "מה בבקשה", "מחר בוקר")
WORDS = [word for text in TEXTS for word in text.split()]

FAULTS = {
    "refused": (GoogleVoiceFault(kind=K.REFUSE, code="RESOURCE_EXHAUSTED"), 6),
    "no sound": (GoogleVoiceFault(kind=K.HANG), 6),
    "broken in the first sentence": (GoogleVoiceFault(kind=K.ABORT, at_s=0.5), 5),
    "broken in the second sentence": (GoogleVoiceFault(kind=K.ABORT, at_s=1.9), 5),
    "only silence": (GoogleVoiceFault(kind=K.STALL, at_s=0.02), 6),
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.values(), ids=FAULTS)
async def test_the_second_voice_goes_on_where_google_leaves_off(fault: GoogleVoiceFault, words: int) -> None:
    async with google_line() as at:
        at.double.inject(fault)
        switched: list[str] = []
        voice = BehindVoice(at.voice, BuiltinVoice(), within_s=0.5, on_switch=switched.append)
        heard = words_of(b"".join(sound.mulaw for sound in await spoken(voice, *TEXTS)))
        whole = [word for word in heard if word != GARBLE]

        assert len(switched) == 1
        assert whole == [word for word in WORDS if word in whole]
        assert len(whole) >= words - 1
        assert set(WORDS) - set(whole) <= {"תודה", "שלום"} or set(WORDS) - set(whole) <= {"מה", "בבקשה"}
        assert at.sessions.under_way == 0
