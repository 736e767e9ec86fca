"""What a server can be told, and from where: flags, then environment, then file, then defaults.

Each field is a flag of `helm-rollback serve`, a variable `HELM_ROLLBACK_<FIELD>`, and a
key of the TOML file named by `--config`. Several clusters are named in the file only:

    [clusters.staging]
    kubeconfig = "/etc/helm-rollback/staging.yaml"
    context = "admin@staging"
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from helm_rollback.addresses import is_loopback

ENVIRONMENT_PREFIX: Final = "HELM_ROLLBACK_"
DEFAULT_CLUSTER: Final = "default"

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DATABASE_SCHEMES: Final = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


class SettingsError(Exception):
    """The settings make no sense; the text says which, and what would. Nothing was started."""


def parse_duration(text: object) -> timedelta:
    """`30s`, `5m`, `1h`, `1h30m`. Raises ValueError."""
    if isinstance(text, timedelta):
        return text
    problem = "must be a duration such as 30s, 5m or 1h"
    if not isinstance(text, str):
        raise ValueError(problem)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(problem)
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta())
    except OverflowError as error:
        raise ValueError(problem) from error


Span = Annotated[timedelta, BeforeValidator(parse_duration)]
HomePath = Annotated[str, AfterValidator(os.path.expanduser)]


class ClusterSettings(BaseModel):
    """How to reach one cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kubeconfig: HomePath = ""
    """The kubeconfig file; empty: $KUBECONFIG, ~/.kube/config, or the pod's own account."""
    context: str = ""
    """Which of its contexts; empty: its current one."""


def default_database() -> str:
    """SQLite in the user's data folder."""
    return f"sqlite:///{user_data_path('helm-rollback', appauthor=False) / 'ledger.db'}"


class Settings(BaseSettings):
    """The settings of a server. Make them with `load`."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True)

    grpc: str = "127.0.0.1:50051"
    """Where gRPC listens, HOST:PORT; port 0: any free one, named in the ready line."""
    http: str = "127.0.0.1:8080"
    """Where REST listens, HOST:PORT; port 0: any free one, named in the ready line."""
    database: str = Field(default_factory=default_database, repr=False)
    """The ledger, as a database URL: `sqlite:////path/ledger.db`, or `postgresql://USER@HOST/NAME` for several
    servers on one ledger. Not shown, since it may hold a password."""
    migrate: bool = False
    """Bring the tables of a PostgreSQL ledger up to date before serving; else a server refuses to start on tables
    that are behind, and `helm-rollback migrate` is run first. SQLite's are always brought up to date."""
    kubeconfig: HomePath = ""
    """The kubeconfig of the cluster `default`; empty: as kubectl finds it, or the pod's own account."""
    context: str = ""
    """The context of the cluster `default`; empty: the current one."""
    clusters: dict[str, ClusterSettings] = {}
    """All clusters by name, the first part of their release ids. Without any, or with a kubeconfig or
    context above, `default` is one of them."""
    chart_repositories: dict[str, str] = {}
    """Chart repositories by the names by which requests may name them, with their http or https URLs; in the file
    only. None by default."""
    chart_registries: list[str] = []
    """Prefixes of the OCI references that requests may name, such as `oci://registry.example.com/charts`; in the
    file only. None by default."""
    helm: str = "helm"
    """The Helm to run: a path, or a name on PATH."""
    lease: Span = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1), le=timedelta(hours=1))
    """For how long a server holds an operation without renewing: 1 s to 1 h. It renews well before."""
    max_helm: int = Field(default_factory=lambda: 2 * (os.cpu_count() or 1), ge=1, le=1000)
    """How many Helm processes run at once; further operations wait as PENDING."""
    max_streams: int = Field(default=10_000, ge=1)
    """How many streams are open at once; further ones are refused with TOO_MANY_STREAMS."""
    heartbeat: Span = Field(default=timedelta(seconds=15), ge=timedelta(milliseconds=10), le=timedelta(minutes=10))
    """After how much silence a stream says that it is alive. Clients expect 15 s."""
    reflection: bool | None = None
    """Whether clients may ask for the protos; None: on loopback only."""
    insecure: bool = False
    """Listen on other addresses than loopback although there is no TLS and no authentication."""

    @field_validator("grpc", "http")
    @classmethod
    def _address(cls, text: str) -> str:
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:50051; port 0 takes a free one")
        if ":" in host and not host.startswith("["):
            raise ValueError("must have an IPv6 address in brackets, such as [::1]:50051")
        return text

    @field_validator("database")
    @classmethod
    def _database(cls, url: str) -> str:
        if not url.startswith(_DATABASE_SCHEMES):
            raise ValueError("must be a database URL, such as sqlite:////var/lib/helm-rollback/ledger.db")
        return url

    @field_validator("chart_repositories")
    @classmethod
    def _repository_urls(cls, repositories: dict[str, str]) -> dict[str, str]:
        for name, url in repositories.items():
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{name} must have a URL that begins with https:// or http://")
        return repositories

    @field_validator("chart_registries")
    @classmethod
    def _registry_prefixes(cls, registries: list[str]) -> list[str]:
        for prefix in registries:
            if not prefix.startswith("oci://"):
                raise ValueError(f"{prefix!r} must begin with oci://")
        return registries

    @field_validator("clusters")
    @classmethod
    def _cluster_names(cls, clusters: dict[str, ClusterSettings]) -> dict[str, ClusterSettings]:
        for name in clusters:
            if not _DNS_LABEL.fullmatch(name):
                raise ValueError(f"{name!r} must be a DNS label: at most 63 lower-case letters, digits and '-'")
        return clusters

    @model_validator(mode="after")
    def _is_safe(self) -> Settings:
        for flag, address in (("grpc", self.grpc), ("http", self.http)):
            if not self.insecure and not is_loopback(address.rpartition(":")[0]):
                raise ValueError(
                    f"{flag}: {address} can be reached from other machines, and this version offers neither TLS "
                    "nor authentication; listen on 127.0.0.1, or say --insecure if something else protects it"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _name_default(cls, given: Any) -> Any:
        """Put the cluster `default` among the others: the one of kubeconfig and context, or the only one."""
        clusters = given.get("clusters") or {}
        own = {key: given[key] for key in ("kubeconfig", "context") if given.get(key)}
        if not isinstance(clusters, dict) or (clusters and not own):
            return given
        if DEFAULT_CLUSTER in clusters:
            raise ValueError("kubeconfig, context: the cluster default is named under clusters already; keep one")
        return {**given, "clusters": {DEFAULT_CLUSTER: own, **clusters}}


def load(flags: Mapping[str, Any] | None = None, *, config: Path | None = None) -> Settings:
    """The settings from flags (without those that are None), environment and file. Raises SettingsError."""
    if config is not None:
        _check_readable(config)

    class FromEverywhere(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config)

    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return FromEverywhere(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(problem) for problem in error.errors())) from error


def _check_readable(config: Path) -> None:
    try:
        tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{config}: can not be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{config}: is no TOML: {error}") from error


def _sentence(problem: Any) -> str:
    """What pydantic found wrong, without its vocabulary."""
    where = ".".join(str(part) for part in problem["loc"])
    what = "there is no such setting" if problem["type"] == "extra_forbidden" else problem["msg"]
    what = what.removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
