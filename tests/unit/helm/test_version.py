"""Which Helm is accepted, and what is said where none can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.helm.version import HelmVersion, find_helm, parse_version


def program(folder: Path, script: str, name: str = "helm") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v4.3.1\n", HelmVersion(4, 3, 1)),
        ("v4.3", HelmVersion(4, 3, 0)),
        ("v3.20.0+g1234", HelmVersion(3, 20, 0)),
        ("v4.4.0-rc.1", HelmVersion(4, 4, 0)),
        ("", None),
        ("helm", None),
        ("v4", None),
        ("v4.3.1\nmore", None),
    ],
)
def test_parses_what_helm_prints(text: str, version: HelmVersion | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "accepted", "stamps"),
    [
        (HelmVersion(2, 17, 0), False, False),
        (HelmVersion(3, 19, 9), False, False),
        (HelmVersion(3, 20, 0), True, False),
        (HelmVersion(4, 2, 3), False, False),
        (HelmVersion(4, 2, 4), True, False),
        (HelmVersion(4, 3, 0), True, True),
        (HelmVersion(4, 10, 0), True, True),
        (HelmVersion(5, 0, 0), False, True),
    ],
)
def test_accepts_what_works_correctly(version: HelmVersion, accepted: bool, stamps: bool) -> None:
    assert (version.problem == "") is accepted
    assert version.writes_stamp is stamps


async def test_finds_helm_and_its_version(tmp_path: Path) -> None:
    path = program(tmp_path, 'test "$*" = "version --template {{.Version}}" && echo v4.3.1')

    found = await find_helm(path)

    assert (str(found.program), found.version) == (path, HelmVersion(4, 3, 1))


async def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "echo v4.3.1")
    monkeypatch.chdir(tmp_path)

    assert (await find_helm("./helm")).program == tmp_path / "helm"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo v4.2.1", "v4.2.1, too old"),
        ("echo v5.0.0", "v5.0.0, newer than"),
        ("echo hello", "does not answer as Helm does"),
        ("exit 1", "does not answer as Helm does"),
    ],
)
async def test_an_unusable_helm_says_what_to_do(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(HelmUnavailable, match=words) as refused:
        await find_helm(program(tmp_path, script))

    assert "install Helm 4.3 or later" in str(refused.value)
    assert "HELM_ROLLBACK_HELM" in str(refused.value)


async def test_no_helm_says_what_to_do() -> None:
    with pytest.raises(HelmUnavailable, match=r"no program 'no-such-helm'; install Helm 4\.3 or later, or name"):
        await find_helm("no-such-helm")


async def test_a_program_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "helm").write_bytes(b"\x7fELFnonsense")
    (tmp_path / "helm").chmod(0o700)

    with pytest.raises(HelmUnavailable, match="can not be started"):
        await find_helm(str(tmp_path / "helm"))
