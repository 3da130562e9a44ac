"""`host:port` instead of Google's, for a regional endpoint or a double: of recognition and of voices."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from batkol_operator.model.part import ResourceRule

HostPort = Annotated[str, StringConstraints(max_length=270, pattern=r"^([^\s/:]+:[0-9]{1,5})?$")]
"""Empty: Google's own."""


def plaintext_rule(message: str) -> ResourceRule:
    """Return the rule that only another `endpoint` than Google's may be `insecure`."""
    return ResourceRule(
        cel="!has(self.insecure) || !self.insecure || "
        "(has(self.endpoint) && size(self.endpoint) > 0 && !self.endpoint.contains('googleapis.com'))",
        holds=lambda part: not part.insecure or (part.endpoint != "" and "googleapis.com" not in part.endpoint),
        message=message,
        field=".insecure",
    )
