"""Settings: where they come from, which wins, and what is refused in which words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from helm_rollback.settings import ClusterSettings, Settings, SettingsError, load, parse_duration


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests counts."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HELM_ROLLBACK_{name.upper()}", raising=False)


def toml(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_defaults_are_those_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")

    settings = load()

    assert (settings.grpc, settings.http) == ("127.0.0.1:50051", "127.0.0.1:8080")
    assert (settings.lease, settings.heartbeat) == (timedelta(seconds=30), timedelta(seconds=15))
    assert (settings.helm, settings.max_helm, settings.max_streams) == ("helm", 6, 10_000)
    assert settings.clusters == {"default": ClusterSettings()}
    assert settings.database.startswith("sqlite:///")


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toml(tmp_path, 'helm = "file"\nlease = "1m"\nmax_helm = 1\n')
    monkeypatch.setenv("HELM_ROLLBACK_HELM", "environment")
    monkeypatch.setenv("HELM_ROLLBACK_LEASE", "2m")

    settings = load({"helm": "flag", "lease": None}, config=config)

    assert (settings.helm, settings.lease, settings.max_helm) == ("flag", timedelta(minutes=2), 1)
    assert settings.heartbeat == timedelta(seconds=15)


def test_clusters_are_tables_of_the_file(tmp_path: Path) -> None:
    config = toml(tmp_path, '[clusters.staging]\nkubeconfig = "/s.yaml"\ncontext = "admin"\n[clusters.live]\n')

    settings = load(config=config)

    assert settings.clusters == {
        "staging": ClusterSettings(kubeconfig="/s.yaml", context="admin"),
        "live": ClusterSettings(),
    }


def test_a_kubeconfig_makes_the_cluster_default_beside_others(tmp_path: Path) -> None:
    config = toml(tmp_path, "[clusters.staging]\n")

    settings = load({"kubeconfig": "~/mine"}, config=config)

    assert settings.clusters["default"] == ClusterSettings(kubeconfig=str(Path.home() / "mine"))
    assert set(settings.clusters) == {"default", "staging"}


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5s", timedelta(seconds=1.5)),
        ("250ms", timedelta(milliseconds=250)),
        ("7d", timedelta(days=7)),
    ],
)
def test_durations_have_units(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1 s", "1s ", "1x", "30s!", "9" * 400 + "d", "1e3s", 30, None])
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="30s, 5m or 1h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"grpc": "50051"}, "grpc: must be HOST:PORT"),
        ({"grpc": ":50051"}, "grpc: must be HOST:PORT"),
        ({"grpc": "127.0.0.1:http"}, "grpc: must be HOST:PORT"),
        ({"grpc": "127.0.0.1:65536"}, "grpc: must be HOST:PORT"),
        ({"grpc": "::1:50051"}, "brackets"),
        ({"grpc": "0.0.0.0:50051"}, "--insecure"),
        ({"grpc": "[::]:50051"}, "--insecure"),
        ({"grpc": "example.com:50051"}, "--insecure"),
        ({"http": "0.0.0.0:8080"}, "--insecure"),
        ({"lease": "soon"}, "lease: must be a duration"),
        ({"lease": "0s"}, "lease: "),
        ({"heartbeat": "0s"}, "heartbeat: "),
        ({"max_helm": 0}, "max_helm: "),
        ({"max_helm": "many"}, "max_helm: "),
        ({"max_streams": 0}, "max_streams: "),
        ({"database": "ledger.db"}, "database: must be a database URL"),
        ({"database": "mysql://host/db"}, "database: must be a database URL"),
        ({"clusters": {"a.b": {}}}, "DNS label"),
        ({"clusters": {"default": {}}, "context": "mine"}, "keep one"),
        ({"clusters": {"live": {"kubeconf": "x"}}}, "clusters.live.kubeconf: there is no such setting"),
        ({"port": 1}, "port: there is no such setting"),
    ],
)
def test_nonsense_is_refused_by_name(flags: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(flags)

    assert told in str(refused.value)
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.9.9.9:1", "localhost:50051", "[::1]:50051"])
def test_loopback_needs_no_permission(address: str) -> None:
    assert load({"grpc": address}).grpc == address


def test_insecure_permits_any_address() -> None:
    assert load({"grpc": "0.0.0.0:50051", "insecure": True}).grpc == "0.0.0.0:50051"


def test_a_database_of_postgres_is_left_to_whoever_opens_it() -> None:
    assert load({"database": "postgresql://host/db"}).database == "postgresql://host/db"


@pytest.mark.parametrize(("text", "told"), [(None, "can not be read"), ("= 1", "is no TOML"), ("x = 1", "no such")])
def test_a_file_that_is_no_settings_file_is_named(tmp_path: Path, text: str | None, told: str) -> None:
    config = toml(tmp_path, text) if text is not None else tmp_path / "missing.toml"

    with pytest.raises(SettingsError, match=told):
        load(config=config)


def test_a_password_in_the_database_url_is_not_shown() -> None:
    assert "hunter2" not in repr(load({"database": "postgresql://me:hunter2@host/db"}))
