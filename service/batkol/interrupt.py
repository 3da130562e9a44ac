"""Ctrl-C as an order to a command: the first one ends something in it, and the next one the command itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def ending() -> tuple[signal.Signals, ...]:
    """Return the signals that end a command in order: Ctrl-C, SIGTERM, and a terminal that is gone.

    A command under `nohup` ignores the last one, and so it does here.
    """
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hangup)


def on_interrupt(act: Callable[[], None]) -> Callable[[], None]:
    """Have SIGINT call `act` in place of ending the current task; return what gives SIGINT back to the task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    loop.add_signal_handler(signal.SIGINT, act)

    def restore() -> None:
        if task is not None:
            loop.add_signal_handler(signal.SIGINT, task.cancel)

    return restore
