"""The event feed at the worst moments: what a reader knows is the truth, whatever is cut, restarted or forgotten.

Real calls, registry, bus, ring and routes; connections in memory that are cut at any byte, also within an event; rings
so small that they forget. A script of steps is drawn, each with a number that says which call, how many bytes, and so
on; between two steps the loop has a few turns, so that they fall into the midst of what the service does.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.calls.call import Call
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.conversation import events as turns
from batkol.events.bus import Bus, Subscription
from batkol.events.cursor import Cursor
from batkol.events.events import AnyEvent, CallEnded, FinalText, PartialText, TentativeText
from batkol.events.filter import EVENT_TYPES
from batkol.events.ring import EventRing, KeptEvent, RingLimits
from batkol.speech.tentative import Tentative, WithdrawalReason, Withdrawn
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.transcription.events import FinalReady, PartialReady, RevisionReady, SpeechStopped, UtteranceOpened
from batkol.vad.scheduler import VadScheduler
from batkol.web.event_stream import EventStreamTimings
from support.http.feed_reader import FeedReader, Known, apply, nothing
from support.http.internal_api import NO_TOKEN, with_routes
from support.properties import few_by_day
from support.time.virtual import in_virtual_time, virtual_clock, virtual_loop
from support.twilio.calls import new_call, services, sid
from support.vad.inline_jobs import InlineJobs
from support.vad.level_engine import LevelEngine

pytestmark = pytest.mark.timeout(1200)  # of the nightly examples

TIMINGS = EventStreamTimings(keepalive_s=1.0)

Script = list[tuple[str, int]]


@dataclass
class Line:
    """A call, and what its next events may be."""

    call: Call
    utterances: list[Utterance] = field(default_factory=list)
    standing: int = 0  # the number of the tentative
    tentatives: int = 0
    replies: int = 0
    reply_open: bool = False
    sentences: int = 0

    @property
    def open(self) -> Utterance | None:
        return self.utterances[-1] if self.utterances and self.utterances[-1].source is None else None


class Pod:
    """One process: its calls, its bus, its API, and everything that it ever published."""

    def __init__(self, shared: Services, limits: RingLimits) -> None:
        self.bus = Bus(EventRing(limits, clock=virtual_loop().time))
        self.services = replace(shared, bus=self.bus)
        self.calls = CallRegistry(limit=3, clock=virtual_clock())
        self.lines: list[Line] = []
        self.ended: list[Line] = []  # their sockets close
        self.tap: Subscription = self.bus.subscribe(capacity=100_000)
        self.published: list[KeptEvent] = []
        self.app = with_routes(self.calls, self.bus, NO_TOKEN, TIMINGS)

    def note(self) -> None:
        self.published += self.tap.take()

    def truth(self) -> dict[str, Known]:
        """What is so of the streams that are not over, by all events."""
        known = {line.call.identity.stream_sid: nothing() for line in self.lines if line.call.reporter.seq}
        for kept in self.published:
            if (stream := known.get(kept.event.stream_sid)) is not None:
                apply(stream, _as_json(kept))
        return known

    def silent(self) -> set[str]:
        """Return the streams without an event so far: some readers know them, from a snapshot."""
        return {line.call.identity.stream_sid for line in self.lines if not line.call.reporter.seq}

    def close(self) -> None:
        self.bus.close()
        for call in self.calls:
            call.discard()
            self.calls.release(call)


def _as_json(kept: KeptEvent) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(kept.json)
    return decoded


class Scene:
    """Publishes at a call what may come next at it."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.first_sid = sid()
        self.of_four = 2
        """So many of four new streams are the first call's."""
        self._streams = 0

    def begin(self, number: int) -> None:
        """A new call, or a new stream of one."""
        pod = self.pod
        self._streams += 1
        of = self.first_sid if number % 4 < self.of_four else None
        call = new_call(pod.services, of, f"MZ{self._streams:02x}{id(pod):030x}"[:34])
        if not pod.calls.admit(call):
            call.discard()
            return
        pod.lines.append(Line(call))
        if number % 3:
            call.reporter.call_started(streaming=True)

    def end(self, number: int) -> None:
        """A stream's last event; its socket closes later."""
        if self.pod.lines:
            line = self.pod.lines.pop(number % len(self.pod.lines))
            line.call.reporter.call_ended(reason="drained", duration_s=1.0, gap_ms=0, close_code=1000)
            self.pod.ended.append(line)

    def is_live(self, call_sid: str) -> bool:
        return any(line.call.identity.call_sid == call_sid for line in self.pod.lines)

    def release(self, number: int) -> None:
        if self.pod.ended:
            call = self.pod.ended.pop(number % len(self.pod.ended)).call
            call.discard()
            self.pod.calls.release(call)

    def speak(self, number: int) -> None:
        """The next event of an utterance or of a reply."""
        if not self.pod.lines:
            return
        line = self.pod.lines[number % len(self.pod.lines)]
        kinds: tuple[Callable[[Line, str], None], ...] = (
            self._partial, self._partial, self._tentative, self._withdraw, self._final, self._revise, self._reply,
            self._key,
        )  # fmt: skip
        kinds[number // 3 % len(kinds)](line, f"טקסט {number}")

    def _opened(self, line: Line) -> Utterance:
        if line.open is None:
            line.utterances.append(Utterance(len(line.utterances), 0, 0, Mode.STREAMING))
            line.standing = line.tentatives = 0
            line.call.reporter.observe(UtteranceOpened(line.utterances[-1], None))
        return line.utterances[-1]

    def _partial(self, line: Line, text: str) -> None:
        line.call.reporter.observe(PartialReady(self._opened(line), text, 0.5))

    def _tentative(self, line: Line, text: str) -> None:
        said = self._opened(line)
        if not line.standing:
            line.tentatives += 1
            line.standing = line.tentatives
            line.call.reporter.observe(Tentative(said, line.standing, text, 800))

    def _withdraw(self, line: Line, text: str) -> None:
        if line.open is not None and line.standing:
            line.call.reporter.observe(Withdrawn(line.open, line.standing, WithdrawalReason.SPEECH))
            line.standing = 0

    def _final(self, line: Line, text: str) -> None:
        said = self._opened(line)
        said.end = 8 * len(text)
        line.call.reporter.observe(SpeechStopped(said))
        said.source = Source.FINAL
        line.call.reporter.observe(FinalReady(said, text, line.standing or None))
        line.standing = 0

    def _revise(self, line: Line, text: str) -> None:
        if line.utterances and line.open is None:
            line.call.reporter.observe(RevisionReady(line.utterances[-1], text))

    def _reply(self, line: Line, text: str) -> None:
        observe, reply_id = line.call.reporter.replies.observe, f"r{line.replies}"
        if not line.reply_open:
            line.replies, line.reply_open, line.sentences = line.replies + 1, True, 0
            observe(turns.FirstSoundWritten(f"r{line.replies}", line.replies, 0, None, None))
        elif line.sentences < 2:
            observe(turns.SentenceBegan(reply_id, line.replies, line.sentences, text, 0))
            line.sentences += 1
        elif line.sentences == 2:
            observe(turns.ReplyCut(reply_id, line.replies, text))
            line.sentences += 1
        elif line.sentences == 3 and len(text) % 2:
            observe(turns.ReplyContinued(reply_id, line.replies, 0))
            line.sentences += 1
        else:
            observe(turns.ReplySettled(reply_id, line.replies, text, text[:3], interrupted=line.sentences == 3))
            line.reply_open = False

    def _key(self, line: Line, text: str) -> None:
        line.call.reporter.key_pressed(text[-1])


@dataclass
class Play:
    """The pods, one after another, and the reader of the one that lives. `{sid}` of its path is the first call's."""

    shared: Services
    limits: RingLimits
    path: str
    looks: bool
    pods: list[Pod] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pods.append(Pod(self.shared, self.limits))
        self.scene = Scene(self.pods[-1])
        self.reader = FeedReader(self.pods[-1].app, self.path.format(sid=self.scene.first_sid), self.looks)

    async def restart(self, number: int) -> None:
        """The process ends, and another one begins: now and then."""
        if number % 4:
            return
        await self.reader.drop()
        self.pods[-1].close()
        self.pods.append(Pod(self.shared, self.limits))
        self.scene = Scene(self.pods[-1])
        self.reader.app = self.pods[-1].app

    async def step(self, name: str, number: int) -> None:
        """Do one step, and let the loop have a few turns."""
        reader = self.reader
        plain: dict[str, Callable[[int], None]] = {
            "begin": self.scene.begin,
            "end": self.scene.end,
            "release": self.scene.release,
            "speak": self.scene.speak,
            "connect": lambda number: reader.connect(number // 9 % 12),
        }
        waits: dict[str, Callable[[int], Awaitable[None]]] = {
            "speak on": self._speak_on,
            "drop": lambda _: reader.drop(),
            "look": lambda _: self.look(reader),
            "read": lambda number: reader.read(number * 7 % 900),
            "wait": lambda number: asyncio.sleep(number % 5 * 0.4),
            "restart": self.restart,
        }
        if name in plain:
            plain[name](number)
        else:
            await waits[name](number)
        self.pods[-1].note()
        for _ in range(number % 9):
            await asyncio.sleep(0)

    async def _speak_on(self, number: int) -> None:
        for more in range(number % 12):
            self.scene.speak(number + 5 * more)

    async def look(self, reader: FeedReader) -> None:
        """Have a reader look at a call. Nothing happens meanwhile: the snapshot has the number of the newest event."""
        pod = self.pods[-1]
        pod.note()
        looked = await reader.look()
        if looked is not None:
            assert reader.seqs[looked] == sum(kept.event.stream_sid == looked for kept in pod.published)

    async def fresh(self) -> FeedReader:
        """Return a reader that knows the calls by their snapshots alone."""
        reader = FeedReader(self.pods[-1].app)
        await reader.list_calls()
        while reader.unlooked:
            await self.look(reader)
        return reader

    async def settle(self) -> None:
        """Let the reader read to the end of what there is."""
        reader, quiet = self.reader, 0
        while quiet < 3:
            reader.connect()
            await asyncio.sleep(1.1)  # a comment comes, with the place
            before = len(reader.events) + len(reader.gaps)
            while reader.connection is not None and (reader.connection.unread or reader.connection.is_over):
                await reader.read(1 << 20)
                await asyncio.sleep(0.01)
            while reader.unlooked:
                await self.look(reader)
            quiet = quiet + 1 if before == len(reader.events) + len(reader.gaps) else 0


@asynccontextmanager
async def played(script: Script, limits: RingLimits, path: str = "/v1/events", *, looks: bool) -> AsyncIterator[Play]:
    vad = VadScheduler(LevelEngine(), thread=InlineJobs())
    async with services(vad=vad) as shared:
        play = Play(shared, limits, path, looks)
        play.scene.of_four = 2 if path.startswith("/v1/events") else 4
        play.scene.begin(2)
        await play.reader.list_calls()
        for name, number in script:
            await play.step(name, number)
        if len(script) % 2:  # away for so long that what newer events replaced is gone
            await play.reader.drop()
            await asyncio.sleep(2.5)
        await play.settle()
        yield play
        await play.reader.drop()
        play.pods[-1].close()


STEPS = (
    "begin", "begin", "end", "end", "release", "speak", "speak on", "speak on", "speak on", "connect", "connect",
    "drop", "look", "read", "read", "read", "wait", "restart",
)  # fmt: skip


def scripts(*left_out: str) -> st.SearchStrategy[Script]:
    names = [name for name in STEPS if name not in left_out]
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 1000)), min_size=20, max_size=80)


