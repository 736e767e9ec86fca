"""`python -m local_cluster [--workloads]`: a cluster until Ctrl-C, for `make cluster`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from local_cluster.cluster import LocalCluster
from local_cluster.processes import NotReady

_BIN_DIR = Path(__file__).parents[2] / ".tools" / "bin"


def main() -> int:
    """Start, print how to use it, wait for Ctrl-C or SIGTERM, end it all."""
    parser = argparse.ArgumentParser(prog="local_cluster", description=__doc__)
    parser.add_argument("--workloads", action="store_true", help="also run Pods (faked by kwok)")
    parser.add_argument("--bin-dir", type=Path, default=_BIN_DIR, help="default: .tools/bin")
    options = parser.parse_args()

    # Raised wherever we are, also during the start, so that the cluster's own
    # clean-up runs; a second signal must not interrupt that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with LocalCluster(options.bin_dir, workloads=options.workloads) as cluster:
            print(f"Kubernetes API at {cluster.server}; kubeconfig: {cluster.kubeconfig}")
            print(f"export KUBECONFIG={cluster.kubeconfig}")
            print("Ctrl-C ends it.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("Ended.")
    except (NotReady, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
