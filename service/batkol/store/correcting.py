"""`batkol correct`: a call's utterances with what was heard and what was said, and corrections of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.errors import ConfigurationError
from batkol.quantity import quantity
from batkol.store.commands import named
from batkol.store.journal.record import LONGEST_NAME, LONGEST_TEXT, bounded
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.corrections import UtteranceKey, correct, correct_rest
from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.queries import one_call, utterances_of
from batkol.store.postgres.reading import rows
from batkol.store.postgres.remedies import with_remedy
from batkol.terminal_text import isolated, without_steering

MOST: Final = 5000
"""Utterances of a call that can be corrected."""

WriteLine = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectOptions:
    """The options of the command line. `number` counts a call's utterances from 1, as they are listed."""

    call_sid: str
    number: int | None = None
    text: str | None = None
    as_heard: bool = False
    rest_as_heard: bool = False
    remove: bool = False
    by: str = ""


def heard_text(utterance: RowMapping) -> str:
    """Return what a recognizer heard in an utterance, after its revision."""
    revised: str | None = utterance["revised_text"]
    return (utterance["text"] or "") if revised is None else revised


@asynccontextmanager
async def reading_store(url: str) -> AsyncIterator[tuple[AsyncEngine, Address]]:
    """Open the database of a command. Raises `ConfigurationError`, also for what the database raises inside."""
    where = named(url)
    database = Database(where)
    try:
        yield database.reading, where
    except DB_ERRORS as error:
        raise ConfigurationError(f"{where.shown} cannot be used: {with_remedy(error_name(error))}") from None
    finally:
        await database.close()


async def carry_out_correction(url: str, options: CorrectOptions, *, write_line: WriteLine) -> int:
    """List a call's utterances, or write a correction; returns the exit code. Raises `ConfigurationError`."""
    _check(options)
    sid, by = bounded(options.call_sid, LONGEST_NAME), bounded(options.by, LONGEST_NAME)
    async with reading_store(url) as (engine, _):
        utterances = await _utterances(engine, sid)
        if options.rest_as_heard:
            count = await correct_rest(engine, sid, by)
            right = quantity(count, "utterance was right as it was", "utterances were right as they were")
            write_line(f"{right} heard")
            return 0
        if options.number is None:
            for number, each in enumerate(utterances, 1):
                write_line(_line(number, each))
            return 0
        if not 1 <= options.number <= len(utterances):
            raise ConfigurationError(
                f"the call has {quantity(len(utterances), 'utterance')}, and none has the number {options.number}; "
                "without a number the command lists them."
            )
        chosen = utterances[options.number - 1]
        text = heard_text(chosen) if options.as_heard else options.text
        text = None if text is None else bounded(text.strip(), LONGEST_TEXT)
        key = UtteranceKey(sid, chosen["stream_sid"], chosen["index"])
        if not await correct(engine, key, text, by):
            raise ConfigurationError("the call was erased, and cannot be corrected.")
        removed = "the utterance had no correction" if chosen["correction"] is None else "the correction was removed"
        write_line(removed if text is None else f"corrected: {isolated(text) or '(nothing)'}")
    return 0


def _check(options: CorrectOptions) -> None:
    """Refuse options that say two things, or not what to do with a number."""
    given = (options.text is not None, options.as_heard, options.remove, options.rest_as_heard)
    if sum(given) > 1:
        raise ConfigurationError("give one of these: the text, --as-heard, --remove, --rest-as-heard.")
    if options.rest_as_heard and options.number is not None:
        raise ConfigurationError("--rest-as-heard is for a whole call: leave out the number.")
    if options.number is None and any(given[:3]):
        raise ConfigurationError("say which utterance: its number stands in the list that the call's SID alone gives.")
    if options.number is not None and not any(given):
        raise ConfigurationError('say what was said: a text ("" for nothing), or --as-heard; --remove removes that.')
    if options.text is not None and len(options.text) > LONGEST_TEXT:
        raise ConfigurationError(f"the text has more than {LONGEST_TEXT} characters.")


async def _utterances(engine: AsyncEngine, sid: str) -> Sequence[RowMapping]:
    found = await rows(engine, one_call(sid))
    if not found:
        raise ConfigurationError("there is no call with this SID in the store.")
    if found[0]["erased_at"] is not None:
        raise ConfigurationError("the call was erased, and cannot be corrected.")
    return await rows(engine, utterances_of(sid, MOST))


def _line(number: int, utterance: RowMapping) -> str:
    heard = isolated(heard_text(utterance)) or "(nothing)"
    said = utterance["correction"]
    if said is None:
        return f"{number:4}. {heard}"
    by = without_steering(utterance["corrected_by"]) or "a token without a name"
    verdict = "right" if said == heard_text(utterance) else f"→ {isolated(said) or '(nothing)'}"
    return f"{number:4}. {heard}  {verdict}  [{by}, {utterance['corrected_at']:%Y-%m-%d}]"
