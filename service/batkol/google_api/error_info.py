"""The `google.rpc.ErrorInfo` of a refusal: Google's own word for it, which is steadier than its text.

It travels in the trailing metadata, as the `google.rpc.Status` of the key `grpc-status-details-bin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has no types
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # has no types

DETAILS: Final = "grpc-status-details-bin"


class ErrorInfo(msgspec.Struct, frozen=True):
    """The reason of a refusal, such as `SERVICE_DISABLED` of `googleapis.com`, and whom it is for."""

    reason: str
    domain: str = ""
    metadata: Mapping[str, str] = {}

    @property
    def project(self) -> str:
        """The project that the request was counted for, such as `123456789012`; empty if Google does not name it."""
        return self.metadata.get("consumer", "").removeprefix("projects/")


def of_trailers(trailers: Any) -> ErrorInfo | None:
    """Read the error info of trailing metadata; None if there is none, or none that can be read."""
    content = next((value for key, value in trailers or () if key == DETAILS), None)
    if content is None:
        return None
    status: Any = status_pb2.Status()
    try:
        status.ParseFromString(content)
    except DecodeError:
        return None
    return of_details(status.details)


def of_details(details: Iterable[Any]) -> ErrorInfo | None:
    """Read the error info of the details of a `google.rpc.Status`: the first that is one."""
    for detail in details:
        info: Any = error_details_pb2.ErrorInfo()
        try:
            if detail.Unpack(info):
                return ErrorInfo(info.reason, info.domain, dict(info.metadata))
        except DecodeError:
            return None
    return None
