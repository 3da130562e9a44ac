"""Twilio's REST API as the settings give it, and the check of its credentials at the start."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import structlog

from batkol.errors import UpstreamError
from batkol.settings import Settings
from batkol.supervision.tasks import Tasks
from batkol.twilio_api.client import TwilioAccount, TwilioApi

NO_CALL: Final = "CA" + "0" * 32
"""A SID that no call has: the answer tells nothing but whether the credentials are right."""

log = structlog.get_logger()


async def twilio_api(settings: Settings, stack: AsyncExitStack, tasks: Tasks, *, within_s: float) -> TwilioApi | None:
    """Return the API that streams of the user's own TwiML are checked with; None where none is checked so.

    Its credentials are checked beside the start: a Twilio that is away does not delay it.
    """
    logins = settings.twilio_logins(settings.twilio_auth_token)
    if not (settings.takes_own_twiml and logins):
        return None
    account = TwilioAccount(url=settings.twilio_api_url, sid=settings.twilio_account_sid, logins=logins)
    api = TwilioApi(account, within_s=within_s)
    stack.push_async_callback(api.aclose)
    await tasks.own(stack, partial(_check, api), "twilio.check", may_return=True)
    return api


async def _check(api: TwilioApi) -> None:
    try:
        await api.call(NO_CALL)
    except UpstreamError as error:
        log.error(
            "[TWILIO] Twilio's REST API cannot be asked; until it can, streams of your own TwiML without "
            "STREAM_SECRET are refused",
            err=str(error),
        )
