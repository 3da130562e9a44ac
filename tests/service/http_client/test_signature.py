"""Signatures of webhooks: by the published vector, and of a secret that is none."""

from __future__ import annotations

import base64

import pytest

from batkol.http_client.signature import WebhookSigner, key_of


def test_a_webhook_is_signed_as_the_reference_implementations_sign_it() -> None:
    """The vector of the tests of `standardwebhooks`, in each of its languages."""
    signer = WebhookSigner("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now=lambda: 1614265330.9)
    assert signer.headers(b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek") == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_secret_there_is_no_signature_and_each_webhook_has_an_id_of_its_own() -> None:
    first, second = WebhookSigner().headers(b"1"), WebhookSigner().headers(b"1")
    assert first.keys() == {"webhook-id", "webhook-timestamp"}
    assert first["webhook-id"] != second["webhook-id"]


@pytest.mark.parametrize(
    "secret",
    [
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_not base64!",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(ValueError, match="must be whsec_ and 24 to 64 bytes in base64") as raised:
        key_of(secret)
    assert secret.removeprefix("whsec_") not in str(raised.value) or secret == "whsec_"


def test_with_several_secrets_there_is_a_signature_for_each_with_spaces_between() -> None:
    """ "The signature header is a space delimited list of signatures"."""
    old, new = (f"whsec_{base64.b64encode(bytes([each]) * 24).decode()}" for each in (1, 2))
    both = WebhookSigner(new, old, now=lambda: 7.0).headers(b"{}", "m1")["webhook-signature"]
    each = [WebhookSigner(secret, now=lambda: 7.0).headers(b"{}", "m1")["webhook-signature"] for secret in (new, old)]
    assert both.split(" ") == each
