"""helm-rollback puts Helm releases back, over gRPC, and remembers what happened.

`domain` holds the rules, `application` the use cases; everything else is an
adapter around them. `bootstrap` is the only module that knows them all.
"""

from importlib.metadata import version

__version__ = version("helm-rollback")
