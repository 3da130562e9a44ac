"""What a pod reads at start is what the service knows, and nothing of what is live."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, get_args

import pytest
from hypothesis import given
from pydantic import TypeAdapter

from batkol.events.outgoing import OUTGOING
from batkol.live.tuning import Tuning
from batkol.settings import Settings
from batkol.store.options import DatabaseTimeouts
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.sinks import StoredEventType
from batkol_operator.resources.plan import plan
from support.kube.manifests import one, variables
from support.kube.schema_admission import SCHEMA
from support.operators.agents import AROUND, TWILIO, agent, sample, specs, unadmitted
from support.properties import few_by_day

NOT_THE_SERVICES = frozenset(
    {
        *("GOOGLE_APPLICATION_CREDENTIALS", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),  # Google's own client, and gRPC
        *("HTTPS_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),  # the HTTP clients
        *("SPEC_SETS", "SPEC_UNSETS"),  # the command line, before any setting is read
    }
)
"""Variables that libraries read, and that are no settings."""


NAMED_ELSEWHERE = (
    "ANSWERER_KEY_",
    "VOICE_KEY_",
    "TOOL_TOKEN_",
    "TOOL_SECRET_",
    "SINK_SECRET_",
    "SINK_CREDENTIALS_",
)
"""Variables that other variables, or `reply.json`, name."""

STAND_INS = {
    "ANSWERER_KEY_OWN_BOT": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "SINK_SECRET_CRM": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "TRANSFER_ALLOWED": '{"reception": "+97225550100", "מנהלת": "+97225550101"}',
    "DATABASE_URL": "postgresql://u:p@db/batkol",
    "STREAM_SECRET": "0123456789abcdef0123",
    "API_TOKENS": '{"reception-bot": {"token": "0123456789abcdef", "may": ["status", "line"]}}',
}
"""What a Secret has, where not any text will do."""


def sampled() -> VoiceAgent:
    return VoiceAgent.read(sample())


def known(variable: str) -> bool:
    return (
        variable.lower() in Settings.model_fields
        or variable in NOT_THE_SERVICES
        or variable.startswith(("OTEL_", *NAMED_ELSEWHERE))
    )


def full() -> VoiceAgent:
    """Set whatever sets a variable."""
    body = sample()
    consoles = [{"agent": "sales", "url": "https://sales.example.com/console/"}]
    body["spec"]["internalApi"] |= {"hosts": ["console.example.com", "voice.example.org"], "consoles": consoles}
    body["spec"]["telemetry"] |= {"traceUrl": "https://jaeger.example.com/trace/{trace_id}"}
    body["spec"]["recognition"] |= {"endpoint": "double:9000", "insecure": True}
    return VoiceAgent.read(body)


def test_every_variable_is_one_the_service_reads() -> None:
    assert [variable for variable in variables(plan(full(), AROUND)) if not known(variable)] == []


@pytest.mark.parametrize("make", [agent, full], ids=["smallest", "full"])
def test_the_service_starts_with_it(make: Callable[[], VoiceAgent], monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes from secrets stands in; what cannot work would be refused here."""
    wanted = make()
    for variable, value in variables(plan(wanted, AROUND)).items():
        monkeypatch.setenv(variable, value if isinstance(value, str) else STAND_INS.get(variable, "secret"))
    settings = Settings()

    assert settings.voice_agent == "reception"
    assert settings.max_calls == 100
    assert settings.internal_host == "0.0.0.0"
    assert settings.drain_timeout_s == wanted.spec.calls.drain_timeout_seconds
    if make is full:
        assert settings.twilio_api_url == "https://api.dublin.ie1.twilio.com"
        assert settings.of_store("p").patience == DatabaseTimeouts(connect_s=5, statement_s=10, command_s=15)
    assert settings.keeps_calls is (wanted.spec.database is not None)
    assert settings.internal_hosts == wanted.spec.internal_api.hosts
    assert sorted(settings.sinks) == sorted(sink.name for sink in wanted.spec.sinks)
    if make is full:
        assert settings.sinks["crm"].types == {"final", "revised", "reply.ended", "call.ended"}
        assert (settings.sinks["crm"].texts, settings.sinks["crm"].numbers) == (True, False)
        assert settings.sinks["bus"].target.endswith("tls://nats-1.messaging:4222 voice.reception")
        assert settings.sink_secrets() == {"crm": (STAND_INS["SINK_SECRET_CRM"],), "bus": ("secret",)}
    assert settings.console_agents == {each.agent: each.url for each in wanted.spec.internal_api.consoles}
    assert settings.trace_url == (wanted.spec.telemetry.trace_url or "")


