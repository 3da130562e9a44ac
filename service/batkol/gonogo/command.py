"""`batkol gonogo`: from options to an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from batkol.errors import BatkolError
from batkol.gonogo.checks import RehearsalLimits
from batkol.gonogo.flagstore import FlagStore, LiveDirectory
from batkol.gonogo.logfile import LogFile
from batkol.gonogo.rehearsal import Rehearsal
from batkol.gonogo.report import is_go, show, table
from batkol.gonogo.target import RehearsalImpossibleError, Target
from batkol.status import ServiceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line."""

    target: Target
    live_dir: Path | None = None
    config_map: str = ""  # [NAMESPACE/]NAME
    voice_agent: str = ""  # [NAMESPACE/]NAME; with none of the three options, the place that the service reports
    all_calls: bool = False
    limits: RehearsalLimits
    deadline_s: float
    log_file: Path | None = None


async def carry_out(options: Options, console: Console) -> int:
    """Rehearse and print; returns 0 for GO, 1 for NO-GO. Raises `BatkolError` where it could not be carried out."""

    def write_line(line: str) -> None:
        console.print(f"· {line}", style="dim", highlight=False, markup=False, soft_wrap=True)

    rehearsal = Rehearsal(
        options.target,
        limits=options.limits,
        deadline_s=options.deadline_s,
        log_file=LogFile(options.log_file) if options.log_file else None,
        write_line=write_line,
    )
    store = await _store(options, None if options.all_calls else rehearsal.call_sids)
    own = "calls from the rehearsal's own number only" if options.voice_agent else "the rehearsal's own calls only"
    whom = "all calls" if options.all_calls else own
    write_line(f"the flag is in {store.where}; the rehearsal sets it for {whom}, and restores it afterwards")
    try:
        await rehearsal.run(store)
    except BatkolError:
        if rehearsal.checks:
            console.print(table(rehearsal.checks))
        raise
    show(console, rehearsal.checks)
    return 0 if is_go(rehearsal.checks) else 1


def internal_beside(url: str) -> str:
    """Return where the internal API is by default: the same host, port 8081."""
    return f"http://{urlsplit(url).hostname or '127.0.0.1'}:8081"


async def _store(options: Options, only_calls: Sequence[str] | None) -> FlagStore:
    """Return where the flag lives. Raises `RehearsalImpossibleError`, `ConfigurationError`, `ClientError`."""
    if sum(map(bool, (options.live_dir, options.config_map, options.voice_agent))) > 1:
        raise RehearsalImpossibleError(
            "The flag is in one place: give only one of --live-dir, --config-map and --voice-agent."
        )
    if options.config_map or options.voice_agent:
        return _in_the_cluster(options, only_calls)
    if options.live_dir is not None:
        return LiveDirectory(options.live_dir, only_calls=only_calls)
    return LiveDirectory(_local(await options.target.internal.status()), only_calls=only_calls)


def _in_the_cluster(options: Options, only_calls: Sequence[str] | None) -> FlagStore:
    # Not at the top: who rehearses on a laptop need not wait for a cluster's client.
    from batkol.gonogo.clusterstore import ConfigMapStore, VoiceAgentStore  # noqa: PLC0415
    from batkol.live.cluster import ObjectName, pod_namespace  # noqa: PLC0415

    where = ObjectName.parse(options.config_map or options.voice_agent, namespace=pod_namespace())
    if options.config_map:
        return ConfigMapStore(where, only_calls=only_calls)
    caller = None if only_calls is None else options.target.caller
    return VoiceAgentStore(where, caller=caller, patience_s=options.deadline_s)


def _local(state: ServiceStatus) -> Path:
    """Return the directory that the service watches. Raises `RehearsalImpossibleError` if this machine lacks it."""
    kind, _, path = (state.live.source or "").partition(":")
    if kind == "kubernetes":
        raise RehearsalImpossibleError(
            f"The service reads its flags from ConfigMap {path}. Give --config-map {path}, or if an operator "
            "writes that ConfigMap for a VoiceAgent, --voice-agent NAMESPACE/NAME."
        )
    if kind != "file" or not Path(path).is_dir():
        raise RehearsalImpossibleError(
            f"The service reads its flags from {state.live.source or 'nowhere (LIVE_SOURCE is not set)'}, which is no "
            "directory of this machine. Give the directory that holds its flags.json with --live-dir."
        )
    return Path(path)
