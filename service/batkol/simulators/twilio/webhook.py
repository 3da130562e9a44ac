"""Twilio's HTTP side: requests signed forms, and reads the TwiML that comes back as strictly as Twilio reads
it.

The numbers are those of https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode, urljoin
from xml.etree import ElementTree as ET

import httpx

from batkol.answers import Answer, AnswerError, exchange
from batkol.simulators.twilio.plan import CallPlan, CallReport
from batkol.simulators.twilio.signature import Signer

LARGEST: Final = 64 * 1024
"""Bytes of TwiML that Twilio takes (11750)."""
LONGEST_PAUSE_S: Final = 4 * 3600
"""Seconds; no call of Twilio's is longer, unless it is set up so."""


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str


@dataclass(frozen=True, slots=True)
class Pause:
    length: int  # seconds


@dataclass(frozen=True, slots=True)
class ConnectStream:
    url: str
    parameters: Mapping[str, str]
    name: str | None
    status_callback: str | None
    action: str | None


@dataclass(frozen=True, slots=True)
class DialVerb:
    targets: tuple[str, ...]  # numbers and SIP URIs


Verb = DialVerb | Say | Hangup | Redirect | Pause | ConnectStream

_NO_ANSWER: Final = (httpx.HTTPError, httpx.InvalidURL, TimeoutError)

_DIALLED: Final = {"Number": re.compile(r"\+?[0-9][0-9 ()-]*"), "Sip": re.compile(r"sips?:[^\s@]+@[^\s]+")}
_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "Response": frozenset(),
    "Connect": frozenset(("action", "method")),
    "Stream": frozenset(("url", "name", "track", "statusCallback", "statusCallbackMethod")),
    "Parameter": frozenset(("name", "value")),
    "Say": frozenset(("language", "voice", "loop")),
    "Hangup": frozenset(),
    "Redirect": frozenset(("method",)),
    "Dial": frozenset(("action", "answerOnBridge", "callerId", "hangupOnStar", "method", "timeLimit", "timeout")),
    "Number": frozenset(("sendDigits", "statusCallback", "url")),
    "Sip": frozenset(("username", "password", "statusCallback", "url")),
    "Pause": frozenset(("length",)),
}


class WebhookFailed(Exception):  # noqa: N818 - what Twilio calls it
    """The call cannot go on; why is in the report."""


