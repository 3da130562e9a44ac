import json
import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from batkol.conversation.actions import StockPhrase
from batkol.errors import ConfigurationError
from batkol.rights import ALL_RIGHTS, Right
from batkol.settings import Settings, read, shown

GOOD = {"TWILIO_AUTH_TOKEN": "secret", "PUBLIC_BASE_URL": "https://voice.example.com", "STORE": "none"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*Settings.model_fields}:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def reading(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in {**GOOD, **environment}.items():
        monkeypatch.setenv(name, value)
    return read()


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        reading(monkeypatch, **environment)
    return str(raised.value)


def test_the_defaults_are_those_of_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = reading(monkeypatch)

    assert settings.enable_streaming_stt is False
    assert (settings.stt_batch_ms, settings.stt_partial_debounce_ms, settings.stt_final_timeout_ms) == (150, 180, 700)
    assert (settings.gcp_stt_language, settings.gcp_stt_model) == ("he-IL", "default")
    assert (settings.stt_rotate_after_s, settings.stt_rotate_by_s) == (240, 285)
    assert (settings.stt_replay_limit_s, settings.stt_replay_rate) == (10, 2.5)
    assert (settings.stt_max_streams, settings.stt_check_at_start) == (0, True)
    assert settings.max_calls == 100
    assert settings.log_transcripts is False
    assert settings.twilio_validate_signatures is True
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)
    assert (settings.internal_host, settings.internal_port, settings.internal_hosts) == ("127.0.0.1", 8081, ())


def test_nothing_at_all_in_the_environment_is_refused_with_what_to_set() -> None:
    with pytest.raises(ConfigurationError) as raised:
        read()

    assert str(raised.value) == (
        "the settings cannot be used:\n  TWILIO_VALIDATE_SIGNATURES is on and there is no TWILIO_AUTH_TOKEN to check "
        "signatures with; set the token, or for development only TWILIO_VALIDATE_SIGNATURES=false"
    )


