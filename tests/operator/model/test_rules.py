"""Every rule, by what it refuses and lets pass: as CEL, as the API server evaluates it, and as Python, here."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol_operator.model.agent import SpecError, VoiceAgent
from batkol_operator.model.part import ResourcePart, ResourceRule
from batkol_operator.model.schema import parts_of
from support.kube.cel import program
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
SONIOX = "spec.recognition.soniox: must have the account when"
HEBREW_NAMES = "spec.recognition: must name no recognizer of Google's"
SONIOX_NAMES = "spec.recognition: must name no recognizer of Soniox's"
TOO_MANY = "spec.recognition.order: must name at most 8 recognizers"
EIGHT = [f"google-v1/model-{number}" for number in range(8)]
PLAIN = "spec.recognition.insecure: may be true only when `endpoint` names a server"
SHARE = "spec.streaming.rolloutPercent: must be specified when `mode` is Rollout"
NO_SHARE = "spec.streaming.rolloutPercent: may not be specified when `mode` is not"
API = {"accountSid": "AC" + "0" * 32}
KEY = {"name": "n", "key": "k"}
OWN_TWIML = "spec.twilio.ownTwiml: needs a `streamSecretRef`, or `restApi`"
URL = "spec.twilio.publicBaseUrl: must be https://host[:port][/path]"
OWN = "spec.twilio.publicBaseUrl: must end before `/twilio/voice`"
TAG = "spec.image.tag: may not be specified when `digest`"
REPOSITORY = "spec.image.repository: must be specified together with"
NOT_MOST = "spec.scaling.replicas: may not be specified when `maxReplicas`"
NOT_FEWEST = "spec.scaling.replicas: may not be specified when `minReplicas`"
MOST = "spec.scaling.maxReplicas: must be specified when `minReplicas` is"
ORDER = "spec.scaling.minReplicas: must be less than or equal to `maxReplicas`"
PROMETHEUS_URL = "spec.scaling.prometheusUrl: must be specified when `autoscaler` is ScaledObject"
LABELS = "spec.pod.labels: must not hold labels that the operator sets"

ECHO = {"answerer": {"kind": "Echo"}}
CHAT = {"kind": "OpenAI", "url": "https://api.example.com/v1", "model": "m"}
NO_URL = "must be specified, and `model` too, when `kind` is OpenAI"
ONLY = "may not be specified, nor `model` and `keySecretRef`, when `kind` is Echo or Hedged"
NO_HEDGE = "spec.reply.answerer.first: and `second` must be two names when `kind` is Hedged"
HEDGED_ONLY = "may not be specified, nor `second` and `hedgeAfterMilliseconds`, when"
NO_ANSWERER = "spec.reply.answerers: must have every name that `then`, `first` or `second`"
NO_VOICE = "spec.reply.voices: must have every name that `then` of a voice gives"
APOLOGY = "spec.reply.turns.apologyMilliseconds: must be more than `fillerMilliseconds`"
PLAIN_API = "spec.twilio.restApi.url: must begin with https:// for Twilio"
WEBHOOK = {"url": "https://x.example"}


def reply(**parts: Any) -> dict[str, Any]:
    return {"reply": {**ECHO, **parts}}


SINK = {"name": "crm", "kind": "Webhook", "url": "https://crm.example", "signingSecretRef": KEY}
NATS = {"name": "bus", "kind": "NATS", "url": "nats://bus:4222"}
KEPT_CALLS = {"database": {"urlSecretRef": KEY}}
SIGNED = "signingSecretRef: must be specified if `kind` is Webhook, and only then"
NATS_ONLY = "subject: may not be specified, nor `credentialsSecretRef`, `createStream` and `partials`, when"
NATS_URL = "url: must be nats://host[:port], or tls://host[:port] with TLS"
NO_STORE = "spec.sinks: may hold only NATS with `events: []` and `partials: true` when `database` is absent"


def sinks(*each: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**KEPT_CALLS, "sinks": list(each), **more}


OPERATORS_VARIABLE = "may not be a variable that the operator sets"
OPERATORS_CONTAINER = "may not be the name of a container of the operator"
VALUES = "value: may not be specified when `valueFrom` is"
SOURCES = "must have one of `secretKeyRef`, `configMapKeyRef`, `fieldRef`, `resourceFieldRef`, and only one"
OBJECTS = "must have one of `configMapRef`, `secretRef`, and only one"
VOLUMES = "must have one of `configMap`, `secret`, `emptyDir`"
HIDDEN = "spec.pod.volumeMounts[0].mountPath: may not hide a folder of the program or of the operator"
UNKNOWN_VOLUME = "may mount only volumes that `volumes` has"
NAMESERVERS = "must have `nameservers` when `dnsPolicy` is None"
FLAGD_ALONE = "spec.flagd: may not be specified when `streaming`, `flags`, `flagsFrom` or `reply.enabled` is"
FLAGD = {"host": "flagd.flags"}
SOCKETS = {"name": "sockets", "emptyDir": {}}
MOUNT = {"name": "sockets", "mountPath": "/srv/sockets"}
PROXY = {"name": "proxy", "image": "registry.example.com/proxy:1"}


def pod(**fields: Any) -> dict[str, Any]:
    return {"pod": fields}


def answerers(**named: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **spec} for name, spec in named.items()]


# what is refused: name, spec, the complaint's beginning
REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("9lives", {}, NAME),
    ("dots.in.it", {}, NAME),
    ("a" * 54, {}, NAME),
    ("a-fleet", {}, "metadata.name: may not end in `-fleet`"),
    ("a", reply(tools=[{"name": "unknown", **WEBHOOK}]), "spec.reply.tools[0].name: may not be `unknown`"),
    ("a", reply(turns={"fillerMilliseconds": 3500}), APOLOGY),
    ("a", reply(turns={"apologyMilliseconds": 1500}), APOLOGY),
    ("a", reply(turns={"fillerMilliseconds": 900, "apologyMilliseconds": 900}), APOLOGY),
    ("a", twilio(restApi={**API, "url": "http://api.twilio.com"}), PLAIN_API),
    ("a", twilio(restApi={**API, "url": "http://api.dublin.ie1.twilio.com:80/x"}), PLAIN_API),
    ("a", {"recognition": {"model": "latest_long"}}, HEBREW),
    (
        "a",
        {"recognition": {"language": "iw-IL", "model": "phone_call"}},
        HEBREW,
    ),
    ("a", {"recognition": {"language": "HE", "model": "chirp"}}, HEBREW),
    ("a", {"recognition": {"recognizer": "soniox/stt-rt-v5"}}, SONIOX),
    ("a", {"recognition": {"order": ["google-v1/default", "soniox/stt-rt-v5"]}}, SONIOX),
    ("a", {"recognition": {"recognizer": "google-v1/latest_long"}}, HEBREW_NAMES),
    ("a", {"recognition": {"language": "iw", "order": ["google-v1/default", "google-v1/chirp"]}}, HEBREW_NAMES),
    ("a", {"recognition": {"recognizer": "soniox/nonexistent", "soniox": {"apiKeySecretRef": KEY}}}, SONIOX_NAMES),
    (
        "a",
        {
            "recognition": {
                "order": ["soniox/stt-rt-v6", "soniox/stt-rt-v5"],
                "soniox": {"apiKeySecretRef": KEY, "models": ["stt-rt-v6"]},
            }
        },
        SONIOX_NAMES,
    ),
    ("a", {"recognition": {"language": "en-US", "recognizer": "google-v1/default", "order": EIGHT}}, TOO_MANY),
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
    (
        "a",
        {"google": {"voices": {"insecure": True}}},
        "spec.google.voices.insecure: may be true only when `endpoint` names a double",
    ),
    ("a", {"streaming": {}, "flags": {"streaming-stt": FLAG}}, "spec.flags: may not hold `streaming-stt` when"),
    ("a", {"reply": {}}, "spec.reply.answerer: must be specified unless `enabled` is false"),
    ("a", {"reply": {"enabled": True}}, "spec.reply.answerer: must be specified unless `enabled` is false"),
    (
        "a",
        {**reply(enabled=False), "flags": {"agent-replies": FLAG}},
        "spec.flags: may not hold `agent-replies` when `reply.enabled` is specified",
    ),
    ("a", reply(answerer={"kind": "OpenAI"}), f"spec.reply.answerer.url: {NO_URL}"),
    ("a", reply(answerer={"kind": "OpenAI", "model": "m"}), f"spec.reply.answerer.url: {NO_URL}"),
    ("a", reply(answerer={"kind": "OpenAI", "url": CHAT["url"]}), f"spec.reply.answerer.url: {NO_URL}"),
    ("a", reply(answerers=answerers(b={"kind": "OpenAI"})), f"spec.reply.answerers[0].url: {NO_URL}"),
    ("a", reply(answerer={**ECHO["answerer"], "url": "https://x.example"}), f"spec.reply.answerer.url: {ONLY}"),
    ("a", reply(answerer={**ECHO["answerer"], "keySecretRef": KEY}), f"spec.reply.answerer.url: {ONLY}"),
    (
        "a",
        reply(answerer={"kind": "Webhook", **WEBHOOK, "model": "m"}),
        "spec.reply.answerer.model: may not be specified when `kind` is Webhook",
    ),
    (
        "a",
        reply(answerers=answerers(b={"kind": "Webhook", **WEBHOOK, "maxTokens": 5})),
        "spec.reply.answerers[0].maxTokens: may not be specified, nor `temperaturePercent`, when",
    ),
    (
        "a",
        reply(answerers=answerers(b={"kind": "Echo", "prompt": "x"})),
        "spec.reply.answerers[0].prompt: may not be specified when `kind` is Echo",
    ),
    ("a", reply(answerer={"kind": "Webhook"}), "spec.reply.answerer.url: must be specified when `kind` is Webhook"),
    (
        "a",
        reply(answerer={**CHAT, "url": "https://api.example.com/v1/chat/completions"}),
        "spec.reply.answerer.url: must end before `/chat/completions`",
    ),
    ("a", reply(answerer={"kind": "Hedged", "first": "b"}, answerers=answerers(b=CHAT)), NO_HEDGE),
    ("a", reply(answerer={"kind": "Hedged", "first": "b", "second": "b"}, answerers=answerers(b=CHAT)), NO_HEDGE),
    ("a", reply(answerer={**CHAT, "first": "default"}), f"spec.reply.answerer.first: {HEDGED_ONLY}"),
    ("a", reply(answerer={**CHAT, "hedgeAfterMilliseconds": 5}), f"spec.reply.answerer.first: {HEDGED_ONLY}"),
    ("a", reply(answerer={**CHAT, "then": "nobody"}), NO_ANSWERER),
    ("a", reply(answerers=answerers(b={**CHAT, "then": "c"})), NO_ANSWERER),
    ("a", reply(answerers=answerers(b=CHAT, h={"kind": "Hedged", "first": "b", "second": "c"})), NO_ANSWERER),
    (
        "a",
        reply(answerers=answerers(default=CHAT)),
        "spec.reply.answerers: may not have the name `default`, which is the one in `answerer`",
    ),
    (
        "a",
        reply(answerers=answerers(b={**CHAT, "then": "b"})),
        "spec.reply.answerers: may not have the name `default`, which is the one in `answerer`",
    ),
    ("a", reply(voice={"kind": "OpenAI", "model": "m"}), f"spec.reply.voice.url: {NO_URL}"),
    (
        "a",
        reply(voice={**CHAT, "url": "http://voice/v1/audio/speech"}),
        "spec.reply.voice.url: must end before `/audio/speech`",
    ),
    ("a", reply(voice={"kind": "Google", "then": "spare"}), NO_VOICE),
    ("a", reply(voices=answerers(b={"kind": "Google", "then": "c"})), NO_VOICE),
    (
        "a",
        reply(voices=answerers(default={"kind": "Google"})),
        "spec.reply.voices: may not have the name `default`, which is the one in `voice`",
    ),
    ("a", reply(tools=[{"name": "book"}]), "spec.reply.tools[0].url: must be specified unless the tool is a built-in"),
    (
        "a",
        reply(tools=[{"name": "hang_up", **WEBHOOK}]),
        "spec.reply.tools[0].name: of a built-in tool may come with a `description` only",
    ),
    (
        "a",
        reply(tools=[{"name": "hang_up", "tokenSecretRef": KEY}]),
        "spec.reply.tools[0].name: of a built-in tool may come with a `description` only",
    ),
    ("a", reply(tools=[{"name": "transfer"}]), "spec.reply.transfers: must be specified when `tools` has `transfer`"),
    (
        "a",
        reply(tools=[{"name": "save_lead"}]),
        "spec.reply.leadFields: must be specified when `tools` has `save_lead`",
    ),
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
    ("a", {"sinks": [SINK]}, NO_STORE),
    ("a", {"sinks": [NATS]}, NO_STORE),
    ("a", {"sinks": [{**NATS, "partials": True}]}, NO_STORE),
    ("a", sinks({**SINK, "url": "nats://bus"}), "spec.sinks[0].url: must be https://host[:port] (or http://) when"),
    ("a", sinks({**NATS, "url": "https://bus"}), f"spec.sinks[0].{NATS_URL}"),
    ("a", sinks(SINK, {**NATS, "url": "nats://a,http://b"}), f"spec.sinks[1].{NATS_URL}"),
    ("a", sinks({**NATS, "url": "nats://a/b"}), f"spec.sinks[0].{NATS_URL}"),
    ("a", sinks({**NATS, "url": "nats://a?b=c"}), f"spec.sinks[0].{NATS_URL}"),
    (
        "a",
        sinks({name: value for name, value in SINK.items() if name != "signingSecretRef"}),
        f"spec.sinks[0].{SIGNED}",
    ),
    ("a", sinks({**NATS, "signingSecretRef": KEY}), f"spec.sinks[0].{SIGNED}"),
    ("a", sinks({**SINK, "subject": "a"}), f"spec.sinks[0].{NATS_ONLY}"),
    ("a", sinks({**SINK, "credentialsSecretRef": KEY}), f"spec.sinks[0].{NATS_ONLY}"),
    ("a", sinks({**SINK, "createStream": True}), f"spec.sinks[0].{NATS_ONLY}"),
    ("a", sinks({**SINK, "partials": False}), f"spec.sinks[0].{NATS_ONLY}"),
    ("a", sinks({**NATS, "events": []}), "spec.sinks[0].events: may be empty only when `partials` is true"),
    ("a", pod(env=[{"name": "API_TOKEN", "value": "x"}]), f"spec.pod.env[0].name: {OPERATORS_VARIABLE}"),
    ("a", pod(env=[{"name": "A"}, {"name": "FLAGS_PROVIDER"}]), f"spec.pod.env[1].name: {OPERATORS_VARIABLE}"),
    ("a", pod(env=[{"name": "Api_Token"}]), f"spec.pod.env[0].name: {OPERATORS_VARIABLE}"),
    ("a", pod(env=[{"name": "TOOL_SECRET_BOOK"}]), f"spec.pod.env[0].name: {OPERATORS_VARIABLE}"),
    ("a", pod(env=[{"name": "A", "value": "", "valueFrom": {"secretKeyRef": KEY}}]), f"spec.pod.env[0].{VALUES}"),
    ("a", pod(env=[{"name": "A", "valueFrom": {}}]), f"spec.pod.env[0].valueFrom: {SOURCES}"),
    ("a", pod(envFrom=[{"prefix": "A_"}]), f"spec.pod.envFrom[0]: {OBJECTS}"),
    ("a", pod(caBundle={"configMapRef": KEY, "secretRef": KEY}), f"spec.pod.caBundle: {OBJECTS}"),
    ("a", pod(volumes=[{"name": "node", "hostPath": {"path": "/"}}]), f"spec.pod.volumes[0]: {VOLUMES}"),
    ("a", pod(volumes=[{**SOCKETS, "secret": {"secretName": "s"}}]), f"spec.pod.volumes[0]: {VOLUMES}"),
    ("a", pod(volumes=[{"name": "live", "emptyDir": {}}]), "spec.pod.volumes[0].name: may not be the name of a volume"),
    (
        "a",
        pod(volumes=[{"name": "v", "projected": {"sources": [{}]}}]),
        "spec.pod.volumes[0].projected.sources[0]: must have one of `configMap`, `secret`, `serviceAccountToken`",
    ),
    ("a", pod(volumes=[SOCKETS], volumeMounts=[{**MOUNT, "mountPath": "/tmp"}]), HIDDEN),
    ("a", pod(volumes=[SOCKETS], volumeMounts=[{**MOUNT, "mountPath": "/etc/batkol/live"}]), HIDDEN),
    ("a", pod(volumeMounts=[MOUNT]), f"spec.pod.volumeMounts: {UNKNOWN_VOLUME}"),
    (
        "a",
        pod(volumes=[{**SOCKETS, "name": "other"}], volumeMounts=[MOUNT]),
        f"spec.pod.volumeMounts: {UNKNOWN_VOLUME}",
    ),
    ("a", pod(sidecars=[{**PROXY, "volumeMounts": [MOUNT]}]), f"spec.pod.sidecars: {UNKNOWN_VOLUME}"),
    ("a", pod(initContainers=[{**PROXY, "volumeMounts": [MOUNT]}]), f"spec.pod.initContainers: {UNKNOWN_VOLUME}"),
    ("a", pod(sidecars=[{**PROXY, "name": "media"}]), f"spec.pod.sidecars[0].name: {OPERATORS_CONTAINER}"),
    (
        "a",
        pod(initContainers=[{**PROXY, "name": "migrate"}]),
        f"spec.pod.initContainers[0].name: {OPERATORS_CONTAINER}",
    ),
    (
        "a",
        pod(sidecars=[{**PROXY, "ports": [{"containerPort": 8081}]}]),
        "spec.pod.sidecars[0].ports[0].containerPort: may not be a port of the program, 8080 or 8081",
    ),
    (
        "a",
        pod(sidecars=[{**PROXY, "ports": [{"containerPort": 5432, "name": "internal"}]}]),
        "spec.pod.sidecars[0].ports[0].name: may not be the name of a port of the program",
    ),
    (
        "a",
        pod(sidecars=[PROXY], initContainers=[PROXY]),
        "spec.pod.initContainers: may not have the name of a sidecar",
    ),
    (
        "a",
        pod(sidecars=[{**PROXY, "startupProbe": {"periodSeconds": 1}}]),
        "spec.pod.sidecars[0].startupProbe: must have one of `httpGet`, `tcpSocket`, `grpc`, `exec`",
    ),
    (
        "a",
        pod(serviceAccountName="calls", serviceAccountAnnotations={"a": "b"}),
        "spec.pod.serviceAccountAnnotations: may not be specified when `serviceAccountName` is",
    ),
    ("a", pod(dnsPolicy="None"), f"spec.pod.dnsConfig: {NAMESERVERS}"),
    ("a", pod(dnsPolicy="None", dnsConfig={"searches": ["a"]}), f"spec.pod.dnsConfig: {NAMESERVERS}"),
    (
        "a",
        {"telemetry": {"otlpHeadersSecretRef": KEY}},
        "spec.telemetry.otlpHeadersSecretRef: may not be specified with",
    ),
    ("a", {"flagd": FLAGD, "streaming": {}}, FLAGD_ALONE),
    ("a", {"flagd": FLAGD, "flags": {"a": FLAG}}, FLAGD_ALONE),
    ("a", {"flagd": FLAGD, "flagsFrom": [{"name": "house"}]}, FLAGD_ALONE),
    ("a", {"flagd": FLAGD, **reply(enabled=True)}, FLAGD_ALONE),
)

TAKEN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a", pod(env=[{"name": "API_TOKEN_OF_OURS", "value": ""}, {"name": "B", "valueFrom": {"secretKeyRef": KEY}}])),
    ("a", pod(envFrom=[{"configMapRef": {"name": "m"}}, {"secretRef": {"name": "s", "optional": True}}])),
    ("a", pod(volumes=[SOCKETS], volumeMounts=[MOUNT], sidecars=[{**PROXY, "volumeMounts": [MOUNT]}])),
    ("a", pod(volumes=[SOCKETS], volumeMounts=[{**MOUNT, "mountPath": "/etc/batkols"}], initContainers=[PROXY])),
    ("a", pod(sidecars=[{**PROXY, "ports": [{"containerPort": 8080, "protocol": "UDP", "name": "publics"}]}])),
    ("a", pod(caBundle={"configMapRef": KEY}, serviceAccountName="calls", serviceAccountAnnotations={})),
    ("a", pod(dnsPolicy="None", dnsConfig={"nameservers": ["10.0.0.10"]})),
    ("a", pod(dnsPolicy="Default")),
    ("a", {"flagd": FLAGD, "flags": {}, **reply()}),
    ("a", {"sinks": []}),
    ("a", {"sinks": [{**NATS, "events": [], "partials": True}]}),
    (
        "a",
        sinks(SINK, {**NATS, "url": "tls://a:4222,nats://[::1]:4223", "credentialsSecretRef": KEY, "subject": "a.b"}),
    ),
    ("a", sinks({**SINK, "events": ["final", "call.ended"], "texts": False, "numbers": False})),
    ("a", sinks({**SINK, "url": "https://flows.example.com/run?api-version=1&sig=a%2Fb"})),
    ("a", sinks({**NATS, "events": [], "partials": True})),
    ("a", {}),
    ("a" * 53, {}),
    ("a-fleet-b", {}),
    ("a", reply(turns={"fillerMilliseconds": 3499, "guesses": 0})),
    ("a", reply(turns={"fillerMilliseconds": 4000, "apologyMilliseconds": 4001, "keysInterrupt": False})),
    ("a", twilio(restApi={**API, "url": "https://api.dublin.ie1.twilio.com"})),
    ("a", twilio(restApi={**API, "url": "http://twilio.com.example:8095/double"})),
    ("a", twilio(f"{PUBLIC}:8443/twilio")),
    ("a", twilio(ownTwiml={"streamSecretRef": KEY})),
    ("a", twilio(ownTwiml={}, restApi=API)),
    ("a", twilio(restApi=API)),
    ("a", twilio(f"{PUBLIC}/my-twilio/voices/~a'%D7$&=;,!*()")),
    ("a", reply()),
    ("a", {"reply": {"enabled": False, "voice": {"kind": "Google"}}}),
    ("a", {**reply(), "flags": {"agent-replies": FLAG}}),
    ("a", reply(answerer={**CHAT, "then": "b"}, answerers=answerers(b=CHAT, c={**CHAT, "then": "default"}))),
    (
        "a",
        reply(
            answerer={"kind": "Hedged", "first": "b", "second": "c", "hedgeAfterMilliseconds": 0},
            answerers=answerers(b=CHAT, c={"kind": "Webhook", **WEBHOOK}),
        ),
    ),
    ("a", reply(voice={"kind": "Google", "then": "b"}, voices=answerers(b=CHAT, c={**CHAT, "then": "default"}))),
    (
        "a",
        reply(
            tools=[{"name": "hang_up"}, {"name": "transfer"}, {"name": "save_lead"}, {"name": "book", **WEBHOOK}],
            transfers={"numbersSecretRef": KEY},
            leadFields=[{"name": "phone"}],
        ),
    ),
    ("a-9", {"recognition": {"model": "command_and_search"}}),
    ("a", {"recognition": {"order": ["soniox/stt-rt-v5"], "soniox": {"apiKeySecretRef": KEY}}}),
    (
        "a",
        {
            "recognition": {
                "recognizer": "soniox/stt-rt-v6",
                "order": ["google-v1/command_and_search", "soniox/stt-rt-v5"],
                "soniox": {"apiKeySecretRef": KEY, "models": ["stt-rt-v5", "stt-rt-v6"]},
            }
        },
    ),
    ("a", {"recognition": {"language": "en-US", "order": EIGHT}}),
    ("a", {"recognition": {"language": "en-US", "recognizer": EIGHT[7], "order": EIGHT}}),
    ("a", {"recognition": {"language": "en-US", "recognizer": "google-v1/default", "order": EIGHT[:7]}}),
    ("a", {"recognition": {"language": "en-US", "recognizer": f"google-v1/{'m' * 70}"}}),
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


@pytest.mark.parametrize("name", ["", "google-v1/", "azure/large", f"google-v1/{'m' * 71}", "soniox/a b"])
def test_a_name_that_no_recognizer_can_have_is_refused_in_both_fields(name: str) -> None:
    for field, value in (("recognizer", name), ("order", [name])):
        wanted = document("a", recognition={"language": "en-US", field: value})
        with pytest.raises(SpecError, match=f"recognition.{field}"):
            VoiceAgent.read(copy.deepcopy(wanted))
        assert any(one.startswith(f"spec.recognition.{field}") for one in complaints(defaulted(SCHEMA, wanted)))


def test_an_order_has_at_most_eight_names() -> None:
    wanted = document("a", recognition={"language": "en-US", "order": [*EIGHT, "google-v1/default"]})
    with pytest.raises(SpecError, match=r"recognition.order"):
        VoiceAgent.read(copy.deepcopy(wanted))

    assert any(one.startswith("spec.recognition.order") for one in complaints(defaulted(SCHEMA, wanted)))


@pytest.mark.parametrize("path", ["/srv/../tmp", "/./tmp", "/tmp/.", "/srv/..", "srv", "//tmp", "/srv/", "/"])
def test_no_path_of_a_mount_leads_round_the_folders_that_are_reserved(path: str) -> None:
    mounted = pod(volumes=[SOCKETS], volumeMounts=[{**MOUNT, "mountPath": path}])

    assert any("mountPath" in one for one in complaints(defaulted(SCHEMA, document("a", **mounted))))
    with pytest.raises(SpecError, match="mountPath"):
        VoiceAgent.read(document("a", **mounted))


@pytest.mark.parametrize("path", ["/srv/.hidden", "/srv/..data", "/srv/...", "/a.b/c..d", "/srv/data"])
def test_names_with_dots_are_names(path: str) -> None:
    mounted = pod(volumes=[SOCKETS], volumeMounts=[{**MOUNT, "mountPath": path}])

    assert list(complaints(defaulted(SCHEMA, document("a", **mounted)))) == []


def every_rule(part: type[ResourcePart]) -> Iterator[ResourceRule]:
    for one in parts_of(part):
        yield from one.rules


def test_every_rule_is_seen_to_refuse_something() -> None:
    """By the beginning of its message, which is its own: a new rule needs a row above, whose test sees it refuse."""
    begun = {complaint.split(": ", 1)[1] for _, _, complaint in REFUSED}
    messages = {rule.message for rule in every_rule(VoiceAgent)}
    seen = {beginning: [each for each in messages if each.startswith(beginning)] for beginning in begun}

    assert [beginning for beginning, found in seen.items() if len(found) != 1] == []
    assert {message for found in seen.values() for message in found} == messages


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (reply(answerer={**CHAT, "then": "b"}, answerers=answerers(b={**CHAT, "then": "default"})), "leads from"),
        (
            reply(answerers=answerers(b={**CHAT, "then": "c"}, c={**CHAT, "then": "d"}, d={**CHAT, "then": "b"})),
            "leads",
        ),
        (reply(voice={**CHAT, "then": "b"}, voices=answerers(b={**CHAT, "then": "default"})), "of voices leads from"),
        (
            reply(
                answerer={"kind": "Hedged", "first": "b", "second": "c"},
                answerers=answerers(b=CHAT, c={"kind": "Hedged", "first": "b", "second": "default"}),
            ),
            "which is Hedged itself",
        ),
    ],
)
def test_what_cel_cannot_follow_is_refused_before_a_pod_fails_by_it(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        VoiceAgent.read(document(**spec))


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


@few_by_day(6)  # cel-python takes its time
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


def test_compiling_a_rule_leaves_the_recursion_limit_as_it_was() -> None:
    """Hypothesis refuses a test that changes it: the property above would fail where no other test came before it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 7)
    try:
        assert program("1 + 1 == 2").evaluate({})
        assert sys.getrecursionlimit() == before + 7
    finally:
        sys.setrecursionlimit(before)
