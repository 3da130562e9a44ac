"""The certificates that clients trust in a test run: one, for no test asks a server of the world's.

Most clients read them when they are made: the 140 of a machine take 20 ms of CPU, and one takes none.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any, Final

import certifi

_END: Final = "-----END CERTIFICATE-----\n"


def trust_one(folder: Path) -> None:
    """Have this process, and those that are forked from it, trust the first of certifi's where the world is trusted.

    Whoever names a file of certificates, as by SSL_CERT_FILE in a test, trusts that one.
    """
    one = folder / "roots.pem"
    one.write_text("".join(Path(certifi.where()).read_text(encoding="utf-8").partition(_END)[:2]), encoding="utf-8")
    create, inherited = ssl.create_default_context, os.environ.get("SSL_CERT_FILE")
    the_world = {None, inherited, certifi.where()}

    def create_default_context(*purpose: Any, cafile: Any = None, **more: Any) -> ssl.SSLContext:
        is_named = cafile not in the_world or bool(more) or os.environ.get("SSL_CERT_FILE") != inherited
        return create(*purpose, cafile=cafile if is_named else str(one), **more)

    ssl.create_default_context = create_default_context
