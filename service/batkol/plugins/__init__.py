"""Plug-ins: bots that run in the process of the service. docs/agents.md says how one is written."""

from batkol.plugins.contract import NotLiveError, PluginBehindError, PluginCall, PluginHost

__all__ = ["NotLiveError", "PluginBehindError", "PluginCall", "PluginHost"]
