"""The service, as if on a machine of its own: then no other replica can end its Helm, and only the fence stops that.

A program, started with FAR_HOST in its environment.
"""

import os

from helm_rollback.cli import main
from helm_rollback.helm import process, process_identity


def go_far_away() -> None:
    """Take the host's name from the environment."""
    host = os.environ.get("FAR_HOST")
    if host is not None:
        for module in (process, process_identity):
            vars(module)["this_host"] = lambda: host


if __name__ == "__main__":
    go_far_away()
    main()
