"""The definition is structural, described and bounded everywhere, and says the same as the service."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batkol.live.tuning import BOUNDS, Tuning
from batkol_operator.model.crd import crd
from support.kube.manifests import VERSIONS, refusal
from support.kube.schema_admission import SCHEMA, complaints, defaulted, pruned
from support.operators.agents import document, sample

SPEC: dict[str, Any] = SCHEMA["properties"]["spec"]
VERSION: dict[str, Any] = crd()["spec"]["versions"][0]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk every schema below this one."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from nodes(schema[name], f"{path}[]")


OURS = [(path, node) for path, node in nodes(SCHEMA) if not path.startswith(".metadata")]


def test_the_definition_is_a_valid_object() -> None:
    for version in VERSIONS:
        assert refusal(crd(), version) == ""


def test_it_is_structural() -> None:
    """https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/"""
    for path, node in OURS:
        if node.get("x-kubernetes-int-or-string"):
            assert node["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
            assert "type" not in node, path
        else:
            assert node["type"] in {"object", "array", "string", "integer", "boolean"}, path
            assert "anyOf" not in node, path
        assert not {"$ref", "$defs", "title", "allOf", "oneOf", "nullable", "const"} & node.keys(), path
        assert not ("properties" in node and "additionalProperties" in node), path


def test_every_field_is_described() -> None:
    """`kubectl explain` is the documentation."""
    undescribed = [path for path, node in OURS if not path.endswith("[]") and len(node.get("description", "")) < 5]

    assert undescribed == []


def test_descriptions_are_sentences() -> None:
    assert [path for path, node in OURS if not node.get("description", ".").endswith((".", "`.", ")."))] == []


def test_no_description_speaks_of_the_code() -> None:
    """They are read by `kubectl explain`, by people who never see a Python file."""
    words = re.compile(r"\b(None|True|False|pydantic|tuple|dict|str|docstring)\b|`[a-z]+_[a-z_]+`")
    ours = r"`(hang_up|save_lead|command_and_search|batkol_calls_active|trace_id)`|None: `dnsConfig` alone|is None"
    texts = {path: re.sub(ours, "", node.get("description", "")) for path, node in OURS}

    assert {path: text for path, text in texts.items() if words.search(text)} == {}


def test_everything_is_bounded() -> None:
    """So that the API server can tell what a rule costs, and no object grows without end."""
    bounds: dict[str, Callable[[dict[str, Any]], bool]] = {
        "string": lambda node: "maxLength" in node or "enum" in node or node.get("format") == "date-time",
        "integer": lambda node: "minimum" in node and ("maximum" in node or node["minimum"] >= 0) and "format" in node,
        "array": lambda node: "maxItems" in node and "x-kubernetes-list-type" in node,
    }
    for path, node in OURS:
        if path in (".apiVersion", ".kind"):
            continue
        check = bounds.get(node.get("type", ""))
        assert check is None or check(node), (path, node)
        if "additionalProperties" in node or node.get("x-kubernetes-preserve-unknown-fields"):
            assert "maxProperties" in node, path


def test_every_number_of_the_spec_has_both_ends() -> None:
    assert [path for path, node in nodes(SPEC) if node.get("type") == "integer" and "maximum" not in node] == []


def test_unknown_fields_are_kept_in_flags_and_json_schemas_alone() -> None:
    keeping = [path for path, node in OURS if node.get("x-kubernetes-preserve-unknown-fields")]

    assert keeping == [
        *(f".spec.flags[].{part}" for part in ("variants", "targeting", "metadata")),
        ".spec.reply.tools[].parameters",
        ".spec.reply.leadFields[].schema",
    ]


def test_lists_of_named_things_are_maps() -> None:
    keys = {path: node["x-kubernetes-list-map-keys"] for path, node in OURS if "x-kubernetes-list-map-keys" in node}

    assert keys == {
        ".spec.image.pullSecrets": ["name"],
        ".spec.streaming.callers": ["number"],
        ".spec.internalApi.consoles": ["agent"],
        **{f".spec.reply.{part}": ["name"] for part in ("answerers", "voices", "tools", "leadFields")},
        ".spec.sinks": ["name"],
        ".spec.flagsFrom": ["name"],
        **{f".spec.pod.{part}": ["name"] for part in ("env", "volumes", "sidecars", "initContainers")},
        **{f".spec.pod.{part}.env": ["name"] for part in ("sidecars[]", "initContainers[]")},
        **{f".spec.pod.{part}volumeMounts": ["mountPath"] for part in ("", "sidecars[].", "initContainers[].")},
        ".spec.pod.hostAliases": ["ip"],
        ".status.conditions": ["type"],
    }
    for path, node in OURS:
        if "x-kubernetes-list-map-keys" in node:
            assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]), path


def test_tuning_has_the_services_bounds_and_defaults() -> None:
    fields = {
        "recognition.batchMilliseconds": "batch_ms",
        "recognition.partialDebounceMilliseconds": "partial_debounce_ms",
        "recognition.finalTimeoutMilliseconds": "final_timeout_ms",
        "endpointing.silenceMilliseconds": "silence_ms",
        "endpointing.minimumSpeechMilliseconds": "minimum_speech_ms",
        "endpointing.preRollMilliseconds": "pre_roll_ms",
    }
    assert fields.keys() == BOUNDS.keys()
    for path, name in fields.items():
        part, field = path.split(".")
        node = SPEC["properties"][part]["properties"][field]
        assert (node["minimum"], node["maximum"]) == BOUNDS[path]
        assert node["default"] == getattr(Tuning(), name)


def test_defaults_inside_a_part_apply_without_it() -> None:
    kept = defaulted(SCHEMA, document())["spec"]

    assert kept["recognition"]["batchMilliseconds"] == 150
    assert kept["calls"] == {"maxPerPod": 100, "drainTimeoutSeconds": 300}
    assert kept["pod"]["resources"] == {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}
    assert kept["twilio"]["validateSignatures"] is True


def test_the_scale_subresource_sets_a_number_without_a_default() -> None:
    """A stored default would contradict an autoscaler's bounds in every object."""
    assert VERSION["subresources"]["scale"] == {
        "specReplicasPath": ".spec.scaling.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    assert "default" not in SPEC["properties"]["scaling"]["properties"]["replicas"]
    assert VERSION["subresources"]["status"] == {}


def test_the_columns_are_what_one_looks_for_and_lead_somewhere() -> None:
    columns = [(column["name"], column.get("priority", 0)) for column in VERSION["additionalPrinterColumns"]]

    assert columns == [
        *((name, 0) for name in ("Ready", "Reason", "Pods", "In-sync", "Calls", "Age")),
        *((name, 1) for name in ("Batch", "Debounce", "Streaming", "Replies", "Message")),
    ]
    paths = {path for path, _ in nodes(SCHEMA)}
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"].split("[", 1)[0]
        assert path in paths | {".metadata.creationTimestamp"}, path


def test_names() -> None:
    definition = crd()

    assert definition["metadata"]["name"] == "voiceagents.batkol.dev"
    assert definition["spec"]["names"]["shortNames"] == ["vagent"]
    assert definition["spec"]["names"]["categories"] == ["batkol"]


def test_it_is_new_at_every_call_and_always_the_same() -> None:
    first = crd()
    first["spec"]["versions"].clear()

    assert crd()["spec"]["versions"] == [VERSION]


SECRET = {"name": "postgres", "key": "url"}


def test_the_sample_says_everything_once_and_is_in_order() -> None:
    """A field that is new in the model is to be shown in the sample; `exposure` can show one of two ways."""
    written = sample()["spec"]

    assert list(complaints(defaulted(SCHEMA, sample()))) == []
    assert pruned(SPEC, written) == written
    shown = set(_paths(written, SPEC))
    either_or = (
        ".image.digest",
        ".scaling.replicas",
        ".flagd",
        ".exposure.httpRoute",
        ".recognition.endpoint",
        ".recognition.insecure",
        *(f".reply.answerer.{field}" for field in ("first", "second", "hedgeAfterMilliseconds")),
        *(f".google.voices.{field}" for field in ("endpoint", "insecure")),
        *(f".reply.voice.{field}" for field in ("url", "model", "keySecretRef")),  # of another kind than the sample's
    )
    missing = {
        path for path, _ in nodes(SPEC) if path and path not in shown and not path.startswith((*either_or, ".pod."))
    }
    assert missing == set()


def _paths(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    yield path
    if isinstance(value, list):
        for item in value:
            yield from _paths(item, schema.get("items", {}), f"{path}[]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            known = schema.get("properties", {})
            every = schema.get("additionalProperties")
            if name in known:
                yield from _paths(inner, known[name], f"{path}.{name}")
            elif isinstance(every, dict):
                yield from _paths(inner, every, f"{path}[]")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"recognition": {"batchMilliseconds": 19}}, "spec.recognition.batchMilliseconds: 19 is less than the minimum"),
        ({"recognition": {"batchMilliseconds": "150"}}, "is not of type 'integer'"),
        ({"streaming": {"callers": [{"number": "050-000", "mode": "Enabled"}]}}, "spec.streaming.callers.0.number"),
        ({"endpointing": {"detector": "silero"}}, "is not one of ['Silero', 'WebRTC']"),
        ({"flags": {"a": {"state": "on", "variants": {"x": 1}}}}, "is not one of ['ENABLED', 'DISABLED']"),
        ({"flags": {"a": {"state": "ENABLED", "variants": {}}}}, "spec.flags.a.variants"),
        ({"pod": {"resources": {"requests": {"cpu": "lots"}}}}, "spec.pod.resources.requests.cpu"),
        ({"reply": {"answerer": {"kind": "openai"}}}, "is not one of ['Echo', 'OpenAI', 'Webhook', 'Hedged']"),
        ({"reply": {"answerer": {"kind": "Echo"}, "prompt": "x" * 32_769}}, "spec.reply.prompt"),
        ({"reply": {"answerer": {"kind": "Echo"}, "transfers": {"labels": ["sales"]}}}, "numbersSecretRef"),
        ({"reply": {"answerer": {"kind": "Echo"}, "greeting": "x" * 301}}, "spec.reply.greeting"),
        ({"plugins": ["a b"]}, "spec.plugins.0"),
        ({"plugins": ["a\x1bb"]}, "spec.plugins.0"),
        ({"recognition": {"whisper": {"url": "http://whisper", "model": "a\nb"}}}, "spec.recognition.whisper.model"),
        ({"reply": {"answerer": {"kind": "OpenAI", "url": "http://llm", "model": " "}}}, "spec.reply.answerer.model"),
        ({"reply": {"voice": {"kind": "Google", "voiceName": "a\x7f"}}}, "spec.reply.voice.voiceName"),
        ({"database": {"urlSecretRef": SECRET, "summaryPrompt": "a\x00b"}}, "spec.database.summaryPrompt"),
    ],
)
def test_the_schema_refuses_what_no_rule_is_needed_for(spec: dict[str, Any], complaint: str) -> None:
    found = list(complaints(defaulted(SCHEMA, document(**spec))))

    assert any(complaint in one for one in found), found
