"""What can be known to be wrong with a chart and its values before anything is accepted."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zlib

from helm_rollback.application import helm_yaml
from helm_rollback.domain.errors import InvalidField

ARCHIVE_MAX = 20 * 1024 * 1024
UNPACKED_MAX = 100 * 1024 * 1024
"""Helm's own limit for a chart (`pkg/chart/loader/archive/archive.go`)."""
FILE_MAX = 5 * 1024 * 1024
"""Helm's own limit for one file of a chart."""
FILES_MAX = 10_000
MEMBERS_MAX = 10_000
"""Pieces that gzip put one behind the other; `helm package` makes one. Each takes its time."""
_GZIP_MAGIC = b"\x1f\x8b\x08"
VALUES_MAX = 1024 * 1024
"""More than Kubernetes stores in the record that the values become a part of."""


def check_values(text: str) -> None:
    """Raise InvalidField unless `text` is empty, or a YAML (or JSON) mapping."""
    if len(text.encode()) > VALUES_MAX:
        raise InvalidField("values_yaml", f"has more than {VALUES_MAX} bytes, which no release record can hold")
    try:
        values = helm_yaml.load(text)
    except ValueError as problem:
        raise InvalidField("values_yaml", f"is no YAML that can be read: {_first_line(problem)}") from None
    if values is not None and not isinstance(values, dict):
        raise InvalidField("values_yaml", "must be a mapping of names to values")


def check_archive(content: bytes) -> None:
    """Raise InvalidField unless `content` is a packaged chart as `helm package` makes one. Unpacks nothing to disk."""
    if len(content) > ARCHIVE_MAX:
        raise InvalidField("archive", f"has {len(content)} bytes, at most {ARCHIVE_MAX} are taken")
    charts = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(_unpacked(content)), mode="r:") as archive:
            for number, member in enumerate(archive, start=1):
                if number > FILES_MAX:
                    raise InvalidField("archive", f"has more than {FILES_MAX} files")
                charts += _checked(member)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as problem:
        raise InvalidField("archive", f"is no packaged chart: {_first_line(problem)}") from None
    if charts != 1:
        raise InvalidField("archive", "must hold one chart: one folder with a Chart.yaml in it")


def _checked(member: tarfile.TarInfo) -> int:
    """1 for the chart's own Chart.yaml, else 0."""
    path = member.name.removeprefix("./")
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or ".." in parts or (parts and ":" in parts[0]):
        raise InvalidField("archive", "holds a path that leads out of the chart")
    if not (member.isfile() or member.isdir() or member.type in (tarfile.XHDTYPE, tarfile.XGLTYPE)):
        raise InvalidField("archive", f"holds {posixpath.basename(path)!r}, which is neither a file nor a folder")
    if member.size > FILE_MAX:
        raise InvalidField("archive", f"holds a file of {member.size} bytes; Helm loads at most {FILE_MAX}")
    return int(member.isfile() and len(parts) == 2 and parts[1] == "Chart.yaml")


def _unpacked(content: bytes) -> bytes:
    """What gzip holds, all its members, as Go reads it, as long as that is no more than a chart may be."""
    try:
        if content.count(_GZIP_MAGIC) > MEMBERS_MAX:
            raise ValueError("it consists of too many pieces")
        with gzip.open(io.BytesIO(content)) as packed:
            unpacked = packed.read(UNPACKED_MAX + 1)
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(str(problem)) from None
    if len(unpacked) > UNPACKED_MAX:
        raise InvalidField("archive", f"unpacks to more than {UNPACKED_MAX} bytes")
    return unpacked


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0][:200]
