"""Removes what this checkout made: the environment, built tools and caches.

Go's own caches are left alone, since other projects share them.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = (".venv", ".tools", "build", "dist")
_CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis", "htmlcov")


def main() -> None:
    """Remove them and say so."""
    doomed = [ROOT / name for name in (*_FOLDERS, *_CACHES)]
    for top in ("src", "tests", "tools"):
        doomed += (ROOT / top).rglob("__pycache__")
    for folder in doomed:
        if folder.exists():
            shutil.rmtree(folder)
            print(f"removed {folder.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
