"""The releases of a round: small charts of ConfigMaps, whose every revision has other objects."""

from __future__ import annotations

import io
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from fault.scenes import Kind
from support.charts import config_map, write_chart
from support.helm import Helm

REVISIONS = 3
"""Of each release before a round."""
_REJECTED = config_map(name="No_Name", a="1")
"""The API server refuses it: what has it fails while it is applied."""


def write_round_chart(folder: Path, release: str, kind: Kind, revision: int) -> Path:
    """The chart of one revision; objects bear the release's name, before a dash.

    All revisions have `all`; `odd` and `even` come and go; each has an object of its own number.
    """
    words = {"all": "all", "parity": "even" if revision % 2 == 0 else "odd", "own": f"only-{revision}"}
    templates = {
        f"{file}.yaml": config_map(f"{release}-{word}", revision=str(revision)) for file, word in words.items()
    }
    if kind is Kind.BROKEN and revision == REVISIONS:
        templates = {"all.yaml": templates["all.yaml"], "rejected.yaml": _REJECTED}
    if kind is Kind.HOOKED and revision == 1:
        hook = config_map(f"{release}-hook", a="1")
        templates["hook.yaml"] = hook.replace("\ndata:", "\n  annotations: {helm.sh/hook: pre-rollback}\ndata:")
    return write_chart(folder / release / str(revision), version=f"{revision}.0.0", templates=templates)


def make_release(helm: Helm, folder: Path, release: str, kind: Kind) -> None:
    """Install it and upgrade it to its newest revision."""
    helm.install(release, write_round_chart(folder, release, kind, 1))
    for revision in range(2, REVISIONS + 1):
        fails = kind is Kind.BROKEN and revision == REVISIONS
        done = helm.upgrade(release, write_round_chart(folder, release, kind, revision), check=not fails)
        assert bool(done.returncode) == fails, done.stderr


@cache
def archive_of_round_chart(release: str, *, broken: bool) -> bytes:
    """What the service is given for an upgrade or an install: a further revision's chart, packed.

    Once: packed again it would have another time in it, and be another request.
    """
    with TemporaryDirectory() as folder:
        kind, revision = (Kind.BROKEN, REVISIONS) if broken else (Kind.GOOD, REVISIONS + 2)
        chart = write_round_chart(Path(folder), release, kind, revision)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for file in sorted(chart.rglob("*")):
                if file.is_file():
                    archive.add(file, f"demo/{file.relative_to(chart)}")
        return buffer.getvalue()
