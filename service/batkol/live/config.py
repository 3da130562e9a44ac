"""The live configuration in force: tuning, flag definitions and reply settings, kept current from a source.

A part reads `live.tuning.batch_ms` each time it needs the number: one attribute, replaced as a whole, so
nothing is ever half old. A change that is wrong leaves the last good one in force and is reported, in the log
once and in `status()` for as long as it lasts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec
import structlog

from batkol.errors import ConfigurationError
from batkol.live.flag_definitions import FlagDefinitions, parse_definitions
from batkol.live.recognizer_means import RecognizerMeans
from batkol.live.reply import STAYS, TOOK_THE_REST, ReplySettings, parse_reply
from batkol.live.reply_means import ReplyMeans
from batkol.live.source import FLAGS, NAMES, REPLY, TUNING, FileContents, LiveSource
from batkol.live.tuning import NO_MEANS, Tuning, parse_tuning
from batkol.status import LiveStatus, RefusedDefinition, ReplyStatus, SourceStatus, TuningStatus

log = structlog.get_logger()


class LiveChange(msgspec.Struct, frozen=True):
    """A change, as subscribers get it: which of the files changed, applied or refused."""

    tuning: bool
    flags: bool
    reply: bool = False


class Live:
    """The live configuration of one process. Read and subscribed to on the event loop that runs `run`."""

    def __init__(
        self,
        source: LiveSource | None = None,
        *,
        defaults: Tuning | None = None,
        means: ReplyMeans | None = None,
        recognizers: RecognizerMeans = NO_MEANS,
    ) -> None:
        """`means`: what this process has for reply settings; None: not checked. `recognizers`: the same for those."""
        self.source = source
        self._recognizers = recognizers
        self._means = means
        self.tuning: Tuning = msgspec.structs.replace(defaults or Tuning(), recognizers=recognizers.names())
        self.reply = ReplySettings()  # without a revision: there has never been a good one
        self.definitions: FlagDefinitions | None = None  # None: there has never been a good one
        # Whether `definitions` is what the source holds now, and not what it held when it was last good.
        self.flags_current = False
        self._defaults = self.tuning
        self._flags_know = self.tuning.recognizers  # when they were read last
        self._seen: dict[str, bytes | None] = {}
        self._refusals: dict[str, tuple[RefusedDefinition, ...]] = {}
        self._refused = dict.fromkeys(NAMES, 0)
        self._applied_at: dict[str, str] = {}
        self._last_error: str | None = None
        self._reads = 0
        self._read_at: float | None = None
        self._callbacks: list[Callable[[LiveChange], None]] = []
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Follow the source until cancelled, which loses nothing: all stays in force. No source: return.

        Raises what a source that breaks its word does. Run again it opens the source again, and takes up what has
        changed; nothing that was in force is forgotten.
        """
        if self.source is None:
            self._ready.set()
            return
        try:
            async with aclosing(self.source.watch()) as snapshots:
                async for snapshot in snapshots:
                    await self._apply(snapshot)
        except Exception as error:
            self._last_error = f"the live source failed ({type(error).__name__}); the service opens it again"
            raise

    async def ready(self) -> None:
        """Wait until the source's first contents were taken or refused. Cancelling loses nothing."""
        await self._ready.wait()

    def on_change(self, callback: Callable[[LiveChange], None]) -> Callable[[], None]:
        """Call `callback`, on the event loop, after every change; returns what ends the subscription.

        The new values are in force when it is called. An exception of a callback is logged and does not stop the
        others.
        """
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def status(self) -> LiveStatus:
        """Take a snapshot for the status page."""
        connection = self.source.status() if self.source else None
        return LiveStatus(
            source=self.source.name if self.source else None,
            state=_in_words(connection) if connection else None,
            connection=connection,
            revision=self.tuning.revision,
            applied_at=self._applied_at.get(TUNING),
            flags_revision=self.definitions.revision if self.definitions else None,
            flags_applied_at=self._applied_at.get(FLAGS),
            refusals=tuple(refusal for refusals in self._refusals.values() for refusal in refusals),
            refused=dict(self._refused),
            last_error=self._last_error,
            reads=self._reads,
            age_s=None if self._read_at is None else time.monotonic() - self._read_at,
        )

    def tuning_status(self) -> TuningStatus:
        """The tuning in force, for the status page."""
        tuning = self.tuning
        return TuningStatus(
            batch_ms=tuning.batch_ms,
            partial_debounce_ms=tuning.partial_debounce_ms,
            final_timeout_ms=tuning.final_timeout_ms,
            silence_ms=tuning.silence_ms,
            minimum_speech_ms=tuning.minimum_speech_ms,
            pre_roll_ms=tuning.pre_roll_ms,
            revision=tuning.revision,
            applied_at=self._applied_at.get(TUNING),
        )

    def reply_status(self, calls: int) -> ReplyStatus:
        """The reply settings in force, for the status page; `calls`: live calls that use them."""
        return ReplyStatus(revision=self.reply.name, applied_at=self._applied_at.get(REPLY), calls=calls)

    async def _apply(self, snapshot: FileContents) -> None:
        self._reads += 1
        self._read_at = time.monotonic()
        if tuning := self._differs(TUNING, snapshot):
            self._apply_tuning(snapshot.get(TUNING))
        # The flags may name the recognizers in force, so they are read anew with these.
        outdated = snapshot.get(FLAGS) is not None and self._flags_know != self.tuning.recognizers
        change = LiveChange(
            tuning=tuning,
            flags=self._differs(FLAGS, snapshot) or outdated,
            reply=self._differs(REPLY, snapshot),
        )
        if change.flags:
            await self._apply_flags(snapshot.get(FLAGS))
        if change.reply:
            await self._apply_reply(snapshot.get(REPLY))
        self._seen = dict(snapshot)  # now, and no sooner: what was not taken is tried again
        self._ready.set()
        if change.tuning or change.flags or change.reply:
            for callback in tuple(self._callbacks):
                self._notify(callback, change)

    def _differs(self, name: str, snapshot: FileContents) -> bool:
        return self._seen.get(name) != snapshot.get(name)

    def _apply_tuning(self, raw: bytes | None) -> None:
        if raw is None:
            self._report(TUNING, (_removed(TUNING),))
            return
        try:
            tuning = parse_tuning(raw, self._defaults, self._recognizers)
        except ConfigurationError as error:
            self._report(TUNING, (RefusedDefinition(TUNING, None, str(error)),))
            return
        refusals: tuple[RefusedDefinition, ...] = ()
        if lacking := self._recognizers.lacking(tuning.recognizers):
            stay = self.tuning.recognizers
            why = f"{TUNING}: {'; '.join(lacking)}. The other settings apply; calls keep {', then '.join(stay)}."
            refusals = (RefusedDefinition(TUNING, None, why),)
            tuning = msgspec.structs.replace(tuning, recognizers=stay)
        self._report(TUNING, refusals)
        if tuning != self.tuning or TUNING not in self._applied_at:
            self.tuning = tuning
            self._applied_at[TUNING] = _now()
            log.info("[CFG] live tuning applied", **msgspec.structs.asdict(tuning))

    async def _apply_flags(self, raw: bytes | None) -> None:
        if raw is None:
            self.flags_current = False
            self._report(FLAGS, (_removed(FLAGS),))
            return
        recognizers = self.tuning.recognizers
        # In a thread: a large file takes longer to check than the audio of a call can wait.
        definitions, refusals = await asyncio.to_thread(parse_definitions, raw, self.definitions, recognizers)
        self._report(FLAGS, refusals)
        self._flags_know = recognizers
        self.flags_current = definitions is not None and definitions is not self.definitions
        if definitions is not None and self.flags_current:
            self.definitions = definitions
            self._applied_at[FLAGS] = _now()
            names = sorted(definitions.flags)
            log.info("[CFG] live flags applied", revision=definitions.revision, flags=names)

    async def _apply_reply(self, raw: bytes | None) -> None:
        if raw is None:
            self._report(REPLY, (_removed(REPLY),))
            return
        try:
            reply = await asyncio.to_thread(parse_reply, raw)  # as flags are
        except ConfigurationError as error:
            self._report(REPLY, (RefusedDefinition(REPLY, None, str(error)),))
            return
        if self._means is not None and (lacking := self._means.lacking(reply)):
            first = REPLY not in self._applied_at
            why = f"{REPLY}: {'; '.join(lacking)}. {TOOK_THE_REST if first else STAYS}"
            self._report(REPLY, (RefusedDefinition(REPLY, None, why),))
            if not first:
                return
            reply = self._means.without(reply)
        else:
            self._report(REPLY, ())
        self._put_reply_in_force(reply)

    def _put_reply_in_force(self, reply: ReplySettings) -> None:
        if reply != self.reply:
            self.reply = reply
            self._applied_at[REPLY] = _now()
            log.info("[CFG] live reply settings applied", **reply.figures())

    def _report(self, name: str, refusals: tuple[RefusedDefinition, ...]) -> None:
        reported = frozenset(self._refusals.get(name, ()))
        self._refusals[name] = refusals
        for refusal in refusals:
            self._last_error = refusal.why
            if refusal not in reported:
                self._refused[name] += 1
                log.warning("[CFG] live change refused", file=name, flag=refusal.flag, why=refusal.why)
        if reported and not refusals:
            log.info("[CFG] live file is valid again", file=name)

    def _notify(self, callback: Callable[[LiveChange], None], change: LiveChange) -> None:
        try:
            callback(change)
        except Exception:  # the rim: one subscriber's fault is not the others'
            log.exception("[CFG] subscriber to live configuration failed", subscriber=_name_of(callback))


def _removed(name: str) -> RefusedDefinition:
    return RefusedDefinition(name, None, f"{name} is missing or cannot be read; its last valid contents stay in force.")


def _in_words(status: SourceStatus) -> str:
    text = status.state
    if status.why:
        text += f" since {status.since}: {status.why}"
    if status.meanwhile:
        text += f" Until then the service follows {status.meanwhile}."
    return text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _name_of(callback: Callable[..., object]) -> str:
    return getattr(callback, "__qualname__", type(callback).__name__)
