"""Deaths that no code of ours can see coming: a task that is cancelled by accident, a thread that is just gone."""

from __future__ import annotations

import asyncio
import ctypes
import threading


def cancel(name: str) -> int:
    """Cancel the tasks of that name on this loop; return how many there were."""
    found = [task for task in asyncio.all_tasks() if task.get_name() == name]
    for task in found:
        task.cancel()
    return len(found)


def kill_thread(name: str) -> threading.Thread:
    """Have the thread end at its next step in Python, in the middle of whatever it does, without a word.

    `SystemExit` is what `threading` itself says nothing about.
    """
    (thread,) = [thread for thread in threading.enumerate() if thread.name == name]
    set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert set_async_exception(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)) == 1
    return thread
