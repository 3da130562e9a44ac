"""The recognizers of `tuning.json`: in force with its numbers, and refused apart from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batkol.app.live_recognizers import recognizer_means
from batkol.errors import ConfigurationError
from batkol.live.recognizer_means import RecognizerMeans
from batkol.live.tuning import Tuning, parse_tuning
from batkol.settings import Settings
from support.live.directory import following, rename_over, until

DEFAULT, SEARCH, SONIOX = "google-v1/default", "google-v1/command_and_search", "soniox/stt-rt-v5"
EIGHT = tuple(f"google-v1/model-{number}" for number in range(8))


def means(**settings: Any) -> RecognizerMeans:
    """Those of a process with these settings."""
    return recognizer_means(Settings(twilio_validate_signatures=False, **settings))


def document(*, revision: str = "7", batch: int = 200, **recognition: Any) -> str:
    return json.dumps({"revision": revision, "recognition": {"batchMilliseconds": batch, **recognition}})


def flags(name: str) -> str:
    flag = {"state": "ENABLED", "variants": {"it": name}, "defaultVariant": "it"}
    return json.dumps({"flags": {"recognizer": flag}})


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ({}, {}, (DEFAULT,)),
        ({"stt_recognizer": SEARCH}, {}, (SEARCH,)),
        ({}, {"order": [SEARCH, DEFAULT]}, (SEARCH, DEFAULT)),
        ({}, {"recognizer": DEFAULT, "order": [SEARCH, DEFAULT]}, (DEFAULT, SEARCH)),
        ({}, {"recognizer": SEARCH}, (SEARCH,)),
        ({"stt_recognizers_order": (SEARCH, DEFAULT)}, {"recognizer": DEFAULT}, (DEFAULT, SEARCH)),
        ({"stt_recognizer": DEFAULT}, {"order": [SEARCH]}, (DEFAULT, SEARCH)),
        ({"stt_recognizers_order": (SEARCH, DEFAULT)}, {"order": []}, (DEFAULT,)),
        ({"soniox_api_key": "a-key"}, {"order": [SONIOX, DEFAULT]}, (SONIOX, DEFAULT)),
        (
            {"soniox_api_key": "a-key", "soniox_models": ("stt-rt-v6",)},
            {"recognizer": "soniox/stt-rt-v6"},
            ("soniox/stt-rt-v6",),
        ),
        ({"gcp_stt_language": "en-US"}, {"order": EIGHT}, EIGHT),
        ({"gcp_stt_language": "en-US"}, {"order": EIGHT, "recognizer": EIGHT[0]}, EIGHT),
        ({"gcp_stt_language": "en-US"}, {"order": EIGHT[1:], "recognizer": EIGHT[0]}, EIGHT),
        ({"gcp_stt_language": "en-US"}, {"recognizer": f"google-v1/{'m' * 70}"}, (f"google-v1/{'m' * 70}",)),
    ],
)
def test_what_the_file_leaves_out_is_the_process_setting(
    environment: dict[str, Any], given: dict[str, Any], expected: tuple[str, ...]
) -> None:
    own = means(**environment)
    names = parse_tuning(document(**given).encode(), Tuning(), own).recognizers

    assert (names, own.lacking(names)) == (expected, ())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (SONIOX, f"'{SONIOX}' needs SONIOX_API_KEY, which this process does not have; set it and restart the process"),
        ("google-v1/chirp_3", "'google-v1/chirp_3' has no model for he-IL"),
        ("azure/large", "'azure/large' is no recognizer of this service; the names are google-v1/MODEL, soniox/MODEL"),
        ("soniox", "'soniox' is no recognizer of this service"),
        (
            "soniox/nonexistent",
            (
                "'soniox/nonexistent' is no model of Soniox's that this process takes; the recognizers are "
                f"{SONIOX}. If Soniox has the model, add it to SONIOX_MODELS and restart the process"
            ),
        ),
        (f"google-v1/{'m' * 71}", f"'google-v1/{'m' * 70}…' is no recognizer of this service"),
    ],
)
def test_a_name_that_the_process_cannot_use_is_named_with_what_to_do(name: str, why: str) -> None:
    (clause,) = means().lacking((DEFAULT, name))

    assert clause.startswith(why)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"recognizer": ""}, "recognition.recognizer must be the name of a recognizer, such as google-v1/default"),
        ({"recognizer": [DEFAULT]}, "recognition.recognizer must be the name of a recognizer"),
        ({"order": DEFAULT}, "recognition.order must be a list of at most 8 names of recognizers"),
        ({"order": [DEFAULT] * 9}, "recognition.order must be a list of at most 8 names of recognizers"),
        ({"order": [7]}, "recognition.order must be a list of at most 8 names of recognizers"),
        ({"order": [""]}, "recognition.order must be a list of at most 8 names of recognizers, each of 1 to 80 char"),
        ({"order": [f"google-v1/{'m' * 71}"]}, "recognition.order must be a list of at most 8 names of recognizers"),
        (
            {"recognizer": f"google-v1/{'m' * 71}"},
            "recognition.recognizer must be the name of a recognizer, such as google-v1/default, of 1 to 80 characters",
        ),
        (
            {"recognizer": DEFAULT, "order": EIGHT},
            "recognition.recognizer and recognition.order name 9 recognizers together",
        ),
    ],
)
def test_what_can_be_no_name_refuses_the_file(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_tuning(document(**given).encode(), Tuning())

    assert f"tuning.json: {rule}" in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "given"),
    [
        ({"stt_recognizers_order": EIGHT}, {"recognizer": DEFAULT}),
        ({"stt_recognizer": DEFAULT}, {"order": EIGHT}),
    ],
)
def test_nor_may_a_file_and_the_process_setting_together_name_more_than_eight(
    environment: dict[str, Any], given: dict[str, Any]
) -> None:
    own = means(gcp_stt_language="en-US", **environment)
    with pytest.raises(ConfigurationError) as refused:
        parse_tuning(document(**given).encode(), Tuning(), own)

    assert "name 9 recognizers together, each once, with STT_RECOGNIZER or STT_RECOGNIZERS_ORDER for what the file" in (
        str(refused.value)
    )


async def test_a_model_that_soniox_may_not_have_leaves_the_recognizers_as_they_were(tmp_path: Path) -> None:
    own = means(soniox_api_key="a-key")
    (tmp_path / "tuning.json").write_text(document(order=[SONIOX, DEFAULT]))

    async with following(tmp_path, means=own) as live:
        rename_over(tmp_path / "tuning.json", document(revision="8", batch=300, order=["soniox/nonexistent", DEFAULT]))
        await until(lambda: live.status().refusals)

        assert (live.tuning.batch_ms, live.tuning.recognizers) == (300, (SONIOX, DEFAULT))
        assert "'soniox/nonexistent' is no model of Soniox's" in live.status().refusals[0].why


async def test_names_that_cannot_be_used_leave_the_recognizers_as_they_were_and_the_numbers_apply(
    tmp_path: Path,
) -> None:
    (tmp_path / "tuning.json").write_text(document(order=[SEARCH, DEFAULT]))

    async with following(tmp_path, means=means()) as live:
        assert live.tuning.recognizers == (SEARCH, DEFAULT)
        rename_over(tmp_path / "tuning.json", document(revision="8", batch=300, order=[SONIOX, SEARCH, "azure/large"]))
        await until(lambda: live.status().refusals)

        assert (live.tuning.batch_ms, live.tuning.revision) == (300, "8")
        assert live.tuning.recognizers == (SEARCH, DEFAULT)
        (refusal,) = live.status().refusals
        assert (refusal.file, live.status().refused["tuning.json"]) == ("tuning.json", 1)
        assert f"'{SONIOX}' needs SONIOX_API_KEY" in refusal.why
        assert "'azure/large' is no recognizer of this service" in refusal.why
        assert refusal.why.endswith(f"The other settings apply; calls keep {SEARCH}, then {DEFAULT}.")

        rename_over(tmp_path / "tuning.json", document(revision="9", order=[DEFAULT]))
        await until(lambda: not live.status().refusals)
        assert (live.tuning.revision, list(live.tuning.recognizers)) == ("9", [DEFAULT])


async def test_a_process_that_starts_with_a_name_that_it_cannot_use_keeps_its_own_settings(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(document(recognizer=SONIOX))

    async with following(tmp_path, means=means(stt_recognizer=SEARCH)) as live:
        assert (live.tuning.batch_ms, live.tuning.recognizers) == (200, (SEARCH,))
        assert len(live.status().refusals) == 1


async def test_names_that_go_from_the_file_give_way_to_the_process_setting(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(document(order=[SEARCH]))

    async with following(tmp_path, means=means()) as live:
        assert live.tuning.recognizers == (SEARCH,)
        rename_over(tmp_path / "tuning.json", document(revision="8"))
        await until(lambda: live.tuning.revision == "8")

        assert live.tuning.recognizers == (DEFAULT,)


async def test_flags_are_read_anew_with_the_recognizers_that_they_may_name(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(document(order=[DEFAULT]))
    (tmp_path / "flags.json").write_text(flags(SEARCH))

    async with following(tmp_path, means=means()) as live:
        assert [refusal.flag for refusal in live.status().refusals] == ["recognizer"]
        rename_over(tmp_path / "tuning.json", document(revision="8", order=[DEFAULT, SEARCH]))
        await until(lambda: not live.status().refusals)
        assert live.definitions is not None
        assert "recognizer" in live.definitions.flags

        rename_over(tmp_path / "tuning.json", document(revision="9", order=[DEFAULT]))
        await until(lambda: live.status().refusals)
        assert f"'{SEARCH}' is none of this pod's recognizers" in live.status().refusals[0].why


async def test_recognizers_that_change_miss_no_flags_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(document(order=[SEARCH]))

    async with following(tmp_path, means=means()) as live:
        assert (live.tuning.recognizers, live.status().refusals) == ((SEARCH,), ())
