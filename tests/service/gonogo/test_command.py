"""`batkol gonogo` without its calls: where the flag is, what is printed, which exit code; a status is all it gets."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from batkol.errors import BatkolError
from batkol.gonogo.checks import RehearsalLimits
from batkol.gonogo.command import Options, carry_out
from batkol.gonogo.target import Target, see_that_it_was_a_call
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.client.conversation import Internal, Observed
from batkol.simulators.twilio.caller import CallOutcome, CallReport
from batkol.status import FlagsStatus, ServiceStatus
from batkol.store_status import StoreStatus
from support.http.one_answer import answering, http
from support.kube.config_map_api import AGENT, CONFIG_MAP, config_map_api
from support.kube.kubeconfig import reaching
from support.live.directory import streaming

NEVER = """{"flags": {"streaming-stt": {"state": "ENABLED", "variants": {"a": "x"}, "defaultVariant": "a"}}}"""
TARGET = {"public_url": "https://voice.example.test", "auth_token": "made-up"}


def status(**changes: Any) -> bytes:
    state = ServiceStatus(version="1", draining=False, active_calls=0, max_calls=1, flags=FlagsStatus(provider="live"))
    return msgspec.json.encode(msgspec.structs.replace(state, **changes))


async def rehearse(page: io.StringIO, state: bytes, *, deadline_s: float = 1.0, **options: Any) -> int:
    async with answering(http("200 OK", state, "Content-Type: application/json")) as (internal, _):
        target = Target(url="http://127.0.0.1:1", internal=Internal(internal), **TARGET)
        given = {"limits": RehearsalLimits(), **options}
        return await carry_out(Options(target=target, deadline_s=deadline_s, **given), Console(file=page, width=140))


async def test_a_flag_that_can_be_neither_on_nor_off_is_a_no_go_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(NEVER)
    page = io.StringIO()

    assert await rehearse(page, status(), live_dir=tmp_path) == 1
    assert page.getvalue().splitlines()[-1].startswith("NO-GO")
    assert "the agent answers no caller (AGENT_REPLIES, flag agent-replies); no reply is rehearsed" in page.getvalue()
    assert "no variant that is true" in page.getvalue()
    assert "no variant that is false" in page.getvalue()
    assert (tmp_path / "flags.json").read_text() == NEVER


async def test_a_service_that_never_takes_the_flag_is_a_no_go_and_the_file_is_put_back(tmp_path: Path) -> None:
    before = streaming("off")
    (tmp_path / "flags.json").write_text(before)
    page = io.StringIO()

    assert await rehearse(page, status(), live_dir=tmp_path, deadline_s=0.1) == 1
    assert page.getvalue().splitlines()[-1].startswith("NO-GO")
    assert (tmp_path / "flags.json").read_text() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"draining": True}, "The service is draining"),
        ({"flags": FlagsStatus(provider="flagd")}, "needs FLAGS_PROVIDER=live"),
    ],
)
async def test_a_service_that_cannot_be_rehearsed_is_a_sentence(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "flags.json").write_text(streaming("off"))

    with pytest.raises(BatkolError, match=said):
        await rehearse(io.StringIO(), status(**changes), live_dir=tmp_path)


async def test_a_service_without_flags_is_told_how_to_be_rehearsed() -> None:
    with pytest.raises(BatkolError, match=r"LIVE_SOURCE is not set. Rehearse one call without a flip with --as-is"):
        await rehearse(io.StringIO(), status())


@pytest.mark.parametrize("in_its_place", ["nothing", "another server"])
async def test_an_internal_api_that_is_not_there_is_told_with_the_ways_to_it(in_its_place: str) -> None:
    async with answering(http("200 OK", b"<html>", "Content-Type: text/html")) as (another, _):
        internal = Internal(another if in_its_place == "another server" else "http://127.0.0.1:9")
        target = Target(url="http://127.0.0.1:1", internal=internal, **TARGET)
        asked = Options(target=target, limits=RehearsalLimits(real=True), deadline_s=1.0, as_is=True)

        with pytest.raises(BatkolError) as raised:
            await carry_out(asked, Console(file=io.StringIO()))

    assert internal.url in str(raised.value)
    assert "give its address in --internal" in str(raised.value)
    assert "--voice-agent NAMESPACE/NAME without --internal" in str(raised.value)


async def test_in_a_pod_that_network_policies_do_not_let_through_yet_it_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the pod of `helm test`: a cluster knows the address of a new pod some time after it has started."""
    (tmp_path / "namespace").write_text("voice")
    (tmp_path / "flags.json").write_text(NEVER)
    monkeypatch.setattr("batkol.live.cluster.SERVICE_ACCOUNT", str(tmp_path))
    refused, page = 0, io.StringIO()

    async def late(writer: asyncio.StreamWriter) -> None:
        nonlocal refused
        if refused == 2:
            await http("200 OK", status(), "Content-Type: application/json")(writer)
        else:
            refused += 1  # and the connection is closed

    async with answering(late) as (internal, _):
        target = Target(url="http://127.0.0.1:1", internal=Internal(internal), **TARGET)
        asked = Options(target=target, limits=RehearsalLimits(), deadline_s=1.0, live_dir=tmp_path)
        code = await carry_out(asked, Console(file=page, width=140))

    assert (code, refused) == (1, 2)
    assert "no variant that is true" in page.getvalue(), "it was rehearsed"


