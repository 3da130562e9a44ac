"""The streaming recognizers in force: those of the tuning, made when a change of it names them."""

from __future__ import annotations

import structlog

from batkol.app.gauges import expose_streams
from batkol.app.recognizers import streaming_step
from batkol.app.service import Service
from batkol.live.config import LiveChange
from batkol.live.recognizer_means import RecognizerMeans
from batkol.recognizers import names
from batkol.settings import Settings
from batkol.transcription.streaming_step import StreamingStep

log = structlog.get_logger()


def recognizer_means(settings: Settings) -> RecognizerMeans:
    """Return which recognizers `tuning.json` may name in this process."""

    def why_not(name: str) -> str:
        try:
            names.check_name(name, language=settings.gcp_stt_language, soniox_models=settings.soniox_models)
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


def follow_recognizers(service: Service) -> None:
    """Put the recognizers of the tuning in force whenever they change; calls in progress follow within a heartbeat."""

    def make(name: str) -> StreamingStep:
        return streaming_step(name, service.settings, service.google)

    def take_up(_: LiveChange | None = None) -> None:
        wanted = service.live.tuning.recognizers
        if wanted == tuple(step.name for step in service.recognizers.streaming):
            return
        made = service.recognizers.use(wanted, make)
        for step in made:
            service.health.add(step)
        expose_streams(service.metrics, [step.recognizer for step in made])
        log.info("[CFG] recognizers in force changed", recognizers=list(wanted))

    service.live.on_change(take_up)
    take_up()
