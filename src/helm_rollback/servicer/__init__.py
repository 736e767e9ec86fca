"""The gRPC edge: translate, call one use case, translate back.

This package is where the server's process first meets grpc, so it is the one place
that turns gRPC's fork handlers off: they stop a process that starts children (Helm)
while calls are served. The variable is read when grpc is imported, not later.
"""

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
