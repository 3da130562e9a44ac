"""skaffold.yaml, and what skaffold makes of it with a profile."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER, ROOT

CONFIG = yaml.load((ROOT / "skaffold.yaml").read_text(), LOADER)
PROFILES = {profile["name"]: profile for profile in CONFIG["profiles"]}
EVERY = ["", *PROFILES]


def active(name: str) -> Any:
    """Return the configuration as skaffold sees it with a profile: its sections over ours, then its patches."""
    config = copy.deepcopy({key: value for key, value in CONFIG.items() if key != "profiles"})
    if not name:
        return config
    profile = PROFILES[name]
    for section in ("build", "deploy", "portForward"):
        if section in profile:
            ours, theirs = config.get(section), profile[section]
            config[section] = {**ours, **theirs} if isinstance(ours, dict) else theirs
    return jsonpatch.apply_patch(config, profile.get("patches", []))
