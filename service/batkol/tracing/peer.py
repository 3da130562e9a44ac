"""The servers that replies are made with, as spans describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from batkol.telemetry import names
from batkol.telemetry.span_writer import Attributes


@dataclass(frozen=True, slots=True)
class Peer:
    """A server. Without a URL it is this process, and nothing is said about it."""

    url: str = ""
    model: str = ""
    provider: str = names.OPENAI
    """Empty for a bot of the user's own."""

    @property
    def attributes(self) -> Attributes:
        """Provider, model, host and port; nothing else of the URL, which may have secrets in it."""
        if not self.url:
            return {}
        parts = urlsplit(self.url)
        found: Attributes = {names.SERVER_ADDRESS: parts.hostname or ""}
        if self.provider:
            found[names.PROVIDER] = self.provider
        if parts.port is not None:
            found[names.SERVER_PORT] = parts.port
        if self.model:
            found[names.MODEL] = self.model
        return found


NOBODY: Final = Peer()
"""No server: what is made in this process."""
