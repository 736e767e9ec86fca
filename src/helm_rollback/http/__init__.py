"""The REST edge: the same methods over HTTP, with the proto3 JSON of the same messages.

A route only translates. What it calls is the guarded method that gRPC calls, so that
checks, limits, errors and the log are one thing.
"""

import helm_rollback.servicer  # noqa: F401 - first: it settles how grpc is imported
