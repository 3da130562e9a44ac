"""Traits of the recognizers: what they plan by is refused where it would come too late."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from batkol.app.recognizers import google_recognizer, soniox_recognizer
from batkol.recognizers.google.channels import GOOGLE_HOST, Channels
from batkol.recognizers.google.streaming import traits as google_traits
from batkol.recognizers.soniox.recognizer import traits as soniox_traits
from support.service.stack import settings
from support.speech.memory_vendor import TIMED, UNTIMED


def test_a_stream_that_would_be_replaced_only_when_the_vendor_ends_it_is_refused() -> None:
    assert replace(UNTIMED, limit=10.0, rotate_after=8.0, rotate_by=9.9).limit == 10.0
    for by in (10.0, 11.0):
        with pytest.raises(ValueError, match="rotate_by must be earlier than limit"):
            replace(UNTIMED, limit=10.0, rotate_after=8.0, rotate_by=by)
    with pytest.raises(ValueError, match="rotate_by must not be earlier than rotate_after"):
        replace(UNTIMED, rotate_after=9.0, rotate_by=8.0)
    assert replace(UNTIMED, limit=None, rotate_by=math.inf).rotate_by == math.inf


def test_a_keep_alive_that_comes_when_the_vendor_has_ended_the_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_alive must be shorter than idle_limit"):
        replace(TIMED, idle_limit=5.0, keep_alive=5.0)
    assert replace(TIMED, idle_limit=None, keep_alive=5.0).keep_alive == 5.0


def test_the_limits_of_google_and_soniox_are_those_of_their_documents() -> None:
    google, soniox = google_traits(replay_rate=1.0), soniox_traits(replay_rate=1.0)

    assert (google.limit, google.rotate_after, google.rotate_by) == (305.0, 240.0, 285.0)
    assert (soniox.limit, soniox.rotate_after, soniox.rotate_by) == (300 * 60.0, 280 * 60.0, 295 * 60.0)


async def test_another_server_that_speaks_googles_protocol_sets_no_limit(tmp_path: Path) -> None:
    at_google = {"gcp_stt_endpoint": f"{GOOGLE_HOST}:443", "gcp_stt_insecure": False}
    google = settings(tmp_path, 9, stt_rotate_by_s=304.0, **at_google)
    other = settings(tmp_path, 9, stt_rotate_by_s=400.0)
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    limits = [google_recognizer(each, channels).traits.limit for each in (google, other)]
    await channels.close()

    assert limits == [305.0, None]


def test_soniox_recognizers_have_the_traits_of_soniox(tmp_path: Path) -> None:
    found = soniox_recognizer(settings(tmp_path, 9, soniox_api_key="a-key", soniox_max_streams=3), "stt-rt-v5").traits

    assert (found.limit, found.concurrency, found.keep_alive) == (18_000.0, 3, 5.0)
