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

    service_image: str = Field(description="Image of the service for agents that name none.")
    operator_key_file: Path = Field(description="File with the key that the pods' API tokens are derived from.")
    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Namespaces to serve, separated by commas; empty: all.",
    )
    pod_name: str = Field("", description="This pod, in Events and among its peers.")
    pod_namespace: str = Field("default", description="Its namespace: whence the pods' internal port is reached.")
    peering_name: str = Field(
        "batkol-operator", description="The KopfPeering by which several replicas agree on one; `none`: no peering."
    )
    metrics_port: int = Field(8082, ge=0, le=65535, description="Prometheus; 0: none.")
    liveness_port: int = Field(8083, ge=0, le=65535, description="The liveness probe, at /livez; 0: none.")
    resync_s: float = Field(60.0, gt=0, description="An agent is looked at this often even if nothing happens, s.")
    pod_port: int = Field(8081, ge=1, le=65535, description="The pods' internal port.")
    api_concurrency: int = Field(16, ge=1, le=256, description="Requests to the API server at once.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: OperatorLogFormat = Field(OperatorLogFormat.AUTO, description="auto, json or console.")

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
        """The peering's name, if there is to be one."""
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
                f"The operator's environment is not right: {wrong}. Set it so, then start it again."
            ) from None

    def key(self) -> bytes:
        """Read the key that the pods' API tokens are derived from. Raises `OperatorConfigurationError`."""
        make = f"`head -c 32 /dev/urandom > {self.operator_key_file}` makes one. Keep it: a new key means new tokens."
        try:
            key = self.operator_key_file.read_bytes()
        except OSError as error:
            raise OperatorConfigurationError(f"OPERATOR_KEY_FILE cannot be read: {error.strerror}. {make}") from None
        if len(key) < SHORTEST_KEY:
            raise OperatorConfigurationError(
                f"The key in OPERATOR_KEY_FILE is shorter than {SHORTEST_KEY} bytes. {make}"
            )
        return key
