"""`python -m helm_rollback` is `helm-rollback`."""

from helm_rollback.cli import main

if __name__ == "__main__":
    main()
