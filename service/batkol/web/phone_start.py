"""The phone's `start`: whose call it is, and what the person at the phone chose for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from batkol.errors import PeerError
from batkol.events.identity import BROWSER, Chosen, Identity
from batkol.twilio.stream import MediaStream
from batkol.web import stream_parameters as parameters
from batkol.web.phone_messages import PhoneConnected

ANSWERER: Final = "answerer"
VOICE: Final = "voice"
_OWN: Final = frozenset({ANSWERER, VOICE})
"""Parameters of the phone alone: in TwiML, these names are the user's."""

MOST_PARAMETERS: Final = 20


class PhoneError(PeerError):
    """The page broke the protocol. `reason` is the word for it in the close frame."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, close_code=1008)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PhoneChoices:
    """Names from which the person at the phone may choose, beside what the flags say."""

    answerers: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()

    def of(self, given: Mapping[str, str]) -> Chosen:
        """Return the choice. Raises `PhoneError` for a name that there is not."""
        chosen = Chosen(given.get(ANSWERER, ""), given.get(VOICE, ""))
        for kind, name, known in (
            (ANSWERER, chosen.answerer, self.answerers),
            (VOICE, chosen.voice, self.voices),
        ):
            if name and name not in known:
                raise PhoneError(f"`start` names no {kind} of this service, which has {', '.join(known)}", kind)
        return chosen


def identity(allotted: PhoneConnected, stream: MediaStream, choices: PhoneChoices) -> Identity:
    """Return whose stream it is. Raises `PhoneError`."""
    details, given = stream.details, stream.parameters
    if details is None or (details.stream_sid, details.call_sid, details.account_sid) != allotted.sids:
        raise PhoneError("`start` does not have the SIDs of this connection's `connected`", "sids")
    if given.get(parameters.AGENT, "") not in {"", allotted.agent}:
        raise PhoneError("`start` asks for another agent than this service's", "agent")
    custom = {name: value for name, value in parameters.custom(given).items() if name not in _OWN}
    ends = [given.get(name, "") for name in (parameters.FROM, parameters.TO)]
    texts = [*ends, *(name + value for name, value in custom.items())]
    if len(custom) > MOST_PARAMETERS or any(parameters.fitting(text) != text for text in texts):
        raise PhoneError("`start` has too many parameters, or one that is too long or not printable", "parameters")
    return Identity(
        call_sid=details.call_sid,
        stream_sid=stream.sid,
        account_sid=details.account_sid,
        agent=allotted.agent,
        from_=ends[0],
        to=ends[1],
        direction=BROWSER,
        parameters=custom,
        chosen=choices.of(given),
    )
