"""Threads of a round. An error in one is the round's own, never lost."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread


class Crew:
    """Works that go on beside each other."""

    def __init__(self) -> None:
        self._threads: list[Thread] = []
        self._errors: list[BaseException] = []

    def start(self, work: Callable[[], object]) -> None:
        """Do it in the background."""
        thread = Thread(target=self._guarded, args=(work,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, seconds: float) -> None:
        """Wait for each; raise the first error of them."""
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), f"it still goes on after {seconds:.0f} s"
        if self._errors:
            raise self._errors[0]

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self._errors.append(error)
