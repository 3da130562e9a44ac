"""How many examples a property gets in `make test`; `make nightly` has its own number for all."""

from __future__ import annotations

from hypothesis import settings


def examples(few: int) -> settings:
    """For a property whose examples take long: so many, but all of them in the nightly run."""
    return settings() if settings.get_current_profile_name() == "nightly" else settings(max_examples=few)
