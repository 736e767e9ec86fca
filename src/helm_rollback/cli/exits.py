"""How a command ends: its exit code, and what it says when it was refused."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import grpc
import typer
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from helm_rollback.cli.text import clean


class ExitCode(IntEnum):
    """What scripts can rely on."""

    DONE = 0
    OPERATION_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


_OPEN_OUTCOMES = ("STORE_UNAVAILABLE", "INTERNAL")
"""The reasons that leave open whether the request was accepted."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call failed."""

    code: ExitCode
    message: str
    reason: str

    @classmethod
    def of(cls, error: grpc.RpcError, *, server: str) -> CallEnd:
        if not isinstance(error, grpc.Call):
            return cls(ExitCode.UNREACHABLE, str(error), "")
        reason, details = _reason(error), error.details() or ""
        if reason == "":
            return cls(ExitCode.UNREACHABLE, f"no service answers at {server}: {details} ({error.code().name})", "")
        usage = error.code() is grpc.StatusCode.INVALID_ARGUMENT
        return cls(ExitCode.USAGE if usage else ExitCode.REFUSED, details, reason)

    @property
    def outcome_is_open(self) -> bool:
        """Whether what was asked for may have been accepted all the same."""
        return self.code is ExitCode.UNREACHABLE or self.reason in _OPEN_OUTCOMES


def _reason(error: grpc.Call) -> str:
    """The ErrorReason, empty where the answer is not this service's."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        return ""
    info = ErrorInfo()
    return info.reason if status and any(detail.Unpack(info) for detail in status.details) else ""


@contextmanager
def exits(server: str, *, request_id: str = "") -> Iterator[None]:
    """Turn a failed call into a sentence on stderr and an exit code.

    `request_id`: the id under which what was asked for can safely be asked for again.
    """
    try:
        yield
    except grpc.RpcError as error:
        end = CallEnd.of(error, server=server)
        say(f"{clean(end.message)} [{end.reason}]" if end.reason else clean(end.message))
        if end.outcome_is_open:
            _say_how_to_be_sure(request_id)
        raise typer.Exit(end.code) from None
    except UnicodeEncodeError:
        say("the arguments must be UTF-8 text")
        raise typer.Exit(ExitCode.USAGE) from None
    except KeyboardInterrupt:
        heed_no_more_interrupts()
        _say_how_to_be_sure(request_id)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def heed_no_more_interrupts() -> None:
    """The command is ending: Ctrl-C once more would only take its exit code away, while Python ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say_how_to_be_sure(request_id: str) -> None:
    if request_id:
        say(f"whether it was accepted is open; to be sure, repeat it with --request-id {request_id}")


def say(text: str) -> None:
    """A line for people, beside what scripts read."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
