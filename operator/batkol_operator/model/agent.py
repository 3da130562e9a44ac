"""A `VoiceAgent`, as read from the API server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from batkol_operator.kube import names
from batkol_operator.model.connections import Google, InternalApi, Twilio
from batkol_operator.model.database import DatabaseSpec
from batkol_operator.model.exposure import Exposure, NetworkPolicy, ServiceSpec
from batkol_operator.model.flag_sources import FeatureFlagRef, FlagdSpec
from batkol_operator.model.part import BROKEN, ResourcePart, ResourceRule, listed, listed_by
from batkol_operator.model.pod import PodSpec
from batkol_operator.model.recognition import Endpointing, Recognition
from batkol_operator.model.reply import REPLIES_FLAG, ReplySpec
from batkol_operator.model.sinks import SinkSpec
from batkol_operator.model.streaming import STREAMING_FLAG, Flag, StreamingSpec
from batkol_operator.model.workload import CallsSpec, Image, Scaling, Telemetry

_NAME: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
_BARE_URL: Final = "^https?://[^/]+/?$"
PluginName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[^\s,=\x00-\x1f\x7f]+$")]
FlagName = Annotated[str, StringConstraints(min_length=1, max_length=253)]


DEEPEST = 68  # levels of the object: the 64 that the service accepts in a flag, and the four above them


class SpecError(ValueError):
    """A `VoiceAgent` that cannot be read. The text is sentences for its owner, and quotes none of its values."""


class Spec(ResourcePart):
    """Desired state of the agent."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"!has(self.streaming) || !has(self.flags) || !('{STREAMING_FLAG}' in self.flags)",
            holds=lambda part: part.streaming is None or STREAMING_FLAG not in part.flags,
            message=f"may not hold `{STREAMING_FLAG}` when `streaming` is specified: both are the same flag",
            field=".flags",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="!has(self.reply) || !has(self.reply.enabled) || !has(self.flags) || "
            f"!('{REPLIES_FLAG}' in self.flags)",
            holds=lambda part: part.reply is None or part.reply.enabled is None or REPLIES_FLAG not in part.flags,
            message=f"may not hold `{REPLIES_FLAG}` when `reply.enabled` is specified: both are the same flag",
            field=".flags",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="!has(self.scaling) || !has(self.scaling.callsPerPod) || !has(self.calls) || "
            "!has(self.calls.maxPerPod) || self.scaling.callsPerPod <= self.calls.maxPerPod",
            holds=lambda part: (
                part.scaling.calls_per_pod is None or part.scaling.calls_per_pod <= part.calls.max_per_pod
            ),
            message="must be less than or equal to `calls.maxPerPod`: otherwise a full pod adds no other pod",
            field=".scaling.callsPerPod",
        ),
        ResourceRule(
            cel="!has(self.exposure) || !has(self.exposure.ingress) || "
            f"self.twilio.publicBaseUrl.matches('{_BARE_URL}')",
            holds=lambda part: (
                part.exposure is None
                or part.exposure.ingress is None
                or re.search(_BARE_URL, part.twilio.public_base_url) is not None
            ),
            message="may not be specified when `twilio.publicBaseUrl` has a path: an Ingress cannot strip it, "
            "`exposure.httpRoute` can",
            field=".exposure.ingress",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="!has(self.sinks) || has(self.database) || self.sinks.all(s, has(s.events) && size(s.events) == 0)",
            holds=lambda part: part.database is not None or not any(sink.needs_store for sink in part.sinks),
            message="may hold only NATS with `events: []` and `partials: true` when `database` is absent: all other "
            "events come out of the store",
            field=".sinks",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="!has(self.flagd) || (!has(self.streaming) && (!has(self.flags) || size(self.flags) == 0) && "
            "(!has(self.flagsFrom) || size(self.flagsFrom) == 0) && (!has(self.reply) || !has(self.reply.enabled)))",
            holds=lambda part: (
                part.flagd is None
                or not (
                    part.streaming or part.flags or part.flags_from or (part.reply and part.reply.enabled is not None)
                )
            ),
            message="may not be specified when `streaming`, `flags`, `flagsFrom` or `reply.enabled` is: the pods would "
            "not follow them, because flagd has the flags",
            field=".flagd",
            reason="FieldValueForbidden",
        ),
    )

    image: Image = Field(
        default_factory=Image, description="Image of the service; by default of the operator's own release."
    )
    recognition: Recognition = Field(default_factory=Recognition, description="Settings of speech recognition.")
    endpointing: Endpointing = Field(
        default_factory=Endpointing, description="Settings for the start and the end of an utterance."
    )
    streaming: StreamingSpec | None = Field(
        None,
        description=f"Live. The calls with streaming recognition: the flag `{STREAMING_FLAG}`. "
        f"Absent: no call, unless `flags` holds `{STREAMING_FLAG}`.",
    )
    flags: dict[FlagName, Flag] = Field(
        {}, max_length=64, description="Live. Raw flag definitions, in flagd's format, by name."
    )
    flags_from: tuple[FeatureFlagRef, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed_by("name"),
        description="Live. Objects of the OpenFeature Operator whose flags are added to those of the spec. A flag that "
        "several have is taken from the spec, or else from the first of them in the order of their names.",
    )
    flagd: FlagdSpec | None = Field(
        None,
        description="A flagd whose definitions the pods follow in the place of `streaming`, `flags`, `flagsFrom` and "
        "`reply.enabled`. A change rolls the pods.",
    )
    reply: ReplySpec | None = Field(
        None,
        description="What the agent answers, in which voice, and what it may do; absent: it only listens, and programs "
        "may speak through the internal API.",
    )
    plugins: tuple[PluginName, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed("set"),
        description="Plug-ins that run in the pods: names of entry points in the group `batkol.plugins`, which the "
        "image must have installed. A change rolls the pods.",
    )
    calls: CallsSpec = Field(
        default_factory=CallsSpec, description="Most calls of a pod, and their time to end when the pod stops."
    )
    twilio: Twilio = Field(description="Twilio account and public URL.")
    google: Google = Field(default_factory=Google, description="Credentials for Google Cloud Speech-to-Text.")
    database: DatabaseSpec | None = Field(
        None, description="Database for calls and transcripts; absent: none are stored."
    )
    sinks: tuple[SinkSpec, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed_by("name"),
        description="Receivers that the events of calls are handed on to: webhooks and NATS. A change rolls the pods.",
    )
    internal_api: InternalApi = Field(
        default_factory=InternalApi, description="Clients of the pods' internal API, beside the operator."
    )
    telemetry: Telemetry = Field(default_factory=Telemetry, description="Traces, metrics and logs.")
    scaling: Scaling = Field(default_factory=Scaling, description="Number of pods.")
    exposure: Exposure | None = Field(
        None, description="Ingress or HTTPRoute for Twilio's requests; absent: route them to the Service yourself."
    )
    service: ServiceSpec = Field(
        default_factory=ServiceSpec, description="The Service that leads Twilio's requests to the pods."
    )
    network_policy: NetworkPolicy = Field(
        default_factory=NetworkPolicy, description="Namespaces that may open connections to the pods."
    )
    pod: PodSpec = Field(
        default_factory=PodSpec,
        description="Resources, placement and labels of the pods, and what a team adds to them.",
    )


