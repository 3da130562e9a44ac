from __future__ import annotations

import asyncio
import gc
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from support.http.roots import trust_one
from support.process import forked
from support.process.forks import Forks
from support.schedule import spread
from support.time.virtual import VirtualLoop

if TYPE_CHECKING:  # it takes a second to import
    from support.postgres.server import Server

TESTS = Path(__file__).parent
REAL = TESTS / "e2e" / "real"
"""Tests against the programs that `make tools` builds; collected only where the folder is named, as by `make e2e`."""
NODE = TESTS / "node"
"""Tests on a real Kubernetes node, as root; collected only where the folder is named, as by `make e2e-node`."""
_LEFT_OUT = {
    REAL: "tests/e2e/real, against real programs (make e2e)",
    NODE: "tests/node, on a real Kubernetes node (make e2e-node)",
}

# All that is imported and collected stays: looking it through for garbage, again and again, is a fifth of a run's CPU.
gc.disable()
LOOKS_FOR_GARBAGE = (10_000, 20, 50)
"""How seldom the tests do it: as the service does (`batkol.supervision.garbage`)."""

# Without this, each traceback that a test has logged is drawn in colours with the variables of every frame: half a
# second of CPU for what only a failure shows.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback

# Properties say what holds, not how fast: on a busy machine neither a slow example nor slow data is a failure.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", PATIENT, max_examples=40)
settings.register_profile("nightly", PATIENT, max_examples=1_000)


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """A command that runs in the test's process mends its environment, as it should; the next test must not see it."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@pytest.fixture(scope="session")
def postgres_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a Postgres with our tables, made once for all workers of the run: servers start from a copy."""
    from support.postgres.server import prepared_data

    own = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ or Forks.is_worker
    return prepared_data(own.parent if is_worker else own)


@pytest.fixture(scope="session")
def server(postgres_data: Path) -> Iterator[Server]:
    """One real server for the session of this worker."""
    from support.postgres.server import running_server

    with running_server(postgres_data) as running:
        yield running


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--nightly", action="store_true", help="run the tests that are marked nightly, and only those (make nightly)"
    )
    parser.addoption("--forks", type=int, default=0, metavar="N", help="run in N processes that are forked")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("nightly" if config.getoption("--nightly") else "patient")
    if (count := config.getoption("--forks")) > 1:
        if config.getoption("numprocesses", None):
            raise pytest.UsageError("--forks and --numprocesses are two ways to run tests in several processes")
        config.pluginmanager.register(Forks(count), "forks")
        if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
            forked.prepare()  # for all workers together, while this process collects
    config.addinivalue_line("markers", "day_and_night: of `make test` and of `make nightly` (support/properties.py)")
    config.addinivalue_line("markers", "long: takes its time, and so starts early (support/schedule.py)")
    config.addinivalue_line("markers", "nightly: takes too long for every push (make nightly)")
    config.addinivalue_line("markers", "real: needs the programs that `make tools` builds into .tools/bin")
    config.addinivalue_line("markers", "real_time: waits in real time, though its module is marked virtual_time")
    config.addinivalue_line("markers", "virtual_time: waits in no time, for timers alone (support/time/virtual.py)")


def pytest_sessionstart(session: pytest.Session) -> None:
    trust_one(session.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time") is not None and item.get_closest_marker("real_time") is None:
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the nightly tests, or all others, and put the rest in order; pytest counts what is deselected."""
    nightly: bool = config.getoption("--nightly")
    deselected = [item for item in items if not _runs(item, nightly)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
    items[:] = spread([item for item in items if _runs(item, nightly)], _waits, _is_long)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.pluginmanager.has_plugin("forks"):
        st.text().validate()  # the characters of Unicode, which each worker would gather for some seconds of CPU
    gc.freeze()
    gc.set_threshold(*LOOKS_FOR_GARBAGE)
    gc.enable()


def _waits(item: pytest.Item) -> bool:
    """Whether it has real calls, which last as long as calls do."""
    return item.path.is_relative_to(TESTS / "e2e") or item.path.is_relative_to(TESTS / "reliability")


def _runs(item: pytest.Item, nightly: bool) -> bool:
    if item.get_closest_marker("nightly") is not None:
        return nightly
    is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return not nightly or is_property or item.get_closest_marker("day_and_night") is not None


def _is_long(item: pytest.Item) -> bool:
    return item.get_closest_marker("long") is not None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is not here, so that nobody takes a green run for more than it is."""
    left_out = [said for folder, said in _LEFT_OUT.items() if not _named(config, folder)]
    return f"not collected: {'; '.join(left_out)}" if left_out else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the run cost: wall-clock time depends on the machine's neighbours, CPU time hardly does."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    terminalreporter.write_line(f"{seconds:.0f} CPU seconds, of the tests and of all programs that they started")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path in _LEFT_OUT and not _named(config, collection_path) else None


def _named(config: pytest.Config, folder: Path) -> bool:
    """Whether the command line names the folder, or something in it."""
    asked = [config.invocation_params.dir / argument.split("::")[0] for argument in config.args]
    return any(path == folder or folder in path.parents for path in (path.resolve() for path in asked))
