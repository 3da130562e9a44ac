"""`batkol compare`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from batkol.commands.env_file import EnvFileOption
from batkol.commands.shared import NoColor, bounded, console, exit_with
from batkol.commands.store import DatabaseUrl

Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="FOLDER|LIST",
        help="A folder of WAV files, each with a .txt of what is said in it; or a list, .jsonl or .csv, of `audio`, "
        "`text` and, if wanted, `call`.",
    ),
]
Recordings = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Compare the corrected calls of the store instead: the folder with their recordings, SID.wav for each.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--recognizer",
        metavar="NAME",
        help="A recognizer to compare, such as google-v1/default, single or whisper; by default all that are set up.",
    ),
]
Budget = Annotated[
    float,
    typer.Option(
        metavar="MINUTES",
        callback=bounded(0.01),
        help="The most minutes of audio to send to all recognizers together; nothing is sent if there is more.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        callback=lambda number: number if number is None else bounded(0)(number),
        help="Compare a random part that fits the budget: one number gives one part.",
    ),
]
Side = Annotated[
    str,
    typer.Option("--channel", metavar="SIDE", help="The channel of a stereo file with the caller: mix, left or right."),
]
Probes = Annotated[
    int,
    typer.Option(
        metavar="NUMBER",
        callback=bounded(0),
        help="Sounds to hear a second time, to measure the final when it is forced.",
    ),
]
AtOnce = Annotated[int, typer.Option(metavar="NUMBER", callback=bounded(1, 64), help="Sounds to hear at once.")]
Json = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON, with all texts.")]
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the report as one HTML page, with all differences marked.")
]


def compare(
    source: Source = None,
    *,
    recordings: Recordings = None,
    recognizer: Names = None,
    budget: Budget = 30.0,
    seed: Seed = None,
    channel: Side = "mix",
    probes: Probes = 10,
    at_once: AtOnce = 4,
    json: Json = None,
    html: Html = None,
    database_url: DatabaseUrl = "",
    no_color: NoColor = False,
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Compare recognizers on recorded speech: errors, times and cost, and whether one is better than another.

    The variables of `batkol serve` set them up. They hear in real time at 8 kHz, and vendors charge for it.

    Exit code 0: it was compared, whatever came out; 2: it could not be, or not to the end; 130: Ctrl-C (it reports).
    """
    os.environ["OTEL_METRICS_EXPORTER"] = "none"  # what is compared is no call of the service's
    import structlog

    from batkol.compare.carrying_out import CompareOptions, carry_out
    from batkol.supervision.garbage import freeze_startup_objects

    freeze_startup_objects()  # their collection would make sounds some 200 ms late
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # the report has the rest
    options = CompareOptions(
        source=source,
        recordings=recordings,
        names=tuple(recognizer or ()),
        budget=budget,
        seed=seed,
        channel=channel,
        probes=probes,
        at_once=at_once,
        json=json,
        html=html,
        database_url=database_url,
    )
    exit_with(carry_out(options, console(no_color=no_color), console(no_color=no_color, stderr=True)))
