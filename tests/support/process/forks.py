"""Workers of a run that are forked from the process that has collected the tests.

A worker that starts as a Python of its own imports everything and collects every test again: some 30 s of CPU for each.
Forked, it has them, and shares their memory. The process that has collected runs no test. It hands them out in order,
a few at a time, reports what the workers tell, and forks another worker for one that dies: its test has failed.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Final

import pytest

from support.schedule import shares_a_fixture

AHEAD: Final = 2
"""Units that a worker has: the one that it runs, and the next, by which it knows which fixtures to keep."""


class Forks:
    """The plugin of a run with `--forks`."""

    is_worker = False
    """Whether this process is one of the workers."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._units: deque[list[int]] = deque()
        self._workers: list[Worker] = []
        self._forked = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run all that was collected, in workers; nothing is left behind, also when it is interrupted."""
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest says what there is to say
        self._units = deque(numbered(session.items))
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.showfspath = False  # results come from everywhere at once
        try:
            for _ in range(min(self.count, len(self._units))):
                self._fork(session)
            while self._workers:
                for worker in self._ready():
                    self._hear(session, worker)
        finally:
            for worker in self._workers:
                worker.end(signal.SIGINT)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        return True

    def _ready(self) -> list[Worker]:
        ready = wait([worker.connection for worker in self._workers])
        return [worker for worker in self._workers if worker.connection in ready]

    def _fork(self, session: pytest.Session) -> None:
        ours, theirs = Pipe()
        number, self._forked = self._forked, self._forked + 1
        sys.stdout.flush()
        sys.stderr.flush()
        base: Path = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # made before the fork
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of other threads
            pid = os.fork()
        if pid == 0:
            ours.close()
            for other in self._workers:
                other.connection.close()
            _work(session, theirs, base / f"fork-{number}")
        theirs.close()
        worker = Worker(pid, ours)
        self._workers.append(worker)
        for _ in range(AHEAD):
            self._hand_out(session, worker)

    def _hand_out(self, session: pytest.Session, worker: Worker) -> None:
        stopped = session.shouldfail or session.shouldstop
        unit = self._units.popleft() if self._units and not stopped else []
        worker.units.append(unit)
        with suppress(ConnectionError):  # it is dead, which is heard next
            worker.connection.send(unit)

    def _hear(self, session: pytest.Session, worker: Worker) -> None:
        try:
            kind, told = worker.connection.recv()
        except (EOFError, ConnectionError):
            self._workers.remove(worker)
            self._bury(session, worker)
            return
        config = session.config
        match kind:
            case "begun":
                worker.running = told
            case "report":
                report = config.hook.pytest_report_from_serializable(config=config, data=told)
                config.hook.pytest_runtest_logreport(report=report)
            case "finished":
                item = session.items[worker.running]
                config.hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
                worker.running = -1
            case "unit":
                worker.units.popleft()
                self._hand_out(session, worker)
            case "warning":
                config.hook.pytest_warning_recorded.call_historic(kwargs=told)

    def _bury(self, session: pytest.Session, worker: Worker) -> None:
        """Report the test in which a worker died, and have another one run what it leaves."""
        code = worker.end()
        if code == 0 and worker.running < 0:
            return
        left = [number for unit in worker.units for number in unit]
        if worker.running >= 0:
            item = session.items[worker.running]
            report = pytest.TestReport(
                item.nodeid, item.location, {}, "failed", f"the process that ran it ended with {code}", "call"
            )
            session.config.hook.pytest_runtest_logreport(report=report)
            left = left[left.index(worker.running) + 1 :]
        if left:
            self._units.appendleft(left)
        if self._units:
            self._fork(session)


@dataclass
class Worker:
    """A forked process, as the one that has collected sees it."""

    pid: int
    connection: Connection
    units: deque[list[int]] = field(default_factory=deque)
    running: int = -1
    """The number of the test that it runs; -1: none."""

    def end(self, how: signal.Signals | None = None) -> int:
        """Wait for its end; returns the exit code, or the signal's number below zero."""
        self.connection.close()
        if how is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, how)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Teller:
    """The plugin of a worker: it tells what pytest would print."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self._config = config
        self._connection = connection
        self._tells_all = config.option.durations is not None or bool(config.option.xmlpath)
        self.begun = False
        """Whether it is registered: until then pytest repeats the warnings that came before the fork."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a test; that it was set up and torn down well is of interest to durations and to XML alone."""
        if report.when != "call" and report.passed and not self._tells_all:
            return
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._connection.send(("report", data))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: Any
    ) -> None:
        if not self.begun:
            return
        shown = warnings.WarningMessage(
            str(warning_message.message), UserWarning, warning_message.filename, warning_message.lineno
        )
        told = {"warning_message": shown, "when": when, "nodeid": nodeid, "location": location}
        self._connection.send(("warning", told))


def numbered(items: Sequence[pytest.Item]) -> Iterator[list[int]]:
    """Return the numbers of the tests by units: those that share a fixture of their module are one."""
    unit: list[int] = []
    for number, item in enumerate(items):
        if unit and not (item.path == items[unit[-1]].path and shares_a_fixture(item)):
            yield unit
            unit = []
        unit.append(number)
    if unit:
        yield unit


def _work(session: pytest.Session, connection: Connection, base: Path) -> None:
    """Be a worker until there is nothing more to run; never returns."""
    code = 1
    try:
        Forks.is_worker = True
        atexit._clear()  # what is to be done at the end of the process that was forked is not to be done by this one
        _begin(session.config, base)
        teller = Teller(session.config, connection)
        session.config.pluginmanager.register(teller)
        teller.begun = True
        _run(session, connection)
        code = 0
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal and the process that was forked may both say so
    except BaseException:  # noqa: BLE001  whatever it is, this process must not go on as the one that it was forked from
        traceback.print_exc()
    finally:
        with suppress(Exception):
            session._setupstate.teardown_exact(None)  # after an interrupt: what fixtures have started ends
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _begin(config: pytest.Config, base: Path) -> None:
    """Give a worker what it must not share: its folder, its files of captured output, and nothing to print to."""
    base.mkdir()
    factory: Any = config._tmp_path_factory  # type: ignore[attr-defined]  # there is no other way to it
    factory._basetemp = base
    factory._next_number.clear()
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if capture.is_globally_capturing():
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter._tw._file = Path(os.devnull).open("w")  # noqa: SIM115  for as long as this process lives
    gc.freeze()


def _run(session: pytest.Session, connection: Connection) -> None:
    this: list[int] = connection.recv()
    while this:
        following: list[int] = connection.recv()
        for number, after in _pairs([*this, *following[:1]], len(this)):
            item = session.items[number]
            connection.send(("begun", number))
            session.config.hook.pytest_runtest_protocol(
                item=item, nextitem=None if after is None else session.items[after]
            )
            connection.send(("finished", number))
        connection.send(("unit", None))
        this = following


def _pairs(numbers: Sequence[int], count: int) -> Iterable[tuple[int, int | None]]:
    """Return the first so many numbers, each with the one after it."""
    return [(number, numbers[at + 1] if at + 1 < len(numbers) else None) for at, number in enumerate(numbers[:count])]
