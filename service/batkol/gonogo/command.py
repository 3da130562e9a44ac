"""`batkol gonogo`: from options to an exit code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rich.console import Console

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.client.errors import ServiceUnreachableError, UnexpectedAnswerError
from batkol.errors import BatkolError
from batkol.gonogo.checks import RehearsalLimits
from batkol.gonogo.flagstore import FlagStore, LiveDirectory
from batkol.gonogo.kubectl import reached_by_kubectl
from batkol.gonogo.logfile import LogFile
from batkol.gonogo.rehearsal import Rehearsal
from batkol.gonogo.report import JsonPage, TextPage, is_go
from batkol.gonogo.target import RehearsalImpossibleError, Target
from batkol.paths import is_folder
from batkol.simulators.client.conversation import Internal
from batkol.simulators.client.recording import read_recording
from batkol.status import ServiceStatus

if TYPE_CHECKING:
    from batkol.live.cluster import ObjectName


_WAYS: Final = (
    "The rehearsal needs that API, which is on no public port: give its address in --internal. In a cluster give "
    "--voice-agent NAMESPACE/NAME without --internal, and kubectl forwards a port to a pod of the agent; or run "
    "`kubectl -n NAMESPACE port-forward deployment/NAME 8081`, and give --internal http://127.0.0.1:8081 and "
    "--api-token."
)
_LET_IN_S: Final = 30.0
"""Seconds in which a cluster takes a new pod up into its NetworkPolicies; until then they keep it out."""
_LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line."""

    target: Target
    live_dir: Path | None = None
    config_map: str = ""  # [NAMESPACE/]NAME
    voice_agent: str = ""  # [NAMESPACE/]NAME; with none of the three options, the place that the service reports
    all_calls: bool = False
    as_is: bool = False  # one call, and no flip of the flag
    through_kubectl: bool = False  # the internal API of `voice_agent`; the target's is not known
    limits: RehearsalLimits
    deadline_s: float
    log_file: Path | None = None
    wav: Path | None = None
    as_json: bool = False


async def carry_out(options: Options, console: Console) -> int:
    """Rehearse and print; returns 0 for GO, 1 for NO-GO. Raises `BatkolError` where it could not be carried out.

    With `as_json` the report is one JSON object on the console, the last thing that is printed; an error as well, and
    then it is raised.
    """
    page = JsonPage(console) if options.as_json else TextPage(console, heard=options.limits.real or options.as_is)
    try:
        async with _reached(options) as target:
            rehearsal = await _rehearsal(options, target, page)
            store = None if options.as_is else await _store(options, target, rehearsal.call_sids)
            if store is not None:
                page.write_line(_whom(options, store))
            try:
                await rehearsal.run(store)
            except BatkolError:
                page.broke_off(rehearsal.checks)
                raise
    except BatkolError as error:
        page.failed(error)
        raise
    page.show(rehearsal.checks, rehearsal.heard)
    return 0 if is_go(rehearsal.checks) else 1


def _whom(options: Options, store: FlagStore) -> str:
    own = "calls from the rehearsal's own number only" if options.voice_agent else "the rehearsal's own calls only"
    whom = "all calls" if options.all_calls else own
    return f"the flag is in {store.where}; the rehearsal sets it for {whom}, and restores it afterwards"


@asynccontextmanager
async def _reached(options: Options) -> AsyncIterator[Target]:
    """Yield the target with the internal API that answers, in the scope of all its pods.

    Raises `KubectlError`, `ConfigurationError`, `ClientError`, and `RehearsalImpossibleError` with the ways to an
    internal API that does not answer at its address.
    """
    async with AsyncExitStack() as stack:
        internal = options.target.internal
        if options.through_kubectl:
            agent = _object_name(options.voice_agent)
            internal = await stack.enter_async_context(reached_by_kubectl(agent, internal.token))
        try:
            scoped = await _scoped(internal)
        except (ServiceUnreachableError, UnexpectedAnswerError) as error:
            if options.through_kubectl:
                raise
            raise RehearsalImpossibleError(f"{error} {_WAYS}") from error
        yield replace(options.target, internal=scoped)


