"""`SINKS`: what is read of it, what is refused and with which sentence, and what is shown of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from batkol.errors import ConfigurationError
from batkol.events.outgoing import OUTGOING
from batkol.settings import Settings, read, shown
from batkol.sinks.settings import NatsSettings, WebhookSettings
from support.nats.keys import CREDENTIALS, SEED

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
WEBHOOK = {"kind": "webhook", "url": "https://crm.example.com/hooks/T0KEN?key=T0KEN", "secretEnv": "CRM_SECRET"}
NATS = {"kind": "nats", "url": "nats://bus-0,tls://bus-1:5222"}
PARTIALS_ALONE = {**NATS, "events": [], "partials": True}
ALL = "call.started, final, revised, reply.sentence, reply.interrupted, reply.ended, tool.called, call.ended"
CREDENTIALS_ARE = (
    "It must have user:password, a token, the seed of a user's NKey, or the contents of a credentials file"
)
NO_STORE = (
    "its events come out of the store, and the service stores no calls (STORE=none); remove the sink, or remove STORE "
    'and set DATABASE_URL. (A sink of kind nats with "events": [] and "partials": true needs no store)'
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_VALIDATE_SIGNATURES", "false")
    monkeypatch.setenv("CRM_SECRET", f"{SECRET}\n")
    monkeypatch.setenv("BUS_CREDENTIALS", CREDENTIALS)
    monkeypatch.setenv("WITH_SPACE", "T0KEN T0KEN")
    monkeypatch.setenv("EMPTY", " ")
    monkeypatch.setenv("DAMAGED", CREDENTIALS.replace(SEED, f"{SEED[:-1]}A"))


def read_with(monkeypatch: pytest.MonkeyPatch, sinks: Any, **others: str) -> Settings:
    monkeypatch.setenv("SINKS", sinks if isinstance(sinks, str) else json.dumps(sinks))
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    return read()


def a_webhook(**fields: Any) -> dict[str, Any]:
    return {"a": {**WEBHOOK, **fields}}


def a_nats(**fields: Any) -> dict[str, Any]:
    return {"a": {**NATS, **fields}}


@pytest.mark.parametrize(
    ("sinks", "sentence"),
    [
        (
            "[]",
            (
                'must be a JSON object such as {"crm": {"kind": "webhook", "url": "https://crm.example.com/batkol", '
                '"secretEnv": "CRM_SECRET"}}'
            ),
        ),
        ('{"a": 1, "a": 2}', "has a twice in one object, and only one of the two could count; remove one of them"),
        (
            {"The CRM": WEBHOOK},
            "has the name 'The CRM'; a name has 1 to 32 of a–z, 0–9 and hyphen, as a label of metrics",
        ),
        ({f"a{n}": WEBHOOK for n in range(21)}, "has 21 names; it may have 20, as each is a label of metrics"),
        ({"a": {"url": "https://x/"}}, "a: Object missing required field `kind`"),
        ({"a": {"kind": "kafka", "url": "https://x/"}}, "a: Invalid value 'kafka' - at `a.kind`"),
        ({"a": {"kind": "webhook", "url": "https://x/"}}, "a: Object missing required field `secretEnv`"),
        (a_webhook(retries=3), "a: Object contains unknown field `retries`"),
        (a_webhook(subject="batkol"), "a: Object contains unknown field `subject`"),
        (a_nats(secretEnv="CRM_SECRET"), "a: Object contains unknown field `secretEnv`"),
        (a_webhook(texts="no"), "a: Expected `bool`, got `str` - at `a.texts`"),
        (a_webhook(url="crm.example.com"), "a: url must be https://host[/prefix] (http:// in development)"),
        (
            a_webhook(url="https://u:T0KEN@crm/"),
            ("a: url has a user or a password; put the key into a variable, and name it in secretEnv"),
        ),
        (a_webhook(url="https://crm/#T0KEN"), "a: url has a fragment (#…), which no request sends; remove it"),
        (
            a_webhook(secretEnv=SECRET),
            ("a: secretEnv must be the name of an environment variable that has the secret, not the secret"),
        ),
        (
            a_webhook(secretEnv="NOT_SET"),
            "a: secretEnv: the variable NOT_SET is not set; set it and restart the process",
        ),
        (a_webhook(secretEnv="EMPTY"), "a: secretEnv: the variable EMPTY is not set; set it and restart the process"),
        (
            a_webhook(secretEnv="WITH_SPACE"),
            (
                "a: secretEnv: the variable WITH_SPACE has a space inside, at character 6; "
                "remove that character (in a URL, a space is %20)"
            ),
        ),
        (
            a_webhook(secretEnv="PATH"),
            (
                "a: secretEnv: the variable PATH must be whsec_ and 24 to 64 bytes in base64; create "
                'one with `echo "whsec_$(openssl rand -base64 32)"`'
            ),
        ),
        (a_webhook(events=["final", "final"]), "a: events has final twice; remove one of them"),
        (a_webhook(events=["finals"]), f"a: events has 'finals', which is no event; the store keeps {ALL}"),
        (a_webhook(events=["dtmf"]), f"a: events has dtmf, which the store does not keep; it keeps {ALL}"),
        *(
            (
                a_webhook(events=[event]),
                (
                    f"a: events has {event}, which the store does not keep; a sink of kind nats gets "
                    'it with "partials": true, and a program by GET /v1/events'
                ),
            )
            for event in ("partial", "reply.started")
        ),
        (
            a_webhook(events=[]),
            (
                "a: events is empty, so the sink would get nothing; name events, or leave the field out for "
                "all that the store keeps"
            ),
        ),
        (
            a_nats(events=[]),
            (
                "a: events is empty, so the sink would get nothing; name events, or leave the field out for "
                "all that the store keeps"
            ),
        ),
        (
            a_nats(url="https://bus"),
            ("a: url must be nats://host[:port], or tls://host[:port] with TLS; several are separated by commas"),
        ),
        (
            a_nats(url="nats://bus,"),
            ("a: url must be nats://host[:port], or tls://host[:port] with TLS; several are separated by commas"),
        ),
        (
            a_nats(url="nats://bus/x"),
            "a: url must be host:port, with a port from 1 to 65535 and no scheme, path, user or password",
        ),
        (
            a_nats(url="nats://T0KEN@bus"),
            ("a: url has a user, a password or a token; put it into a variable, and name that in credentialsEnv"),
        ),
        (
            a_nats(subject="batkol.*"),
            (
                "a: subject must be words of a–z, A–Z, 0–9, _ and -, joined by dots, without "
                "wildcards; the service appends the agent and the type of the event"
            ),
        ),
        (
            a_nats(credentialsEnv="WITH_SPACE"),
            (
                "a: credentialsEnv: the variable WITH_SPACE has a space inside, at character 6; remove that character "
                f"(in a URL, a space is %20). {CREDENTIALS_ARE}"
            ),
        ),
        (
            a_nats(credentialsEnv="DAMAGED"),
            (
                "a: credentialsEnv: the variable DAMAGED has an NKey seed that is damaged; copy it again, from SU to "
                f"its 58th character. {CREDENTIALS_ARE}"
            ),
        ),
    ],
)
def test_what_cannot_hand_events_on_is_refused_with_a_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, sinks: Any, sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_with(monkeypatch, sinks)

    refusal = str(raised.value).partition("\n")[2].strip()
    assert refusal == f"SINKS: {sentence}"
    assert "T0KEN" not in refusal
    assert SECRET.removeprefix("whsec_") not in refusal
    assert SEED[:20] not in refusal


@pytest.mark.parametrize("sink", [WEBHOOK, NATS, {**NATS, "partials": True}, {**PARTIALS_ALONE, "events": ["final"]}])
def test_stored_events_without_a_store_are_refused(monkeypatch: pytest.MonkeyPatch, sink: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_with(monkeypatch, {"live": PARTIALS_ALONE, "a": sink}, STORE="none")

    assert str(raised.value).partition("\n")[2].strip() == f"SINKS: a: {NO_STORE}"


def test_partials_alone_need_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    (sink,) = read_with(monkeypatch, {"live": PARTIALS_ALONE}, STORE="none").sinks.values()

    assert not sink.needs_store
    assert sink.types == frozenset()


def test_a_webhook_gets_all_that_the_store_keeps_unless_it_names_events(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_with(monkeypatch, {"all": WEBHOOK, "some": {**WEBHOOK, "events": ["final"], "numbers": False}})

    assert settings.sinks["all"] == WebhookSettings(url=WEBHOOK["url"], secret_env="CRM_SECRET")
    assert settings.sinks["all"].types == frozenset(OUTGOING)
    assert settings.sinks["some"].types == {"final"}
    assert settings.sinks["some"].kind == "webhook"
    assert settings.sink_secrets() == {"all": (SECRET,), "some": (SECRET,)}


def test_a_webhook_has_two_secrets_during_a_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = f"whsec_{base64.b64encode(bytes(24)).decode()}"
    settings = read_with(monkeypatch, {"crm": WEBHOOK}, CRM_SECRET=f"{newer}, {SECRET}\n")

    assert settings.sink_secrets() == {"crm": (newer, SECRET)}


def test_nats_has_servers_with_ports_and_credentials_of_several_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_with(monkeypatch, {"bus": {**NATS, "subject": "voice.a", "credentialsEnv": "BUS_CREDENTIALS"}})
    bus = settings.sinks["bus"]

    assert isinstance(bus, NatsSettings)
    assert bus.servers == ("nats://bus-0:4222", "tls://bus-1:5222")
    assert bus.target == "nats://bus-0:4222,tls://bus-1:5222 voice.a"
    assert settings.sink_secrets() == {"bus": (CREDENTIALS.strip(),)}


@pytest.mark.parametrize("secret", ["user:pass/word+1=", "s3cr3t-token", SEED])
def test_nats_takes_a_password_or_a_token_in_the_place_of_a_file(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    settings = read_with(monkeypatch, {"bus": {**NATS, "credentialsEnv": "BUS"}}, BUS=f"{secret}\n")

    assert settings.sink_secrets() == {"bus": (secret,)}


def test_of_a_url_nothing_that_may_be_a_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_with(monkeypatch, {"crm": WEBHOOK, "bus": {**PARTIALS_ALONE, "texts": False}})

    assert shown(settings)["sinks"] == {
        "crm": {"kind": "webhook", "url": "https://crm.example.com", "secretEnv": "CRM_SECRET"},
        "bus": {
            "kind": "nats",
            "url": "nats://bus-0:4222,tls://bus-1:5222",
            "events": (),
            "texts": False,
            "partials": True,
        },
    }
    assert settings.sinks["crm"].target == "https://crm.example.com"
    assert "T0KEN" not in repr(settings)
