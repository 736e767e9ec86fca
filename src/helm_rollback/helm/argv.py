"""Helm's command lines, made of typed values and nothing else.

Every value is part of its flag's word or stands behind `--`, so none can become a
flag of its own. Flags are those of `pkg/cmd/rollback.go` (Helm 4) and
`cmd/helm/rollback.go` (Helm 3).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.version import HelmVersion

_WAIT = {WaitStrategy.WATCHER: "watcher", WaitStrategy.HOOKS_ONLY: "hookOnly", WaitStrategy.LEGACY: "legacy"}
_SERVER_SIDE = {ServerSideApply.AUTO: "auto", ServerSideApply.ENABLED: "true", ServerSideApply.DISABLED: "false"}


def rollback_argv(
    version: HelmVersion,
    release_id: ReleaseId,
    target_revision: int,
    *,
    options: HelmOptions,
    description: str,
    kubeconfig: Path,
) -> list[str]:
    """The arguments of `helm rollback`, the program itself left out.

    The revision is always named: without it Helm takes the previous one, good or
    not. History is never pruned (`--history-max=0`): pruning happens before the new
    record is made, and would take the ledger's evidence with it. Raises
    HelmUnavailable for what this version of Helm can not do.
    """
    if target_revision < 1:
        raise ValueError("target_revision must be at least 1")
    flags = _helm_4_flags(options) if version.major >= 4 else _helm_3_flags(version, options)
    if version.writes_stamp:
        flags.append(f"--description={description}")
    return [
        "rollback",
        f"--kubeconfig={kubeconfig}",
        f"--namespace={release_id.namespace}",
        "--history-max=0",
        f"--timeout={go_duration(options.timeout)}",
        *flags,
        "--",
        release_id.name,
        str(target_revision),
    ]


def _helm_4_flags(options: HelmOptions) -> list[str]:
    flags = [f"--wait={_WAIT[options.wait_strategy]}", f"--server-side={_SERVER_SIDE[options.server_side_apply]}"]
    if options.force_replace:
        flags.append("--force-replace")
    if options.force_conflicts:
        flags.append("--force-conflicts")
    return flags + _common_flags(options)


def _helm_3_flags(version: HelmVersion, options: HelmOptions) -> list[str]:
    """Helm 3 applies on the client, waits by polling or not at all, and calls a replacement --force."""
    if options.server_side_apply is ServerSideApply.ENABLED:
        raise HelmUnavailable(
            f"Helm {version} has no server-side apply; install Helm 4.3 or later, or do not ask for it"
        )
    flags = []
    if options.wait_strategy is not WaitStrategy.HOOKS_ONLY:
        flags.append("--wait")
    if options.force_replace:
        flags.append("--force")
    return flags + _common_flags(options)


def _common_flags(options: HelmOptions) -> list[str]:
    wishes = {
        "--wait-for-jobs": options.wait_for_jobs,
        "--no-hooks": options.disable_hooks,
        "--cleanup-on-fail": options.cleanup_on_fail,
    }
    return [flag for flag, wanted in wishes.items() if wanted]


def go_duration(span: timedelta) -> str:
    """`span` as Go's time.ParseDuration reads it; whole milliseconds."""
    milliseconds = round(span / timedelta(milliseconds=1))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