LIMITS = st.builds(
    RingLimits,
    events=st.sampled_from([2, 5, 20, 1000]),
    bytes_=st.sampled_from([1_500, 20_000, 1 << 20]),
    replaced_s=st.sampled_from([0.3, 2.0]),
    kept_s=st.sampled_from([1.5, 900.0]),
)
ALL = frozenset(AnyEvent.__args__)
PASSING = frozenset({PartialText, TentativeText})
FILTERS = st.sampled_from([("final", {FinalText}), ("final,call.ended", {FinalText, CallEnded}), ("", ALL)])


@few_by_day(12)
@given(scripts(), LIMITS)
def test_what_a_reader_knows_is_the_truth(script: Script, limits: RingLimits) -> None:
    async def scene() -> None:
        async with played(script, limits, looks=True) as play:
            check_order(play)
            assert len(set(play.reader.applied)) == len(play.reader.applied), "a change was seen twice"
            pod = play.pods[-1]
            for known in (play.reader.known, (await play.fresh()).known):
                assert {sid: known[sid] for sid in known.keys() - pod.silent()} == pod.truth()
            check_nothing_is_missing(play, play.pods[-1].published, ALL)

    in_virtual_time(scene())


@few_by_day(8)
@given(scripts(), LIMITS, FILTERS)
def test_a_filtered_reader_gets_all_that_it_asked_for(
    script: Script, limits: RingLimits, asked: tuple[str, AbstractSet[type]]
) -> None:
    async def scene() -> None:
        names, types = asked
        async with played(script, limits, f"/v1/events?type={names}" if names else "/v1/events", looks=False) as play:
            check_order(play)
            assert {EVENT_TYPES[event.type] for event in play.reader.events} <= types
            check_nothing_is_missing(play, play.pods[-1].published, types)
            assert play.reader.source.last_event_id == str(play.pods[-1].bus.ring.cursor)

    in_virtual_time(scene())


