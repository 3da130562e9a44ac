from pathlib import Path
from typing import Any

import structlog

from batkol.calls.reporter import Reporter
from batkol.events.bus import Bus
from batkol.events.events import FinalText, TentativeText, TentativeWithdrawn, UtteranceEnded
from batkol.events.identity import REHEARSAL
from batkol.events.recorder import NoRecorder
from batkol.events.ring import KeptEvent
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.framing import frames
from batkol.store.journal.recorder import JournalRecorder
from batkol.store.journal.records import (
    AnyRecord,
    CallOver,
    CallStatus,
    FinalRecord,
    OfStream,
    RevisionRecord,
    decode,
    status_record,
)
from batkol.telemetry.metrics import Metrics
from batkol.transcription.events import FinalReady, RevisionReady
from batkol.twilio.call_status import FinalStatus
from support.postgres.records import (
    AT,
    CALLED,
    CALLER,
    ended_event,
    final_event,
    identity,
    revised_event,
    sid,
    started_event,
)
from support.time.waiting import until


async def all_kept(journal: Journal) -> list[AnyRecord]:
    await until(lambda: journal.written == journal.last)
    return [decode(frame.payload) for frame in await journal.read(100)]


async def kept_of(journal: Journal) -> list[OfStream]:
    return [record for record in await all_kept(journal) if not isinstance(record, CallStatus)]


async def test_a_status_callback_is_in_the_journal_when_it_is_answered(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20, memory=memory)
    await journal.open()
    told = FinalStatus(call_sid=sid(), account_sid="AC1", status="completed", ended_at=AT, duration_s=3)
    JournalRecorder(journal, "pod-7", Confirmed(tmp_path)).keep_status(told, AT + 1)
    (left,) = [frame for path in memory.rglob("newest") for frame in frames(path.read_bytes())]

    assert decode(left.payload) == status_record(told, AT + 1), "before anything else of the process has run"
    assert await all_kept(journal) == [status_record(told, AT + 1)]
    await journal.close()


async def test_a_call_is_kept_with_who_it_was_and_when_its_stream_began(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20)
    await journal.open()
    recorder = JournalRecorder(journal, "pod-7", Confirmed(tmp_path))
    for event in (started_event(), final_event(0), revised_event(0), ended_event()):
        recorder.keep(identity(), event, "cd" * 16 if isinstance(event, FinalText) else None)
    records = await kept_of(journal)

    assert [type(record).__name__ for record in records] == ["CallBegan", "FinalRecord", "RevisionRecord", "CallOver"]
    for record in records:
        who = record.who
        assert (who.call_sid, who.caller, who.called, who.pod) == (sid(), CALLER, CALLED, "pod-7")
        assert who.started_at == AT
    assert isinstance(records[1], FinalRecord)
    assert records[1].trace_id == "cd" * 16
    assert recorder._live == {}
    await journal.close()


async def test_of_what_holds_for_a_moment_nothing_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20)
    await journal.open()
    recorder = JournalRecorder(journal, "pod", Confirmed(tmp_path))
    header: Any = {"call_sid": sid(), "at": AT, "utterance_id": f"{sid()}-0", "index": 0}
    recorder.keep(identity(), TentativeText(**header, seq=1, number=1, text="שלום", end_ms=900))
    recorder.keep(identity(), TentativeWithdrawn(**header, seq=2, number=1, reason="text"))
    recorder.keep(identity(), UtteranceEnded(**header, seq=3, end_ms=1000))
    recorder.keep(identity(), final_event(0, confirms=1))
    (record,) = await kept_of(journal)

    assert isinstance(record, FinalRecord)
    await journal.close()


async def test_of_a_rehearsal_nothing_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20)
    await journal.open()
    recorder = JournalRecorder(journal, "pod", Confirmed(tmp_path))
    for event in (started_event(), final_event(0), revised_event(0), ended_event()):
        recorder.keep(identity(direction=REHEARSAL), event)
    recorder.keep(identity(), final_event(1))

    assert [type(record).__name__ for record in await kept_of(journal)] == ["FinalRecord"]
    assert recorder._live == {}
    await journal.close()


async def test_names_that_are_too_long_or_odd_are_made_to_fit(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20)
    await journal.open()
    recorder = JournalRecorder(journal, "pod", Confirmed(tmp_path))
    recorder.keep(identity(agent="x" * 1000, from_="a\x00b", to="\ud800"), started_event())
    (record,) = await kept_of(journal)

    assert (len(record.who.agent), record.who.caller, record.who.called) == (480, "a\ufffdb", "?")
    await journal.close()


async def test_when_a_subscriber_hears_a_final_it_is_already_safe(tmp_path: Path) -> None:
    """In the same step of the event loop, before the journal's thread or anybody else has run."""
    memory = tmp_path / "memory"
    memory.mkdir()
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20, memory=memory)
    await journal.open()
    metrics, bus = Metrics(), Bus()
    reporter = Reporter(
        identity(),
        bus=bus,
        metrics=metrics,
        log=structlog.get_logger(),
        since=lambda _: 0.1,
        log_transcripts=False,
        recorder=JournalRecorder(journal, "pod", Confirmed(tmp_path)),
    )
    safe: list[AnyRecord] = []
    subscription = bus.subscribe()
    offer = subscription.offer

    def look(kept: KeptEvent) -> None:
        left = [frame for path in memory.rglob("newest") for frame in frames(path.read_bytes())]
        safe.append(decode(left[-1].payload))
        offer(kept)

    subscription.offer = look  # type: ignore[method-assign]
    spoken = Utterance(
        index=0, begin=0, speech_at=0, mode=Mode.STREAMING, end=8000, state=UtteranceState.DONE, source=Source.FINAL
    )
    reporter.observe(FinalReady(spoken, "שלום"))
    reporter.observe(RevisionReady(spoken, "שלום לך"))
    reporter.call_ended(reason="stop", duration_s=1.0, gap_ms=0, close_code=1000)

    assert [type(record) for record in safe] == [FinalRecord, RevisionRecord, CallOver]
    assert isinstance(safe[0], FinalRecord)
    assert safe[0].text == "שלום"
    metrics.close()
    await journal.close()


async def test_nobody_keeps_nothing() -> None:
    nobody = NoRecorder()
    nobody.keep(identity(), started_event())

    assert vars(nobody) == {}
