"""Google's refusals of a project, an account or a network, as its front ends send them: a text, and details.

The details are a `google.rpc.Status` in the trailing metadata, with a `google.rpc.ErrorInfo` and often a link
(`google.rpc.Help`). Domain, metadata and the rows' words are those of google/api/error_reason.proto; the texts are as
users have reported them: ThioJoe/Auto-Synced-Translated-Dubs 46, GoogleCloudPlatform/php-docs-samples 1235,
GoogleCloudPlatform/generative-ai 2008, felixjunghans/google_speech 48, googlecodelabs/feedback 1193,
googleapis/google-cloud-python 5006, GoogleCloudPlatform/android-docs-samples 58.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]  # has no types

PROJECT: Final = "123456789012"
SERVICE: Final = "speech.googleapis.com"
DETAILS: Final = "grpc-status-details-bin"

_CONSOLE: Final = "https://console.developers.google.com"
_API: Final = f"{_CONSOLE}/apis/api/{SERVICE}/overview?project={PROJECT}"
_BILLING: Final = f"{_CONSOLE}/billing/enable?project={PROJECT}"
_SOON: Final = "recently, wait a few minutes for the action to propagate to our systems and retry."
_CONSUMER: Final = (("consumer", f"projects/{PROJECT}"), ("service", SERVICE))
_METHOD: Final = (("method", "google.cloud.speech.v1p1beta1.Speech.Recognize"), ("service", SERVICE))
_GOOGLE: Final = "googleapis.com"
_C: Final = grpc.StatusCode


class ProjectRefusal(NamedTuple):
    """One refusal: its status, its text, and the parts of its details."""

    code: grpc.StatusCode
    text: str
    metadata: tuple[tuple[str, str], ...] = _CONSUMER
    domain: str = _GOOGLE
    link: tuple[str, str] = ("", "")
    """Description and URL."""


REFUSALS: Final = {
    "SERVICE_DISABLED": ProjectRefusal(
        _C.PERMISSION_DENIED,
        f"Cloud Speech-to-Text API has not been used in project {PROJECT} before or it is disabled. Enable it by "
        f"visiting {_API} then retry. If you enabled this API {_SOON}",
        link=("Google developers console API activation", _API),
    ),
    "BILLING_DISABLED": ProjectRefusal(
        _C.PERMISSION_DENIED,
        f"This API method requires billing to be enabled. Please enable billing on project #{PROJECT} by visiting "
        f"{_BILLING} then retry. If you enabled billing for this project {_SOON}",
        link=("Google developers console billing", _BILLING),
    ),
    "IAM_PERMISSION_DENIED": ProjectRefusal(
        _C.PERMISSION_DENIED,
        "Permission 'speech.recognizers.recognize' denied on resource (or it may not exist).",
        metadata=(("permission", "speech.recognizers.recognize"),),
        domain=SERVICE,
    ),
    "USER_PROJECT_DENIED": ProjectRefusal(
        _C.PERMISSION_DENIED,
        f"Caller does not have required permission to use project {PROJECT}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
        f"by visiting {_CONSOLE}/iam-admin/iam/project?project={PROJECT} and then retry. Propagation of the new "
        "permission may take a few minutes.",
    ),
    "CONSUMER_SUSPENDED": ProjectRefusal(
        _C.PERMISSION_DENIED, f"Permission denied: Consumer 'project_number:{PROJECT}' has been suspended."
    ),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": ProjectRefusal(
        _C.PERMISSION_DENIED, "Request had insufficient authentication scopes.", metadata=_METHOD
    ),
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": ProjectRefusal(
        _C.UNAUTHENTICATED,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        metadata=_METHOD,
    ),
    "RATE_LIMIT_EXCEEDED": ProjectRefusal(
        _C.RESOURCE_EXHAUSTED,
        f"Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of service '{SERVICE}' for "
        f"consumer 'project_number:{PROJECT}'.",
        metadata=(
            *_CONSUMER,
            ("quota_limit", "DefaultRequestsPerMinutePerProject"),
            ("quota_metric", f"{SERVICE}/default_requests"),
        ),
    ),
}
"""By Google's word, the `reason` of the `ErrorInfo`."""

USUAL: Final = {
    "PERMISSION_DENIED": "SERVICE_DISABLED",
    "UNAUTHENTICATED": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
    "RESOURCE_EXHAUSTED": "RATE_LIMIT_EXCEEDED",
}
"""The word with which Google sends a status, where none is asked for."""


def details(word: str) -> bytes:
    """Return the `google.rpc.Status` of a refusal, as it goes into the trailing metadata."""
    return bytes(status_of(word).SerializeToString())


def status_of(word: str) -> Any:
    """Return the `google.rpc.Status` of a refusal."""
    refusal = REFUSALS[word]
    status: Any = status_pb2.Status(
        code=code_pb2.Code.Value(refusal.code.name),
        message=refusal.text,
    )
    if refusal.link[1]:
        status.details.add().Pack(_help(*refusal.link))
    info: Any = error_details_pb2.ErrorInfo(reason=word, domain=refusal.domain, metadata=dict(refusal.metadata))
    status.details.add().Pack(info)
    return status


def _help(description: str, url: str) -> Any:
    links: Any = error_details_pb2.Help()
    links.links.add(description=description, url=url)
    return links
