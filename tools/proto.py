"""Generate, format and check what is made from `protos/`.

The proto path equals the Python package path (`helm_rollback/v1`), so generated modules import one
another unpatched. What is generated is committed, since whoever installs from source has no protoc;
`--check` therefore generates once more and compares byte for byte.

Everything used here comes from the virtual environment that runs this file: grpcio-tools (the
generator is its floor for the grpcio that can load the result), mypy-protobuf and buf-bin.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = Path("helm_rollback/v1")
GENERATED = ROOT / "src" / PACKAGE
IMAGE = PROTOS / "descriptor.binpb"
TOOLS = Path(sysconfig.get_path("scripts"))

INIT = '''\
"""Messages and stubs of `helm_rollback.v1`, generated from `protos/` by `tools/proto.py`.

Never edited by hand; the protos' comments are the reference manual.
"""
'''


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate by default; the options check, or freeze the contract. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Generate, format and check the protos.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="change nothing; exit 1 if not clean")
    mode.add_argument(
        "--freeze",
        action="store_true",
        help="make the present protos the ones that later ones must be compatible with",
    )
    chosen = parser.parse_args(arguments)
    if chosen.check:
        return check()
    if chosen.freeze:
        return freeze()
    return generate()


def generate() -> int:
    """Format the protos, then replace the committed Python, dropping what no proto makes now."""
    if not buf("format", "--write"):
        return 1
    with tempfile.TemporaryDirectory() as folder:
        fresh = generate_into(Path(folder))
        GENERATED.mkdir(parents=True, exist_ok=True)
        for name in read_all(GENERATED).keys() - fresh.keys():
            (GENERATED / name).unlink()
        for name, content in fresh.items():
            (GENERATED / name).write_bytes(content)
    return 0


def check() -> int:
    """Run every check, also after one has failed, so that one run shows all there is to do."""
    clean = [
        buf("lint"),
        buf("format", "--diff", "--exit-code"),
        buf("breaking", "--against", IMAGE.name),
        is_regenerated(),
    ]
    return 0 if all(clean) else 1


def freeze() -> int:
    """Renew the committed image, unless that would hide a breaking change."""
    if IMAGE.exists() and not buf("breaking", "--against", IMAGE.name):
        return 1
    # Without source info: a changed comment is no change of the contract.
    return 0 if buf("build", "--exclude-source-info", "--output", IMAGE.name) else 1


def is_regenerated() -> bool:
    """Tell whether the committed Python is what the protos make now; print each file that isn't."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = generate_into(Path(folder))
    committed = read_all(GENERATED)
    different = sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))
    for name in different:
        path = (GENERATED / name).relative_to(ROOT)
        print(f"{path}: not what the protos make; run tools/proto.py", file=sys.stderr)
    return not different


def generate_into(folder: Path) -> dict[str, bytes]:
    """Generate under `folder`; return the package's files by name."""
    protoc("*.proto", f"--python_out={folder}", f"--mypy_out=quiet:{folder}")
    # Only where there is a service: the stubs of any other file would be empty.
    protoc("*_service.proto", f"--grpc_python_out={folder}", f"--mypy_grpc_out=quiet:{folder}")
    package = folder / PACKAGE
    (package / "__init__.py").write_text(INIT, encoding="utf-8")
    return read_all(package)


def protoc(pattern: str, *outputs: str) -> None:
    """Run grpcio-tools' protoc on the protos that match; what it refuses, it has explained itself."""
    sources = sorted(str(path) for path in (PROTOS / PACKAGE).glob(pattern))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *outputs]
    code = subprocess.run([*command, *sources], env=environment(), check=False).returncode
    if code:
        sys.exit(code)


def read_all(folder: Path) -> dict[str, bytes]:
    """Return the content of each file right in `folder`, by name; nothing where there is none."""
    if not folder.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def buf(*arguments: str) -> bool:
    """Run buf in the folder of the protos; tell whether it was content."""
    command = [str(TOOLS / "buf"), *arguments]
    return subprocess.run(command, cwd=PROTOS, env=environment(), check=False).returncode == 0


def environment() -> dict[str, str]:
    """Put this environment's scripts first on PATH: protoc looks there for its plugins."""
    return {**os.environ, "PATH": os.pathsep.join((str(TOOLS), os.environ.get("PATH", "")))}


if __name__ == "__main__":
    sys.exit(main())