async def _scoped(internal: Internal) -> Internal:
    """Ask the API for its pods; in a pod, which may be new, ask again for some time. Raises `ClientError`."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        try:
            return await internal.with_scope()
        except ServiceUnreachableError:
            if loop.time() - begun > _LET_IN_S or not _in_a_pod():
                raise
        await asyncio.sleep(_LOOK_S)


def _in_a_pod() -> bool:
    from batkol.live.cluster import pod_namespace  # noqa: PLC0415  as below

    return bool(pod_namespace())


async def _rehearsal(options: Options, target: Target, page: JsonPage | TextPage) -> Rehearsal:
    """Make the rehearsal. Raises `RecordingError`, `LogFileError`."""
    recording = None if options.wav is None else await asyncio.to_thread(read_recording, options.wav)
    if recording is not None:
        seconds = len(recording.mulaw) / SAMPLE_RATE
        page.write_line(f"the caller plays {recording.name} ({seconds:.1f} s), which {recording.level}")
    return Rehearsal(
        target,
        limits=options.limits,
        deadline_s=options.deadline_s,
        log_file=LogFile(options.log_file) if options.log_file else None,
        recording=recording,
        write_line=page.write_line,
    )


def internal_beside(url: str) -> str:
    """Return where the internal API is by default: the same host, port 8081."""
    return f"http://{urlsplit(url).hostname or '127.0.0.1'}:8081"


async def _store(options: Options, target: Target, call_sids: Sequence[str]) -> FlagStore:
    """Return where the flag lives. Raises `RehearsalImpossibleError`, `ConfigurationError`, `ClientError`."""
    only_calls = None if options.all_calls else call_sids
    if sum(map(bool, (options.live_dir, options.config_map, options.voice_agent))) > 1:
        raise RehearsalImpossibleError(
            "The flag is in one place: give only one of --live-dir, --config-map and --voice-agent."
        )
    if options.config_map or options.voice_agent:
        return _in_the_cluster(options, only_calls)
    if options.live_dir is not None:
        return LiveDirectory(options.live_dir, only_calls=only_calls)
    return LiveDirectory(_local(await target.internal.status()), only_calls=only_calls)


def _in_the_cluster(options: Options, only_calls: Sequence[str] | None) -> FlagStore:
    # Not at the top: who rehearses on a laptop need not wait for a cluster's client.
    from batkol.gonogo.clusterstore import ConfigMapStore, VoiceAgentStore  # noqa: PLC0415

    where = _object_name(options.config_map or options.voice_agent)
    if options.config_map:
        return ConfigMapStore(where, only_calls=only_calls)
    caller = None if only_calls is None else options.target.caller
    return VoiceAgentStore(where, caller=caller, patience_s=options.deadline_s)


def _object_name(text: str) -> ObjectName:
    from batkol.live.cluster import ObjectName, pod_namespace  # noqa: PLC0415  as above

    return ObjectName.parse(text, namespace=pod_namespace())


def _local(state: ServiceStatus) -> Path:
    """Return the directory that the service watches. Raises `RehearsalImpossibleError` if this machine lacks it."""
    kind, _, path = (state.live.source or "").partition(":")
    if kind == "kubernetes":
        raise RehearsalImpossibleError(
            f"The service reads its flags from ConfigMap {path}. Give --config-map {path}, or if an operator "
            "writes that ConfigMap for a VoiceAgent, --voice-agent NAMESPACE/NAME."
        )
    if not kind:
        raise RehearsalImpossibleError(
            "The service has no flags: LIVE_SOURCE is not set. Rehearse one call without a flip with --as-is, or start "
            "the service with LIVE_SOURCE=file:DIRECTORY."
        )
    if kind != "file" or not is_folder(Path(path)):
        raise RehearsalImpossibleError(
            f"The service reads its flags from {state.live.source}, which is no "
            "directory of this machine. Give the directory that holds its flags.json with --live-dir, or rehearse one "
            "call without a flip with --as-is."
        )
    return Path(path)
