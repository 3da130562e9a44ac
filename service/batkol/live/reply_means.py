"""The process's own part of what `reply.json` needs: secrets of tools, numbers of transfers, fields of leads.

The file names them and has none of them, so a file that is right in itself may still not fit this process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

import msgspec
from msgspec import UNSET

from batkol import tool_secrets
from batkol.live.reply import ReplySettings
from batkol.tools.definition import SAVE_LEAD, TRANSFER, ToolDefinition


class ReplyVariables(Protocol):
    """The settings of the process that reply settings lean on."""

    @property
    def transfer_allowed(self) -> Mapping[str, str]: ...
    @property
    def tools(self) -> tuple[ToolDefinition, ...]: ...
    @property
    def lead_fields(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyMeans:
    """The environment of the process, as far as reply settings lean on it."""

    environ: Mapping[str, str] | None = field(repr=False)
    """Variables with the secrets of tools; None where no tool is carried out."""
    labels: Collection[str]
    """The labels of TRANSFER_ALLOWED."""
    tools: tuple[ToolDefinition, ...] = field(default=(), repr=False)
    """The tools of TOOLS, in force where the file has none."""
    lead_fields: Collection[str] = ()
    """The fields of LEAD_FIELDS, in force where the file has none."""

    @classmethod
    def of(cls, settings: ReplyVariables, environ: Mapping[str, str] | None) -> Self:
        """Return those of a process; `environ` as above."""
        return cls(
            environ=environ,
            labels=settings.transfer_allowed.keys(),
            tools=settings.tools,
            lead_fields=settings.lead_fields.keys(),
        )

    def lacking(self, reply: ReplySettings) -> tuple[str, ...]:
        """Return a clause for each thing that the file needs and the process does not have: what to do, too."""
        return tuple(self._lacking(reply))

    def without(self, reply: ReplySettings) -> ReplySettings:
        """Return the settings less the tools and the labels that this process does not have."""
        unusable = {tool.name for tool, _ in self._without_secrets(reply)}
        tools, labels = reply.tools, reply.transfers
        return msgspec.structs.replace(
            reply,
            tools=tools if tools is UNSET else tuple(tool for tool in tools if tool.name not in unusable),
            transfers=labels if labels is UNSET else tuple(label for label in labels if label in self.labels),
        )

    def _without_secrets(self, reply: ReplySettings) -> Iterator[tuple[ToolDefinition, str]]:
        if self.environ is not None:
            yield from tool_secrets.complaints(reply.tools or (), self.environ)

    def _lacking(self, reply: ReplySettings) -> Iterator[str]:
        for _, complaint in self._without_secrets(reply):
            yield complaint
        for place, label in enumerate(reply.transfers or ()):
            if label not in self.labels:
                yield (
                    f"transfers[{place}] is no label of TRANSFER_ALLOWED; add the label and its number to "
                    "TRANSFER_ALLOWED and restart the process, or remove the label"
                )
        named = {tool.name for tool in (self.tools if reply.tools is UNSET else reply.tools)}
        if TRANSFER in named and not self.labels:
            yield f"the tool {TRANSFER} needs numbers; set TRANSFER_ALLOWED and restart the process, or remove the tool"
        if SAVE_LEAD in named and not (self.lead_fields if reply.lead_fields is UNSET else reply.lead_fields):
            yield f"the tool {SAVE_LEAD} needs a field; add one to leadFields, or remove the tool"
