"""Who calls, as far as the call tells."""

from __future__ import annotations

from typing import Final

import grpc

from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.principal import ANONYMOUS, Principal

ACTOR_KEY: Final = "x-helm-rollback-actor"
_ACTOR_MAX: Final = 100


def principal_of(context: grpc.aio.ServicerContext[object, object]) -> Principal:
    """The caller: what the metadata key says, unproved; else anonymous. Raises InvalidField."""
    said = [value for key, value in context.invocation_metadata() or () if key == ACTOR_KEY]
    if not said:
        return ANONYMOUS
    if len(said) > 1:
        raise InvalidField(ACTOR_KEY, "must be given once")
    text = said[0].decode("utf-8", "replace") if isinstance(said[0], bytes) else said[0]
    return _named(text.strip())


def _named(actor: str) -> Principal:
    if not actor:
        return ANONYMOUS
    if len(actor) > _ACTOR_MAX:
        raise InvalidField(ACTOR_KEY, f"has {len(actor)} characters, at most {_ACTOR_MAX} are kept")
    if not actor.isprintable():
        raise InvalidField(ACTOR_KEY, "must be one line of printable text")
    return Principal(actor)
