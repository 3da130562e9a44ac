"""`spec.image`, `spec.calls`, `spec.telemetry` and `spec.scaling`: the program, its load, telemetry and replicas."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from batkol_operator.model.address import WITH_HOST
from batkol_operator.model.part import ResourcePart, ResourceRule, listed_by, not_both
from batkol_operator.model.secret_key import SecretKey

_HTTP_URL: Final = r"^https?://[^\s]+$"


class PullPolicy(StrEnum):
    """Time at which the kubelet pulls the image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class PullSecret(ResourcePart):
    """A Secret with credentials for the image's registry."""

    name: str = Field(min_length=1, max_length=253, description="Name of a Secret in the same namespace.")


class Image(ResourcePart):
    """Image of the service; by default of the operator's own release."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        not_both("tag", "digest", "the digest alone says which image it is"),
        ResourceRule(
            cel="has(self.repository) == (has(self.tag) || has(self.digest))",
            holds=lambda part: (part.repository is not None) == (part.tag is not None or part.digest is not None),
            message="must be specified together with `tag` or `digest`, and these only together with it",
            field=".repository",
        ),
    )

    repository: str | None = Field(
        None,
        min_length=1,
        max_length=400,
        pattern=r"^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$",
        description="Repository of the service's image, without a tag. A change rolls the pods.",
    )
    tag: str | None = Field(
        None,
        max_length=128,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$",
        description="Tag in that repository. A change rolls the pods.",
    )
    digest: str | None = Field(
        None,
        max_length=71,
        pattern=r"^sha256:[a-f0-9]{64}$",
        description="Digest in that repository, instead of a tag. A change rolls the pods.",
    )
    pull_policy: PullPolicy = Field(PullPolicy.IF_NOT_PRESENT, description="When the kubelet pulls the image.")
    pull_secrets: tuple[PullSecret, ...] = Field(
        (),
        max_length=8,
        json_schema_extra=listed_by("name"),
        description="Secrets with credentials for the registry.",
    )

    def reference(self, default: str) -> str:
        """Return the image to run: this one, or `default` if none is named."""
        if self.repository is None:
            return default
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


class CallsSpec(ResourcePart):
    """Most calls of a pod, and their time to end when the pod stops."""

    max_per_pod: int = Field(
        100,
        ge=1,
        le=1000,
        description="Most concurrent calls of one pod; if all pods are full, a caller hears an apology or is "
        "redirected to "
        "`overflowUrl`. A change rolls the pods.",
    )
    drain_timeout_seconds: int = Field(
        300,
        ge=0,
        le=86_400,
        description="Time that a stopping pod waits for its calls to end by themselves, in seconds. A change "
        "rolls the pods.",
    )
    overflow_url: Annotated[str, WITH_HOST] | None = Field(
        None,
        max_length=2048,
        pattern=_HTTP_URL,
        description="TwiML that callers are redirected to instead of the apology. A change rolls the pods.",
    )


class LogLevel(StrEnum):
    """Lowest level of the log lines."""

    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"
    ERROR = "Error"


class Presence(StrEnum):
    """Whether the operator creates an optional object."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    AUTO = "Auto"


