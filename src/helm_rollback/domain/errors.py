"""What a caller can be refused for, each error named for the fact.

    Refused                      nothing was accepted, nothing was written
    ├── InvalidField             the request itself is wrong
    ├── InvalidFields
    ├── InvalidResumeToken
    ├── ForeignPage              a browser sends it for somebody else's page
    ├── ClusterNotConfigured     what the request names does not exist
    ├── ReleaseNotFound
    ├── RevisionNotFound
    ├── OperationNotFound
    ├── RequestIdReused          the id already names another request
    ├── NoSuccessfulRevision     the release is in no state for it
    ├── SuccessUnproven
    ├── CurrentIsSuccessful
    ├── AlreadyRolledBack
    ├── ReleasePending
    ├── NotCancellable
    ├── RevisionMarkedBad
    ├── ClusterPermissionDenied
    ├── OperationInProgress      look again, then decide again
    ├── CurrentRevisionChanged
    ├── ResumePositionLost       start the stream anew
    ├── TooManyStreams           the service is full
    ├── Overloaded
    └── Unavailable              the same call may succeed later
        ├── ClusterUnreachable
        ├── HelmUnavailable
        ├── ServerDraining
        └── StoreUnavailable     the one that leaves open what was accepted

An error's fields are the facts; they travel to the client as metadata. Which
status code each becomes is written in one table, `servicer/error_status.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from helm_rollback.domain.release import ReleaseId
    from helm_rollback.domain.status import Status


@dataclass(eq=False)
class Refused(Exception):
    """The base of all. Raised before anything was written, so a retry is safe."""

    text: ClassVar[str] = ""
    """The message, with the fields' names in braces."""

    def __str__(self) -> str:
        return self.text.format(**{field.name: _text(getattr(self, field.name)) for field in fields(self)})

    @property
    def metadata(self) -> dict[str, str]:
        """The facts, by lowerCamelCase name."""
        facts = {_camel(field.name): _text(getattr(self, field.name)) for field in fields(self)}
        return {key: value for key, value in facts.items() if value}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _text(fact: object) -> str:
    if fact is None:
        return ""
    return fact.isoformat().replace("+00:00", "Z") if isinstance(fact, datetime) else str(fact)


@dataclass(eq=False)
class InvalidField(Refused):
    """A field of the request has no meaning: `problem` says what it must be."""

    field: str
    problem: str
    text: ClassVar[str] = "{field}: {problem}"


@dataclass(eq=False)
class InvalidFields(Refused):
    """Several fields have no meaning; `domain/violations.py` collects them."""

    violations: tuple[InvalidField, ...]
    text: ClassVar[str] = "{violations}"

    def __str__(self) -> str:
        return "; ".join(map(str, self.violations))

    @property
    def metadata(self) -> dict[str, str]:
        """The facts of all, so that one key means the same for one field and for several."""
        return {
            "field": ", ".join(violation.field for violation in self.violations),
            "problem": "; ".join(violation.problem for violation in self.violations),
        }


@dataclass(eq=False)
class ForeignPage(Refused):
    """A browser sends the request for a page of another site, as a header of it says."""

    header: str
    value: str
    text: ClassVar[str] = (
        "{header} '{value}' is of another site; on loopback, address the service as 127.0.0.1 or localhost"
    )


@dataclass(eq=False)
class InvalidResumeToken(Refused):
    """The token was not made by this service, or for another release."""

    release_id: ReleaseId
    problem: str
    text: ClassVar[str] = "resume_token: {problem}; drop it and start the stream anew"


@dataclass(eq=False)
class ClusterNotConfigured(Refused):
    release_id: ReleaseId | None
    cluster: str
    text: ClassVar[str] = "this service has no cluster {cluster}; its settings name the clusters it knows"


@dataclass(eq=False)
class ReleaseNotFound(Refused):
    release_id: ReleaseId
    text: ClassVar[str] = "release {release_id} is neither in the ledger nor in its cluster"


@dataclass(eq=False)
class ReleaseExists(Refused):
    release_id: ReleaseId
    current_revision: int
    status: Status
    text: ClassVar[str] = (
        "release {release_id} is there already: its current revision {current_revision} is {status}; upgrade it"
    )


@dataclass(eq=False)
class RevisionNotFound(Refused):
    release_id: ReleaseId
    revision: int
    incarnation: int
    current_revision: int
    text: ClassVar[str] = (
        "release {release_id} has no revision {revision} in incarnation {incarnation}, "
        "or it is newer than current ({current_revision}); ListRevisions tells which there are"
    )