@pytest.mark.parametrize("token", ["", " ", ",", " , "])
def test_a_token_of_nothing_is_no_token(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    assert "there is no TWILIO_AUTH_TOKEN" in refusal(monkeypatch, TWILIO_AUTH_TOKEN=token)


def test_signatures_need_the_url_that_twilio_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "so the service needs PUBLIC_BASE_URL" in refusal(monkeypatch, PUBLIC_BASE_URL="")


def test_for_development_neither_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = reading(monkeypatch, TWILIO_AUTH_TOKEN="", PUBLIC_BASE_URL="", TWILIO_VALIDATE_SIGNATURES="false")

    assert settings.twilio_auth_token == ()


def test_several_tokens_are_read_during_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reading(monkeypatch, TWILIO_AUTH_TOKEN=" new , old ,").twilio_auth_token == ("new", "old")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://voice.example.com/", "https://voice.example.com"),
        ("https://voice.example.com/prefix/", "https://voice.example.com/prefix"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_a_base_url_is_taken_without_its_last_slash(monkeypatch: pytest.MonkeyPatch, written: str, meant: str) -> None:
    assert reading(monkeypatch, PUBLIC_BASE_URL=written).public_base_url == meant


@pytest.mark.parametrize("url", ["wss://voice.example.com", "voice.example.com", "ftp://x"])
def test_a_base_url_is_one_that_twilio_can_request(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    sentence = refusal(monkeypatch, PUBLIC_BASE_URL=url)

    assert "PUBLIC_BASE_URL: must be https://host[/prefix] (http:// in development)" in sentence


@pytest.mark.parametrize("url", ["https://x/?a=1", "https://x/#a"])
def test_a_base_url_has_no_query_because_twilio_drops_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "PUBLIC_BASE_URL: must have neither a query nor a fragment" in refusal(monkeypatch, PUBLIC_BASE_URL=url)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7"])
def test_the_internal_api_is_not_opened_to_the_network_without_a_password(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    sentence = refusal(monkeypatch, INTERNAL_HOST=host)

    assert f"INTERNAL_HOST={host} opens the internal API to the network without a password" in sentence
    assert "set API_TOKEN, or bind it to 127.0.0.1" in sentence


@pytest.mark.parametrize("name", ["API_TOKEN", "API_READ_TOKEN", "API_TOKENS"])
def test_with_any_password_it_may_be_opened(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert reading(monkeypatch, INTERNAL_HOST="0.0.0.0", **{name: value_of(name)}).internal_host == "0.0.0.0"


def test_each_token_has_a_name_and_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("API_TOKEN", "API_READ_TOKEN", "API_TOKENS")
    grants = reading(monkeypatch, **{name: value_of(name) for name in names}).grants

    assert [(grant.name, grant.may) for grant in grants] == [
        ("API_TOKEN", ALL_RIGHTS),
        ("API_READ_TOKEN", frozenset({Right.STATUS, Right.TEXTS})),
        ("console", frozenset({Right.STATUS})),
    ]
    assert reading(monkeypatch, **dict.fromkeys(names, "")).grants == ()


@pytest.mark.parametrize(("name", "other"), [("API_TOKEN", "API_READ_TOKEN"), ("API_TOKEN", "console")])
def test_one_token_under_two_names_is_refused_with_both(monkeypatch: pytest.MonkeyPatch, name: str, other: str) -> None:
    token = "Zq7-0123456789abcdef"
    tokens = json.dumps({"console": {"token": token, "may": ["status"]}})
    again = {"API_TOKENS": tokens} if other == "console" else {other: token}
    sentence = refusal(monkeypatch, API_TOKEN=token, **again)

    assert f"API_TOKENS: {name} and {other} have the same token" in sentence
    assert "Zq7" not in sentence


def test_a_short_read_token_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = refusal(monkeypatch, API_READ_TOKEN="Zq7")

    assert "  API_READ_TOKEN: must have at least 16 characters; create a token with `openssl rand" in sentence
    assert "Zq7" not in sentence


def test_tokens_that_cannot_work_are_refused_by_the_name_of_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = refusal(monkeypatch, API_TOKENS='{"console": {"token": "Zq7-0123456789abcdef", "may": ["all"]}}')

    assert '  API_TOKENS: "may" of token 1 (console) has an unknown right in place 1; the rights' in sentence
    assert "Zq7" not in sentence


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_it_needs_none(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert reading(monkeypatch, INTERNAL_HOST=host).api_token == ""


def test_names_of_the_internal_api_are_read_as_dns_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = reading(monkeypatch, INTERNAL_HOSTS=" Batkol.Internal , host.docker.internal., ,my_box")

    assert settings.internal_hosts == ("batkol.internal", "host.docker.internal", "my_box")


@pytest.mark.parametrize("hosts", ["*", "http://box", "box:8081", "127.0.0.1", "[::1]", "0x7f000001", "good,-bad"])
def test_what_is_no_host_name_is_refused(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    assert "INTERNAL_HOSTS: must be host names, separated by commas" in refusal(monkeypatch, INTERNAL_HOSTS=hosts)


def test_a_live_source_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "LIVE_SOURCE must be" in refusal(monkeypatch, LIVE_SOURCE="/etc/batkol")


def test_a_directory_to_start_from_is_for_a_source_that_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away = reading(monkeypatch, LIVE_SOURCE="kubernetes:live", LIVE_START_FROM="/live", POD_NAMESPACE="calls")
    assert (away.live_source, away.live_start_from, away.pod_namespace) == ("kubernetes:live", "/live", "calls")
    assert "set LIVE_SOURCE=file:DIRECTORY" in refusal(monkeypatch, LIVE_SOURCE="file:/live")


def test_phrases_are_a_json_array_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reading(monkeypatch, STT_PHRASES='["תור דחוף", "מרפאה"]').stt_phrases == ("תור דחוף", "מרפאה")
    assert reading(monkeypatch, STT_PHRASES="").stt_phrases == ()
    assert len(reading(monkeypatch, STT_PHRASES=json.dumps(["א" * 100] * 500)).stt_phrases) == 500


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("תור, מרפאה", "must be JSON such as"),
        ('["א", {"a": 1, "a": 2}]', "has a twice in one object"),
        ('{"a": 1}', "must be a JSON array of texts"),
        ("[1]", "must be a JSON array of texts"),
        ('["a", ""]', "phrase 2 must have 1 to 100 characters"),
        (json.dumps(["א" * 101]), "phrase 1 must have 1 to 100 characters"),
        (json.dumps(["a"] * 501), "has 501 phrases; keep the 500 most important phrases"),
    ],
)
def test_phrases_that_google_would_not_take_are_refused(
    monkeypatch: pytest.MonkeyPatch, written: str, says: str
) -> None:
    assert says in refusal(monkeypatch, STT_PHRASES=written)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STT_BATCH_MS", "19"),
        ("STT_BATCH_MS", "1001"),
        ("STT_BATCH_MS", "fast"),
        ("STT_PARTIAL_DEBOUNCE_MS", "-1"),
        ("STT_FINAL_TIMEOUT_MS", "99"),
        ("STT_ROTATE_AFTER_S", "0"),
        ("STT_ROTATE_BY_S", "soon"),
        ("STT_REPLAY_LIMIT_S", "-1"),
        ("STT_REPLAY_RATE", "1"),
        ("STT_MAX_STREAMS", "-1"),
        ("STT_CHECK_AT_START", "perhaps"),
        ("VAD", "energy"),
        ("MAX_CALLS", "0"),
        ("PORT", "65536"),
        ("PORT", ""),
        ("FLAGS_PROVIDER", "launchdarkly"),
        ("LOG_LEVEL", "LOUD"),
        ("ENABLE_STREAMING_STT", "maybe"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert f"  {name}: " in refusal(monkeypatch, **{name: value})


def test_there_must_be_time_to_look_for_silence_before_a_stream_is_replaced_in_any_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentence = refusal(monkeypatch, STT_ROTATE_AFTER_S="240", STT_ROTATE_BY_S="240")

    assert "STT_ROTATE_BY_S=240 leaves no time to wait for silence after STT_ROTATE_AFTER_S=240" in sentence


def test_a_stream_is_replaced_before_google_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Google ends a stream at 305 s; set it to 285" in refusal(monkeypatch, STT_ROTATE_BY_S="305")
    assert reading(monkeypatch, STT_ROTATE_BY_S="304.9").stt_rotate_by_s == 304.9


def test_elsewhere_a_stream_may_live_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reading(monkeypatch, STT_ROTATE_BY_S="400", GCP_STT_ENDPOINT="speech:9090").stt_rotate_by_s == 400


def test_the_documentation_has_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in page] == []


def test_the_documentation_has_the_default_of_every_number_and_switch() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| `([^`]+)` \|", page, re.MULTILINE))
    defaults = {
        name.upper(): f"{field.default:g}" if not isinstance(field.default, bool) else str(field.default).lower()
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, int | float) and f"| `{name.upper()}` |" in page
    }

    assert {name: (rows.get(name), default) for name, default in defaults.items() if rows.get(name) != default} == {}
    assert len(defaults) > 30


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = refusal(monkeypatch, STT_BATCH_MS="0", PORT="x", VAD="y")

    assert len(sentence.splitlines()) == 4


def test_no_secret_is_in_a_refusal_or_in_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "TWILIO_AUTH_TOKEN": "s3cr3t-a",
        "API_TOKEN": "s3cr3t-b",
        "WHISPER_API_KEY": "s3cr3t-c",
        "API_READ_TOKEN": "s3cr3t-d-0123456789",
        "API_TOKENS": '{"console": {"token": "s3cr3t-e-0123456789", "may": ["status"]}}',
    }

    assert "s3cr3t" not in refusal(monkeypatch, **secrets, PORT="x")
    assert "s3cr3t" not in refusal(monkeypatch, **secrets, PUBLIC_BASE_URL="")
    monkeypatch.delenv("PORT")
    assert "s3cr3t" not in repr(reading(monkeypatch, **secrets))


def test_the_settings_are_read_once_and_never_change(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = reading(monkeypatch)
    monkeypatch.setenv("MAX_CALLS", "7")

    with pytest.raises(ValidationError):
        settings.max_calls = 7  # type: ignore[misc]
    assert settings.max_calls == 100


def test_what_is_not_ours_in_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING_ELSE", "1")

    assert reading(monkeypatch).max_calls == 100
    assert os.environ["SOMETHING_ELSE"] == "1"


VALUES = {  # one that works, for every field
    "ENABLE_STREAMING_STT": "yes",
    "VAD": "webrtc",
    "STORE": "postgres",
    "FLAGS_PROVIDER": "env",
    "LOG_LEVEL": "DEBUG",
    "GCP_STT_ENDPOINT": "speech:9090",
    "GCP_TTS_ENDPOINT": "voice:9091",
    "LOG_FORMAT": "json",
    "LIVE_SOURCE": "kubernetes:live",
    "STT_PHRASES": '["מרפאה"]',
    "REPLY_BUDGET": '{"tokens": 5}',
    "TRANSFER_ALLOWED": '{"sales": "+972501234567"}',
    "WHISPER_URL": "http://whisper:8000",
    "OVERFLOW_URL": "https://other.example.com/twiml",
    "PUBLIC_BASE_URL": "https://voice.example.com",
    "DATABASE_URL": "postgresql://user:password@db/calls?sslmode=disable",
    "STT_ROTATE_BY_S": "290",
    "INTERNAL_HOST": "10.0.0.7",
    "API_TOKEN": "token",
    "API_READ_TOKEN": "a-token-for-reading",
    "API_TOKENS": '{"console": {"token": "a-token-for-the-console", "may": ["status"]}}',
    "TWILIO_AUTH_TOKEN": "one,two",
    "STREAM_TOKEN": "optional",
    "STREAM_SECRET": "0123456789abcdef0123,0123456789abcdef4567",
    "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000",
    "TWILIO_API_KEY": "SK00000000000000000000000000000000",
    "INTERNAL_HOSTS": "one.example,two.example",
    "CONSOLE_AGENTS": '{"sales": "https://sales.example.com/console/"}',
    "TRACE_URL": "https://jaeger.example.com/trace/{trace_id}",
    "FLEET_PEERS": "reception-fleet:8081,[::1]:8081",
    "STT_RECOGNIZER": "google-v1/default",
    "STT_RECOGNIZERS_ORDER": "google-v1/default",
    "SONIOX_MODELS": "stt-rt-v5",
    "ANSWERER_URL": "http://llm:8000/v1",
    "ANSWERERS": '{"some": {"kind": "echo"}}',
    "VOICE_URL": "http://voice:8000/v1",
    "VOICES": '{"some": {"kind": "builtin"}}',
    "SINKS": '{"bus": {"kind": "nats", "url": "nats://bus:4222"}}',
    "AGENT_PHRASES": '{"filler": "רגע"}',
    "TOOLS": '[{"name": "hang_up"}]',
    "LEAD_FIELDS": '{"name": "The name"}',
}


def value_of(name: str) -> str:
    default = Settings.model_fields[name.lower()].get_default(call_default_factory=True)
    return VALUES.get(name) or (str(default).lower() if isinstance(default, bool) else str(default) or "some")


NAMES = sorted(name.upper() for name in Settings.model_fields)
LINES = [name for name in NAMES if name.lower() not in Settings.free_texts]


@pytest.mark.parametrize("unseen", ["\r\n", "\u00a0", "\ufeff"])
def test_what_echo_or_a_copied_line_leaves_around_a_value_is_taken_off_every_setting(
    monkeypatch: pytest.MonkeyPatch, unseen: str
) -> None:
    clean = reading(monkeypatch, **{name: value_of(name) for name in NAMES})

    assert reading(monkeypatch, **{name: f"{unseen}{value_of(name)}{unseen}" for name in NAMES}) == clean


@pytest.mark.parametrize("unseen", ["\n", "\u00a0", "\u200b"])
def test_what_cannot_be_seen_inside_a_value_is_refused_by_the_name_of_every_setting(
    monkeypatch: pytest.MonkeyPatch, unseen: str
) -> None:
    lines = refusal(monkeypatch, **dict.fromkeys(LINES, f"Z{unseen}q7")).splitlines()[1:]

    assert sorted(line.strip().partition(":")[0] for line in lines) == LINES
    assert [line for line in lines if ": has a" not in line or "inside, at character 2" not in line] == []
    assert "q7" not in "".join(lines)


def test_a_space_inside_is_refused_but_in_paths_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = refusal(monkeypatch, **dict.fromkeys(LINES, "Zq7 Xw3")).splitlines()[1:]

    spaced = {line.strip().partition(":")[0] for line in lines if "has a space inside, at character 4" in line}
    may_have_one = {name.upper() for name in Settings.with_spaces}
    assert spaced == {*LINES} - may_have_one
    assert {"API_TOKEN", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "DATABASE_URL", "HOST", "PORT"} <= spaced
    assert "Zq7" not in "".join(lines)


def test_quotation_marks_around_a_value_are_refused_for_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = refusal(monkeypatch, **dict.fromkeys(LINES, '"Zq7"')).splitlines()[1:]

    assert sorted(line.strip().partition(":")[0] for line in lines if "has quotation marks around it" in line) == LINES
    assert "Zq7" not in "".join(lines)


@pytest.mark.parametrize("empty", ["", "\n"])
def test_a_value_that_must_be_there_is_not_empty(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    needed = ("HOST", "DATABASE_DIR", "JOURNAL_DIR", "GCP_STT_LANGUAGE", "MAX_CALLS", "LOG_LEVEL", "LOG_TRANSCRIPTS")
    sentence = refusal(monkeypatch, **dict.fromkeys(needed, empty))

    assert sentence.count(": is empty; set a value, or remove the variable to use the default") == len(needed)


def test_a_token_of_one_line_break_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "without a password" in refusal(monkeypatch, INTERNAL_HOST="0.0.0.0", API_TOKEN="\n")


def test_a_token_that_no_header_can_carry_is_refused_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ("API_TOKEN", "API_READ_TOKEN", "WHISPER_API_KEY", "TWILIO_AUTH_TOKEN")
    sentence = refusal(monkeypatch, **dict.fromkeys(tokens, "Zq7-תור"))

    for name in tokens:
        assert f"  {name}: has a character that is not ASCII, at character 5" in sentence
    assert "Zq7" not in sentence


def test_a_base_url_with_our_own_path_is_refused_with_the_one_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = refusal(monkeypatch, PUBLIC_BASE_URL="https://voice.example.com/agents/twilio/voice/\n")

    assert sentence.endswith("which the service appends itself; set it to https://voice.example.com/agents")


@pytest.mark.parametrize("end", ["/v1", "/v1/", "/v1/audio/transcriptions"])
def test_a_whisper_url_with_the_path_that_we_add_is_refused(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    sentence = refusal(monkeypatch, WHISPER_URL=f"https://u:Zq7@whisper:8000{end}")

    assert "WHISPER_URL: must end before /v1/audio/transcriptions" in sentence
    assert "Zq7" not in sentence


@pytest.mark.parametrize("written", ["yes", "on", "True\n"])
def test_a_yes_is_written_in_many_ways(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    assert reading(monkeypatch, LOG_TRANSCRIPTS=written).log_transcripts is True


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        ({}, False),
        ({"TWILIO_VALIDATE_SIGNATURES": "false"}, True),
        ({"LOG_PARTIALS": "true"}, True),
        ({"LOG_PARTIALS": "auto"}, False),
        ({"LOG_PARTIALS": "false", "TWILIO_VALIDATE_SIGNATURES": "false"}, False),
    ],
)
def test_partials_are_in_the_log_of_a_developer_and_not_in_production_s(
    given: dict[str, str], logged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reading(monkeypatch, **given).logs_partials is logged


TEXTS = sorted(name for name, field in Settings.model_fields.items() if field.annotation is str)
SECRETIVE = "https://user:Zq7@host.example/base?token=Zq7#Zq7"
AMBIGUOUS = (
    "https://user:x/Zq7@host.example/",
    "https://user:Zq7#x@host.example/",
    "https://user:x?Zq7@host/",
    "https://a:Zq7",
)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [SECRETIVE, *AMBIGUOUS])
def test_no_setting_shows_what_is_secret_in_a_url(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Of every text there is: a setting that comes to hold a URL is not forgotten."""
    settings = reading(monkeypatch).model_copy(update={name: value})

    assert "Zq7" not in repr(shown(settings)) + repr(settings) + str(settings)


@pytest.mark.parametrize(
    "name",
    ["WHISPER_URL", "OVERFLOW_URL", "PUBLIC_BASE_URL", "DATABASE_URL", "GCP_STT_ENDPOINT", "GCP_TTS_ENDPOINT"],
)
@pytest.mark.parametrize(
    "value", [*AMBIGUOUS, "https://user:Zq7@host.example:Zq7/", "u:Zq7@host:443", "https://u:Zq7 @host/"]
)
def test_a_url_that_can_be_read_in_two_ways_is_refused_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    sentence = refusal(monkeypatch, **{name: value})

    assert name in sentence
    assert "Zq7" not in sentence


@pytest.mark.parametrize("name", ["WHISPER_URL", "OVERFLOW_URL", "PUBLIC_BASE_URL"])
@pytest.mark.parametrize(
    "value",
    [
        "/busy?token=Zq7",
        "mailto:Zq7",
        "//u:Zq7@host/x",
        "host.example/Zq7",
        "https:u:Zq7@host/x",
        "https://[:::::]/Zq7",
    ],
)
def test_a_url_is_absolute_and_has_a_host(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    sentence = refusal(monkeypatch, **{name: value})

    assert f"{name}: " in sentence
    assert "Zq7" not in sentence


ADDRESSES = {
    **{f"{name}_URL": "https://AT/v1" for name in ("PUBLIC_BASE", "OVERFLOW", "TWILIO_API", "ANSWERER", "VOICE")},
    "WHISPER_URL": "http://AT",
    "SONIOX_URL": "wss://AT/transcribe-websocket",
    "TRACE_URL": "https://AT/{trace_id}",
    "DATABASE_URL": "postgresql://u:p@AT/d",
    "GCP_STT_ENDPOINT": "AT",
    "GCP_TTS_ENDPOINT": "AT",
    "FLEET_PEERS": "AT",
    "CONSOLE_AGENTS": '{"sales": "https://AT/console/"}',
    "ANSWERERS": '{"b": {"kind": "openai", "model": "m", "url": "https://AT/v1"}}',
    "VOICES": '{"b": {"kind": "openai", "model": "m", "url": "https://AT/v1"}}',
    "TOOLS": '[{"name": "book", "url": "https://AT/"}]',
    "SINKS": '{"bus": {"kind": "nats", "url": "nats://AT"}}',
}
"""Every setting with an address in it."""


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_port_that_there_is_not_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for port in ("0", "65536", "99999", "abc", "-1"):
        sentence = refusal(monkeypatch, **{name: ADDRESSES[name].replace("AT", f"host.example:{port}")})

        assert f"  {name}: " in sentence
        assert "port" in sentence, sentence


def test_every_setting_with_an_address_is_among_them() -> None:
    named = {name.upper() for name in Settings.model_fields if name.endswith(("_url", "_endpoint", "_peers"))}

    assert named - ADDRESSES.keys() == set()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"ANSWERER": "openai"}, "ANSWERER=openai needs ANSWERER_URL and ANSWERER_MODEL"),
        ({"VOICE": "openai", "VOICE_URL": "http://v/v1"}, "VOICE=openai needs VOICE_URL and VOICE_MODEL"),
        ({"ANSWERER_URL": "http://llm/v1/chat/completions"}, "ANSWERER_URL: must end before the path"),
        ({"AGENT_PHRASES": "{'a': 1}"}, "AGENT_PHRASES: must be JSON such as"),
        ({"AGENT_PHRASES": '{"hello": "x"}'}, "the phrases are filler, apology, repeat, idle, goodbye"),
        ({"AGENT_PHRASES": '{"idle": "' + "x" * 301 + '"}'}, "more than 300 characters for idle"),
        ({"TOOLS": '{"name": "hang_up"}'}, "TOOLS: must be JSON such as"),
        ({"TOOLS": '[{"name": "book"}]'}, "book has no url, and is none of the built-in tools"),
        ({"TOOLS": '[{"name": "hang_up"}, {"name": "hang_up"}]'}, "two tools with the name hang_up"),
        ({"TOOLS": '[{"name": "save_lead"}]'}, "the tool save_lead needs LEAD_FIELDS"),
        ({"TOOLS": '[{"name": "transfer"}]'}, "the tool transfer needs TRANSFER_ALLOWED"),
        ({"TOOLS": '[{"name": "hang_up", "name": "x"}]'}, "TOOLS: has name twice in one object"),
        ({"LEAD_FIELDS": '{"name": "a", "name": "b"}'}, "LEAD_FIELDS: has name twice in one object"),
        ({"AGENT_PHRASES": '{"idle": "a", "idle": "b"}'}, "AGENT_PHRASES: has idle twice in one object"),
        ({"REPLY_BUDGET": '{"tokens": 1, "tokens": 2}'}, "REPLY_BUDGET: has tokens twice in one object"),
        ({"REPLY_BUDGET": '{"minutes": 1e999}'}, "REPLY_BUDGET: has a number that is too large"),
        ({"AGENT_PHRASES": '{"idle": "\\ud800"}'}, "AGENT_PHRASES: is not UTF-8 at character 11"),
        ({"STT_PHRASES": '["\\udc00"]'}, "STT_PHRASES: is not UTF-8 at character 3"),
        ({"ANSWERER_PROMPT": "caf\udce9"}, "ANSWERER_PROMPT: is not UTF-8 at character 4"),
        ({"GREETING": "\udcd7\udced"}, "GREETING: is not UTF-8 at character 1"),
        ({"SUMMARY_PROMPT": "a\udcff", "DATABASE_URL": "postgresql://u:p@h/d"}, "SUMMARY_PROMPT: is not UTF-8"),
        ({"LEAD_FIELDS": "[]"}, "LEAD_FIELDS: must be JSON such as"),
        ({"LEAD_FIELDS": '{"name": {"type": "text"}}'}, "type of name of the lead fields is none of"),
        ({"GREETING": "x" * 301}, "GREETING: has a text of more than 300 characters"),
    ],
)
def test_what_cannot_answer_or_speak_is_refused(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], says: str
) -> None:
    assert says in refusal(monkeypatch, **values)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("tokenEnv", None, "the variable TOOL_SECRET is not set; set it and restart"),
        ("tokenEnv", "Zq7\nX-Admin: 1", "the variable TOOL_SECRET has a line break inside, at character 4"),
        ("tokenEnv", "סוד", "the variable TOOL_SECRET has a character that is not ASCII"),
        ("secretEnv", "Zq7", "the variable TOOL_SECRET must be whsec_ and 24 to 64 bytes in base64"),
        ("secretEnv", "whsec_Zq7", "the variable TOOL_SECRET must be whsec_ and 24 to 64 bytes in base64"),
    ],
)
def test_a_tool_whose_secret_no_request_could_have_is_refused_and_the_secret_not_quoted(
    monkeypatch: pytest.MonkeyPatch, field: str, value: str | None, says: str
) -> None:
    monkeypatch.delenv("TOOL_SECRET", raising=False)
    tools = json.dumps([{"name": "book", "url": "http://x/", field: "TOOL_SECRET"}])

    sentence = refusal(monkeypatch, TOOLS=tools, **({} if value is None else {"TOOL_SECRET": value}))

    assert f"TOOLS: the tool book cannot be carried out: {says}" in sentence
    assert "Zq7" not in sentence


def test_a_phrase_of_the_agents_own_takes_the_place_of_the_stored_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = reading(monkeypatch, AGENT_PHRASES='{"filler": "", "idle": "נו"}', GREETING="שלום")

    phrases = settings.phrases("he-IL")

    assert phrases == {"greeting": "שלום", "filler": "", "idle": "נו"}
    assert settings.phrases("en-US")[StockPhrase.IDLE] == "נו"
    assert reading(monkeypatch, AGENT_PHRASES="").phrases("fr-FR")[StockPhrase.IDLE] == "Are you still there?"


def test_a_base_url_has_no_login_because_a_stream_can_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = refusal(monkeypatch, PUBLIC_BASE_URL="https://user:Zq7@voice.example.com")

    assert "PUBLIC_BASE_URL: must have no user and no password" in sentence
    assert "Zq7" not in sentence


def test_every_setting_that_is_named_a_url_is_read_strictly(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [name for name in TEXTS if name.endswith("_url")]

    assert len(urls) >= 4
    for name in urls:
        assert "Zq7" not in refusal(monkeypatch, **{name.upper(): "https://user:x/Zq7@host.example/"})
        monkeypatch.delenv(name.upper())


def test_an_error_of_pydantics_quotes_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would in a traceback: the whole of the settings may be its input."""
    for name, value in {**GOOD, "DATABASE_URL": "postgresql://u:x/Zq7@db/calls", "PORT": "Zq7"}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError) as raised:
        Settings()
    assert "Zq7" not in str(raised.value) + repr(raised.value)


def test_what_is_no_secret_of_a_url_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    told = shown(
        reading(
            monkeypatch,
            WHISPER_URL="http://u:p@whisper:8000/v",
            OVERFLOW_URL="https://handler.example/twiml?token=x",
            PUBLIC_BASE_URL="https://voice.example.com/one",
        )
    )

    assert told["whisper_url"] == "http://***@whisper:8000/v"
    assert told["overflow_url"] == "https://handler.example/twiml?***"
    assert told["public_base_url"] == "https://voice.example.com/one"
    assert told["live_source"] == ""
    tokens = {"twilio_auth_token", "api_token", "api_read_token", "api_tokens", "whisper_api_key"}
    assert {*tokens, "database_url"}.isdisjoint(told)


def test_a_model_of_soniox_is_one_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"SONIOX_API_KEY": "a-key", "STT_RECOGNIZER": "soniox/stt-rt-v6"}

    assert "STT_RECOGNIZER: 'soniox/stt-rt-v6' is no model of Soniox's" in refusal(monkeypatch, **variables)
    assert reading(monkeypatch, **variables, SONIOX_MODELS="stt-rt-v5,stt-rt-v6").recognizers == ("soniox/stt-rt-v6",)


@pytest.mark.parametrize("names", ["soniox/stt-rt-v5", "google-v1/default,soniox/stt-rt-v5"])
def test_soniox_is_refused_without_a_key_wherever_it_is_named(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    assert "Soniox is chosen as a recognizer and has no key; set SONIOX_API_KEY" in refusal(
        monkeypatch, STT_RECOGNIZERS_ORDER=names
    )
    settings = reading(monkeypatch, SONIOX_API_KEY="a-key")

    assert "soniox/stt-rt-v5" in settings.recognizers
    assert "a-key" not in f"{settings!r}{shown(settings)}"
