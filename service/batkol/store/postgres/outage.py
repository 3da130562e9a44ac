"""An outage of what the writer needs: its faults, each logged once, and its failures, by which waits grow."""

from __future__ import annotations

from typing import Final

import structlog

from batkol.store.postgres.remedies import remedy_of

THE_DATABASE: Final = "the database does not accept records; they wait in the journal"
THE_JOURNAL: Final = "the journal does not deliver records to the database, or cannot release them"
THE_WRITER: Final = "the database writer failed because of a defect in Batkol; records wait in the journal"

log = structlog.get_logger()


class Outage:
    """A machine without a clock, one per writer: the first failure begins an outage, the next success ends it."""

    def __init__(self) -> None:
        self.fault = ""
        """The fault that keeps records from being written; empty if they are."""
        self.unreleased = ""
        """The fault that makes the journal keep what the database has; empty if there is none."""
        self.attempt = 0
        """Failures in this outage, by which the waits grow."""
        self.failures = 0
        """Failures since the start."""
        self._logged: set[str] = set()  # the faults of this outage that are in the log

    def fail(self, fault: str, whose: str, waiting: int) -> int:
        """Note that an attempt failed, while so many records wait; return how many of this outage did before."""
        if fault not in self._logged:
            self._logged.add(fault)
            log.warning(
                f"[STORE] {whose}; the service tries again", fault=fault, waiting=waiting, remedy=remedy_of(fault)
            )
        self.fault = fault
        self.failures += 1
        attempt, self.attempt = self.attempt, self.attempt + 1
        return attempt

    def end(self, waiting: int) -> None:
        """Note that the database has taken what there was, while so many newer records wait."""
        self.attempt = 0
        if self.fault:
            log.info("[STORE] database writes resumed", waiting=waiting)
            self.fault = ""
            self._logged.clear()

    def not_released(self, fault: str) -> None:
        """Note that the journal could not release what the database has."""
        if not self.unreleased:
            log.error(
                "[STORE] delivered records could not be released from the journal; the service tries again", fault=fault
            )
        self.unreleased = fault
