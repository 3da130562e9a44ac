"""Key files of service accounts, as `gcloud iam service-accounts keys create` writes them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

EMAIL = "batkol@a-project.iam.gserviceaccount.com"


@functools.cache
def private_key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.private_bytes(pem, form, serialization.NoEncryption()).decode()


def write_key_file(path: Path, token_url: str, *, email: str = EMAIL) -> None:
    """Write a key whose tokens come from that URL."""
    fields = {
        "type": "service_account",
        "project_id": email.partition("@")[2].partition(".")[0],
        "private_key_id": "0" * 40,
        "private_key": private_key(),
        "client_email": email,
        "client_id": "1" * 21,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_url,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(fields))
