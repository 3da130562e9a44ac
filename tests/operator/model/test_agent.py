from __future__ import annotations

from types import MappingProxyType

import pytest

from batkol_operator.model.agent import SpecError, VoiceAgent
from batkol_operator.model.streaming import StreamingMode
from support.operators.agents import TWILIO, document, sample


def test_reads_what_the_api_server_holds() -> None:
    agent = VoiceAgent.read(sample())

    assert agent.metadata.name == "reception"
    assert agent.spec.recognition.batch_milliseconds == 120
    assert agent.spec.streaming is not None
    assert agent.spec.streaming.mode is StreamingMode.ROLLOUT
    assert agent.spec.database is not None
    assert agent.spec.database.url_secret_ref.name == "postgres"
    assert agent.spec.database.journal.size_limit_mebibytes == 512


def test_reads_read_only_views() -> None:
    """Operators' frameworks hand out views, not dicts."""
    body = MappingProxyType({**document(), "spec": MappingProxyType({"twilio": MappingProxyType(TWILIO)})})

    assert VoiceAgent.read(body).spec.twilio.public_base_url == TWILIO["publicBaseUrl"]


def test_fills_in_the_defaults_of_the_schema() -> None:
    """An object that was stored before a field existed does not have it."""
    agent = VoiceAgent.read(document())

    assert agent.spec.calls.drain_timeout_seconds == 300
    assert agent.spec.streaming is None
    assert agent.spec.scaling.replicas is None


def test_leaves_alone_what_it_does_not_know() -> None:
    """The definition may be newer than this process."""
    assert VoiceAgent.read(document(subtitles={"mode": "Enabled"})).spec.flags == {}


def test_refuses_in_sentences_and_quotes_no_value() -> None:
    body = document(
        streaming={"callers": [{"number": "secret-number", "mode": "Enabled"}]},
        recognition={"batchMilliseconds": 5},
        scaling={"minReplicas": 3, "maxReplicas": 2},
    )
    with pytest.raises(SpecError) as refusal:
        VoiceAgent.read(body)

    assert str(refusal.value) == (
        "`spec.recognition.batchMilliseconds`: input should be greater than or equal to 20; "
        "`spec.streaming.callers[0].number`: string should match pattern '^\\+[1-9][0-9]{1,14}$'; "
        "`spec.scaling.minReplicas` must be less than or equal to `maxReplicas`."
    )


def test_a_body_without_a_spec_is_refused() -> None:
    with pytest.raises(SpecError, match="`spec`: field required"):
        VoiceAgent.read({"metadata": {"name": "a", "namespace": "b", "uid": "c"}})


@pytest.mark.parametrize(("annotation", "paused"), [("true", True), ("false", False), ("", False)])
def test_is_paused_by_its_annotation(annotation: str, paused: bool) -> None:
    body = document()
    body["metadata"]["annotations"] = {"batkol.dev/paused": annotation}

    assert VoiceAgent.read(body).paused is paused
    assert not VoiceAgent.read(document()).paused
