"""VoiceAgents to plan for: the smallest, the full sample, and any that the API server would keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # has no types
from hypothesis import strategies as st

from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.plan import OPTIONAL_KINDS, ClusterFacts
from support.chart.files import LOADER
from support.kube.schema_admission import admitted

SAMPLE = Path(__file__).parents[3] / "config" / "voiceagent.yaml"
TWILIO = {"publicBaseUrl": "https://voice.example.com", "authTokenSecretRef": {"name": "twilio", "key": "token"}}
AROUND = ClusterFacts(
    image="registry.example.com/batkol:1.2.3",
    api_token="0f" * 32,
    kinds=OPTIONAL_KINDS,
    operator_namespace="batkol-system",
)


def document(name: str = "reception", /, **spec: Any) -> dict[str, Any]:
    """Write an agent as its owner would; `twilio` is there unless given."""
    return {
        "apiVersion": "batkol.dev/v1alpha1",
        "kind": "VoiceAgent",
        "metadata": {"name": name, "namespace": "voice", "uid": "0c5e-1", "generation": 1},
        "spec": {"twilio": TWILIO, **spec},
    }


def agent(name: str = "reception", /, **spec: Any) -> VoiceAgent:
    """Read an agent as the API server would keep it; fails if it would not."""
    return VoiceAgent.read(admitted(document(name, **spec)))


def unadmitted(spec: dict[str, Any]) -> VoiceAgent:
    """Read an agent without asking: for many, for CEL in Python takes its time."""
    return VoiceAgent.read(document(**spec))


def sample() -> dict[str, Any]:
    """Return the full sample, as a stored object has it."""
    written: dict[str, Any] = yaml.load(SAMPLE.read_text("utf-8"), LOADER)
    written["metadata"] |= {"uid": "0c5e-2", "generation": 1}
    return written


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_numbers = st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True)
_modes = st.sampled_from(["Enabled", "Disabled"])
_caller = st.fixed_dictionaries({"number": _numbers, "mode": _modes})
_callers = st.lists(_caller, max_size=6, unique_by=lambda caller: caller["number"])
_streaming = st.one_of(
    _some(mode=_modes, callers=_callers),
    st.fixed_dictionaries(
        {"mode": st.just("Rollout"), "rolloutPercent": st.integers(0, 100)}, optional={"callers": _callers}
    ),
)
_text = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
_variants = st.one_of(
    *(
        st.dictionaries(_text, values, min_size=1, max_size=3)
        for values in (_text, st.booleans(), st.integers(-1000, 1000), st.dictionaries(_text, _text, max_size=2))
    )
)


@st.composite
def _flags(draw: st.DrawFn) -> dict[str, Any]:
    flags = {}
    for name in draw(st.sets(st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True), max_size=3)):
        variants = draw(_variants)
        flag: dict[str, Any] = {"state": draw(st.sampled_from(["ENABLED", "DISABLED"])), "variants": variants}
        if draw(st.booleans()):
            flag["defaultVariant"] = draw(st.sampled_from(sorted(variants)))
        if draw(st.booleans()):
            shares = [[variant, draw(st.integers(1, 9))] for variant in sorted(variants)]
            flag["targeting"] = {"fractional": [{"var": "targetingKey"}, *shares]}
        flags[name] = flag
    return flags


_GOOGLES = ["google-v1/default", "google-v1/command_and_search"]

specs: st.SearchStrategy[dict[str, Any]] = _some(
    recognition=_some(
        batchMilliseconds=st.integers(20, 1000),
        partialDebounceMilliseconds=st.integers(0, 2000),
        finalTimeoutMilliseconds=st.integers(100, 5000),
        recognizer=st.sampled_from(_GOOGLES),
        order=st.lists(st.sampled_from(_GOOGLES), unique=True),
        phrases=st.lists(_text, max_size=4, unique=True),
    ),
    endpointing=_some(
        silenceMilliseconds=st.integers(100, 3000),
        minimumSpeechMilliseconds=st.integers(0, 1000),
        preRollMilliseconds=st.integers(0, 1000),
    ),
    streaming=_streaming,
    flags=_flags().filter(lambda flags: "streaming-stt" not in flags),
)
"""Specs that are in order, with everything that is live; `document(**spec)` makes an agent of one."""