async def test_a_service_that_would_keep_the_calls_is_not_rehearsed_for_real(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(streaming("off"))
    keeps = status(store=StoreStatus(kind="postgres"), version="0.2.0")
    limits = RehearsalLimits(real=True)

    with pytest.raises(BatkolError, match=r"version 0\.2\.0, which stores a rehearsal's calls .* `batkol erase`"):
        await rehearse(io.StringIO(), keeps, live_dir=tmp_path, limits=limits)


async def test_for_programs_the_report_is_one_object_also_of_what_could_not_be_carried_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flags.json").write_text(NEVER)
    page, refused = io.StringIO(), io.StringIO()
    code = await rehearse(page, status(), live_dir=tmp_path, as_json=True)
    with pytest.raises(BatkolError):
        await rehearse(refused, status(draining=True), live_dir=tmp_path, as_json=True)

    report = json.loads(page.getvalue())
    assert (code, report["verdict"], report["error"], report["heard"]) == (1, "NO-GO", None, [])
    assert {check["name"] for check in report["checks"] if not check["passed"]} == {
        "flag off takes effect",
        "flag on takes effect",
    }
    told = json.loads(refused.getvalue())
    assert (told["verdict"], told["checks"]) == ("NOT REHEARSED", [])
    assert "The service is draining" in told["error"]
    assert "· the flag is in" in capsys.readouterr().err


async def test_a_recording_that_cannot_be_played_is_a_sentence_before_anything_is_changed(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(streaming("off"))

    with pytest.raises(BatkolError, match=r"none\.wav cannot be read"):
        await rehearse(io.StringIO(), status(), live_dir=tmp_path, wav=tmp_path / "none.wav")
    assert (tmp_path / "flags.json").read_text() == streaming("off")


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (CallOutcome.WEBHOOK_FAILED, 0, "cannot be reached at https://voice"),
        (CallOutcome.WEBHOOK_FAILED, 403, "refuses the signature .* --auth-token"),
        (CallOutcome.WEBHOOK_FAILED, 404, "answered 404; check the URL"),
        (CallOutcome.APOLOGY, 200, "has no free place"),
    ],
)
def test_what_was_no_call_is_a_sentence_with_a_remedy(outcome: CallOutcome, code: int, said: str) -> None:
    report = CallReport("CA1", 0.02, outcome=outcome, http_status=code)
    target = Target(url="https://voice.example.test", internal=Internal("http://127.0.0.1:1"), **TARGET)

    with pytest.raises(BatkolError, match=said):
        see_that_it_was_a_call(Observed(report, CallWatch("CA1"), ()), target)


async def test_a_config_map_is_named_and_stays_as_it_is(tmp_path: Path) -> None:
    page = io.StringIO()
    async with config_map_api() as api:
        api.put({"flags.json": streaming("off")})
        with reaching(api.url, tmp_path), pytest.raises(BatkolError, match="draining"):
            await rehearse(page, status(draining=True), config_map="calls/front-desk-live")

        assert "the flag is in ConfigMap calls/front-desk-live" in page.getvalue()
        assert "for the rehearsal's own calls only" in page.getvalue()
        assert api.objects[CONFIG_MAP]["data"] == {"flags.json": streaming("off")}


async def test_a_voice_agent_is_named_and_stays_as_it_is(tmp_path: Path) -> None:
    page = io.StringIO()
    async with config_map_api() as api:
        api.store(AGENT, {"spec": {"streaming": {"mode": "Disabled"}}}, generation=1)
        with reaching(api.url, tmp_path), pytest.raises(BatkolError, match="draining"):
            await rehearse(page, status(draining=True), voice_agent="calls/front-desk")

        assert "calls from the rehearsal's own number only" in page.getvalue()
        assert api.objects[AGENT]["spec"] == {"streaming": {"mode": "Disabled"}}
