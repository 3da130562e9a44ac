"""What the API's own description promises, asked of it by schemathesis: any input, no answer that is not described."""

import asyncio

import pytest

from support.postgres.history_api import AUTHORIZED, past, whole
from support.postgres.store_parts import Kept


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [3, pytest.param(50, marks=pytest.mark.nightly)])
async def test_whatever_it_is_asked_it_answers_as_its_description_says(kept: Kept, examples: int) -> None:
    from support.http.described_api import requests_by_path

    kept.say([record for call in range(5) for record in whole(call)])
    await kept.written()
    async with past(kept) as house:
        asked = await asyncio.to_thread(
            requests_by_path, f"http://127.0.0.1:{house.port}/openapi.json", AUTHORIZED, examples
        )

    assert len(asked) == 15
    assert min(asked.values()) >= examples, asked
