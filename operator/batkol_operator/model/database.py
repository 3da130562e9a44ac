"""The database of an agent, and the records that wait for it on a pod's disk."""

from __future__ import annotations

from pydantic import Field

from batkol_operator.model.one_line import WITHOUT_NUL
from batkol_operator.model.part import ResourcePart
from batkol_operator.model.secret_key import SecretKey


class JournalSpec(ResourcePart):
    """Records that the database does not have yet, on the disk of the pod's node; deleted with the pod."""

    size_limit_mebibytes: int = Field(
        256,
        ge=16,
        le=65_536,
        description="Size from which on the pod refuses new records, in MiB; 256 hold about 500,000 finals. The "
        "node's disk must have this room. A change rolls the pods.",
    )


class DatabaseTimeoutsSpec(ResourcePart):
    """Time limits of a pod for its database."""

    connect_seconds: int | None = Field(
        None, ge=1, le=300, description="Time limit for a connection, in seconds; absent: 5. A change rolls the pods."
    )
    statement_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="The database server's time limit for a statement, in seconds; absent: 10. A change rolls the "
        "pods.",
    )
    command_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="The pod's time limit for a statement, for a server that does not answer, in seconds; absent: 15. "
        "A change rolls the pods.",
    )


class DatabaseSpec(ResourcePart):
    """Postgres database for calls and their transcripts. Each pod migrates its tables before it starts."""

    url_secret_ref: SecretKey = Field(
        description="Secret key with the database's URL, `postgresql://user:password@host:5432/name`; the user "
        "needs the right to create tables. A change of the reference rolls the pods; a change of the Secret takes "
        "effect in pods that start after it.",
    )
    pool_size: int = Field(
        5,
        ge=1,
        le=100,
        description="Connections of a pod for reading, besides one for writing and a short one at its start. A "
        "change rolls the pods.",
    )
    retention_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Age in days at which calls, their transcripts and leads are deleted; 0: never. A change rolls "
        "the pods.",
    )
    summary_prompt: str | None = Field(
        None,
        min_length=1,
        max_length=32_768,
        pattern=WITHOUT_NUL,
        description="Instructions to the agent's answerer for a summary of each ended call; absent: no summaries. A "
        "change rolls the pods.",
    )
    timeouts: DatabaseTimeoutsSpec | None = Field(None, description="Time limits of a pod for the database.")
    journal: JournalSpec = Field(
        default_factory=JournalSpec, description="Records that the database does not have yet."
    )
