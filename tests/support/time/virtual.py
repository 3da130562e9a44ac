"""An event loop whose clock jumps to the next timer: hours of waiting in no time, in the same order each time.

A module says `pytestmark = pytest.mark.virtual_time`, and its async tests and fixtures run on this loop. What is not a
timer is refused, because virtual time would run ahead of it: threads, sockets, pipes, child processes and signals.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn, TypeVar

from batkol.clock import Clock

T = TypeVar("T")

START_S: Final = 1_000.0
"""What the clock shows first: not 0, which is what a forgotten start looks like."""

UNIX_S: Final = 1_900_000_000.0
"""What `virtual_clock` adds to it for Unix time: not today, which is what a real clock looks like."""


class RealWorldError(AssertionError):
    """A test in virtual time waits for something that is not a timer: inject a double of it, or use real time."""


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but timers. A refusal ends the loop too: the code under test may catch what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START_S
        self.refused: RealWorldError | None = None

    def refuse(self, what: str) -> NoReturn:
        self.refused = RealWorldError(f"{what} in virtual time")
        raise self.refused

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():  # the first is the loop's own pipe
            self.refuse("a socket, a pipe or a process is waited for")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.refused is not None:
            refused, self.refused = self.refused, None  # once: the loop closes after it
            raise refused
        if timeout is None:
            raise RealWorldError("everything waits and no timer is set: in real time this would hang for ever")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for timers alone. With `disorder`, each timer comes up to `late_s` late: near ones change their order."""

    def __init__(self, disorder: random.Random | None = None, late_s: float = 0.0) -> None:
        self._virtual = _Selector()
        self._disorder, self._late_s = disorder, late_s
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._virtual.now

    def stall(self, seconds: float) -> None:
        """Let the time pass in which nothing runs: what is due meanwhile is late."""
        self._virtual.now += seconds

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        late = self._disorder.uniform(0.0, self._late_s) if self._disorder else 0.0
        return super().call_at(when + late, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        """Refuse: a thread takes real time."""
        self._virtual.refuse(f"{getattr(func, '__qualname__', func)} goes to a thread")

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> NoReturn:
        """Refuse: another thread lives in real time."""
        self._virtual.refuse(f"{getattr(callback, '__qualname__', callback)} comes from a thread")

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        """Refuse: a signal comes in real time."""
        self._virtual.refuse(f"signal {sig} is waited for")

    async def _make_subprocess_transport(self, *_args: Any, **_choices: Any) -> NoReturn:
        self._virtual.refuse("a process is started")


def virtual_loop() -> VirtualLoop:
    """Return the running loop, which must be one."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def virtual_clock() -> Clock:
    """Both clocks by the running loop; what they show is no time of today."""
    loop = virtual_loop()
    return Clock(monotonic=loop.time, wall=lambda: UNIX_S + loop.time())


def in_virtual_time(work: Coroutine[Any, Any, T], disorder: random.Random | None = None, late_s: float = 0.0) -> T:
    """Run `work` to its end. With `disorder`, timers come late and in random order (`VirtualLoop`)."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(disorder, late_s)) as runner:
        return runner.run(work)
