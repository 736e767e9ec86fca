"""The test's side of `held_service.py`: which of Helm's record writes wait."""

from pathlib import Path

from support.waiting import eventually

CREATE = "POST pending-rollback"
SUPERSEDE = "PUT superseded"
FINISH = "PUT deployed"


class HeldWrites:
    """Writes are named by method and the status that they write, as in CREATE."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What tells the service where to look."""
        return {"HELD_WRITES": str(self.folder)}

    def hold(self, write: str) -> None:
        """Let the next such write wait."""
        (self.folder / f"{write} arrived").unlink(missing_ok=True)
        (self.folder / write).touch()

    def forget(self, write: str) -> None:
        """Forget that it was sent: `until_held` then waits for another of its kind, held or not."""
        (self.folder / f"{write} arrived").unlink()

    def until_held(self, write: str) -> None:
        """Wait until Helm has sent it."""
        eventually((self.folder / f"{write} arrived").exists, f"Helm's {write} arrives")

    def release(self, write: str) -> None:
        """Let it go on."""
        (self.folder / write).unlink()