@few_by_day(12)
@given(scripts("restart"), LIMITS, FILTERS)
def test_a_reader_of_one_call_gets_all_of_its_streams_to_the_last_event(
    script: Script, limits: RingLimits, asked: tuple[str, AbstractSet[type]]
) -> None:
    async def scene() -> None:
        names, types = asked
        path = "/v1/calls/{sid}/events" + (f"?type={names}" if names else "")
        async with played(script, limits, path, looks=False) as play:
            check_order(play)
            assert {EVENT_TYPES[event.type] for event in play.reader.events} <= types
            assert {event.json["call_sid"] for event in play.reader.events} <= {play.scene.first_sid}
            ring, published = play.pods[-1].bus.ring, play.pods[-1].published
            here = [kept for kept in published if kept.event.call_sid == play.scene.first_sid]
            if here and here[-1].number <= ring.lost and not play.scene.is_live(play.scene.first_sid):
                return  # the call is over and nothing of it is kept: 404 says so
            check_nothing_is_missing(play, here, types)

    in_virtual_time(scene())


def test_the_scripts_reach_the_worst_moments() -> None:
    """Otherwise the properties above would hold for want of anything to be wrong."""
    seen: Counter[str] = Counter()

    async def scene(chance: random.Random) -> None:
        script = [(chance.choice(STEPS), chance.randrange(1000)) for _ in range(80)]
        limits = RingLimits(events=chance.choice([5, 20]), replaced_s=0.3)
        async with played(script, limits, looks=True) as play:
            reader = play.reader
            for _, gap in reader.gaps:
                asked, place = Cursor.parse(gap.json["missed_from"]), Cursor.parse(gap.last_event_id)
                seen["gaps of one process" if asked.boot == place.boot else "gaps between two"] += 1
            seen["cuts within an event"] += reader.cuts
            seen["joined by number"] += reader.joined

    for seed in range(6):
        in_virtual_time(scene(random.Random(seed)))
    assert all(seen.values()), seen
    assert len(seen) == 4


