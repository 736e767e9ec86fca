"""Requests to install, upgrade and uninstall, as what the use cases take.

All raise InvalidField or, where several fields are bad, InvalidFields.
"""

from __future__ import annotations

from helm_rollback.application.chart_operations import InstallCommand, UpgradeCommand
from helm_rollback.application.uninstall import UninstallCommand
from helm_rollback.domain.chart import Chart, ChartArchive, ChartChange, OciChart, RepositoryChart, ValuesMode
from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.violations import Violations
from helm_rollback.servicer.translate import fields, wishes
from helm_rollback.servicer.translate.wishes import Wish
from helm_rollback.v1 import release_service_pb2 as pb

_UNREADABLE = ChartChange(chart=ChartArchive(b""))
"""A stand-in where the chart is refused, for the other fields to be checked."""


def install(request: pb.InstallRequest) -> Wish[InstallCommand]:
    found = Violations()
    wait_timeout, common = wishes.wait_timeout(request, found), wishes.common(request, found)
    change = found.take(lambda: _change(request, None), _UNREADABLE)
    command = found.finish(lambda: InstallCommand(**common, change=change, atomic=request.atomic))
    return Wish(command=command, wait_timeout=wait_timeout)


def upgrade(request: pb.UpgradeRequest) -> Wish[UpgradeCommand]:
    found = Violations()
    wait_timeout, common = wishes.wait_timeout(request, found), wishes.common(request, found)
    modes = pb.UpgradeRequest.ValuesMode.DESCRIPTOR
    mode = found.take(lambda: fields.choice(request.values_mode, of=ValuesMode, proto=modes, field="values_mode"), None)
    change = found.take(lambda: _change(request, mode), _UNREADABLE)
    command = found.finish(
        lambda: UpgradeCommand(
            **common, change=change, atomic=request.atomic, install_if_missing=request.install_if_missing
        )
    )
    return Wish(command=command, wait_timeout=wait_timeout)


def uninstall(request: pb.UninstallRequest) -> Wish[UninstallCommand]:
    found = Violations()
    wait_timeout, common = wishes.wait_timeout(request, found), wishes.common(request, found)
    command = found.finish(lambda: UninstallCommand(**common, purge=request.purge))
    return Wish(command=command, wait_timeout=wait_timeout)


def _change(request: pb.InstallRequest | pb.UpgradeRequest, mode: ValuesMode | None) -> ChartChange:
    return ChartChange(
        chart=_chart(request),
        version=request.version,
        values_yaml=request.values_yaml,
        values_mode=mode,
        create_namespace=request.create_namespace,
        labels=dict(request.labels),
    )


def _chart(request: pb.InstallRequest | pb.UpgradeRequest) -> Chart:
    match request.WhichOneof("chart"):
        case "archive":
            return ChartArchive(request.archive)
        case "oci":
            return OciChart(request.oci)
        case "repository":
            return RepositoryChart(request.repository.repository, request.repository.name)
        case _:
            raise InvalidField("chart", "is required: one of archive, oci and repository")
