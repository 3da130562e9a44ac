"""CPU of a streamed reply of 40 chunks, by the client that reads it (ADR 0022).

  bench/answer_cost.py                                        batkol's answerer, and the official client
  bench/answer_cost.py --readers batkol httpx-sse openai      httpx-sse must be on the path

The double of a language model runs in a process of its own and sends 80 tokens a second, each in a write of its own.
Each reader runs in a process of its own, with uvloop as the service has it, and reads one answer after another on a
connection that is kept. CPU is that of the reader's process. `idle` reads nothing: it wakes 40 times an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import httpx
import uvloop

from batkol.answering.answerer import Question
from batkol.answering.openai import OpenAIAnswerer
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings

CHUNKS: Final = 40
PACE: Final = 80.0  # tokens a second
TEXT: Final = "אני רוצה לקבוע תור לרופא ביום ראשון בבוקר, אם אפשר. " * 4
QUESTION: Final = Question(text="יש תור?", prompt="ענה בקצרה")
ASKED: Final[dict[str, Any]] = {
    "model": "gpt-4.1",
    "messages": [{"role": "system", "content": "ענה בקצרה"}, {"role": "user", "content": "יש תור?"}],
    "max_tokens": CHUNKS,
    "stream": True,
}

Reader = Callable[[], Awaitable[int]]
"""Reads one answer; returns its number of texts."""


def batkol(url: str) -> Reader:
    answerer = OpenAIAnswerer(url=url, model="gpt-4.1", max_tokens=CHUNKS)

    async def read() -> int:
        async with aclosing(answerer.answer(QUESTION)) as texts:
            return len([text async for text in texts])

    return read


def httpx_sse(url: str) -> Reader:
    connect = importlib.import_module("httpx_sse").aconnect_sse
    client = httpx.AsyncClient(base_url=url)

    async def read() -> int:
        found = 0
        async with connect(client, "POST", "/chat/completions", json=ASKED) as source:
            async for event in source.aiter_sse():
                if event.data == "[DONE]":
                    continue
                choices = json.loads(event.data)["choices"]
                found += bool(choices and choices[0]["delta"].get("content"))
        return found

    return read


def openai(url: str) -> Reader:
    client = importlib.import_module("openai").AsyncOpenAI(base_url=url, api_key="k")

    async def read() -> int:
        stream = await client.chat.completions.create(**ASKED)
        return len([c async for c in stream if c.choices and c.choices[0].delta.content])

    return read


def idle(_url: str) -> Reader:
    async def wake() -> int:
        for _ in range(CHUNKS):
            await asyncio.sleep(1 / PACE)
        return CHUNKS

    return wake


READERS: Final[dict[str, Callable[[str], Reader]]] = {
    "batkol": batkol,
    "httpx-sse": httpx_sse,
    "openai": openai,
    "idle": idle,
}


async def measure(make: Callable[[str], Reader], url: str, answers: int) -> list[float]:
    """Return the CPU of each answer, in milliseconds."""
    read = make(url)
    await read()  # imports, connection
    costs = []
    for _ in range(answers):
        began = time.process_time()
        found = await read()
        costs.append((time.process_time() - began) * 1000)
        if found != CHUNKS:
            raise SystemExit(f"{found} texts came, and not {CHUNKS}")
    return costs


async def serve() -> None:
    """Be the double, until stdin ends."""
    async with LLMDouble(LLMSettings(profile="fixed:5", tokens_per_s=PACE)) as double:
        double.script(Rule("", TEXT))
        sys.stdout.write(await double.start() + "\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", nargs="+", choices=READERS, default=["batkol", "openai", "idle"])
    parser.add_argument("--answers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=2, metavar=("READER", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve())
    elif given.read:
        sys.stdout.write(json.dumps(uvloop.run(measure(READERS[given.read[0]], given.read[1], given.answers))))
    else:
        compare(given)


def compare(given: argparse.Namespace) -> None:
    this = [sys.executable, str(Path(__file__)), "--answers", str(given.answers)]
    double = subprocess.Popen([*this, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if double.stdout is None:
        raise AssertionError("its output is a pipe")
    url = double.stdout.readline().strip()
    costs: dict[str, list[float]] = {reader: [] for reader in given.readers}
    try:
        for _ in range(given.rounds):
            for reader in given.readers:
                done = subprocess.run([*this, "--read", reader, url], check=True, stdout=subprocess.PIPE, text=True)
                costs[reader] += json.loads(done.stdout)
    finally:
        double.communicate()
    for reader, each in costs.items():
        print(f"{reader:10} CPU of an answer of {CHUNKS} chunks: median {statistics.median(each):5.2f} ms,"
              f" mean {statistics.mean(each):5.2f} ms, of {len(each)} answers")  # fmt: skip


if __name__ == "__main__":
    main()
