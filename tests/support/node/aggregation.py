"""The certificates by which the API server passes requests on to other API servers, such as one for metrics.

Those servers find the authority in the ConfigMap `extension-apiserver-authentication`, where the API server puts it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.node.places import RUN

FOLDER: Final = RUN / "aggregation"
_AUTHORITY: Final = FOLDER / "ca.crt"
_CERTIFICATE: Final = FOLDER / "client.crt"
_KEY: Final = FOLDER / "client.key"
_NAME: Final = "aggregator"


def write() -> None:
    """Make an authority, and the API server's certificate as a client. The authority's key is not kept."""
    FOLDER.mkdir()
    authority, client = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ours = _certificate("requestheader-ca", authority, "requestheader-ca", authority, is_authority=True)
    _write(_AUTHORITY, ours)
    _write(_CERTIFICATE, _certificate(_NAME, client, "requestheader-ca", authority, is_authority=False))
    plain = serialization.NoEncryption()
    _KEY.write_bytes(client.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def flags() -> list[str]:
    """Return the API server's flags."""
    return [
        f"--requestheader-client-ca-file={_AUTHORITY}",
        f"--requestheader-allowed-names={_NAME}",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={_CERTIFICATE}",
        f"--proxy-client-key-file={_KEY}",
    ]


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    by: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder(_named(issuer), _named(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _write(file: Path, certificate: x509.Certificate) -> None:
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
