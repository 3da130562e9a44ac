"""The double of one recognizer, and the service that is heard by it: processes of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from cases import Case
from parties import Party, Server, free_port

SONIOX: Final = "soniox/stt-rt-v5"
GOOGLE: Final = "google-v1/default"


class ByEar(Party):
    """One recognizer's double, as a command of its own."""

    def __init__(self, recognizer: str, folder: Path) -> None:
        super().__init__("double", folder)
        self._recognizer = recognizer
        self._port = free_port()
        self._control_port = free_port()

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables by which a service finds it."""
        if self._recognizer == GOOGLE:
            return {"GCP_STT_ENDPOINT": f"127.0.0.1:{self._port}", "GCP_STT_INSECURE": "true"}
        url = f"ws://127.0.0.1:{self._port}/transcribe-websocket"
        return {"SONIOX_URL": url, "SONIOX_API_KEY": "any", "SONIOX_MAX_STREAMS": "0"}

    async def start(self) -> None:
        name = "speech-double" if self._recognizer == GOOGLE else "soniox-double"
        ports = ("--port", str(self._port), "--control-port", str(self._control_port))
        command = [sys.executable, "-m", "batkol", name, *ports]
        if self._recognizer != GOOGLE:
            command += ["--set", "sessions=1000", "--set", "requests_per_minute=100000", "--set", "record=true"]
        self.spawn(command, dict(os.environ))
        await self.listening(self._port)

    async def stats(self) -> dict[str, Any]:
        """Return what the double wrote down."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            told: dict[str, Any] = (await http.get(f"http://127.0.0.1:{self._control_port}/stats")).json()
            return told


class Hearing(Server):
    """The service with one recognizer, and Google's single requests behind it."""

    def __init__(self, case: Case, folder: Path, recognizer: str, settings: Mapping[str, str]) -> None:
        super().__init__(case, "", folder)
        self._recognizer = recognizer
        self._found = settings

    def _settings(self) -> dict[str, str]:
        return {**super()._settings(), **self._found, "STT_RECOGNIZER": self._recognizer}
