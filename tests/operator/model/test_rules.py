"""Every rule, by what it refuses and lets pass: as CEL, as the API server evaluates it, and as Python, here."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol_operator.model.agent import SpecError, VoiceAgent
from batkol_operator.model.part import ResourcePart, ResourceRule
from batkol_operator.model.schema import parts_of
from support.kube.schema_admission import SCHEMA, broken_rules, complaints, defaulted
from support.operators.agents import TWILIO, document, specs
from support.properties import few_by_day

DIGEST = "sha256:" + "0" * 64
KEDA = {"maxReplicas": 4, "autoscaler": "ScaledObject"}
PROMETHEUS = {"prometheusUrl": "http://prometheus:9090"}
FLAG = {"state": "ENABLED", "variants": {"on": True, "off": False}}
ENDPOINT = {"insecure": True, "endpoint": "double:9000"}
PUBLIC = "https://voice.example.com"
ROUTE = {"httpRoute": {"parentRefs": [{"name": "gateway"}]}}


def twilio(url: str = PUBLIC, **more: Any) -> dict[str, Any]:
    return {"twilio": {**TWILIO, "publicBaseUrl": url, **more}}


# how complaints begin
NAME = "metadata.name: must begin with a letter"
HEBREW = "spec.recognition.model: must be `default` or"
PLAIN = "spec.recognition.insecure: may be true only when `endpoint`"
SHARE = "spec.streaming.rolloutPercent: must be specified when `mode` is Rollout"
NO_SHARE = "spec.streaming.rolloutPercent: may not be specified when `mode` is not"
API = {"accountSid": "AC" + "0" * 32}
KEY = {"name": "n", "key": "k"}
OWN_TWIML = "spec.twilio.ownTwiml: needs a `streamSecretRef`, or `restApi`"
URL = "spec.twilio.publicBaseUrl: must be https://host[/path]"
OWN = "spec.twilio.publicBaseUrl: must end before `/twilio/voice`"
TAG = "spec.image.tag: may not be specified when `digest`"
REPOSITORY = "spec.image.repository: must be specified together with"
NOT_MOST = "spec.scaling.replicas: may not be specified when `maxReplicas`"
NOT_FEWEST = "spec.scaling.replicas: may not be specified when `minReplicas`"
MOST = "spec.scaling.maxReplicas: must be specified when `minReplicas` is"
ORDER = "spec.scaling.minReplicas: must be less than or equal to"
PROMETHEUS_URL = "spec.scaling.prometheusUrl: must be specified when `autoscaler` is ScaledObject"
LABELS = "spec.pod.labels: must not hold labels that the operator sets"

# what is refused: name, spec, the complaint's beginning
REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("9lives", {}, NAME),
    ("dots.in.it", {}, NAME),
    ("a" * 54, {}, NAME),
    ("a", {"recognition": {"model": "latest_long"}}, HEBREW),
    (
        "a",
        {"recognition": {"language": "iw-IL", "model": "phone_call"}},
        HEBREW,
    ),
    ("a", {"recognition": {"language": "HE", "model": "chirp"}}, HEBREW),
    ("a", {"recognition": {"insecure": True}}, PLAIN),
    (
        "a",
        {"recognition": {"insecure": True, "endpoint": "eu-speech.googleapis.com:443"}},
        PLAIN,
    ),
    (
        "a",
        {"streaming": {"mode": "Rollout"}},
        SHARE,
    ),
    (
        "a",
        {"streaming": {"rolloutPercent": 5}},
        NO_SHARE,
    ),
    (
        "a",
        {"streaming": {"mode": "Enabled", "rolloutPercent": 0}},
        NO_SHARE,
    ),
    ("a", {"streaming": {}, "flags": {"streaming-stt": FLAG}}, "spec.flags: may not hold `streaming-stt` when"),
    ("a", twilio("voice.example.com"), URL),
    ("a", twilio("wss://voice.example.com"), URL),
    ("a", twilio("https://voice.example.com/?a=b"), URL),
    ("a", twilio("https://voice.example.com#top"), URL),
    ("a", twilio("https://"), URL),
    ("a", twilio(f"{PUBLIC}\n"), URL),
    ("a", twilio(f"{PUBLIC}/\u200b"), URL),
    ("a", twilio(f"{PUBLIC}/a b"), URL),
    ("a", twilio("https://u:p@voice.example.com"), URL),
    ("a", twilio(f"{PUBLIC}/twilio/voice"), OWN),
    ("a", twilio(f"{PUBLIC}/agents/Twilio/status/"), OWN),
    ("a", twilio(f"{PUBLIC}/twilio/stream-status"), OWN),
    ("a", twilio(f"{PUBLIC}/twilio/media//"), OWN),
    ("a", twilio(ownTwiml={}), OWN_TWIML),
    (
        "a",
        {"twilio": {"publicBaseUrl": PUBLIC, "validateSignatures": False, "ownTwiml": {}, "restApi": API}},
        OWN_TWIML,
    ),
    (
        "a",
        {"twilio": {"publicBaseUrl": PUBLIC}},
        "spec.twilio.authTokenSecretRef: must be specified unless `validateSignatures` is false",
    ),
    ("a", {"image": {"repository": "r/b", "tag": "1", "digest": DIGEST}}, TAG),
    ("a", {"image": {"repository": "r/b"}}, REPOSITORY),
    ("a", {"image": {"tag": "1"}}, REPOSITORY),
    (
        "a",
        {"scaling": {"replicas": 2, "maxReplicas": 3}},
        NOT_MOST,
    ),
    (
        "a",
        {"scaling": {"replicas": 2, "minReplicas": 1, "maxReplicas": 3}},
        NOT_MOST,
    ),
    (
        "a",
        {"scaling": {"replicas": 2, "minReplicas": 1}},
        NOT_FEWEST,
    ),
    ("a", {"scaling": {"minReplicas": 2}}, MOST),
    ("a", {"scaling": {"minReplicas": 4, "maxReplicas": 3}}, ORDER),
    ("a", {"scaling": KEDA}, PROMETHEUS_URL),
    (
        "a",
        {"scaling": {"maxReplicas": 3, "callsPerPod": 60}, "calls": {"maxPerPod": 50}},
        "spec.scaling.callsPerPod: must be less than or equal to `calls.maxPerPod`",
    ),
    ("a", {"exposure": {"ingress": {}, **ROUTE}}, "spec.exposure.ingress: may not be specified when `httpRoute` is"),
    (
        "a",
        {"exposure": {"ingress": {}}, **twilio(f"{PUBLIC}/voice")},
        "spec.exposure.ingress: may not be specified when `twilio.publicBaseUrl` has a path",
    ),
    (
        "a",
        {"pod": {"labels": {"batkol.dev/agent": "b"}}},
        LABELS,
    ),
    ("a", {"pod": {"labels": {"app.kubernetes.io/name": "b"}}}, LABELS),
)

TAKEN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a", {}),
    ("a" * 53, {}),
    ("a", twilio(f"{PUBLIC}:8443/twilio")),
    ("a", twilio(ownTwiml={"streamSecretRef": KEY})),
    ("a", twilio(ownTwiml={}, restApi=API)),
    ("a", twilio(restApi=API)),
    ("a", twilio(f"{PUBLIC}/my-twilio/voices/~a'%D7$&=;,!*()")),
    ("a-9", {"recognition": {"model": "command_and_search"}}),
    ("a", {"recognition": {"language": "en-US", "model": "telephony"}}),
    ("a", {"recognition": {"language": "hen", "model": "telephony"}}),
    ("a", {"recognition": ENDPOINT}),
    ("a", {"streaming": {}}),
    ("a", {"streaming": {"mode": "Rollout", "rolloutPercent": 0}}),
    ("a", {"flags": {"streaming-stt": FLAG}}),
    ("a", {"streaming": {"mode": "Enabled"}, "flags": {"another": FLAG}}),
    ("a", twilio("http://localhost:8080/prefix/")),
    ("a", {"twilio": {"publicBaseUrl": PUBLIC, "validateSignatures": False}}),
    ("a", {"image": {"repository": "r/b", "digest": DIGEST}}),
    ("a", {"image": {"pullPolicy": "Always"}}),
    ("a", {"scaling": {"replicas": 0}}),
    ("a", {"scaling": {"maxReplicas": 3}}),
    ("a", {"scaling": {"minReplicas": 3, "maxReplicas": 3}}),
    ("a", {"scaling": {**KEDA, **PROMETHEUS, "callsPerPod": 100}}),
    ("a", {"exposure": {"ingress": {}}, **twilio(f"{PUBLIC}/")}),
    ("a", {"exposure": ROUTE, **twilio(f"{PUBLIC}/voice")}),
    ("a", {"pod": {"labels": {"app.kubernetes.io/part-of": "shop", "team": "voice"}}}),
)


@pytest.mark.parametrize(("name", "spec", "complaint"), REFUSED)
def test_the_rule_refuses_and_says_what_would_do(name: str, spec: dict[str, Any], complaint: str) -> None:
    found = list(complaints(defaulted(SCHEMA, document(name, **spec))))

    assert any(one.startswith(complaint) for one in found), found


@pytest.mark.parametrize(("name", "spec", "complaint"), REFUSED)
def test_this_process_refuses_it_with_the_same_words(name: str, spec: dict[str, Any], complaint: str) -> None:
    """A CustomResourceDefinition older than the operator may have let it through."""
    with pytest.raises(SpecError) as refusal:
        VoiceAgent.read(document(name, **spec))

    assert complaint.split(": ", 1)[1] in str(refusal.value)


@pytest.mark.parametrize(("name", "spec"), TAKEN)
def test_what_is_in_order_passes_every_rule(name: str, spec: dict[str, Any]) -> None:
    assert list(complaints(defaulted(SCHEMA, document(name, **spec)))) == []
    assert VoiceAgent.read(document(name, **spec)).metadata.name == name


def every_rule(part: type[ResourcePart]) -> Iterator[ResourceRule]:
    for one in parts_of(part):
        yield from one.rules


def test_every_rule_is_seen_to_refuse_something() -> None:
    """By its whole message, which is its own: a new rule needs a row above."""
    found = {
        one.split(": ", 1)[1]
        for name, spec, _ in REFUSED
        for one in broken_rules(SCHEMA, defaulted(SCHEMA, document(name, **spec)), "")
    }

    assert found == {rule.message for rule in every_rule(VoiceAgent)}


def test_a_rule_can_be_evaluated_before_defaults_are_filled_in() -> None:
    """The API server tries the rules of a part on `default: {}` itself, when the definition is created."""
    for name in ("recognition", "endpointing", "calls", "telemetry", "scaling", "pod", "image", "networkPolicy"):
        assert list(broken_rules(SCHEMA["properties"]["spec"]["properties"][name], {}, name)) == []


_loose = st.one_of(
    specs,
    st.fixed_dictionaries(
        {},
        optional={
            "scaling": st.fixed_dictionaries(
                {},
                optional={
                    "replicas": st.integers(0, 3),
                    "minReplicas": st.integers(1, 4),
                    "maxReplicas": st.integers(1, 4),
                    "callsPerPod": st.integers(1, 200),
                    "autoscaler": st.sampled_from(["HorizontalPodAutoscaler", "ScaledObject"]),
                    "prometheusUrl": st.just("http://p:9090"),
                },
            ),
            "streaming": st.fixed_dictionaries(
                {},
                optional={
                    "mode": st.sampled_from(["Enabled", "Disabled", "Rollout"]),
                    "rolloutPercent": st.integers(0, 100),
                },
            ),
            "flags": st.dictionaries(st.sampled_from(["streaming-stt", "other"]), st.just(FLAG)),
            "recognition": st.fixed_dictionaries(
                {},
                optional={
                    "language": st.sampled_from(["he-IL", "iw-IL", "IW", "he", "hen", "en-US"]),
                    "model": st.sampled_from(["default", "command_and_search", "telephony"]),
                    "insecure": st.booleans(),
                    "endpoint": st.sampled_from(["", "double:9000", "speech.googleapis.com:443"]),
                },
            ),
            "image": st.fixed_dictionaries(
                {}, optional={"repository": st.just("r/b"), "tag": st.just("1"), "digest": st.just(DIGEST)}
            ),
            "twilio": st.fixed_dictionaries(
                {"publicBaseUrl": st.sampled_from([PUBLIC, f"{PUBLIC}/a", "ftp://a", "https://a?b", "http://a b"])},
                optional={
                    "validateSignatures": st.booleans(),
                    "authTokenSecretRef": st.just({"name": "n", "key": "k"}),
                    "restApi": st.just(API) | st.just({**API, "apiKey": {"sid": "SK" + "0" * 32, "secretRef": KEY}}),
                    "ownTwiml": st.just({}) | st.just({"streamSecretRef": KEY}),
                },
            ),
            "exposure": st.sampled_from([{}, {"ingress": {}}, ROUTE, {"ingress": {}, **ROUTE}]),
            "pod": st.fixed_dictionaries(
                {
                    "labels": st.dictionaries(
                        st.sampled_from(["batkol.dev/x", "app.kubernetes.io/name", "x"]), st.just("v")
                    )
                }
            ),
        },
    ),
)


@few_by_day(15)  # cel-python takes its time
@given(_loose)
def test_cel_and_python_agree(spec: dict[str, Any]) -> None:
    wanted = document(**spec)
    broken = {one.split(": ", 1)[1] for one in broken_rules(SCHEMA, defaulted(SCHEMA, wanted), "")}
    said = ""
    try:
        VoiceAgent.read(copy.deepcopy(wanted))
    except SpecError as refusal:
        said = str(refusal)

    assert bool(said) == bool(broken), json.dumps(spec)
    inner = {message for message in broken if message not in {rule.message for rule in _outer_rules()}}
    assert all(message in said for message in inner), said


def _outer_rules() -> Iterator[ResourceRule]:
    """Pydantic asks these only where everything inside is in order; the API server asks all."""
    yield from VoiceAgent.rules
    yield from VoiceAgent.model_fields["spec"].annotation.rules  # type: ignore[union-attr]  # it is `Spec`
