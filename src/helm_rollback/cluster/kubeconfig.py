"""Which API server, and as whom: the kubeconfig.

lightkube reads it. What can be wrong with it is told here in words that say what
to do; the file's own text is never quoted, for it may hold a token.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import msgspec.structs
import yaml
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import NameValue, User
from lightkube.core.exceptions import ConfigError

_HINT = "set --kubeconfig FILE (or HELM_ROLLBACK_KUBECONFIG) to a kubeconfig that works with kubectl"


class ClusterSettingsError(Exception):
    """The cluster can not even be asked: its settings are wrong. The text says what to change."""


def load_kubeconfig(file: str = "", context: str = "") -> SingleConfig:
    """The settings of one context; "" is the current one.

    Without `file`: what KUBECONFIG names, else the Pod's service account, else
    ~/.kube/config. Raises ClusterSettingsError.
    """
    if file:
        config = _from_file(file, named_by="--kubeconfig")
    elif listed := os.environ.get("KUBECONFIG", ""):
        config = _from_file(_only_file(listed), named_by="KUBECONFIG")
    elif Path(SERVICE_ACCOUNT, "token").exists():
        config = _from_service_account()
    elif Path(DEFAULT_KUBECONFIG).expanduser().exists():
        config = _from_file(DEFAULT_KUBECONFIG, named_by="the default place")
    else:
        raise ClusterSettingsError(
            f"there is no kubeconfig: KUBECONFIG is not set, {DEFAULT_KUBECONFIG} does not exist, "
            f"and this is no Pod with a service account; {_HINT}"
        )
    return _select(config, context)


def _from_file(file: str, *, named_by: str) -> KubeConfig:
    where = f"kubeconfig {file} (from {named_by})"
    try:
        return KubeConfig.from_file(file)
    except ConfigError as error:
        raise ClusterSettingsError(f"{where} does not exist; {_HINT}") from error
    except OSError as error:
        raise ClusterSettingsError(f"{where} can not be read: {error.strerror}; {_HINT}") from error
    except UnicodeDecodeError:
        raise ClusterSettingsError(f"{where} is no text; {_HINT}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise ClusterSettingsError(f"{where} is no YAML{place}; {_HINT}") from None
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise ClusterSettingsError(f"{where} is no kubeconfig: {_what_is_wrong(error)}; {_HINT}") from None


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, msgspec.ValidationError):
        return str(error)  # names types and places, not values
    return "it has not the form of one"


def _only_file(listed: str) -> str:
    """kubectl merges the files of a list; lightkube does not, and guessing which was meant would be worse."""
    files = [name for name in listed.split(os.pathsep) if name]
    existing = [name for name in files if Path(name).expanduser().is_file()]
    if len(existing) > 1:
        raise ClusterSettingsError(f"KUBECONFIG names {len(existing)} files, this service reads one; {_HINT}")
    return (existing or files or [listed])[0]


def _from_service_account() -> KubeConfig:
    try:
        return KubeConfig.from_service_account()
    except (ConfigError, KeyError, OSError) as error:
        raise ClusterSettingsError(
            f"the Pod's service account in {SERVICE_ACCOUNT} is incomplete ({error}); "
            f"mount it whole and keep KUBERNETES_SERVICE_HOST and _PORT, or {_HINT}"
        ) from error


def _select(config: KubeConfig, context: str) -> SingleConfig:
    where = f"kubeconfig {config.fname}"
    if not context and not config.current_context:
        raise ClusterSettingsError(f"{where} has no current-context; set one there, or set --context NAME")
    try:
        selected = config.get(context or None)
    except ConfigError as error:
        known = ", ".join(sorted(config.contexts)) or "none"
        raise ClusterSettingsError(
            f"{where} has no context {context or config.current_context}; set --context to one of: {known}"
        ) from error
    except KeyError as error:
        raise ClusterSettingsError(
            f"context {context or config.current_context} of {where} names {error}, which is not there"
        ) from error
    if selected is None:
        raise ClusterSettingsError(f"{where} has no context to use; set --context NAME")
    # lightkube wants a user in any case; one without credentials is anonymous.
    user = selected.user or User()
    return selected._replace(user=_with_exec_info(user) if user.exec else user)


def _with_exec_info(user: User) -> User:
    """The user, his credential plugin told which protocol to speak.

    lightkube refuses protocol v1 and tells no plugin anything; but v1 differs from
    v1beta1 only in that the plugin must be told, which is done by this variable.
    """
    if user.exec is None:
        return user
    asked = {"apiVersion": user.exec.apiVersion, "kind": "ExecCredential", "spec": {"interactive": False}}
    told = NameValue(name="KUBERNETES_EXEC_INFO", value=json.dumps(asked))
    version = "client.authentication.k8s.io/v1"
    plugin = msgspec.structs.replace(
        user.exec,
        apiVersion=f"{version}beta1" if user.exec.apiVersion == version else user.exec.apiVersion,
        env=[*(user.exec.env or []), told],
    )
    return msgspec.structs.replace(user, exec=plugin)
