"""Named maps in the settings: JSON, name to a description of what the name stands for, refused by name.

A description names others: its `then`, say. What it names must exist, and must not lead back to itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from batkol import strict_json
from batkol.environment import secret_in
from batkol.urls import check_api_base, check_http, masked

DEFAULT: Final = "default"
"""The name of what the single variables describe."""
MOST: Final = 20
"""Names of a map: each is a value of a metric's label."""

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Spec = TypeVar("Spec", bound=msgspec.Struct)


def read(value: object, kind: type[Spec], example: str, *, reserved: str = DEFAULT) -> Mapping[str, Spec]:
    """Return the map of a JSON text; what is no text stays. Raises `ValueError`, a sentence that quotes no value.

    `reserved` is the name of what the single variables describe; "" where there are none.
    """
    if not isinstance(value, str):
        return dict(value) if isinstance(value, Mapping) else {}
    if not value:
        return {}
    found = strict_json.of_variable(value, example)
    if not isinstance(found, dict):
        raise ValueError(f"must be a JSON object such as {example}")  # noqa: TRY004 - pydantic takes it
    if len(found) > MOST:
        raise ValueError(f"has {len(found)} names; it may have {MOST}, as each is a label of metrics")
    return {_name(name, reserved): _spec(name, spec, kind) for name, spec in found.items()}


def settings_of(name: str, key_env: str, variables: str) -> str:
    """Return the sentence that says where the settings of a server are; `variables` is `ANSWERER` or `VOICE`."""
    if name == DEFAULT:
        return f"Its settings are {variables}_URL, {variables}_MODEL and {variables}_API_KEY; restart after a change."
    key = f", its key {key_env}" if key_env else ""
    return f"Its settings are the entry `{name}` of {variables}S{key}; restart after a change."


def check_keys(name: str, key_env: str, environ: Mapping[str, str]) -> str:
    """Return the secret in the variable that a description names; "" if it names none. Raises `ValueError`."""
    if not key_env:
        return ""
    check_variable(name, "keyEnv", key_env, "key")
    try:
        return secret_in(key_env, environ)
    except ValueError as error:
        raise ValueError(f"{name}: keyEnv: {error}") from None


def check_variable(name: str, field: str, variable: str, secret: str) -> None:
    """Refuse what is no name of a variable, and so may be the secret itself. Raises `ValueError`, which quotes none."""
    if not _VARIABLE.fullmatch(variable):
        raise ValueError(
            f"{name}: {field} must be the name of an environment variable that has the {secret}, not the {secret}"
        )


def check_url(name: str, url: str, *, base: bool = False, key_field: str = "keyEnv") -> None:
    """Refuse what is no URL, or has a secret that the map would show; `base`: it ends before the request's path.

    `key_field` is the field that names the variable with the secret. Raises `ValueError`.
    """
    try:
        (check_api_base if base else check_http)(url)
    except ValueError as error:
        raise ValueError(f"{name}: url {error}") from None
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError(
            f"{name}: url has a user or a password; put the key into a variable, and name it in {key_field}"
        )


def check_names(named: Mapping[str, Iterable[tuple[str, str]]]) -> None:
    """Refuse names that there are not. `named`: the fields and names in each description. Raises `ValueError`."""
    for name, others in named.items():
        for field, other in others:
            if other not in named:
                known = ", ".join(sorted(named))
                raise ValueError(f"{name}: {field} names {other[:40]}, which there is not; the names are {known}")


def check_ends(then: Mapping[str, str]) -> None:
    """Refuse names behind names that lead back to where they begin; "" ends. Raises `ValueError`."""
    for name in then:
        path = [name]
        while behind := then[path[-1]]:
            path.append(behind)
            if path.count(behind) > 1:
                ring = " → ".join(path[path.index(behind) :])
                raise ValueError(f"{name}: then leads back to where it was ({ring}); remove one of these")


def shown(specs: Mapping[str, msgspec.Struct], texts: Callable[[str, str], str]) -> dict[str, Any]:
    """Return a map as it may be logged: URLs without queries. `texts` makes what is shown of a field and its text."""
    return {name: {key: _shown(key, value, texts) for key, value in _set(spec)} for name, spec in specs.items()}


def _shown(key: str, value: Any, texts: Callable[[str, str], str]) -> Any:
    return masked(texts(key, value)) if isinstance(value, str) else value


def _set(spec: msgspec.Struct) -> Iterable[tuple[str, Any]]:
    """The fields that are set, under their names in JSON."""
    config = spec.__struct_config__
    if config.tag_field:
        yield config.tag_field, config.tag
    defaults = {field.name: field.default for field in msgspec.structs.fields(spec)}
    for field in msgspec.structs.fields(spec):
        value = getattr(spec, field.name)
        if value != defaults[field.name] or field.name == "kind":
            yield field.encode_name, value


def _name(name: str, reserved: str) -> str:
    if name == reserved:
        raise ValueError(f"has the name {DEFAULT}, which is that of the single variables; choose another one")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"has the name {name[:40]!r}; a name has 1 to 32 of a–z, 0–9 and hyphen, as a label of metrics"
        )
    return name


def _spec(name: str, found: object, kind: type[Spec]) -> Spec:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {str(error).replace('$', name)}") from None
