"""The streaming recognizers in force: those of the tuning, made when a change of it names them."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from batkol.app.gauges import expose_streams
from batkol.live.config import Live, LiveChange
from batkol.live.recognizer_means import RecognizerMeans
from batkol.recognizers import names
from batkol.settings import Settings
from batkol.telemetry.metrics import Metrics
from batkol.transcription.health import Health
from batkol.transcription.recognizers import Recognizers
from batkol.transcription.streaming_step import StreamingStep

log = structlog.get_logger()


def recognizer_means(settings: Settings) -> RecognizerMeans:
    """Return which recognizers `tuning.json` may name in this process."""

    def why_not(name: str) -> str:
        try:
            names.check_name(name, settings.gcp_stt_language)
        except ValueError as error:
            return str(error)
        if name.startswith(f"{names.SONIOX}/") and not settings.soniox_api_key:
            return f"{name!r} needs SONIOX_API_KEY, which this process does not have; set it and restart the process"
        return ""

    return RecognizerMeans(
        first=settings.stt_recognizer,
        order=settings.stt_recognizers_order,
        otherwise=settings.otherwise,
        why_not=why_not,
    )


def follow_recognizers(
    live: Live, recognizers: Recognizers, make: Callable[[str], StreamingStep], health: Health, metrics: Metrics
) -> None:
    """Put the recognizers of the tuning in force whenever they change; calls in progress follow within a heartbeat."""

    def take_up(_: LiveChange | None = None) -> None:
        wanted = live.tuning.recognizers
        if wanted == tuple(step.name for step in recognizers.streaming):
            return
        made = recognizers.use(wanted, make)
        for step in made:
            health.add(step)
        expose_streams(metrics, [step.recognizer for step in made])
        log.info("[CFG] recognizers in force changed", recognizers=list(wanted))

    live.on_change(take_up)
    take_up()
