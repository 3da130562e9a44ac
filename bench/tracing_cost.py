"""Cost of tracing and metrics alone, of many calls at their pace, with a collector on the other core.

  bench/tracing_cost.py                       50 calls for 15 s, watched and not, each in a process of its own
  bench/tracing_cost.py --encoder library     the same with the SDK's encoder of spans, not the service's (ADR 0020)

The calls do nothing but tell their traces what happens, and the service's instruments: the same utterances, partials
and evaluations as in the load of `bench/run.py`, at the same times, through the real exporter. What the process takes
beyond one whose calls are not watched is the cost, the exporter's thread and gRPC's included. Whole services, traced
and not, stand beside each other in `bench/run.py`; their difference is smaller than what one run differs from the next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan

from batkol.events.identity import Identity
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision
from batkol.live.tuning import Tuning
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.supervision.garbage import freeze_startup_objects
from batkol.telemetry import encoding
from batkol.telemetry.metrics import Metrics
from batkol.tracing.call import CallTrace
from batkol.tracing.tracing import Tracing, TracingSettings
from batkol.transcription.events import FinalReady, PartialReady, SpeechStopped, UtteranceOpened
from parties import SERVER_CORE, Sink

PERIOD_S: Final = 3.4
"""From one utterance to the next."""
SPEECH_S: Final = 2.3
PARTIAL_S: Final = 0.2
WORDS: Final = "אני רוצה לקבוע תור לרופא ביום ראשון"
GOOGLE: Final = "google-v1/default"
_DECISION: Final = Decision(enabled=True, variant="on", reason="STATIC", source=DecisionSource.FLAG)


@dataclass(frozen=True, slots=True)
class Watched:
    """The observers of an utterance: its call's trace, and the service's instruments where there are any."""

    trace: CallTrace
    metrics: Metrics | None

    def began(self, spoken: Utterance) -> None:
        self.trace.decided(_DECISION)
        self.trace.observe(UtteranceOpened(spoken, _DECISION))
        if self.metrics:
            self.metrics.count(flag="streaming-stt", variant="on", reason="STATIC")

    def partial(self, spoken: Utterance, number: int) -> None:
        self.trace.observe(PartialReady(spoken, WORDS[: 3 * number + 3], 0.9))
        if self.metrics:
            self.metrics.partials.add(1, {"recognizer": GOOGLE})
            self.metrics.partial_interval.record(PARTIAL_S, None, (GOOGLE,))
            self.metrics.audio_written(0.002, GOOGLE)  # a batch goes out about as often
            if not number:
                self.metrics.first_partial.record(0.25, self.trace.span_of(spoken), (GOOGLE,))

    def ended(self, spoken: Utterance) -> None:
        self.trace.observe(SpeechStopped(spoken))
        self.trace.observe(FinalReady(spoken, WORDS))
        if self.metrics:
            self.metrics.finals.add(1, {"source": Source.INTERIM, "recognizer": GOOGLE})
            self.metrics.final.record(0.78, self.trace.span_of(spoken), (GOOGLE,))


async def one_call(tracing: Tracing, metrics: Metrics | None, number: int, seconds: float) -> None:
    """Tell of a call what happens in it, as it happens."""
    loop = asyncio.get_running_loop()
    sid = f"CA{number:032x}"
    identity = Identity(call_sid=sid, stream_sid=f"MZ{number:032x}", account_sid="AC0", agent="bench")
    tuning, begun = Tuning(), loop.time()

    def since(sample: int) -> float:
        return loop.time() - begun - sample / 8000

    trace = tracing.call(identity, since=since, tuning=lambda: tuning, model=lambda: "default")
    await asyncio.sleep(PERIOD_S * (number % 17) / 17)
    index = 0
    while loop.time() - begun < seconds:
        await _utterance(Watched(trace, metrics), index, round(8000 * (loop.time() - begun)))
        index += 1
        await asyncio.sleep(PERIOD_S - SPEECH_S)
    trace.close(reason="hangup", close_code=1000, gap_ms=0)


async def _utterance(watched: Watched, index: int, at: int) -> None:
    spoken = Utterance(index=index, begin=at, speech_at=at, mode=Mode.STREAMING)
    watched.began(spoken)
    for number in range(round(SPEECH_S / PARTIAL_S)):
        await asyncio.sleep(PARTIAL_S)
        spoken.interim_end = at + round(8000 * PARTIAL_S * (number + 1))
        watched.partial(spoken, number)
    spoken.end = spoken.interim_end
    spoken.source = Source.INTERIM
    watched.ended(spoken)


async def loaded(calls: int, seconds: float) -> dict[str, Any]:
    """Watch that many calls, or not, as the environment says; return the CPU it took, in seconds."""
    tracing = Tracing.start(TracingSettings(google="speech.googleapis.com:443"))
    metrics = Metrics() if tracing.enabled else None
    freeze_startup_objects()  # as `batkol serve` does
    before = time.process_time()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            group.create_task(one_call(tracing, metrics, number, seconds))
    took = time.process_time() - before
    dropped = tracing.dropped
    await tracing.close()
    return {"cpu_s": took, "dropped": dropped, "enabled": tracing.enabled}


def measured(calls: int, seconds: float, endpoint: str | None, encoder: str) -> dict[str, Any]:
    """Run `loaded` in a process of its own, on the server's core."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    if endpoint:
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRICS_EXPORTER": "none"}
    command = [sys.executable, __file__, "--inside", "--calls", str(calls), "--seconds", str(seconds)]
    command += ["--encoder", encoder]
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    finally:
        os.sched_setaffinity(0, mine)
    told: dict[str, Any] = json.loads(done.stdout)
    if told["enabled"] is not bool(endpoint) or told["dropped"]:
        raise SystemExit(f"the run is worth nothing: {told}")
    return told


async def difference(calls: int, seconds: float, rounds: int, encoder: str = "ours") -> float:
    """Return what tracing and metrics cost, in ms of CPU per call-second: the median of `rounds`."""
    found: list[float] = []
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as folder:
        async with Sink(Path(folder)) as sink:
            for _ in range(rounds):
                off = await asyncio.to_thread(measured, calls, seconds, None, encoder)
                on = await asyncio.to_thread(measured, calls, seconds, sink.endpoint, encoder)
                found.append(1000 * (on["cpu_s"] - off["cpu_s"]) / calls / seconds)
    return statistics.median(found)


def by_the_library(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """Encode spans with the SDK's encoder, in the place of the service's own."""
    return encode_spans(spans)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encoder", choices=("ours", "library"), default="ours")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        if given.encoder == "library":
            encoding.encoded = by_the_library
        print(json.dumps(uvloop.run(loaded(given.calls, given.seconds))))
        return
    cost = asyncio.run(difference(given.calls, given.seconds, given.rounds, given.encoder))
    print(f"tracing and metrics alone, sampled at 100 %: {cost:.3f} ms CPU per call-second at {given.calls} calls")


if __name__ == "__main__":
    main()
