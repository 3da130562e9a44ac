"""The streams that a process may hold at once."""

import pytest

from batkol.recognizers.streaming.errors import NO_STREAM_FREE, Next, SpeechError
from batkol.recognizers.streaming.quota import StreamQuota


def test_the_stream_beyond_the_quota_is_refused_and_a_place_that_is_free_again_is_given_away() -> None:
    quota = StreamQuota(1, vendor="Vendor", setting="VENDOR_MAX_STREAMS")
    with quota.take():
        with pytest.raises(SpeechError, match="VENDOR_MAX_STREAMS sets the limit") as raised, quota.take():
            raise AssertionError("there is no second place")
        assert (raised.value.reason, raised.value.next, raised.value.is_local) == (NO_STREAM_FREE, Next.COOL_OFF, True)
        assert quota.taken == 1
    with quota.take():
        assert quota.taken == 1
    assert quota.taken == 0


def test_a_quota_of_nothing_is_none() -> None:
    quota = StreamQuota(0, vendor="Vendor", setting="VENDOR_MAX_STREAMS")
    with quota.take(), quota.take():
        assert quota.taken == 2