def test_nothing_live_is_in_it() -> None:
    live = {"ENABLE_STREAMING_STT", "STT_BATCH_MS", "STT_PARTIAL_DEBOUNCE_MS", "STT_FINAL_TIMEOUT_MS"}
    live |= {"ANSWERER_PROMPT", "GREETING", "GREETING_INTERRUPTIBLE", "AGENT_PHRASES", "LONGEST_CALL_S", "REPLY_BUDGET"}
    live |= {f"VAD_{name.upper()}" for name in Tuning.__struct_fields__}

    assert not live & variables(plan(full(), AROUND)).keys()


def test_whatever_names_a_variable_names_one_that_is_set() -> None:
    """A key that nobody sets would be found out by the first caller."""
    wanted = plan(full(), AROUND)
    set_, reply = variables(wanted), json.loads(one(wanted, "ConfigMap")["data"]["reply.json"])
    named = {
        each[field]
        for each in (
            *(each for names in ("ANSWERERS", "VOICES", "SINKS") for each in json.loads(set_[names]).values()),
            *reply["tools"],
        )
        for field in ("keyEnv", "tokenEnv", "secretEnv", "credentialsEnv")
        if field in each
    }

    assert named == {name for name in set_ if name.startswith(NAMED_ELSEWHERE)}
    assert all("secretKeyRef" in set_[name] for name in named)
    assert set_["TOOL_TOKEN_FREE_TIMES"] == {"secretKeyRef": {"name": "clinic", "key": "token"}}


def test_a_sink_may_have_each_event_that_the_service_hands_on() -> None:
    assert get_args(StoredEventType) == OUTGOING


def test_no_secret_value_is_in_it() -> None:
    values = variables(plan(full(), AROUND))

    assert values["API_TOKEN"] == {"secretKeyRef": {"name": "reception-api", "key": "token"}}
    assert values["API_TOKENS"] == {"secretKeyRef": {"name": "clients", "key": "tokens.json"}}
    assert values["TWILIO_AUTH_TOKEN"] == {"secretKeyRef": {"name": "twilio", "key": "auth-token"}}
    assert values["STREAM_SECRET"] == {"secretKeyRef": {"name": "twilio", "key": "stream-secret"}}
    assert values["TWILIO_API_SECRET"] == {"secretKeyRef": {"name": "twilio", "key": "api-secret"}}
    assert values["DATABASE_URL"] == {"secretKeyRef": {"name": "postgres", "key": "url"}}
    assert values["SINK_SECRET_CRM"] == {"secretKeyRef": {"name": "crm", "key": "signing-secret"}}
    assert values["SINK_CREDENTIALS_BUS"] == {"secretKeyRef": {"name": "nats", "key": "batkol.creds"}}
    assert values["WHISPER_API_KEY"] == {"secretKeyRef": {"name": "whisper", "key": "api-key"}}
    assert AROUND.api_token not in json.dumps(one(plan(full(), AROUND), "Deployment"))


def test_without_clients_of_their_own_the_pods_know_the_operators_token_alone() -> None:
    values = variables(plan(agent(), AROUND))

    assert [name for name in values if name.startswith("API_")] == ["API_TOKEN"]


def test_without_own_twiml_every_stream_needs_the_token() -> None:
    assert not {"STREAM_TOKEN", "STREAM_SECRET", "TWILIO_ACCOUNT_SID"} & variables(plan(agent(), AROUND)).keys()


