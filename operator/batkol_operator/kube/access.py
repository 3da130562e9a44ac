"""Access to the API server, the same for kopf and for lightkube.

KUBECONFIG where it is set (a laptop), the pod's service account elsewhere, ~/.kube/config at last.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import kopf
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from batkol_operator.errors import OperatorConfigurationError

_PLUGIN_S: Final = 30.0


def read_access() -> SingleConfig:
    """Read how to reach the API server. Raises `OperatorConfigurationError`."""
    try:
        named = os.environ.get("KUBECONFIG")
        config = (KubeConfig.from_file(named) if named else KubeConfig.from_env()).get()
    except (ConfigError, OSError, KeyError, ValueError) as error:
        raise OperatorConfigurationError(
            f"The operator finds no API server: {error}. In a pod, give it a service account; elsewhere set KUBECONFIG."
        ) from None
    if config is None:
        raise OperatorConfigurationError(
            "The kubeconfig names no current context. Choose one with `kubectl config use-context`."
        )
    # lightkube wants a user even where none is needed, as behind `kubectl proxy`.
    return config if config.user else config._replace(user=User())


def kopf_connection(config: SingleConfig) -> kopf.ConnectionInfo:
    """Convert the access to kopf's form. kopf calls this again when the API server rejects the token, to reread it."""
    cluster, user = config.cluster, config.user or User()
    by_file = cluster.certificate_auth
    return kopf.ConnectionInfo(
        server=cluster.server,
        ca_path=config.abs_file(by_file) if by_file else None,
        ca_data=None if by_file else cluster.certificate_auth_data,
        insecure=cluster.insecure or None,
        username=user.username,
        password=user.password,
        token=_token(user),
        certificate_path=config.abs_file(user.client_cert) if user.client_cert else None,
        certificate_data=None if user.client_cert else user.client_cert_data,
        private_key_path=config.abs_file(user.client_key) if user.client_key else None,
        private_key_data=None if user.client_key else user.client_key_data,
        default_namespace=config.namespace,
    )


def _token(user: User) -> str | None:
    if user.token_file:
        return Path(user.token_file).read_text().strip()
    if user.token or not user.exec:
        return user.token
    named = {variable.name: variable.value for variable in user.exec.env or ()}
    command = [user.exec.command, *(user.exec.args or ())]
    done = subprocess.run(  # noqa: S603 -- the kubeconfig's own plug-in, as kubectl runs it
        command, env={**os.environ, **named}, capture_output=True, check=True, timeout=_PLUGIN_S
    )
    return str(json.loads(done.stdout)["status"]["token"])
