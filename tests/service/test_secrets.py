"""What a running service prints and answers has nothing of the secrets in its URLs."""

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.network.ports import free_port
from support.process.commands import ran
from support.service.process import serving
from support.service.stack import PUBLIC
from support.time.waiting import until

PASSWORD = "Zq7/Xw3#Kp9"
PIECES = ("Zq7", "Xw3", "Kp9", "%2FXw", "%23Kp")
ESCAPED = "Zq7%2FXw3%23Kp9"


async def test_no_piece_of_a_secret_is_in_the_log_the_status_or_the_metrics(tmp_path: Path) -> None:
    """The database, Whisper and the collector are all away, so that what goes wrong is told of."""
    away = f"127.0.0.1:{free_port()}"
    environment: dict[str, Any] = {
        "STORE": "postgres",
        "DATABASE_URL": f"postgres://batkol:{ESCAPED}@{away}/calls?application_name=Zq7&sslmode=require&channel_binding=require",
        "WHISPER_URL": f"http://user:{ESCAPED}@{away}/",
        "OVERFLOW_URL": f"https://user:{ESCAPED}@overflow.example/twiml?token=Zq7",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{ESCAPED}@{away}",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Zq7",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "JOURNAL_DIR": str(tmp_path / "journal"),
        "JOURNAL_MEMORY_DIR": str(tmp_path),
        "STT_CHECK_AT_START": "false",
        "LOG_LEVEL": "DEBUG",
    }
    async with serving(tmp_path, free_port(), subscribe=False, **environment) as served:
        async with httpx.AsyncClient(base_url=served.internal) as client:
            answers = [await client.get(path) for path in ("/v1/status", "/readyz", "/livez", "/metrics")]
            await until(lambda: served.said("[STORE] database not reachable yet"))
        served.tell(signal.SIGTERM)
        await served.exited()
        said = served.log.read_text() + "".join(answer.text for answer in answers)

    assert len(served.said("[STORE] DATABASE_URL sets channel_binding=require")) == 1
    assert f"{away}/calls (TLS: require)" in said
    assert "https://***@overflow.example/twiml?***" in said
    assert f"http://***@{away}/" in said
    assert [piece for piece in PIECES if piece in said] == []


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (("serve",), "DATABASE_URL"),
        (("serve",), "WHISPER_URL"),
        (("serve",), "OVERFLOW_URL"),
        (("migrate",), "DATABASE_URL"),
        (("erase", "+972500000000"), "DATABASE_URL"),
    ],
)
async def test_a_bare_password_ends_a_command_with_a_sentence_that_has_nothing_of_it(
    command: tuple[str, ...], variable: str
) -> None:
    scheme = "postgresql" if variable == "DATABASE_URL" else "http"
    environment = {
        "TWILIO_AUTH_TOKEN": "t",
        "PUBLIC_BASE_URL": PUBLIC,
        "STORE": "none",
        variable: f"{scheme}://user:{PASSWORD}@host.example/calls",
    }
    done = await ran("from batkol.main import app; app()", *command, **environment)
    printed = done.stdout + done.stderr

    assert done.returncode == 2
    assert "ercent-encode" in printed
    assert variable in printed
    assert "Traceback" not in printed
    assert [piece for piece in PIECES if piece in printed] == []
