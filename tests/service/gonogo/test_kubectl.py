"""The internal API through `kubectl`: a stand-in that takes the real one's arguments and says what that says."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from pathlib import Path

import pytest

from batkol.errors import BatkolError
from batkol.gonogo.kubectl import KubectlError, reached_by_kubectl
from batkol.live.cluster import ObjectName
from batkol.simulators.client.conversation import Internal
from support.process.programs import tool
from support.time.waiting import until

AGENT = ObjectName("voice", "reception")
TOKEN = base64.b64encode(b"s3cret-of-the-operator").decode()
KLOG = "E1129 15:15:25.580195   17368 memcache.go:265] Unhandled Error: the list of API groups"
NO_PODS = 'Error from server (NotFound): deployments.apps "reception" not found'
FORWARD = "-n voice port-forward deployment/reception :8081 --address 127.0.0.1"
SECRET = "-n voice get secret reception-api -o jsonpath={.data.token}"


def stand_in(folder: Path, *, forward: str, token: str = TOKEN) -> str:
    """Make a program that does `forward` for the one command line, and prints `token` for the other."""
    program = folder / "kubectl"
    program.write_text(
        f"""#!/bin/sh
case "$*" in
"{FORWARD}") echo $$ > {folder}/pid; {forward} ;;
"{SECRET}") printf %s '{token}' ;;
*) echo "error: unknown command: $*" >&2; exit 1 ;;
esac
"""
    )
    program.chmod(0o755)
    return str(program)


STAYS = "echo 'Forwarding from 127.0.0.1:40001 -> 8081'; echo 'Handling connection for 40001'; exec sleep 60"
SILENT = "exec sleep 60"


def is_running(folder: Path) -> bool:
    pid = int((folder / "pid").read_text())
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"  # over, and its new parent has not looked yet


async def test_a_port_is_forwarded_for_the_block_and_the_operator_s_token_is_used(tmp_path: Path) -> None:
    program = stand_in(tmp_path, forward=STAYS)
    async with reached_by_kubectl(AGENT, "", command=program) as internal:
        assert internal == Internal("http://127.0.0.1:40001", "s3cret-of-the-operator")
        assert "s3cret" not in repr(internal)
        assert is_running(tmp_path)
    assert not is_running(tmp_path)
    async with reached_by_kubectl(AGENT, "given", command=program) as internal:
        assert internal.token == "given"


async def test_a_forwarding_that_ends_in_the_block_is_the_reason_of_what_fails_there(tmp_path: Path) -> None:
    dies = "echo 'Forwarding from 127.0.0.1:40001 -> 8081'; echo 'error: lost connection to pod' >&2"

    async def rehearse() -> None:
        async with reached_by_kubectl(AGENT, "t", command=stand_in(tmp_path, forward=dies)):
            await until(lambda: not is_running(tmp_path))
            raise BatkolError("the API cannot be reached")

    with pytest.raises(KubectlError, match="ended during the rehearsal: error: lost connection to pod"):
        await rehearse()


KILLED = """
import asyncio, os, signal, sys
from batkol.gonogo.kubectl import reached_by_kubectl
from batkol.live.cluster import ObjectName

async def rehearse():
    async with reached_by_kubectl(ObjectName("voice", "reception"), "t", command=sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(rehearse())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the child")
async def test_a_command_that_is_killed_leaves_no_forwarded_port(tmp_path: Path) -> None:
    program = stand_in(tmp_path, forward=STAYS)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, program)

    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    await until(lambda: not is_running(tmp_path))
    assert not is_running(tmp_path)


@pytest.mark.parametrize(
    ("forward", "token", "said"),
    [
        (
            f"echo '{KLOG}' >&2; echo '{NO_PODS}' >&2; exit 1",
            TOKEN,
            "reaches no pod of deployment/reception in namespace voice: Error from",
        ),
        (SILENT, TOKEN, "reaches no pod of deployment/reception in namespace voice. Check"),
        (STAYS, "", "`kubectl get secret reception-api` in namespace voice gave no token"),
        (STAYS, "!", "gave no token"),
    ],
)
async def test_a_cluster_that_gives_no_access_is_a_sentence_with_what_to_do(
    forward: str, token: str, said: str, tmp_path: Path
) -> None:
    program = stand_in(tmp_path, forward=forward, token=token)
    patience_s = 1.5 if forward == SILENT else 30.0

    with pytest.raises(KubectlError) as refused:
        async with reached_by_kubectl(AGENT, "", command=program, patience_s=patience_s):
            pytest.fail("nothing was reached")

    assert said in str(refused.value)
    assert "--internal http://127.0.0.1:PORT" in str(refused.value)


async def test_a_machine_without_kubectl_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KubectlError, match=r"cannot be run here \(No such file.*Install it"):
        async with reached_by_kubectl(AGENT, "", command=str(tmp_path / "none")):
            pytest.fail("nothing was reached")


@pytest.mark.nightly  # needs kubectl, which `make tools` builds
@pytest.mark.parametrize(("token", "asked"), [("t", "port-forward"), ("", "get secret")])
async def test_the_real_kubectl_takes_these_arguments(
    token: str, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets as far as the API server, which is not there."""
    config = tmp_path / "config"
    config.write_text(
        '{"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [], '
        '"clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}], '
        '"contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}]}'
    )
    monkeypatch.setenv("KUBECONFIG", str(config))

    with pytest.raises(KubectlError) as refused:
        async with reached_by_kubectl(AGENT, token, command=str(tool("kubectl"))):
            pytest.fail("nothing was reached")

    assert asked in str(refused.value)
    assert "127.0.0.1:9 was refused" in str(refused.value)
