"""Twilio's REST API as the settings give it, and the check of its credentials at the start."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Final

from batkol.calls.telephone import LinePatience, Telephone
from batkol.conversation.agent import Agent
from batkol.errors import OnOutcome, UpstreamError, unwatched
from batkol.settings import Settings
from batkol.supervision.tasks import Tasks
from batkol.telemetry.metrics import Metrics
from batkol.twilio_api.client import TwilioAccount, TwilioApi
from batkol.twilio_api.control import CallControl, HttpUpdates, TwilioCall
from batkol.twilio_api.logins import Login

NO_CALL: Final = "CA" + "0" * 32
"""A SID that no call has: the answer tells nothing but whether the credentials are right."""

CHECKED_S: Final = 4.0
"""Seconds for the check of the credentials."""


async def twilio_api(
    settings: Settings, stack: AsyncExitStack, tasks: Tasks, on_outcome: OnOutcome = unwatched, *, within_s: float
) -> TwilioApi | None:
    """Return the API that streams of the user's own TwiML are checked with; None where none is checked so.

    Its credentials are checked beside the start: a Twilio that is away does not delay it.
    """
    logins = settings.twilio_logins(settings.twilio_auth_token)
    if not (settings.takes_own_twiml and logins):
        return None
    account = TwilioAccount(url=settings.twilio_api_url, sid=settings.twilio_account_sid, logins=logins)
    api = TwilioApi(account, within_s=within_s, on_outcome=on_outcome)
    stack.push_async_callback(api.aclose)
    await tasks.own(stack, partial(_check, api), "twilio.check", may_return=True)
    return api


def line(agent: Agent, metrics: Metrics, patience: LinePatience) -> Telephone:
    """Return a telephone that closes streams to hang up, and counts what it does."""

    def count(action: str, outcome: str) -> None:
        metrics.line_actions.add(1, {"action": action, "outcome": outcome})

    return Telephone(patience=patience, count=count, transfers=lambda: agent.settings().transfers)


async def telephone(
    settings: Settings, telephone: Telephone, stack: AsyncExitStack, tasks: Tasks, on_outcome: OnOutcome = unwatched
) -> Telephone:
    """Return the telephone with access to Twilio's REST API, if the settings give it one.

    Its credentials are checked beside the start, unless `twilio_api` checks the same ones.
    """
    own = settings.twilio_logins(settings.twilio_auth_token)
    if not own:
        return telephone

    def logins(account_sid: str) -> Sequence[Login]:
        """Return those of the account; a sub-account's calls are reached with its own token, or with its parent's."""
        of_sub_account = () if settings.twilio_api_key or account_sid == settings.twilio_account_sid else own
        return (*own, *((account_sid, token) for _, token in of_sub_account))

    updates = HttpUpdates(settings.twilio_api_url, logins)
    stack.push_async_callback(updates.aclose)
    control = CallControl(updates.send, updates.who, on_outcome=on_outcome)
    if not settings.takes_own_twiml:
        await tasks.own(stack, partial(_check_control, settings, control), "twilio.control", may_return=True)
    return replace(telephone, control=control)


async def _check_control(settings: Settings, control: CallControl) -> None:
    with suppress(UpstreamError):  # it is noted
        await control.complete(TwilioCall(settings.twilio_account_sid, NO_CALL), within_s=CHECKED_S)


async def _check(api: TwilioApi) -> None:
    with suppress(UpstreamError):  # it is noted
        await api.call(NO_CALL)
