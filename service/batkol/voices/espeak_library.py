"""libespeak-ng by ctypes: text in, 16-bit samples and the places of words out.

The library is GPL-3 and comes with the extra `[espeak]`; without it nothing here is loaded. It keeps its state in
global variables, so it speaks one text at a time: `WORKER` is the thread for that, and another one waits. Names and
numbers are those of espeak-ng's `speak_lib.h`.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from batkol.errors import BatkolError, ConfigurationError
from batkol.supervision.worker import Worker

REMEDY: Final = "Install the extra with pip install '.[espeak]' in Batkol's folder, or set VOICE to another voice."
WORKER: Final = Worker("batkol-espeak")
"""The one thread that uses the library. It starts with the first text."""

_SYNCHRONOUS: Final = 2  # AUDIO_OUTPUT_SYNCHRONOUS: `espeak_Synth` returns when all has been through the callback
_BUFFER_MS: Final = 200
_DONT_EXIT: Final = 0x8000  # espeakINITIALIZE_DONT_EXIT: an error is returned, and does not end the process
_UTF8: Final = 1  # espeakCHARS_UTF8; without espeakSSML and espeakPHONEMES: text is text
_POS_CHARACTER: Final = 1
_RATE: Final = 1  # espeakRATE, words a minute
_LIST_END, _WORD = 0, 1  # espeakEVENT_LIST_TERMINATED, espeakEVENT_WORD
_GO_ON, _ABORT = 0, 1


class EspeakError(BatkolError):
    """The library refused a language or a text. The text quotes neither."""


class EspeakWord(NamedTuple):
    """A word event: the character that the word begins with, from 0, and the sample that its sound begins with."""

    character: int
    sample: int


class EspeakSound(NamedTuple):
    """The sound of a text."""

    pcm: npt.NDArray[np.int16]
    rate: int
    words: tuple[EspeakWord, ...]
    """By sample. A number may be several, and a sign that is not spoken has none."""


class _Event(ctypes.Structure):  # espeak_EVENT
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # in characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Library:
    """The library after its initialization."""

    def __init__(self, loader: Any) -> None:
        self._lib = ctypes.CDLL(loader.get_library_path())
        lib = self._lib
        lib.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
        lib.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
        lib.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
        lib.espeak_SetSynthCallback.argtypes = (_Callback,)
        lib.espeak_Synth.argtypes = (
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.c_void_p, ctypes.c_void_p),
        )
        data = loader.get_data_path().encode()
        self.rate: int = lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, _DONT_EXIT)
        self._speaking = Lock()  # two threads at once end the process by a signal
        self.texts = 0
        """Texts that were begun."""
        if self.rate <= 0:
            raise ConfigurationError(f"libespeak-ng cannot read its data. {REMEDY}")

    def speak(self, text: str, voice: str, words_a_minute: int, on_sound: Callable[[bytes], bool]) -> list[EspeakWord]:
        """Give the sound to `on_sound` while it returns true. Raises `EspeakError`, and what `on_sound` raises.

        Waits while another thread speaks. `on_sound` must not speak itself.
        """
        words: list[EspeakWord] = []
        raised: list[BaseException] = []

        def receive(wave: Any, samples: int, events: Any) -> int:
            try:
                _collect(events, words)
                more = not samples or not wave or on_sound(ctypes.string_at(wave, 2 * samples))
            except BaseException as error:  # noqa: BLE001 -- ctypes would print and forget it; it is raised below
                raised.append(error)
                return _ABORT
            return _GO_ON if more else _ABORT

        callback = _Callback(receive)  # alive until the library returns
        with self._speaking:
            self.texts += 1
            failed = self._synthesize(text, voice, words_a_minute, callback)
        if raised:
            raise raised[0]
        if failed:
            raise EspeakError("espeak refused the text")
        return words

    def _synthesize(self, text: str, voice: str, words_a_minute: int, callback: Any) -> int:
        lib = self._lib
        if lib.espeak_SetVoiceByName(voice.encode()):
            raise EspeakError("espeak has no voice for this language")
        lib.espeak_SetParameter(_RATE, words_a_minute, 0)
        lib.espeak_SetSynthCallback(callback)
        encoded = text.encode(errors="replace") + b"\0"
        return int(lib.espeak_Synth(encoded, len(encoded), 0, _POS_CHARACTER, 0, _UTF8, None, None))


def _collect(events: Any, words: list[EspeakWord]) -> None:
    number = 0
    while (event := events[number]).type != _LIST_END:
        if event.type == _WORD:
            words.append(EspeakWord(event.text_position - 1, event.sample))
        number += 1


@cache
def load() -> _Library:
    """Load and initialize the library, once for the process. Raises `ConfigurationError` with the remedy."""
    try:
        loader = importlib.import_module("espeakng_loader")
    except ImportError as error:
        raise ConfigurationError(f"The voice espeak needs the package espeakng-loader (GPL-3). {REMEDY}") from error
    try:
        return _Library(loader)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"libespeak-ng cannot be loaded on this machine. {REMEDY}") from error


def synthesize(
    text: str, voice: str, *, words_a_minute: int, longest_s: int, given_up: Callable[[], bool]
) -> EspeakSound | None:
    """Speak a text; on `WORKER`, for it takes its time. None if it was given up meanwhile.

    Raises `EspeakError` also for a sound of more than `longest_s`.
    """
    if given_up():
        return None
    library = load()
    buffers: list[bytes] = []
    received = 0
    most = longest_s * library.rate

    def keep(buffer: bytes) -> bool:
        nonlocal received
        buffers.append(buffer)
        received += len(buffer) // 2
        return received <= most and not given_up()

    words = library.speak(text, voice, words_a_minute, keep)
    if given_up():
        return None
    if received > most:
        raise EspeakError("the sound of the text is too long")
    return EspeakSound(np.frombuffer(b"".join(buffers), dtype=np.int16), library.rate, tuple(words))