def check_order(play: Play) -> None:
    """Nothing came twice, or behind what is newer, and each gap stands for something."""
    places = [Cursor.parse(event.last_event_id) for event in play.reader.events]
    boots = [pod.bus.ring.boot for pod in play.pods]
    order = [(boots.index(place.boot), place.number) for place in places]
    assert order == sorted(set(order))
    for _, gap in play.reader.gaps:
        asked, place = Cursor.parse(gap.json["missed_from"]), Cursor.parse(gap.last_event_id)
        assert asked.boot != place.boot or asked.number < place.number, "a gap without anything missing"


def check_nothing_is_missing(play: Play, published: list[KeptEvent], types: AbstractSet[type]) -> None:
    """Each event of the newest pod behind the first cursor came, if no gap stands for it.

    What newer events replaced may be missing. What its reader had not read when an earlier pod ended is lost, and the
    next pod's gap says so.
    """
    reader, boot = play.reader, play.pods[-1].bus.ring.boot
    got = {event.last_event_id for event in reader.events}
    begin = Cursor.parse(reader.first_cursor)
    gaps = [Cursor.parse(gap.last_event_id) for _, gap in reader.gaps]
    places = [gap.number for gap in gaps if gap.boot == boot] + [begin.number if boot == begin.boot else 0]
    missing = [
        kept.event
        for kept in published
        if kept.number > max(places)
        and type(kept.event) in types - PASSING
        and str(Cursor(boot, kept.number)) not in got
    ]
    assert not missing
    if len(play.pods) > 1:
        assert any(gap.boot == boot for gap in gaps), "another process is a gap"
