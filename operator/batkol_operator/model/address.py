"""Addresses of servers: a host, and a port from 1 to 65535, as the service's settings read them.

The rule stands at the field itself, because the API server quotes a `pattern` in its refusal, and this one is long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from batkol_operator.model.part import BROKEN, ResourceRule

_LABEL: Final = "[A-Za-z0-9_~%-]{1,63}"
_HOST: Final = rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])"
_PORT: Final = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
AUTHORITY: Final = f"{_HOST}(:{_PORT})?"
"""A host with or without a port, for the expression of a rule."""
_URL: Final = f"^[a-z]+://([^/?#@]+@)?{AUTHORITY}([/?#]|$)"
_ENDPOINT: Final = f"^({_HOST}:{_PORT})?$"
_ONLY_HOST: Final = f"^{_HOST}$"


@dataclass(frozen=True, slots=True)
class Obeying:
    """The mark of a text that obeys a rule, in an `Annotated`."""

    rule: ResourceRule

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Have the text checked after its other bounds."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Have the API server check the text, too."""
        return {**handler(core), "x-kubernetes-validations": [self.rule.to_schema()]}

    def _checked(self, text: str) -> str:
        if self.rule.holds(text):
            return text
        raise PydanticCustomError(BROKEN, "{text}", {"text": self.rule.message, "rules": [self.rule]})


def _matching(expression: str, message: str) -> Obeying:
    whole = re.compile(expression.replace("$", r"\Z"))  # Python's $ lets a line break follow, CEL's does not
    rule = ResourceRule(
        cel=f"self.matches(r'{expression}')",
        holds=lambda text: whole.search(text) is not None,
        message=message,
    )
    return Obeying(rule)


WITH_HOST: Final = _matching(_URL, "must have a host after `://`, and no port or one from 1 to 65535 behind it")
"""The mark of a URL; its scheme, and whether it may have a user, a query or a fragment, is for a pattern."""

HostPort = Annotated[
    str,
    StringConstraints(max_length=270),
    _matching(_ENDPOINT, "must be host:port, with a port from 1 to 65535 and without a scheme and a path"),
]
"""Empty: Google's own."""

Host = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    _matching(_ONLY_HOST, "must be a host name or an IP address (IPv6 in brackets), without a port"),
]


def plaintext_rule(message: str) -> ResourceRule:
    """Return the rule that only another `endpoint` than Google's may be `insecure`."""
    return ResourceRule(
        cel="!has(self.insecure) || !self.insecure || "
        "(has(self.endpoint) && size(self.endpoint) > 0 && !self.endpoint.contains('googleapis.com'))",
        holds=lambda part: not part.insecure or (part.endpoint != "" and "googleapis.com" not in part.endpoint),
        message=message,
        field=".insecure",
    )
