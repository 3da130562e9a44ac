"""Every setting of the operator: one frozen object, read once from the environment at start."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from batkol_operator.environment import OperatorEnvironmentSettings, stripped
from batkol_operator.errors import OperatorConfigurationError

SHORTEST_KEY: Final = 16
"""Bytes; 32 random ones are as many as HMAC-SHA256 can use."""


class OperatorLogFormat(StrEnum):
    AUTO = "auto"  # console on a terminal, JSON elsewhere
    JSON = "json"
    CONSOLE = "console"


class OperatorSettings(OperatorEnvironmentSettings):
    """Environment variables are the upper-case field names. OTEL_* are read by OpenTelemetry's own rules."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    service_image: str = Field(description="Image of the service for agents whose spec names none.")
    operator_key_file: Path = Field(
        description="File with the key from which the operator derives the pods' API tokens."
    )
    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Namespaces whose agents the operator serves, separated by commas; empty: all namespaces.",
    )
    pod_name: str = Field("", description="Name of the operator's own pod, for Events and peering.")
    pod_namespace: str = Field(
        "default",
        description="Namespace of the operator's own pod; NetworkPolicies let it reach the pods' internal port.",
    )
    peering_name: str = Field(
        "batkol-operator",
        description="Name of the peering object by which several replicas agree on the active one; `none`: no peering.",
    )
    metrics_port: int = Field(8082, ge=0, le=65535, description="Port of the metrics for Prometheus; 0: none.")
    liveness_port: int = Field(8083, ge=0, le=65535, description="Port of the liveness probe, at /livez; 0: none.")
    resync_s: float = Field(60.0, gt=0, description="Seconds between two passes over an agent without an event.")
    pod_port: int = Field(8081, ge=1, le=65535, description="Internal port of the pods.")
    api_concurrency: int = Field(16, ge=1, le=256, description="Most concurrent requests to the API server.")
    log_level: str = Field("INFO", description="Lowest level of the log lines: DEBUG, INFO, WARNING or ERROR.")
    log_format: OperatorLogFormat = Field(
        OperatorLogFormat.AUTO, description="Format of the log lines: auto, json or console."
    )

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = tuple(part for each in value.split(",") if (part := stripped(each)))
        if any(" " in part or not part.isprintable() for part in parts):
            raise ValueError("must be names of namespaces, separated by commas")
        return parts

    @field_validator("log_level", mode="before")
    @classmethod
    def _level(cls, value: Any) -> str:
        level = str(value).upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return level

    @property
    def peering(self) -> str | None:
        """The peering's name; None: no peering."""
        return None if self.peering_name.lower() == "none" else self.peering_name

    @classmethod
    def read(cls) -> Self:
        """Read the environment. Raises `OperatorConfigurationError`."""
        try:
            return cls()
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            )
            raise OperatorConfigurationError(
                f"The operator's environment is wrong: {wrong}. Correct these variables, then start the operator again."
            ) from None

    def key(self) -> bytes:
        """Read the key from which the pods' API tokens are derived. Raises `OperatorConfigurationError`."""
        make = f"`head -c 32 /dev/urandom > {self.operator_key_file}` makes one. Keep it: a new key changes all tokens."
        try:
            key = self.operator_key_file.read_bytes()
        except OSError as error:
            raise OperatorConfigurationError(
                f"The operator cannot read OPERATOR_KEY_FILE: {error.strerror}. {make}"
            ) from None
        if len(key) < SHORTEST_KEY:
            raise OperatorConfigurationError(
                f"The key in OPERATOR_KEY_FILE is shorter than {SHORTEST_KEY} bytes. {make}"
            )
        return key