@dataclass(eq=False)
class OperationNotFound(Refused):
    operation_id: str
    release_id: ReleaseId | None = None
    text: ClassVar[str] = "there is no operation {operation_id} here"


@dataclass(eq=False)
class RequestIdReused(Refused):
    request_id: str
    operation_id: str
    release_id: ReleaseId
    text: ClassVar[str] = "request_id {request_id} already names operation {operation_id}, made by another request"


@dataclass(eq=False)
class NoSuccessfulRevision(Refused):
    release_id: ReleaseId
    current_revision: int
    skipped: str
    """`8:NOT_SUCCESSFUL,7:…`, the newest 20."""
    text: ClassVar[str] = (
        "release {release_id} has no successful revision to return to from {current_revision} (skipped: {skipped})"
    )


@dataclass(eq=False)
class SuccessUnproven(Refused):
    release_id: ReleaseId
    revision: int
    text: ClassVar[str] = (
        "Helm's records do not tell whether revision {revision} of {release_id} ever worked; "
        "name the revision you want with Rollback"
    )


@dataclass(eq=False)
class CurrentIsSuccessful(Refused):
    release_id: ReleaseId
    current_revision: int
    text: ClassVar[str] = (
        "current revision {current_revision} of {release_id} is successful; "
        "to leave it all the same, send expected_current_revision = {current_revision}"
    )


@dataclass(eq=False)
class AlreadyRolledBack(Refused):
    release_id: ReleaseId
    current_revision: int
    text: ClassVar[str] = (
        "current revision {current_revision} of {release_id} is the result of a rollback and successful; "
        "to go further back, send expected_current_revision = {current_revision}"
    )


@dataclass(eq=False)
class ReleasePending(Refused):
    release_id: ReleaseId
    status: Status
    revision: int
    since: datetime
    text: ClassVar[str] = (
        "revision {revision} of {release_id} is {status} since {since}: another Helm is at work, or died; "
        "send take_over_pending with expected_current_revision if you know that it died"
    )


@dataclass(eq=False)
class NotCancellable(Refused):
    release_id: ReleaseId
    operation_id: str
    state: str
    text: ClassVar[str] = "operation {operation_id} is {state} and can not be cancelled"


@dataclass(eq=False)
class RevisionMarkedBad(Refused):
    release_id: ReleaseId
    revision: int
    text: ClassVar[str] = "revision {revision} of {release_id} is marked BAD; send allow_marked_bad to use it"


@dataclass(eq=False)
class ClusterPermissionDenied(Refused):
    release_id: ReleaseId
    problem: str
    text: ClassVar[str] = "the cluster denies this service what it needs for {release_id}: {problem}"


@dataclass(eq=False)
class OperationInProgress(Refused):
    release_id: ReleaseId
    operation_id: str
    text: ClassVar[str] = "operation {operation_id} is under way for {release_id}; wait for it, then decide again"


@dataclass(eq=False)
class CurrentRevisionChanged(Refused):
    release_id: ReleaseId
    expected: int
    actual: int
    text: ClassVar[str] = "current revision of {release_id} is {actual}, not {expected}"


@dataclass(eq=False)
class ResumePositionLost(Refused):
    release_id: ReleaseId
    problem: str
    text: ClassVar[str] = "the stream of {release_id} can not be resumed there: {problem}; drop the token, start anew"


@dataclass(eq=False)
class TooManyStreams(Refused):
    limit: int
    text: ClassVar[str] = "all {limit} streams are taken; try again later, or on another replica"


@dataclass(eq=False)
class Overloaded(Refused):
    problem: str
    text: ClassVar[str] = "the service is overloaded: {problem}"


@dataclass(eq=False)
class Unavailable(Refused):
    """Something the service needs is away. The same call may succeed later."""


@dataclass(eq=False)
class ClusterUnreachable(Unavailable):
    cluster: str
    problem: str
    release_id: ReleaseId | None = None
    text: ClassVar[str] = "the API server of cluster {cluster} does not answer: {problem}"


@dataclass(eq=False)
class StoreUnavailable(Unavailable):
    """The ledger did not answer. Whether the request was accepted is open; repeat it with its request_id."""

    problem: str
    text: ClassVar[str] = "the ledger does not answer: {problem}; send the same request again, with its request_id"


@dataclass(eq=False)
class HelmUnavailable(Unavailable):
    problem: str
    text: ClassVar[str] = "Helm can not be run: {problem}"


@dataclass(eq=False)
class ServerDraining(Unavailable):
    text: ClassVar[str] = "this server is shutting down; its peers, or its successor, take the call"


class LedgerCorrupt(Exception):
    """What the ledger stores is not what was put into it. Nothing was done with it."""
