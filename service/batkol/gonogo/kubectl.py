"""The internal API of a VoiceAgent's pods, through `kubectl`: a forwarded port, and the operator's token."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ctypes
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from batkol.errors import BatkolError
from batkol.simulators.client.conversation import Internal

if TYPE_CHECKING:
    from batkol.live.cluster import ObjectName

PORT: Final = 8081
"""The internal port of the operator's pods."""
PATIENCE_S: Final = 20.0
_FORWARDING: Final = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ->")
_KLOG: Final = re.compile(rb"[EFIW][0-9]{4} [0-9:.]+ +[0-9]+ ")
_GOING_S: Final = 0.5
_LINES: Final = 5  # of what kubectl says, kept for a message
_BY_HAND: Final = "Or forward the port yourself, and give --internal http://127.0.0.1:PORT and --api-token."


def _end_with_us() -> None:
    """Have the kernel end this child when its parent is gone: a killed command leaves no open port behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)  # loaded here: a child between fork and exec must not
_END_WITH_US: Final = _end_with_us if sys.platform == "linux" else None


class KubectlError(BatkolError):
    """The internal API cannot be reached through kubectl; the text has kubectl's reason and the remedy."""


@asynccontextmanager
async def reached_by_kubectl(
    agent: ObjectName, token: str, *, command: str = "kubectl", patience_s: float = PATIENCE_S
) -> AsyncIterator[Internal]:
    """Forward a local port to a pod of the agent; in the block the internal API answers there.

    `token`: the one to use; empty for the one in the Secret of the agent. Raises `KubectlError`, also for what the
    block raises if the forwarding had ended by then. Leaving or cancelling it ends kubectl.
    """
    token = token or await _token(agent, command, patience_s)
    about = f"deployment/{agent.name} in namespace {agent.namespace}"
    arguments = ("port-forward", f"deployment/{agent.name}", f":{PORT}", "--address", "127.0.0.1")
    process = await _started(command, "-n", agent.namespace, *arguments)
    said: deque[bytes] = deque(maxlen=_LINES)
    reading = asyncio.create_task(_read(process.stderr, said), name="kubectl.stderr")
    draining: asyncio.Task[None] | None = None
    try:
        port = await _forwarded_port(process, patience_s)
        if port is None:
            await _end(process)
            await reading
            raise _refused(f"`kubectl port-forward` reaches no pod of {about}", said)
        draining = asyncio.create_task(_read(process.stdout, deque(maxlen=0)), name="kubectl.stdout")
        try:
            yield Internal(f"http://127.0.0.1:{port}", token)
        except BatkolError as error:
            if not await _has_ended(process):
                raise
            await reading
            raise _refused(f"`kubectl port-forward` to {about} ended during the rehearsal", said) from error
    finally:
        await _end(process)
        tasks = [task for task in (reading, draining) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)


async def _token(agent: ObjectName, command: str, patience_s: float) -> str:
    """Read the token of the internal API from the agent's Secret, as docs/kubernetes.md shows it."""
    secret = f"{agent.name}-api"
    arguments = ("get", "secret", secret, "-o", "jsonpath={.data.token}")
    process = await _started(command, "-n", agent.namespace, *arguments)
    about = f"`kubectl get secret {secret}` in namespace {agent.namespace}"
    try:
        async with asyncio.timeout(patience_s):
            out, err = await process.communicate()
    except TimeoutError:
        raise _refused(f"{about} did not end within {patience_s:.0f} s", ()) from None
    finally:
        await _end(process)
    if process.returncode:
        raise _refused(f"{about} failed", err.splitlines())
    try:
        token = base64.b64decode(out, validate=True).decode("ascii").strip()
    except (binascii.Error, UnicodeDecodeError):
        token = ""
    if not token:
        raise _refused(f"{about} gave no token", ())
    return token


async def _started(command: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            command, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, preexec_fn=_END_WITH_US
        )
    except OSError as error:
        raise KubectlError(
            f"{command} cannot be run here ({error.strerror}): --voice-agent without --internal needs it. Install it, "
            f"or run the command where it is. {_BY_HAND}"
        ) from error


async def _forwarded_port(process: asyncio.subprocess.Process, patience_s: float) -> int | None:
    """Return the local port; None if kubectl ended, or said nothing in time."""
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            while line := await process.stdout.readline():
                if found := _FORWARDING.match(line):
                    return int(found[1])
    return None


async def _read(stream: asyncio.StreamReader | None, lines: deque[bytes]) -> None:
    """Read to the end, so that kubectl never waits for its reader."""
    while stream is not None and (line := await stream.readline()):
        lines.append(line)


async def _has_ended(process: asyncio.subprocess.Process) -> bool:
    """Whether kubectl is gone, or goes now: what it forwarded breaks a moment before."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_GOING_S):
            await process.wait()
    return process.returncode is not None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
    await process.wait()


def _refused(what: str, said: Iterable[bytes]) -> KubectlError:
    """Make the error with what kubectl says to people; its libraries' own log lines come before that."""
    words = " ".join(line.decode("utf-8", "replace").strip() for line in said if not _KLOG.match(line)).strip()
    reason = f": {words[:400]}" if words else ""
    return KubectlError(
        f"{what}{reason.rstrip('.')}. Check the name, the namespace, KUBECONFIG, and that a pod is ready. {_BY_HAND}"
    )
