"""Helm's command lines, made of typed values and nothing else.

Every value is part of its flag's word or stands behind `--`, so none can become a
flag of its own. Flags are those of `pkg/cmd` (Helm 4) and `cmd/helm` (Helm 3):
`rollback.go`, `install.go`, `upgrade.go`, `uninstall.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from helm_rollback.domain.chart import ValuesMode
from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.domain.helm_call import HelmCall, HelmInstall, HelmRollback, HelmUninstall, HelmUpgrade
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.chart_location import ChartLocation
from helm_rollback.helm.version import HelmVersion

_WAIT = {WaitStrategy.WATCHER: "watcher", WaitStrategy.HOOKS_ONLY: "hookOnly", WaitStrategy.LEGACY: "legacy"}
_SERVER_SIDE = {ServerSideApply.AUTO: "auto", ServerSideApply.ENABLED: "true", ServerSideApply.DISABLED: "false"}
_VALUES_MODE = {
    ValuesMode.RESET: ["--reset-values"],
    ValuesMode.REUSE: ["--reuse-values"],
    ValuesMode.RESET_THEN_REUSE: ["--reset-then-reuse-values"],
    None: [],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a command line speaks of beside its call: files that were written for it, and where its chart is."""

    kubeconfig: Path
    chart: ChartLocation | None = None
    values: Path | None = None


def helm_argv(
    version: HelmVersion,
    release_id: ReleaseId,
    call: HelmCall,
    *,
    options: HelmOptions,
    description: str,
    around: Surroundings,
) -> list[str]:
    """The arguments of one Helm command, the program itself left out.

    History is never pruned (`--history-max=0`): pruning happens before the new record
    is made, and would take the ledger's evidence with it. Raises HelmUnavailable for
    what this version of Helm can not do.
    """
    always = [
        f"--kubeconfig={around.kubeconfig}",
        f"--namespace={release_id.namespace}",
        *(["--history-max=0"] if isinstance(call, HelmRollback | HelmUpgrade) else []),
        f"--timeout={go_duration(options.timeout)}",
    ]
    match call:
        case HelmRollback(target_revision):
            if target_revision < 1:  # without it Helm takes the previous one, good or not
                raise ValueError("target_revision must be at least 1")
            stamp = [f"--description={description}"] if version.writes_stamp else []
            flags = [*_applying(version, options), *_cleaning_up(options), *stamp]
            return ["rollback", *always, *flags, "--", release_id.name, str(target_revision)]
        case HelmInstall():
            flags = [*_applying(version, options, is_install=True), *_chart(call, around), *_installing(version, call)]
            return ["install", *always, *flags, f"--description={description}", *_names(release_id, around)]
        case HelmUpgrade():
            flags = [*_applying(version, options), *_cleaning_up(options), *_chart(call, around)]
            flags += _VALUES_MODE[call.change.values_mode]
            return ["upgrade", *always, *flags, f"--description={description}", *_names(release_id, around)]
        case HelmUninstall(keep_history=keep_history):
            flags = [_waiting(version, options), *_hooks(options), *(["--keep-history"] if keep_history else [])]
            flags = [flag for flag in flags if flag]
            return ["uninstall", *always, *flags, f"--description={description}", "--", release_id.name]


def _names(release_id: ReleaseId, around: Surroundings) -> list[str]:
    assert around.chart is not None, "an install and an upgrade have a chart"
    return ["--", release_id.name, around.chart.reference]


def _chart(call: HelmInstall | HelmUpgrade, around: Surroundings) -> list[str]:
    assert around.chart is not None
    change = call.change
    flags = [f"--labels={key}={value}" for key, value in sorted(change.labels.items())]
    flags += list(around.chart.flags)
    if around.values is not None:
        flags.append(f"--values={around.values}")
    if change.version:
        flags.append(f"--version={change.version}")
    return flags


def _installing(version: HelmVersion, call: HelmInstall) -> list[str]:
    undo = "--rollback-on-failure" if version.major >= 4 else "--atomic"
    wishes = {"--create-namespace": call.change.create_namespace, "--replace": call.replace, undo: call.atomic}
    return [flag for flag, wanted in wishes.items() if wanted]


def _applying(version: HelmVersion, options: HelmOptions, *, is_install: bool = False) -> list[str]:
    """How objects are written, and waited for."""
    if version.major < 4 and options.server_side_apply is ServerSideApply.ENABLED:
        raise HelmUnavailable(
            f"Helm {version} has no server-side apply; install Helm 4.3 or later, or do not ask for it"
        )
    flags = [_waiting(version, options)]
    if version.major < 4:
        flags += ["--force"] if options.force_replace else []
    else:
        flags += _server_side(options, is_install=is_install)
        flags += ["--force-replace"] if options.force_replace else []
        flags += ["--force-conflicts"] if options.force_conflicts else []
    flags += ["--wait-for-jobs"] if options.wait_for_jobs else []
    return [flag for flag in flags if flag] + _hooks(options)


def _server_side(options: HelmOptions, *, is_install: bool) -> list[str]:
    """An install has nothing that AUTO could follow: it knows true and false only, and true is its default."""
    if is_install and options.server_side_apply is ServerSideApply.AUTO:
        return []
    return [f"--server-side={_SERVER_SIDE[options.server_side_apply]}"]


def _waiting(version: HelmVersion, options: HelmOptions) -> str:
    """Helm 3 waits by polling, or not at all."""
    if version.major >= 4:
        return f"--wait={_WAIT[options.wait_strategy]}"
    return "--wait" if options.wait_strategy is not WaitStrategy.HOOKS_ONLY else ""


def _hooks(options: HelmOptions) -> list[str]:
    return ["--no-hooks"] if options.disable_hooks else []


def _cleaning_up(options: HelmOptions) -> list[str]:
    return ["--cleanup-on-fail"] if options.cleanup_on_fail else []


def go_duration(span: timedelta) -> str:
    """`span` as Go's time.ParseDuration reads it; whole milliseconds."""
    milliseconds = round(span / timedelta(milliseconds=1))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
