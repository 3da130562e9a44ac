"""ENABLE_STREAMING_STT as an OpenFeature provider."""

import pytest

from batkol.flags.context import CallContext
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision, Flags


@pytest.mark.parametrize(("streaming", "variant"), [(True, "on"), (False, "off")])
async def test_every_call_gets_the_value_of_the_environment(streaming: bool, variant: str) -> None:
    flags = await Flags.start(provider="env", fallback=streaming)

    decision = flags.streaming(CallContext(call_sid="CA1"))
    other = flags.client.get_boolean_details("another-flag", default_value=True)
    status = flags.status()
    await flags.close()

    assert decision == Decision(streaming, variant, "STATIC", DecisionSource.FLAG)
    assert other.error_code == "FLAG_NOT_FOUND"
    assert (status.provider, status.state) == ("env", "READY")
