"""What `reply.json` needs of the process: what is missing is named, and refused or left out."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from batkol.live.config import Live
from batkol.live.files import FileSource
from batkol.live.reply import parse_reply
from batkol.live.reply_means import ReplyMeans
from batkol.live.source import REPLY
from batkol.tools.definition import ToolDefinition

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
ENVIRON = {"TOOL_T": "Zq7", "TOOL_S": SECRET, "TOOL_LINES": "Zq7\nX-Admin: 1", "TOOL_WEAK": "whsec_Zq7"}
BOOK = {"name": "book", "url": "https://shop.example/book"}
MEANS = ReplyMeans(environ=ENVIRON, labels={"sales": "+97225550100"})
FITTING = {
    "tools": [{**BOOK, "tokenEnv": "TOOL_T", "secretEnv": "TOOL_S"}, {"name": "transfer"}, {"name": "save_lead"}],
    "transfers": ["sales"],
    "leadFields": {"phone": "A number"},
}


def lacking(document: Any, means: ReplyMeans = MEANS) -> tuple[str, ...]:
    return means.lacking(parse_reply(json.dumps(document).encode()))


def test_a_file_whose_names_are_all_there_fits() -> None:
    assert lacking(FITTING) == ()
    assert lacking({}) == ()


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"tools": [BOOK | {"tokenEnv": "TOOL_NONE"}]}, "the variable TOOL_NONE is not set; set it and restart"),
        ({"tools": [BOOK | {"tokenEnv": "TOOL_LINES"}]}, "the variable TOOL_LINES has a line break inside"),
        ({"tools": [BOOK | {"secretEnv": "TOOL_T"}]}, "the variable TOOL_T must be whsec_"),
        ({"tools": [BOOK | {"secretEnv": "TOOL_WEAK"}]}, "the variable TOOL_WEAK must be whsec_"),
        ({"transfers": ["sales", "972501234567"]}, "transfers[1] is no label of TRANSFER_ALLOWED"),
        ({"tools": [{"name": "save_lead"}]}, "the tool save_lead needs a field"),
    ],
    ids=str,
)
def test_what_is_missing_is_named_and_no_text_of_the_file_or_secret_is_quoted(document: Any, says: str) -> None:
    [complaint] = lacking(document)

    assert says in complaint
    assert "Zq7" not in complaint
    assert "501234567" not in complaint


def test_what_the_file_leaves_out_is_that_of_the_environment() -> None:
    save, transfer = ToolDefinition(name="save_lead"), ToolDefinition(name="transfer")
    with_fields = ReplyMeans(environ={}, labels=(), tools=(save,), lead_fields=("phone",))
    without_numbers = ReplyMeans(environ={}, labels=(), tools=(transfer,))

    assert lacking({}, with_fields) == ()
    assert "the tool save_lead needs a field" in lacking({"leadFields": {}}, with_fields)[0]
    assert lacking({"tools": [{"name": "save_lead"}]}, with_fields) == ()
    assert "the tool transfer needs numbers" in lacking({}, without_numbers)[0]
    assert lacking({"tools": []}, without_numbers) == ()


async def taken(live: Live, **document: Any) -> None:
    """Have a snapshot with this file taken up, as from a source."""
    await live._apply({REPLY: json.dumps(document).encode()})


async def test_a_change_that_names_what_is_missing_leaves_the_last_good_settings(tmp_path: Path) -> None:
    live = Live(FileSource(str(tmp_path)), means=MEANS)
    await taken(live, revision="1", prompt="One.")
    await taken(live, revision="2", prompt="Two.", transfers=["sales", "night"])

    [refused] = live.status().refusals
    assert (live.reply.name, live.reply.prompt) == ("1", "One.")
    assert refused.why.startswith("reply.json: transfers[1] is no label of TRANSFER_ALLOWED; add the label")
    assert refused.why.endswith("keeps the last valid reply settings; correct the file to try again.")


async def test_a_process_that_starts_takes_the_rest_of_the_file_for_it_would_have_no_prompt_else(
    tmp_path: Path,
) -> None:
    live = Live(FileSource(str(tmp_path)), means=MEANS)
    tools = [BOOK, BOOK | {"name": "pay", "tokenEnv": "TOOL_NONE"}]
    await taken(live, revision="1", prompt="One.", tools=tools, transfers=["night", "sales"])

    [refused] = live.status().refusals
    assert (live.reply.name, live.reply.prompt) == ("1", "One.")
    assert [tool.name for tool in live.reply.tools or ()] == ["book"]
    assert live.reply.transfers == ("sales",)
    assert "the tool pay cannot be carried out: the variable TOOL_NONE is not set" in refused.why
    assert "the service applied the rest of the file" in refused.why

    await taken(live, revision="2", prompt="Two.", tools=[BOOK], transfers=["sales"])
    assert (live.reply.name, live.status().refusals) == ("2", ())