class Webhook:
    """Requests for one call. `ask` expects TwiML; `post_status` only informs the service."""

    def __init__(self, http: httpx.AsyncClient, plan: CallPlan, report: CallReport) -> None:
        self._http = http
        self._plan = plan
        self._report = report
        self._signer = None if plan.auth_token is None else Signer(plan.auth_token, plan.call_sid)

    async def ask(self, url: str, *, call_status: str = "ringing") -> list[Verb]:
        """Request TwiML. Raises `WebhookFailed` where Twilio would end the call."""
        try:
            response = await self._post(url, {**voice_form(self._plan), "CallStatus": call_status})
        except AnswerError as error:
            self._report.http_status = error.status
            raise self._failed(11750, f"the webhook's answer cannot be taken: {error}") from error
        except _NO_ANSWER as error:
            raise self._failed(11205, f"no answer to the webhook ({type(error).__name__})") from error
        self._report.http_status = response.status
        if response.status != 200:
            raise self._failed(11200, f"the webhook answered {response.status}")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("text/xml", "application/xml"):
            raise self._failed(12300, f"the webhook's content type is {kind or 'missing'}, not text/xml")
        if "content-length" not in response.headers:
            self._report.complain(12100, "the TwiML has no Content-Length: Twilio may cut it short")
        return self.read(response.body, url)

    def read(self, twiml: bytes, url: str) -> list[Verb]:
        """Read the TwiML of that URL. Raises `WebhookFailed` where Twilio would end the call."""
        try:
            root = ET.fromstring(twiml)  # noqa: S314 - 64 kB, and expat itself ends entities that multiply
            return self._verbs(root, url)
        except (ET.ParseError, LookupError) as error:  # the latter of an encoding that there is not
            raise self._failed(12100, f"the TwiML is not XML ({error})") from error
        except ValueError as error:
            raise self._failed(12100, f"the TwiML has an encoding or a URL that cannot be read ({error})") from error

    async def post_status(self, url: str, fields: Mapping[str, str]) -> None:
        """Send a status callback. One that fails is a line in the report and nothing more, as at Twilio."""
        about = {"CallSid": self._plan.call_sid, "AccountSid": self._plan.account_sid}
        about |= fields
        try:
            response = await self._post(url, about)
        except AnswerError as error:
            self._report.complain(11200, f"the answer to a status callback cannot be taken: {error}")
        except _NO_ANSWER as error:
            self._report.complain(11205, f"no answer to a status callback ({type(error).__name__})")
        else:
            if not 200 <= response.status < 300:
                self._report.complain(11200, f"a status callback was answered {response.status}")

    async def _post(self, url: str, fields: Mapping[str, str]) -> Answer:
        """Post a form. Redirects are not followed. Raises `AnswerError`, and what is in `_NO_ANSWER`."""
        headers = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
        if self._signer is not None:
            headers["x-twilio-signature"] = self._signer.sign(url, fields)
        return await exchange(
            self._http,
            "POST",
            self._plan.route(url),
            within_s=self._plan.open_timeout,
            largest=LARGEST,
            content=urlencode(fields),
            headers=headers,
        )

    def _failed(self, code: int, text: str) -> WebhookFailed:
        self._report.complain(code, text)
        return WebhookFailed(text)

    def _verbs(self, root: ET.Element, page: str) -> list[Verb]:
        if root.tag != "Response":
            raise self._failed(12100, "the TwiML has no <Response>")
        self._check_attributes(root)
        verbs = (self._verb(element, page) for element in root)
        return [verb for verb in verbs if verb is not None]

    def _verb(self, element: ET.Element, page: str) -> Verb | None:  # noqa: PLR0911  one case a verb
        self._check_attributes(element)
        text = (element.text or "").strip()
        match element.tag:
            case "Say":
                return Say(text)
            case "Hangup":
                return Hangup()
            case "Redirect":
                return Redirect(urljoin(page, text))
            case "Pause" if length := _pause_s(element):
                return Pause(length)
            case "Dial":
                return self._dial(element, text)
            case "Connect" if [child.tag for child in element] == ["Stream"]:
                return self._stream(element[0], element.get("action"), page)
        self._report.complain(12200, f"<{element.tag}> cannot stand there, or not with what is in it")
        return None

    def _dial(self, element: ET.Element, text: str) -> DialVerb:
        targets = [text] if text else []
        for child in element:
            self._check_attributes(child)
            target = (child.text or "").strip()
            if child.tag not in ("Number", "Sip") or not _DIALLED[child.tag].fullmatch(target):
                self._report.complain(13224, f"<Dial> cannot call what is in its <{child.tag}>")
            targets.append(target)
        if not targets:
            self._report.complain(13223, "<Dial> has nothing to call")
        return DialVerb(tuple(targets))

    def _stream(self, stream: ET.Element, action: str | None, page: str) -> ConnectStream:
        self._check_attributes(stream)
        if stream.get("track", "inbound_track") != "inbound_track":
            self._report.complain(31941, "a connected stream carries the inbound track only")
        parameters: dict[str, str] = {}
        for child in stream:
            self._check_attributes(child)
            name, value = child.get("name"), child.get("value")
            if child.tag != "Parameter" or name is None or value is None or len(name) + len(value) >= 500:
                self._report.complain(12200, "a <Stream> holds <Parameter name value> only, each below 500 characters")
            else:
                parameters[name] = value
        callback = stream.get("statusCallback")
        return ConnectStream(
            url=_stream_url(page, stream.get("url", "")),
            parameters=parameters,
            name=stream.get("name"),
            status_callback=None if callback is None else urljoin(page, callback),
            action=None if action is None else urljoin(page, action),
        )

    def _check_attributes(self, element: ET.Element) -> None:
        known = _ATTRIBUTES.get(element.tag)
        if known is not None and not known.issuperset(element.keys()):
            self._report.complain(12200, f"<{element.tag}> has an attribute that Twilio does not know")


def _pause_s(pause: ET.Element) -> int:
    """Return the seconds of a `<Pause>`, 0 for what is no number of seconds that a call could last."""
    text = pause.get("length", "1")
    return int(text) if text.isdecimal() and len(text) < 10 and int(text) <= LONGEST_PAUSE_S else 0


def voice_form(plan: CallPlan) -> dict[str, str]:
    """Return the fields of Twilio's voice webhook, blank ones too: they are signed like any other."""
    form = {
        "AccountSid": plan.account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": plan.call_sid,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "Called": plan.called,
        "Caller": plan.caller,
        "From": plan.caller,
        "To": plan.called,
    }
    for party in ("Called", "Caller", "From", "To"):
        form |= {party + place: "" for place in ("City", "Country", "State", "Zip")}
    return form | {"CallerCountry": "IL", "FromCountry": "IL"} | dict(plan.form)


def stream_event(event: str, stream_sid: str, name: str | None = None, error: str = "") -> dict[str, str]:
    """Return the fields of a stream's status callback: stream-started, stream-stopped or stream-error.

    A stream without a `name` is called by its SID.
    """
    fields = {"StreamSid": stream_sid, "StreamName": name or stream_sid, "StreamEvent": event}
    if error:
        fields["StreamError"] = error
    return fields | {"Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")}


def call_completed(plan: CallPlan, seconds: float) -> dict[str, str]:
    """Return the fields of the callback at the end of the call."""
    return {
        **voice_form(plan),
        "CallStatus": "completed",
        "CallDuration": str(round(seconds)),
        "Duration": str(-(-int(seconds) // 60)),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "0",
        "Timestamp": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000"),
    }


def _stream_url(page: str, written: str) -> str:
    # A relative URL becomes ws(s) as its page was http(s); one that was written as http(s) stays, and is
    # refused.
    return written if "://" in written else urljoin(page, written).replace("http", "ws", 1)
