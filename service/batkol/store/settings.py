"""The settings of the store: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from batkol.environment import EnvironmentSettings
from batkol.errors import ConfigurationError
from batkol.store.dev_postgres.server import home
from batkol.store.folders import state_folder
from batkol.store.options import SHARED_MEMORY, DatabaseTimeouts, StoreSettings
from batkol.store.postgres.address import Address, address


def journal_home() -> Path:
    """Return the default folder of the journal."""
    return state_folder() / "journal"


class StoreFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    free_texts: ClassVar[frozenset[str]] = frozenset({"summary_prompt"})
    with_spaces: ClassVar[frozenset[str]] = frozenset({"database_dir", "journal_dir", "journal_memory_dir"})

    store: Literal["", "postgres", "none"] = Field(
        "", description="`postgres` stores calls, `none` does not; empty: `postgres`, which needs DATABASE_URL."
    )
    database_url: str = Field("", description="`postgresql://user:password@host/name`.", repr=False)
    database_dir: Path = Field(default_factory=home, description="Folder of the development Postgres's data.")
    database_pool_size: int = Field(
        5, ge=1, le=100, description="Database connections, without the writer's connection."
    )
    database_connect_timeout_s: float = Field(5.0, gt=0, description="Time limit for a connection to the database, s.")
    database_statement_timeout_s: float = Field(
        10.0, gt=0, description="The database server's time limit for a statement, s."
    )
    database_command_timeout_s: float = Field(
        15.0, gt=0, description="The service's time limit for a statement, for a server that does not answer, s."
    )
    journal_dir: Path = Field(default_factory=journal_home, description="Folder of this pod's journal.")
    journal_max_mb: int = Field(
        256, ge=1, description="Size of the journal from which the service refuses new records, MiB."
    )
    journal_memory_dir: Path = Field(SHARED_MEMORY, description="A tmpfs folder for the newest records.")
    retention_days: int = Field(
        0, ge=0, description="Age at which the service deletes calls and leads, days; 0: never."
    )
    summary_prompt: str = Field(
        "", description="Instructions to the answerer for the summary of an ended call; empty: no summaries."
    )

    @field_validator("database_url")
    @classmethod
    def _of_postgres(cls, value: str) -> str:
        if value:
            _address(value)
        return value

    @property
    def keeps_calls(self) -> bool:
        """Whether calls are kept."""
        return self.store != "none"

    def check_store(self, *, development: bool) -> None:
        """Refuse what would keep nothing without saying so. Raises `ValueError`."""
        if self.summary_prompt and not self.keeps_calls:
            raise ValueError(
                "SUMMARY_PROMPT is set, but the service stores no calls (STORE=none), so it cannot sum them up; remove "
                "SUMMARY_PROMPT, or remove STORE and set DATABASE_URL"
            )
        if self.keeps_calls and not self.database_url and not development:
            raise ValueError(
                "there is no DATABASE_URL, so the service cannot store calls; set DATABASE_URL, or set STORE=none to "
                "store no calls. (With TWILIO_VALIDATE_SIGNATURES=false, for development, the service starts a "
                "Postgres of its own)"
            )

    def of_store(self, pod: str) -> StoreSettings:
        """Return what the store needs."""
        patience = DatabaseTimeouts(
            self.database_connect_timeout_s, self.database_statement_timeout_s, self.database_command_timeout_s
        )
        return StoreSettings(
            address=_address(self.database_url) if self.database_url else None,
            database_dir=self.database_dir,
            pool_size=self.database_pool_size,
            patience=patience,
            journal_dir=self.journal_dir,
            journal_max_bytes=self.journal_max_mb << 20,
            retention_days=self.retention_days,
            pod=pod,
            memory=self.journal_memory_dir,
        )


def _address(url: str) -> Address:
    try:
        return address(url)
    except ConfigurationError as error:
        raise ValueError(str(error).removeprefix("DATABASE_URL ")) from None