def test_twilio_is_asked_with_the_auth_token_where_there_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    account = "AC" + "0" * 32
    wanted = agent(twilio={**TWILIO, "restApi": {"accountSid": account}, "ownTwiml": {}})
    for variable, value in variables(plan(wanted, AROUND)).items():
        monkeypatch.setenv(variable, value if isinstance(value, str) else STAND_INS.get(variable, "secret"))
    settings = Settings()

    assert settings.takes_own_twiml
    assert settings.stream_secret == ()
    assert settings.twilio_logins(settings.twilio_auth_token) == ((account, "secret"),)


def test_the_pod_watches_its_config_map_and_starts_from_the_mounted_one() -> None:
    values = variables(plan(agent(), AROUND))

    assert values["LIVE_SOURCE"] == "kubernetes:reception-live"
    assert values["LIVE_START_FROM"] == "/etc/batkol/live"
    assert values["FLAGS_PROVIDER"] == "live"
    assert values["POD_NAMESPACE"] == {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}


def test_without_a_database_nothing_is_kept() -> None:
    values = variables(plan(agent(), AROUND))

    assert values["STORE"] == "none"
    assert not [name for name in values if name.startswith(("DATABASE_", "JOURNAL_", "RETENTION_"))]


def test_a_database_brings_a_journal() -> None:
    values = variables(plan(sampled(), AROUND))

    assert values["STORE"] == "postgres"
    assert values["JOURNAL_DIR"] == "/var/lib/batkol/journal"
    assert values["JOURNAL_MEMORY_DIR"] == "/run/batkol"
    assert (values["DATABASE_POOL_SIZE"], values["RETENTION_DAYS"], values["JOURNAL_MAX_MB"]) == ("10", "90", "512")


def test_the_store_has_the_services_defaults_and_is_within_its_bounds() -> None:
    """The service refuses to start with what is outside of them."""
    fields = {
        "poolSize": "database_pool_size",
        "retentionDays": "retention_days",
        "journal.sizeLimitMebibytes": "journal_max_mb",
    }
    database = SCHEMA["properties"]["spec"]["properties"]["database"]["properties"]
    for path, name in fields.items():
        part, _, inner = path.partition(".")
        node, field = database[part]["properties"][inner] if inner else database[part], Settings.model_fields[name]
        assert node["default"] == field.default
        TypeAdapter(Annotated[int, *field.metadata]).validate_python(node["minimum"])
        TypeAdapter(Annotated[int, *field.metadata]).validate_python(node["maximum"])


def test_phrases_are_a_json_array_in_their_own_letters() -> None:
    assert variables(plan(sampled(), AROUND))["STT_PHRASES"] == '["בת קול", "קבלה"]'


@pytest.mark.parametrize(("percent", "ratio"), [(0, "0"), (1, "0.01"), (10, "0.1"), (100, "1")])
def test_the_share_of_traces_is_a_ratio(percent: int, ratio: str) -> None:
    telemetry = {"otlpEndpoint": "http://collector:4317", "samplePercent": percent}
    values = variables(plan(agent(telemetry=telemetry), AROUND))

    assert values["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"
    assert values["OTEL_TRACES_SAMPLER_ARG"] == ratio
    assert values["OTEL_RESOURCE_ATTRIBUTES"] == "k8s.namespace.name=voice,k8s.deployment.name=reception"


def test_what_looks_like_a_variable_stays_as_written() -> None:
    """Kubernetes would put the token into the URL: `$(NAME)` in a value is its own syntax."""
    url = "https://example.com/$(API_TOKEN)"
    values = variables(plan(agent(calls={"overflowUrl": url}), AROUND))

    assert values["OVERFLOW_URL"] == "https://example.com/$$(API_TOKEN)"


@few_by_day(12)
@given(specs)
def test_every_value_is_a_text(spec: dict[str, Any]) -> None:
    """A YAML number or boolean in `env` is refused by the API server."""
    for value in variables(plan(unadmitted(spec), AROUND)).values():
        assert isinstance(value, str | dict)


def test_signatures_can_be_left_unchecked_in_development() -> None:
    twilio = {"publicBaseUrl": TWILIO["publicBaseUrl"], "validateSignatures": False}
    values = variables(plan(agent(twilio=twilio), AROUND))

    assert values["TWILIO_VALIDATE_SIGNATURES"] == "false"
    assert "TWILIO_AUTH_TOKEN" not in values
