"""The wait between two attempts."""

from __future__ import annotations

import asyncio

from batkol.client.course import Course
from batkol.client.errors import ClientError


async def pause(course: Course, error: ClientError) -> None:
    """Wait as long as the course says. Raises `error` when it is given up. Cancelling it loses nothing."""
    await asyncio.sleep(course.wait_s(error, asyncio.get_running_loop().time()))
