"""TwiML of the account's own, which opens the service's stream without the service's webhook: a TwiML Bin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from batkol.simulators.twilio.plan import CallPlan

_TEMPLATE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def own_twiml(public_base: str, parameters: Mapping[str, str], *, then: str | None = None) -> str:
    """Return TwiML that connects a call to the service's stream, and asks `then` when the stream has ended.

    Without `then` the service's own webhook takes the call over, as the documentation shows it.
    """
    base = public_base.rstrip("/")
    stream = base.replace("http", "ws", 1) + "/twilio/media"
    inner = "".join(f"<Parameter name={quoteattr(n)} value={quoteattr(v)}/>" for n, v in parameters.items())
    redirect = f'<Redirect method="POST">{escape(then or f"{base}/twilio/voice")}</Redirect>'
    return f"<Response><Connect><Stream url={quoteattr(stream)}>{inner}</Stream></Connect>{redirect}</Response>"


def filled_in(plan: CallPlan) -> str:
    """Return the plan's TwiML as a TwiML Bin gives it: `{{From}}` and the like are the call's, unknown ones empty."""
    known = {
        "From": plan.caller,
        "To": plan.called,
        "CallSid": plan.call_sid,
        "AccountSid": plan.account_sid,
        "Direction": "inbound",
        **plan.form,
    }
    return _TEMPLATE.sub(lambda found: escape(known.get(found[1], ""), {'"': "&quot;"}), plan.own_twiml)
