"""The source that LIVE_SOURCE names."""

from __future__ import annotations

from batkol.errors import ConfigurationError
from batkol.live.files import FileSource
from batkol.live.source import LiveSource


def open_source(setting: str, *, start_from: str = "", namespace: str = "") -> LiveSource | None:
    """Open `file:PATH`, `kubernetes:NAME` or `kubernetes:NAMESPACE/NAME`, or nothing.

    `start_from` is LIVE_START_FROM; `namespace` where a ConfigMap without one is, by default the pod's own. Raises
    `ConfigurationError` for all else. Touches neither files nor network, except to find that namespace.
    """
    kind, colon, rest = setting.strip().partition(":")
    match kind:
        case "" if not colon:
            return None
        case "file" if rest:
            return FileSource(rest)
        case "kubernetes" if rest:
            return _config_map(rest, start_from, namespace)
        case _:
            raise ConfigurationError(
                "LIVE_SOURCE must be file:PATH, where PATH is the directory with the live files, or kubernetes:NAME, "
                "where NAME is the ConfigMap with them (kubernetes:NAMESPACE/NAME in another namespace)."
            )


def _config_map(name: str, start_from: str, namespace: str) -> LiveSource:
    # Not at the top: lightkube is loaded for those alone who watch a ConfigMap.
    from batkol.live.cluster import ObjectName, pod_namespace  # noqa: PLC0415
    from batkol.live.fallback import FallbackSource  # noqa: PLC0415
    from batkol.live.kubernetes import KubernetesSource  # noqa: PLC0415

    try:
        where = ObjectName.parse(name, namespace=namespace or pod_namespace())
    except ConfigurationError as error:
        raise ConfigurationError(f"LIVE_SOURCE=kubernetes:{name} cannot be used: {error}") from error
    files = FileSource(start_from) if start_from else None
    return FallbackSource(KubernetesSource(where), files)
