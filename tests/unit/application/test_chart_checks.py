"""A chart's archive is read to its end, as Helm reads it."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from helm_rollback.application import chart_checks
from helm_rollback.application.chart_checks import check_archive
from helm_rollback.domain.errors import InvalidField


def tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return buffer.getvalue()


def in_members(content: bytes, *, cut: int) -> bytes:
    """Packed in two pieces, which is one file to gzip."""
    return gzip.compress(content[:cut]) + gzip.compress(content[cut:])


def test_what_is_packed_in_several_pieces_is_looked_through() -> None:
    check_archive(in_members(tar("demo/Chart.yaml", "demo/values.yaml"), cut=512))

    with pytest.raises(InvalidField, match="leads out of the chart"):
        check_archive(in_members(tar("demo/Chart.yaml", "../escape"), cut=512))


def test_what_unpacks_to_too_much_in_several_pieces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_checks, "UNPACKED_MAX", 1024)

    with pytest.raises(InvalidField, match="unpacks to more than 1024 bytes"):
        check_archive(gzip.compress(bytes(800)) * 2)


def test_what_consists_of_very_many_pieces_is_refused_at_once() -> None:
    with pytest.raises(InvalidField, match="too many pieces"):
        check_archive(gzip.compress(b"") * 20_000)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_chain_of_long_names_is_refused(kind: bytes) -> None:
    """The library goes from one to the next by recursion."""
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 0
    chain = header.tobuf(tarfile.USTAR_FORMAT) * 3000

    with pytest.raises(InvalidField, match="no packaged chart"):
        check_archive(gzip.compress(chain + tar("demo/Chart.yaml")))


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no gzip",
        gzip.compress(tar("demo/Chart.yaml"))[:-9],
        gzip.compress(tar("demo/Chart.yaml")) + b"more",
        gzip.compress(tar("demo/Chart.yaml"))[:20] + bytes(200),
        gzip.compress(b"no tar"),
    ],
    ids=["empty", "no gzip", "cut off", "followed by other things", "damaged", "no tar"],
)
def test_what_is_no_packed_chart_is_refused(damaged: bytes) -> None:
    with pytest.raises(InvalidField) as refused:
        check_archive(damaged)

    assert refused.value.field == "archive"
