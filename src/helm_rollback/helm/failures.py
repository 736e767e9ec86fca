"""What Helm's error texts mean: one table, first match wins.

Helm has one exit code for every error (`cmd/helm/helm.go`), so its text is all
there is. The text itself never goes to a client by this way; it may hold pieces of
manifests. What a failed rollback did is read from the records, not from here.
"""

from __future__ import annotations

import re

from helm_rollback.domain.operation import FailureReason

_R = FailureReason

# In Helm 4 and 3 a failed wait says `release NAME failed: …` (`pkg/action/rollback.go`),
# a failed hook returns the waiter's text bare (`pkg/action/hooks.go`).
_WAITED = r"not ready\. status:|still exists\. status:|timed out waiting|context deadline exceeded|rate limiter wait"
_CHART_FAILED = r"upgrade \S+ failed:|(upgrade|installation) failed:|(on-failure|atomic) being set:"
_DIED = r"(job|pod) \S+ failed|job failed:|backofflimitexceeded|failed to deploy"

TABLE: tuple[tuple[FailureReason, str], ...] = (
    # The fence's own refusals (`fence/refusals.py`) come first: they may stand inside any other text.
    (_R.EXTERNAL_CHANGE, r"helm-rollback fence: this release record is not passed"),
    (_R.INTERRUPTED, r"helm-rollback fence: the lease"),
    (_R.CLUSTER_UNREACHABLE, r"helm-rollback fence: the api server"),
    (_R.INTERNAL, r"helm-rollback fence: "),
    (_R.INTERNAL, r"unknown flag|unknown shorthand flag|requires at least|accepts no arguments|flag needs an argument"),
    (_R.INTERNAL, r"release name is invalid|invalid release name|invalid release revision|could not convert revision"),
    (_R.INTERNAL, r"invalid operation: cannot use|forceconflicts enabled when|description must be \d+ characters"),
    (
        _R.EXTERNAL_CHANGE,
        r"release: already exists|name that is still in use|another operation \(\S+\) is in progress|"
        r"release has no \d+ version|release: not found|no revision for release",
    ),
    (_R.CLUSTER_PERMISSION_DENIED, r"asked for the client to provide credentials|\bunauthorized\b"),
    (_R.CLUSTER_PERMISSION_DENIED, r"cluster unreachable:.*forbidden"),
    (_R.CLUSTER_UNREACHABLE, r"cluster unreachable"),
    (_R.OBJECT_REJECTED, r"exceeded quota"),
    (
        _R.RECORD_TOO_LARGE,
        r"(create: failed to create|update: failed to update|sh\.helm\.release\.v1\.).*"
        r"(too long: .*1048576|request is too large|request entity too large)",
    ),
    (
        _R.KIND_NOT_SERVED,
        r"no matches for kind|ensure crds are installed first|removed kubernetes api|"
        r"the server could not find the requested resource",
    ),
    (
        _R.CLUSTER_UNREACHABLE,
        r"connection refused|connection reset|no such host|i/o timeout|tls handshake timeout|client connection lost|"
        r"unexpected eof|: eof\b|etcdserver: request timed out|currently unable to handle the request|"
        r"no route to host|network is unreachable|bad gateway|leader changed",
    ),
    (_R.INTERRUPTED, r"context canceled"),
    (_R.HOOK_FAILED, r"hook (pre|post)-rollback \S* ?failed|hooks failed|failed (pre|post)-install"),
    (_R.OBJECT_REJECTED, r"admission webhook|violates podsecurity|validatingadmissionpolicy|is being terminated"),
    (_R.CLUSTER_PERMISSION_DENIED, r"is forbidden: user "),
    (_R.OBJECT_REJECTED, r" is forbidden: "),
    (_R.WAIT_TIMED_OUT, rf"({_CHART_FAILED}|release \S+ failed:).*({_WAITED}|{_DIED})"),
    (_R.APPLY_CONFLICT, r"conflict occurred while applying object|apply failed with \d+ conflict"),
    (_R.APPLY_CONFLICT, r"operation cannot be fulfilled on"),
    (
        _R.OBJECT_REJECTED,
        r"field is immutable|is invalid:|\bis invalid\b|server-side apply not available|"
        r"cannot be imported into the current release|invalid ownership metadata|too long: |request is too large|"
        r"no \S+ with the name \S+ found|original object \S+ with the name|the order in patch list|"
        r"strict decoding error|failed to create typed patch object|admission",
    ),
    (_R.HOOK_FAILED, rf"{_WAITED}|{_DIED}"),
)
_TABLE = tuple((reason, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for reason, pattern in TABLE)
_ERROR = re.compile(r"^Error: ", re.MULTILINE)


def classify(output: str, returncode: int, *, timed_out: bool = False) -> FailureReason:
    """Why Helm failed. The `Error:` that it ended with decides; its warnings only where that says nothing."""
    if timed_out:
        return FailureReason.WAIT_TIMED_OUT
    if returncode < 0:
        return FailureReason.INTERRUPTED
    errors = [match.start() for match in _ERROR.finditer(output)]
    parts = [output[errors[-1] :], output] if errors else [output]
    for part in parts:
        for reason, pattern in _TABLE:
            if pattern.search(part):
                return reason
    return FailureReason.HELM_FAILED
