"""Errors of a server: whose fault, whether to try again, and nothing of the server's own text."""

from __future__ import annotations

import json

import pytest

from batkol.answering.refusals import failed, refused

SECRET = "sk-secret שלום"


def error(code: object = None, kind: object = None) -> dict[str, object]:
    return {"message": SECRET, "type": kind, "param": SECRET, "code": code}


@pytest.mark.parametrize(
    ("status", "body", "reason", "retryable"),
    [
        (401, error("invalid_api_key"), "unauthorized", False),
        (401, None, "unauthorized", False),
        (402, None, "quota", False),
        (403, None, "forbidden", False),
        (404, error("model_not_found"), "not_found", False),
        (405, None, "not_found", False),
        (400, error("context_length_exceeded"), "too_large", False),
        (413, None, "too_large", False),
        (400, error("unsupported_parameter"), "bad_request", False),
        (400, error("content_filter"), "content_filter", False),
        (422, None, "bad_request", False),
        (429, error("rate_limit_exceeded", "requests"), "rate_limited", True),
        (429, error("insufficient_quota", "insufficient_quota"), "quota", False),
        (429, error(None, "insufficient_quota"), "quota", False),
        (429, None, "rate_limited", True),
        (408, None, "server_error", True),
        (500, error(None, "server_error"), "server_error", True),
        (502, None, "server_error", True),
        (503, error("invalid_api_key"), "server_error", True),  # a server in trouble says anything
        (302, None, "redirect", False),
        (204, None, "bad_request", False),
    ],
)
def test_a_status_says_whose_fault_it_is(
    status: int, body: dict[str, object] | None, reason: str, retryable: bool
) -> None:
    found = refused("The answerer x", status, b"" if body is None else json.dumps({"error": body}).encode())

    assert (found.reason, found.retryable) == (reason, retryable)
    assert str(found).startswith(f"The answerer x answered HTTP {status}")
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sk-secret</html>",
        b"[]",
        b"null",
        b'{"error": "sk-secret"}',
        b'{"error": null}',
        b"\xff",
        b"[" * 99_999,
        b'{"error": {"code": ["sk-secret"], "type": 7}}',
        b'{"error": {"code": "sk-secret"}}',
        b'{"error": {"code": "\xff"}}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_no_error_is_not_quoted(body: bytes) -> None:
    found = refused("The answerer x", 500, body)

    assert (found.reason, found.retryable) == ("server_error", True)
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("error", "reason", "retryable"),
    [
        (b'{"message": "sk-secret", "type": "server_error", "code": null}', "server_error", True),
        (b'{"message": "sk-secret", "code": "rate_limit_exceeded"}', "rate_limited", True),
        (b'{"message": "sk-secret", "type": "BadRequestError", "code": 400}', "bad_request", False),  # vLLM
        (b'{"message": "sk-secret", "code": 502}', "server_error", True),  # a router
        (b'{"code": 401}', "unauthorized", False),
        (b'{"code": 99999999999}', "server_error", True),
        (b'"sk-secret"', "server_error", True),
        (b"{}", "server_error", True),
        (b"7", "server_error", True),
    ],
)
def test_an_error_inside_a_stream_says_the_same(error: bytes, reason: str, retryable: bool) -> None:
    found = failed("The answerer x", error)

    assert (found.reason, found.retryable) == (reason, retryable)
    assert "secret" not in str(found)
