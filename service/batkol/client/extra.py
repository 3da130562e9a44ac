"""The packages of the extra `client`. Importing this raises `ModuleNotFoundError`, which says what to install."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

PACKAGES: Final = ("httpx", "msgspec")

for _name in PACKAGES:
    if find_spec(_name) is None:
        raise ModuleNotFoundError(
            f"The Python module {_name} is not installed, which batkol.client needs. Install Batkol with its extra "
            "`client`: run pip install '.[client]' in Batkol's folder.",
            name=_name,
        )