class Metadata(ResourcePart):
    """The object's metadata, as far as the operator uses it."""

    name: str
    namespace: str
    uid: str
    generation: int = 0
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    deletion_timestamp: str | None = None


class VoiceAgent(ResourcePart):
    """A media and speech-to-text service for Twilio calls."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"size(self.metadata.name) <= {names.LONGEST_NAME} && self.metadata.name.matches('{_NAME}')",
            holds=lambda part: (
                len(part.metadata.name) <= names.LONGEST_NAME and re.search(_NAME, part.metadata.name) is not None
            ),
            message=f"must begin with a letter, hold only a-z, 0-9 and `-`, and have at most {names.LONGEST_NAME} "
            "characters: Services and labels are named after it",
            field=".metadata.name",
        ),
        ResourceRule(
            cel=f"!self.metadata.name.endsWith('{names.FLEET}')",
            holds=lambda part: not part.metadata.name.endswith(names.FLEET),
            message=f"may not end in `{names.FLEET}`: so ends the name of the second Service of an agent without that "
            "ending, and each of the two agents would take the Service from the other",
            field=".metadata.name",
        ),
    )

    api_version: str = names.API_VERSION
    kind: str = names.KIND
    metadata: Metadata
    spec: Spec

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read an object of the API server. Raises `SpecError`."""
        try:
            return cls.model_validate(_plain(body))
        except ValidationError as error:
            complaints = (text for one in error.errors(include_input=False) for text in _complaints(one))
            raise SpecError("; ".join(complaints) + ".") from None

    @property
    def paused(self) -> bool:
        """Whether the annotation `batkol.dev/paused` pauses reconciling."""
        return self.metadata.annotations.get(names.PAUSED) == "true"


def _plain(value: Any, path: tuple[str, ...] = ()) -> Any:
    """Copy read-only views into what pydantic accepts. Raises `SpecError` for too deep a nesting."""
    if len(path) > DEEPEST:
        raise SpecError(f"`{'.'.join(path[:4])}` is nested deeper than {DEEPEST - 4} levels.")
    if isinstance(value, Mapping):
        return {key: _plain(inner, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, (*path, str(index))) for index, inner in enumerate(value)]
    return value


def _complaints(error: ErrorDetails) -> Iterator[str]:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    if error["type"] == BROKEN:
        for rule in error["ctx"]["rules"]:
            yield f"`{(where + rule.field).lstrip('.')}` {rule.message}"
    else:
        message = error["msg"]
        yield f"`{where.lstrip('.')}`: {message[0].lower()}{message[1:]}"
