"""Which Helm this is, and what may be expected of it. Asked once, when the service starts."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.helm.environment import private_folder

PROBE_SECONDS = 20.0
_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:[-+.].*)?")
_SETTING = "or name another program with --helm (HELM_ROLLBACK_HELM)"


@dataclass(frozen=True, slots=True, order=True)
class HelmVersion:
    """A version of Helm; versions compare as numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"

    @property
    def writes_stamp(self) -> bool:
        """Whether `helm rollback` has --description (4.3, `pkg/cmd/rollback.go`)."""
        return self >= HelmVersion(4, 3, 0)

    @property
    def problem(self) -> str:
        """Why it can not be used, or nothing.

        Before 4.2.4 Helm 4 deletes objects across a change of apiVersion (≤ 4.1.0),
        hangs in the deletion of hooks (4.2.1) or gives up at quota conflicts; before
        3.20 Helm 3 does not supersede at uninstall and forgets errors in rollback.
        """
        if self < HelmVersion(3, 20, 0):
            return "too old: 3.20, 4.2.4 or later is needed"
        if self.major == 4 and self < HelmVersion(4, 2, 4):
            return "too old: of Helm 4, 4.2.4 or later is needed"
        if self.major > 4:
            return "newer than what this service knows: Helm 3 and 4"
        return ""


@dataclass(frozen=True, slots=True)
class InstalledHelm:
    """A Helm program and its version."""

    program: Path
    version: HelmVersion


def parse_version(text: str) -> HelmVersion | None:
    """The version that `helm version --template '{{.Version}}'` prints; None for anything else."""
    match = _VERSION.fullmatch(text.strip())
    return HelmVersion(*(int(part or 0) for part in match.groups())) if match else None


async def find_helm(program: str) -> InstalledHelm:
    """The Helm called `program` (a path, or a name on PATH). Raises HelmUnavailable, which says what to do."""
    path = _absolute(program)
    if path is None:
        raise HelmUnavailable(f"there is no program {program!r}; install Helm 4.3 or later, {_SETTING}")
    text = await _ask(path)
    version = parse_version(text)
    if version is None:
        raise HelmUnavailable(f"{path} does not answer as Helm does; install Helm 4.3 or later, {_SETTING}")
    if version.problem:
        raise HelmUnavailable(f"{path} is Helm {version}, {version.problem}; install Helm 4.3 or later, {_SETTING}")
    return InstalledHelm(Path(path), version)


def _absolute(program: str) -> str | None:
    """Helm runs in a folder of its own, so a relative path would lose its meaning."""
    path = shutil.which(program)
    return str(Path(path).absolute()) if path else None


async def _ask(path: str) -> str:
    with private_folder() as folder:
        try:
            process = await asyncio.create_subprocess_exec(
                path,
                "version",
                "--template",
                "{{.Version}}",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=folder.environment,
                cwd=folder.work,
                start_new_session=True,
            )
        except OSError as problem:
            raise HelmUnavailable(f"{path} can not be started ({problem.strerror}), {_SETTING}") from problem
        try:
            output, _ = await asyncio.wait_for(process.communicate(), PROBE_SECONDS)
        except TimeoutError as problem:
            raise HelmUnavailable(f"{path} did not tell its version within {PROBE_SECONDS:.0f} s") from problem
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return output.decode(errors="replace")
