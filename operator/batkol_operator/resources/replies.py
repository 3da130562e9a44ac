"""`spec.reply`: what of it is live, as `reply.json`, and what pods read at start, as environment variables.

The names of the variables with the secrets of tools are made of the tools' names, so `reply.json` holds no secret.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import Spec
from batkol_operator.model.part import ResourcePart
from batkol_operator.model.reply import ReplySpec
from batkol_operator.model.speakers import AnsweringServer, NamedAnswerer, NamedVoice, SpeakingVoice
from batkol_operator.model.tools import LeadField, ToolSpec
from batkol_operator.resources.variables import named, plain, secret

_KINDS: Final = {
    "Echo": "echo",
    "OpenAI": "openai",
    "Webhook": "webhook",
    "Hedged": "hedged",
    "Builtin": "builtin",
    "Espeak": "espeak",
    "Google": "google",
}
_AS_WRITTEN: Final = ("phrases", "interruption", "idle", "limits", "budget")


def reply_settings(spec: ReplySpec) -> dict[str, Any]:
    """Return the contents of `reply.json` without the revision; what the spec leaves out is left to the service."""
    document: dict[str, Any] = {
        "prompt": spec.prompt,
        "greeting": spec.greeting,
        "greetingInterruptible": spec.greeting_interruptible,
        "tools": [_tool(tool) for tool in spec.tools],
        "leadFields": {field.name: _lead_field(field) for field in spec.lead_fields},
        "transfers": sorted(spec.transfers.labels) if spec.transfers and spec.transfers.labels is not None else None,
        **{name: _given(getattr(spec, name)) for name in _AS_WRITTEN},
    }
    return {name: value for name, value in document.items() if value is not None}


def turn_numbers(spec: ReplySpec | None) -> dict[str, Any]:
    """Return the section `turns` of `tuning.json`; nothing where the spec has no threshold."""
    numbers = _given(spec.turns) if spec is not None else None
    return {"turns": numbers} if numbers else {}


def reply_environment(spec: ReplySpec | None) -> list[Manifest]:
    """Return the variables of the answerers, voices and secrets; none without `spec.reply`."""
    if spec is None:
        return []
    return [*_answerers(spec), *_voices(spec), *_secrets(spec)]


def reply_warnings(spec: Spec) -> tuple[str, ...]:
    """Return sentences about what of `spec.reply` has no effect."""
    if spec.reply is None or spec.reply.transfers is None or spec.twilio.rest_api is not None:
        return ()
    why = "`reply.transfers` needs Twilio's REST API, and `twilio.restApi` is absent"
    return (f"Callers cannot be transferred: {why}. Specify `twilio.restApi`, or remove `reply.transfers`.",)


def _answerers(spec: ReplySpec) -> list[Manifest]:
    variables = []
    if (answerer := spec.answerer) is not None:
        variables.append(plain("AGENT_REPLIES", True))
        variables += _default(
            "ANSWERER",
            answerer,
            FIRST=answerer.first,
            SECOND=answerer.second,
            AFTER_MS=answerer.hedge_after_milliseconds,
        )
    variables += _further("ANSWERER", [(each, _own(each)) for each in spec.answerers])
    if spec.speculative_attempts_per_minute is not None:
        variables.append(plain("SPECULATIVE_ATTEMPTS_PER_MINUTE", spec.speculative_attempts_per_minute))
    return variables


def _voices(spec: ReplySpec) -> list[Manifest]:
    default = _default("VOICE", spec.voice, NAME=spec.voice.voice_name) if spec.voice is not None else []
    return default + _further("VOICE", [(each, {"name": each.voice_name}) for each in spec.voices])


def _default(prefix: str, spec: AnsweringServer | SpeakingVoice, **own: str | int | None) -> list[Manifest]:
    """Return the single variables of an answerer or a voice; `own` are those that only its kind of part has."""
    then: dict[str, str | int | None] = {"THEN": spec.then, "THEN_AFTER_MS": spec.then_after_milliseconds}
    values: dict[str, str | int | None] = {"URL": spec.url, "MODEL": spec.model, **own, **then}
    variables = [plain(f"{prefix}_{name}", value) for name, value in values.items() if value is not None]
    key = [secret(f"{prefix}_API_KEY", spec.key_secret_ref)] if spec.key_secret_ref else []
    return [plain(prefix, _KINDS[spec.kind]), *variables, *key]


def _further(prefix: str, described: Sequence[tuple[NamedAnswerer | NamedVoice, dict[str, Any]]]) -> list[Manifest]:
    """Return the map of the further answerers or voices, and the variables with their keys."""
    if not described:
        return []
    entries = {each.name: _entry(prefix, each, own) for each, own in described}
    keys = [
        secret(named(f"{prefix}_KEY", each.name), each.key_secret_ref) for each, _ in described if each.key_secret_ref
    ]
    return [_map(f"{prefix}S", entries), *keys]


def _entry(prefix: str, spec: NamedAnswerer | NamedVoice, own: dict[str, Any]) -> dict[str, Any]:
    return _present(
        kind=_KINDS[spec.kind],
        url=spec.url,
        model=spec.model,
        keyEnv=named(f"{prefix}_KEY", spec.name) if spec.key_secret_ref else None,
        then=spec.then,
        thenAfterMs=spec.then_after_milliseconds,
        **own,
    )


def _secrets(spec: ReplySpec) -> list[Manifest]:
    variables = [secret("TRANSFER_ALLOWED", spec.transfers.numbers_secret_ref)] if spec.transfers else []
    for tool in spec.tools:
        if tool.token_secret_ref:
            variables.append(secret(named("TOOL_TOKEN", tool.name), tool.token_secret_ref))
        if tool.signing_secret_ref:
            variables.append(secret(named("TOOL_SECRET", tool.name), tool.signing_secret_ref))
    return variables


def _own(spec: NamedAnswerer) -> dict[str, Any]:
    """Return what an entry of ANSWERERS has and one of VOICES has not."""
    return {
        "first": spec.first,
        "second": spec.second,
        "afterMs": spec.hedge_after_milliseconds,
        "prompt": spec.prompt,
        "maxTokens": spec.max_tokens,
        "temperature": None if spec.temperature_percent is None else spec.temperature_percent / 100,
    }


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return _present(
        name=tool.name,
        description=tool.description or None,
        url=tool.url,
        parameters=tool.parameters,
        timeoutSeconds=tool.timeout_seconds,
        tokenEnv=named("TOOL_TOKEN", tool.name) if tool.token_secret_ref else None,
        secretEnv=named("TOOL_SECRET", tool.name) if tool.signing_secret_ref else None,
    )


def _lead_field(field: LeadField) -> str | dict[str, Any]:
    """Write a field as JSON Schema; its description alone stands for a text."""
    if field.json_schema is None:
        return field.description or field.name
    return {**({"description": field.description} if field.description else {}), **field.json_schema}


def _map(variable: str, entries: dict[str, Any]) -> Manifest:
    return plain(variable, json.dumps(entries, sort_keys=True, ensure_ascii=False))


def _given(part: ResourcePart | None) -> dict[str, Any] | None:
    return None if part is None else part.model_dump(mode="json", by_alias=True, exclude_none=True)


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