class Telemetry(ResourcePart):
    """Traces, metrics and logs."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel="!has(self.otlpHeadersSecretRef) || has(self.otlpEndpoint)",
            holds=lambda part: part.otlp_headers_secret_ref is None or part.otlp_endpoint is not None,
            message="may not be specified without `otlpEndpoint`: nothing would be sent with the headers",
            field=".otlpHeadersSecretRef",
            reason="FieldValueForbidden",
        ),
    )

    otlp_endpoint: Annotated[str, WITH_HOST] | None = Field(
        None,
        max_length=2048,
        pattern=_HTTP_URL,
        description="Collector for traces and metrics, OTLP over gRPC, such as `http://collector.observability:4317`; "
        "absent: none are sent. A change rolls the pods.",
    )
    otlp_headers_secret_ref: SecretKey | None = Field(
        None,
        description="Secret key with headers for the collector, `name=value` separated by commas, such as a tenant or "
        "a token. A change of the reference rolls the pods; a change of the Secret takes effect in pods that start "
        "after it.",
    )
    trace_url: Annotated[str, WITH_HOST] | None = Field(
        None,
        max_length=2048,
        pattern=r"^https?://[^\s@{}]+\{trace_id\}[^\s@{}]*$",
        description="Address of a trace for the console's links, with `{trace_id}` in it, such as "
        "`https://jaeger.example.com/trace/{trace_id}`; absent: the console shows the id. A change rolls the pods.",
    )
    sample_percent: int = Field(
        100, ge=0, le=100, description="Share of calls that are traced, in percent. A change rolls the pods."
    )
    capture_transcripts: bool = Field(False, description="Write transcripts into the traces. A change rolls the pods.")
    log_transcripts: bool = Field(False, description="Write transcripts into the log. A change rolls the pods.")
    log_level: LogLevel = Field(LogLevel.INFO, description="Lowest level of the log lines. A change rolls the pods.")
    pod_monitor: Presence = Field(
        Presence.AUTO,
        description="Whether the operator creates a PodMonitor, by which Prometheus scrapes the pods; Auto: if the "
        "cluster has the kind.",
    )


class Autoscaler(StrEnum):
    """Autoscaler of the pods."""

    HORIZONTAL_POD_AUTOSCALER = "HorizontalPodAutoscaler"
    SCALED_OBJECT = "ScaledObject"


class Scaling(ResourcePart):
    """Number of pods: fixed, or by calls between two bounds. By default two pods."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        not_both("replicas", "minReplicas", "the autoscaler sets the number of pods"),
        not_both("replicas", "maxReplicas", "the autoscaler sets the number of pods"),
        ResourceRule(
            cel="!has(self.minReplicas) || has(self.maxReplicas)",
            holds=lambda part: part.min_replicas is None or part.max_replicas is not None,
            message="must be specified when `minReplicas` is",
            field=".maxReplicas",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            holds=lambda part: (
                part.min_replicas is None or part.max_replicas is None or part.min_replicas <= part.max_replicas
            ),
            message="must be less than or equal to `maxReplicas`",
            field=".minReplicas",
        ),
        ResourceRule(
            cel="!has(self.autoscaler) || self.autoscaler != 'ScaledObject' || has(self.prometheusUrl)",
            holds=lambda part: part.autoscaler is not Autoscaler.SCALED_OBJECT or part.prometheus_url is not None,
            message="must be specified when `autoscaler` is ScaledObject: KEDA reads the number of calls from "
            "Prometheus",
            field=".prometheusUrl",
            reason="FieldValueRequired",
        ),
    )

    # No default: the API server would store it, and it would contradict every autoscaler's bounds.
    replicas: int | None = Field(
        None, ge=0, le=1000, description="Fixed number of pods; `kubectl scale` sets it. Absent, with no bounds: 2."
    )
    min_replicas: int | None = Field(
        None, ge=1, le=1000, description="Fewest pods; absent: 2, or `maxReplicas` if that is less."
    )
    max_replicas: int | None = Field(None, ge=1, le=1000, description="Most pods; turns on autoscaling by calls.")
    calls_per_pod: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Autoscaler's target of live calls in each pod; absent: 70 percent of `calls.maxPerPod`.",
    )
    scale_down_stabilization_seconds: int = Field(
        600,
        ge=0,
        le=3600,
        description="Time for which fewer pods must be enough before the autoscaler removes one. It removes one in "
        "five minutes, and the calls of that pod end by themselves.",
    )
    autoscaler: Autoscaler = Field(
        Autoscaler.HORIZONTAL_POD_AUTOSCALER,
        description="HorizontalPodAutoscaler needs an adapter that serves `batkol_calls_active` as a pods metric; "
        "ScaledObject needs KEDA and `prometheusUrl`.",
    )
    prometheus_url: Annotated[str, WITH_HOST] | None = Field(
        None,
        max_length=2048,
        pattern=_HTTP_URL,
        description="URL of the Prometheus that KEDA reads, such as `http://prometheus.monitoring:9090`.",
    )
