"""What installs and upgrades were given: it can be large, so it stands beside their operations."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, insert, select

from helm_rollback.domain.chart import ChartArchive, ChartChange, OciChart, RepositoryChart, ValuesMode
from helm_rollback.store.tables import chart_change

_labels: Final = TypeAdapter(dict[str, str])
_insert: Final = insert(chart_change)
_select: Final = select(chart_change).where(chart_change.c.operation_id == bindparam("id"))


def add(connection: Connection, operation_id: str, change: ChartChange) -> None:
    values: dict[str, Any] = {"archive": None, "oci": None, "repository": None, "chart_name": None}
    match change.chart:
        case ChartArchive(content):
            values["archive"] = content
        case OciChart(reference):
            values["oci"] = reference
        case RepositoryChart(repository, name):
            values |= {"repository": repository, "chart_name": name}
    connection.execute(
        _insert,
        values
        | {
            "operation_id": operation_id,
            "version": change.version,
            "values_yaml": change.values_yaml,
            "values_mode": change.values_mode.value if change.values_mode else None,
            "create_namespace": change.create_namespace,
            "labels": _labels.dump_json(dict(change.labels)).decode(),
        },
    )


def read(connection: Connection, operation_id: str) -> ChartChange | None:
    row = connection.execute(_select, {"id": operation_id}).first()
    if row is None:
        return None
    return ChartChange(
        chart=_chart(row),
        version=row.version,
        values_yaml=row.values_yaml,
        values_mode=ValuesMode(row.values_mode) if row.values_mode else None,
        create_namespace=row.create_namespace,
        labels=_labels.validate_json(row.labels),
    )


def _chart(row: Any) -> ChartArchive | OciChart | RepositoryChart:
    if row.archive is not None:
        return ChartArchive(row.archive)
    return OciChart(row.oci) if row.oci is not None else RepositoryChart(row.repository, row.chart_name)
