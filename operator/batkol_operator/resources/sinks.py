"""`spec.sinks`, as the environment variables that pods read at start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from batkol_operator.kube.names import Manifest
from batkol_operator.model.sinks import SinkSpec
from batkol_operator.resources.variables import named, plain, secret

_KINDS: Final = {"Webhook": "webhook", "NATS": "nats"}


def sink_environment(sinks: Sequence[SinkSpec]) -> list[Manifest]:
    """Return the map of the sinks, and the variables with their secrets, which the map names; nothing for none."""
    if not sinks:
        return []
    entries = {each.name: _entry(each) for each in sinks}
    secrets = [secret(variable, ref) for each in sinks for variable, ref in _secrets(each).values()]
    return [plain("SINKS", json.dumps(entries, sort_keys=True)), *secrets]


def _entry(sink: SinkSpec) -> dict[str, Any]:
    fields = {
        "kind": _KINDS[sink.kind],
        "url": sink.url,
        "events": sink.events,
        "texts": sink.texts,
        "numbers": sink.numbers,
        "subject": sink.subject,
        "createStream": sink.create_stream,
        "partials": sink.partials,
    }
    variables = {field: variable for field, (variable, _) in _secrets(sink).items()}
    return {name: value for name, value in fields.items() if value is not None} | variables


def _secrets(sink: SinkSpec) -> dict[str, tuple[str, Any]]:
    """Return the variables with its secrets and where these come from, by the fields of `SINKS` that name them."""
    found = {
        "secretEnv": ("SINK_SECRET", sink.signing_secret_ref),
        "credentialsEnv": ("SINK_CREDENTIALS", sink.credentials_secret_ref),
    }
    return {field: (named(prefix, sink.name), ref) for field, (prefix, ref) in found.items() if ref is not None}
