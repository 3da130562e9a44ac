"""The page has words for every reason that the service gives for the end of a call."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from batkol.calls.reasons import ENDINGS
from batkol.calls.registry import AdmissionRefusal
from batkol.calls.socket import PeerFault
from batkol.store.postgres.ends import LOST
from batkol.twilio.call_status import FINAL
from batkol.web.phone_start import ANSWERER, VOICE
from support.process.node import node

MODULE = Path(__file__).parents[2] / "service/batkol/web/console/core/reasons.js"
OF_CALLS = [*ENDINGS, *PeerFault, *sorted(FINAL), LOST]
OF_THE_PHONE = [*ENDINGS, *PeerFault, *AdmissionRefusal, "agent", "no_start", "parameters", "protocol", "sids"]
OF_THE_PHONE += [ANSWERER, VOICE]

ASK = """
const { endedBecause, endedShortly, hungUpBecause } = await import(process.argv[1]);
const [calls, phone] = JSON.parse(process.argv[2]);
const said = {
  short: calls.map(endedShortly),
  long: calls.map(endedBecause),
  phone: phone.map((reason) => hungUpBecause(1008, reason, true)),
  unknown: [endedShortly("x_y"), endedBecause("x_y"), hungUpBecause(4000, "x_y", true)],
};
console.log(JSON.stringify(said));
"""


def test_each_reason_has_plain_words_and_an_unknown_one_stands_as_it_is() -> None:
    asked = json.dumps([OF_CALLS, OF_THE_PHONE])
    command = [str(node()), "--input-type=module", "--eval", ASK, MODULE.as_uri(), asked]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)

    raw = {each for each in (*OF_CALLS, *OF_THE_PHONE) if "_" in each}
    for sentence in (*said["long"], *said["phone"]):
        assert sentence[0].isupper(), sentence
        assert sentence.endswith("."), sentence
        assert not [word for word in raw if word in sentence], sentence
    assert "The connection broke" not in str(said["phone"]), "each has a sentence of its own"
    assert not set(said["short"]) & {"stop", "dropped", "error", *raw}
    assert all(len(words) <= 20 for words in said["short"]), "they fit a row of the list"
    assert said["unknown"] == ["x_y", "The call ended: x_y.", "The connection broke (4000, x_y). Call again."]
