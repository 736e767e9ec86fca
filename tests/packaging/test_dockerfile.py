"""The Dockerfile, as far as it can be proved without a container engine.

Its text is parsed and held to rules. Then each RUN of it is carried out on this
machine, in a folder that stands for the stage's root: absolute paths of the stage
lead into it, COPY copies into it, ENV sets what it says. What stays unproved is what
only an engine does: that the base images exist, the switch to another user, and the
read-only root.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGE_PATHS = ("/src", "/out", "/opt/helm-rollback", "/usr/local/bin/helm", "/data")
"""What the Dockerfile makes in an image; on this machine it lies below the stage's folder."""


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str


@dataclass
class Stage:
    """One FROM and what follows it."""

    image: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def texts(self, word: str) -> list[str]:
        return [instruction.text for instruction in self.instructions if instruction.word == word]


def parse(text: str) -> list[Stage]:
    """The stages of a Dockerfile. Comments go, continued lines are joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            stages.append(Stage(image.strip(), name.strip()))
        else:
            stages[-1].instructions.append(Instruction(word, rest.strip()))
    return stages


STAGES = parse((ROOT / "Dockerfile").read_text())
HELM, SERVICE, FINAL = STAGES


# --- rules ----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name or "final")
def test_base_images_are_ordinary_names_with_a_version(stage: Stage) -> None:
    name, _, tag = stage.image.partition(":")

    assert re.fullmatch(r"[a-z]+", name), "no registry, no namespace"
    assert re.match(r"\d+\.\d+", tag), "a version, so never latest"


def test_runs_as_a_numeric_user_without_rights() -> None:
    (user,) = FINAL.texts("USER")

    uid, gid = (int(number) for number in user.split(":"))
    assert uid > 0
    assert gid > 0
    last_run = max(i for i, instruction in enumerate(FINAL.instructions) if instruction.word == "RUN")
    assert FINAL.instructions.index(Instruction("USER", user)) > last_run, "the steps before it need rights"


def test_all_that_is_written_lies_in_a_volume_or_in_tmp() -> None:
    assert FINAL.texts("VOLUME") == ['["/data"]']
    assert environment_of(FINAL)["HELM_ROLLBACK_DATABASE"].startswith("sqlite:////data/")
    assert environment_of(FINAL)["HOME"] == "/tmp"


def test_takes_no_compiler_and_no_source_along() -> None:
    copies = FINAL.texts("COPY")

    assert [copy for copy in copies if not copy.startswith("--from=")] == [
        "tools/health.py /opt/helm-rollback/health.py"
    ]
    assert not any(" /src" in copy for copy in copies)


def test_commands_are_given_as_lists_so_that_signals_arrive() -> None:
    assert FINAL.texts("ENTRYPOINT") == ['["helm-rollback"]']
    assert FINAL.texts("CMD") == ['["serve"]']
    assert "CMD [" in FINAL.texts("HEALTHCHECK")[0]


def test_adds_nothing_from_the_network_but_what_go_and_pip_check() -> None:
    for stage in STAGES:
        assert not stage.texts("ADD")
        for step in stage.texts("RUN"):
            assert not re.search(r"\b(curl|wget|git|apt-get|apk)\b|https?://", step)


def test_every_copied_path_exists_and_is_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = [line[1:].rstrip("/") for line in ignore if line.startswith("!")]
    for stage in STAGES:
        for copy in stage.texts("COPY"):
            if copy.startswith("--from="):
                continue
            for source in copy.split()[:-1]:
                assert (ROOT / source).exists()
                assert any(Path(source).is_relative_to(path) for path in let_through), f"{source} is ignored"


# --- the steps, carried out -----------------------------------------------------------


def environment_of(stage: Stage) -> dict[str, str]:
    pairs = [shlex.split(text) for text in stage.texts("ENV")]
    return dict(pair.split("=", 1) for line in pairs for pair in line)


def inside(folder: Path, text: str) -> str:
    """`text` with the stage's absolute paths led into `folder`."""
    pattern = "|".join(re.escape(path) for path in STAGE_PATHS)
    return re.sub(rf"(?<![\w./-])({pattern})(?=[/\s\"']|$)", lambda match: f"{folder}{match[1]}", text)


