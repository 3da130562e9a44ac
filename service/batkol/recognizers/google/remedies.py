"""Remedies of the refusals of Google Cloud Speech: a sentence each, for the person who set the project up.

A part of Google's text decides, then its own word (`google.rpc.ErrorInfo`, google/api/error_reason.proto), then the
reason in `errors.TABLE`. `{project}` is the project that Google names.
"""

from __future__ import annotations

from typing import Final

from batkol.google_api.error_info import ErrorInfo

CREDENTIALS: Final = "credentials"
"""The reason when this process has no credentials to ask Google with."""

_SOON: Final = "Google takes some minutes to act on it; the service asks again by itself."
_ROLE: Final = "give the service account the role roles/speech.client in the project of the key, in Google's IAM page"

BY_WORD: Final = {
    "SERVICE_DISABLED": "Enable the Cloud Speech-to-Text API in the project {project}: by the link in Google's words, "
    f"or `gcloud services enable speech.googleapis.com`. {_SOON}",
    "BILLING_DISABLED": "Link a billing account to the project {project}, by the link in Google's words. " + _SOON,
    "IAM_PERMISSION_DENIED": f"The credentials may not use Speech-to-Text: {_ROLE}. {_SOON}",
    "USER_PROJECT_DENIED": "The credentials may not use the project {project}: give their account the role "
    "roles/serviceusage.serviceUsageConsumer there, or use the key of an account of that project.",
    "CONSUMER_INVALID": "The project {project} does not exist any more: use the key of a project that does.",
    "RESOURCE_PROJECT_INVALID": "The project {project} does not exist any more: use the key of a project that does.",
    "CONSUMER_SUSPENDED": "Google has suspended the project {project}: its owner must ask Google in the console.",
    "GCP_SUSPENDED": "Google has suspended the account: its owner must ask Google in the console.",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "The credentials of this machine lack the scope cloud-platform: give the "
    "machine that scope, or set GOOGLE_APPLICATION_CREDENTIALS to the key of a service account.",
    "ACCOUNT_STATE_INVALID": "The service account is disabled or deleted: enable it, or use another one's key.",
    "SECURITY_POLICY_VIOLATED": "A policy of your Google organization forbids the request: ask its administrator to "
    "allow speech.googleapis.com for this network and account.",
    "ORG_RESTRICTION_VIOLATION": "A policy of your Google organization forbids the request: ask its administrator.",
    "LOCATION_POLICY_VIOLATED": "A policy of your Google organization forbids this location: set GCP_STT_ENDPOINT to "
    "eu-speech.googleapis.com:443 or us-speech.googleapis.com:443, or ask its administrator.",
}
"""By the `reason` of Google's `ErrorInfo`."""

_REACH: Final = (
    "Check that this machine reaches speech.googleapis.com:443, or GCP_STT_ENDPOINT if it is set (its spelling, DNS, "
    "firewall, NetworkPolicy, proxy)."
)
_KEY: Final = (
    "Google does not accept the key: create another one for the service account, set GOOGLE_APPLICATION_CREDENTIALS to "
    "its file, and restart."
)
_ENDPOINT: Final = (
    "This host has no Speech-to-Text of version 1: leave GCP_STT_ENDPOINT empty, or set it to "
    "eu-speech.googleapis.com:443 or us-speech.googleapis.com:443."
)

_PERSON: Final = (
    "These are a person's credentials, without a project: use the key of a service account, or "
    "`gcloud auth application-default set-quota-project PROJECT`."
)
_NO_ANSWER: Final = (
    "This machine gets no token from Google: check that it reaches oauth2.googleapis.com:443 (DNS, firewall, "
    "NetworkPolicy, proxy), or the metadata server of a workload identity."
)

BY_TEXT: Final = (
    ("reasonable timeframe", "The clock of this machine is wrong: set it, best by NTP."),
    ("invalid_grant", _KEY),
    ("invalid_client", _KEY),
    ("getting metadata from plugin failed", _NO_ANSWER),
    ("quota project", _PERSON),
    ("end user credentials", _PERSON),
)
"""By a part of Google's text, in lower case; the first that fits. It goes before Google's word, which is coarser."""

BY_REASON: Final = {
    CREDENTIALS: "Set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, readable for this process, "
    "and restart. If the variable names the right path already, put the file there: the service looks again by itself.",
    "permission_denied": (
        f"Google refuses the project or the account: read its words; if they name a permission, {_ROLE}."
    ),
    "unauthenticated": _KEY,
    "not_found": _ENDPOINT,
    "unimplemented": _ENDPOINT,
    "failed_precondition": "Read Google's words: they name what the project lacks.",
    "invalid_argument": "Check GCP_STT_LANGUAGE, GCP_STT_MODEL and STT_PHRASES against Google's words.",
    "quota": "The project's quota is used up: ask Google for more in the console (IAM & Admin, Quotas), or set "
    "STT_MAX_STREAMS.",
    "unavailable": _REACH,
    "deadline": _REACH,
}
"""By the reason of `errors.TABLE`. Those that are left out mend by themselves."""


def remedy_of(reason: str, text: str, info: ErrorInfo | None = None) -> str:
    """Return what to do, or an empty text where waiting is all there is to do."""
    word = info.reason if info is not None else ""
    lowered = text.lower()
    by_text = next((remedy for part, remedy in BY_TEXT if part in lowered), "")
    found = by_text or BY_WORD.get(word) or BY_REASON.get(reason, "")
    return found.replace("{project}", info.project if info is not None and info.project else "PROJECT")
