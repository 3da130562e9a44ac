"""Advice on a simulated call that the service did not take. Pure: a report in, a sentence out."""

from __future__ import annotations

from batkol.simulators.twilio.plan import CallOutcome, CallPlan, CallReport
from batkol.urls import masked


def advice(report: CallReport, plan: CallPlan) -> str:  # noqa: PLR0911  one case a fault
    """Say whose fault it is that the call got no stream, and what to do; empty for a call that got one."""
    match report.outcome:
        case CallOutcome.WEBHOOK_FAILED if report.http_status == 0:
            return (
                f"The service cannot be reached at {masked(plan.base_url)}: the voice webhook did not answer. Check "
                "the URL, and that `batkol serve` runs."
            )
        case CallOutcome.WEBHOOK_FAILED if report.http_status == 403:
            return _signature(plan, "The voice webhook")
        case CallOutcome.WEBHOOK_FAILED if report.http_status != 200:
            return f"The voice webhook at {masked(plan.base_url)} answered {report.http_status}; check the URL."
        case CallOutcome.HANDSHAKE_FAILED if report.handshake_status == 403:
            return _signature(plan, "The media stream")
        case CallOutcome.HANDSHAKE_FAILED if report.handshake_status:
            return f"The media stream was refused with status {report.handshake_status}; see the service's log."
        case CallOutcome.APOLOGY:
            return "The service has no free place: it answered with an apology. Try again later."
    return ""


def _signature(plan: CallPlan, part: str) -> str:
    if plan.auth_token is None:
        return (
            f"{part} refuses requests without a signature (403). Give the service's TWILIO_AUTH_TOKEN with "
            "--auth-token, or in the environment."
        )
    return (
        f"{part} refuses the signature (403). Give the service's TWILIO_AUTH_TOKEN with --auth-token, and its "
        "PUBLIC_BASE_URL with --public-url."
    )
