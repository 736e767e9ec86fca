"""A kubeconfig that does not do says so, and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm_rollback.cluster import kubeconfig
from helm_rollback.cluster.connection import Connection
from helm_rollback.cluster.kubeconfig import ClusterSettingsError, load_kubeconfig


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", str(tmp_path / "no-pod"))


def document(**user: Any) -> dict[str, Any]:
    return {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "http://api.example"}}],
        "users": [{"name": "u", "user": user or {"token": "canary-token"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "anonymous", "context": {"cluster": "c"}},
            {"name": "dangling", "context": {"cluster": "gone", "user": "u"}},
        ],
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_current_context_is_taken(tmp_path: Path) -> None:
    config = load_kubeconfig(str(write(tmp_path / "config", document())))

    assert config.context_name == "here"
    assert config.cluster.server == "http://api.example"


def test_a_context_without_user_is_anonymous(tmp_path: Path) -> None:
    config = load_kubeconfig(str(write(tmp_path / "config", document())), "anonymous")

    assert Connection("default", config).cluster == "default"


def test_kubeconfig_of_the_environment_comes_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = tmp_path / "home" / ".kube" / "config"
    default.parent.mkdir(parents=True)
    write(default, document() | {"current-context": "anonymous"})
    assert load_kubeconfig().context_name == "anonymous"

    named = write(tmp_path / "config", document())
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{named}")

    assert load_kubeconfig().context_name == "here"


def test_nothing_anywhere_says_what_to_set() -> None:
    with pytest.raises(ClusterSettingsError, match=r"no kubeconfig.*--kubeconfig"):
        load_kubeconfig()


def test_several_files_are_not_guessed_among(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [str(write(tmp_path / name, document())) for name in ("a", "b")]
    monkeypatch.setenv("KUBECONFIG", ":".join(files))

    with pytest.raises(ClusterSettingsError, match="2 files"):
        load_kubeconfig()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [canary", "no YAML"),
        ("", "not the form"),
        ("canary", "not the form"),
        ({}, "lacks 'clusters'"),
        (document(token=["canary"]), r"users|token|str"),
        ("\x00canary", "no YAML"),
        (document() | {"current-context": ""}, "--context"),
        (document() | {"current-context": "canary-no"}, "anonymous, dangling, here"),
        (document() | {"current-context": "dangling"}, "gone"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(tmp_path: Path, content: Any, says: str) -> None:
    file = write(tmp_path / "config", content)

    with pytest.raises(ClusterSettingsError, match=says) as error:
        load_kubeconfig(str(file))

    assert str(file) in str(error.value)
    assert "canary-token" not in str(error.value)


def test_a_missing_file_an_unreadable_one_and_bytes_are_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterSettingsError, match="does not exist"):
        load_kubeconfig(str(tmp_path / "missing"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ClusterSettingsError, match="no text"):
        load_kubeconfig(str(tmp_path / "bytes"))


def test_certificates_that_are_none_are_told(tmp_path: Path) -> None:
    content = document()
    content["clusters"][0]["cluster"] = {"server": "https://api.example", "certificate-authority": "missing.crt"}
    config = load_kubeconfig(str(write(tmp_path / "config", content)))

    with pytest.raises(ClusterSettingsError, match="certificates"):
        Connection("default", config)


def test_a_plugin_of_protocol_v1_is_told_so(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}
    config = load_kubeconfig(str(write(tmp_path / "config", document(exec=plugin))))

    assert config.user is not None
    assert config.user.exec is not None
    assert config.user.exec.apiVersion == "client.authentication.k8s.io/v1beta1", "which lightkube knows"
    told = {variable.name: variable.value for variable in config.user.exec.env or ()}
    assert json.loads(told["KUBERNETES_EXEC_INFO"])["apiVersion"] == "client.authentication.k8s.io/v1"