def carry_out(stage: Stage, folder: Path, built: dict[str, Path], path: str) -> dict[str, str]:
    """Do what the stage says, below `folder`; return its ENV. Fails with a step's own words."""
    work, environment = folder, dict[str, str]()
    for instruction in stage.instructions:
        match instruction.word:
            case "WORKDIR":
                work = folder / instruction.text.lstrip("/")
                work.mkdir(parents=True, exist_ok=True)
            case "ENV":
                for pair in shlex.split(instruction.text):
                    name, value = pair.split("=", 1)
                    environment[name] = value
            case "COPY":
                copy(instruction.text, work, folder, built)
            case "RUN":
                step = inside(folder, instruction.text).replace("65532", str(os.getuid()))
                (folder / "out").mkdir(exist_ok=True)
                done = subprocess.run(
                    ["sh", "-ec", step],
                    cwd=work,
                    env=os.environ | environment | {"PATH": path},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=900,
                )
                assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    return environment


def copy(text: str, work: Path, folder: Path, built: dict[str, Path]) -> None:
    words = text.split()
    origin = ROOT
    if words[0].startswith("--from="):
        origin = built[words.pop(0).removeprefix("--from=")]
    *sources, target = words
    to = folder / target.lstrip("/") if target.startswith("/") else work / target
    for source in sources:
        found = origin / source.lstrip("/")
        if found.is_dir():
            shutil.copytree(found, to, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place = to / found.name if target.endswith("/") else to
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All three stages, built; the folder that stands for the final image's root."""
    folders = {name: tmp_path_factory.mktemp(f"stage-{name}") for name in (HELM.name, SERVICE.name, "final", "python")}
    # The Python image has `python` and `pip` of its own; a fresh environment stands for it.
    subprocess.run([sys.executable, "-m", "venv", folders["python"]], check=True)
    path = os.environ["PATH"]
    carry_out(HELM, folders[HELM.name], folders, path)
    carry_out(SERVICE, folders[SERVICE.name], folders, f"{folders['python'] / 'bin'}{os.pathsep}{path}")
    carry_out(FINAL, folders["final"], folders, path)
    yield folders["final"]
    for folder in folders.values():
        shutil.rmtree(folder)


def run(*argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env={"PATH": os.defpath, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_helm_is_built_at_the_pinned_version(image: Path) -> None:
    pin = re.search(r"helm\.sh/helm/v4 (v\S+)", (ROOT / "tools/go/helm4/go.mod").read_text())
    assert pin is not None

    shown = run(image / "usr/local/bin/helm", "version", "--template", "{{.Version}}", HOME=str(image))

    assert shown.stdout == pin[1]


def test_the_program_is_installed_with_its_pinned_dependencies(image: Path) -> None:
    python = image / "opt/helm-rollback/bin/python"
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)

    frozen = run(python, "-m", "pip", "freeze", "--disable-pip-version-check").stdout.splitlines()

    installed = dict(line.split("==") for line in frozen if "==" in line)
    assert "grpcio" in installed
    # The environment was moved, as COPY --from moves it, so its scripts name the old place; hence `-m`.
    assert {name: pins.get(name) for name in installed} == installed
    assert run(python, "-c", "import helm_rollback.cli").returncode == 0


def test_the_data_folder_is_private(image: Path) -> None:
    assert (image / "data").stat().st_mode & 0o777 == 0o700


def test_the_probe_says_so_where_nothing_listens(image: Path) -> None:
    probe = run(
        image / "opt/helm-rollback/bin/python",
        image / "opt/helm-rollback/health.py",
        HELM_ROLLBACK_GRPC="0.0.0.0:9",
    )

    assert (probe.returncode, probe.stdout) == (1, "127.0.0.1:9: UNAVAILABLE\n")
