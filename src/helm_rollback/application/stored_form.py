"""What the API server makes of a manifest, so that what is live can be compared with it. Pure.

It leaves out what says nothing, and writes every quantity in one way. Else a chart
that says `resources: {}` or `cpu: 0.5` would differ from its own live object for ever.
"""

from __future__ import annotations

import re
from base64 import b64encode
from decimal import ROUND_UP, Context, Decimal
from typing import Any

Json = Any

_TEXTS = frozenset(("labels", "annotations", "matchLabels", "nodeSelector", "data", "binaryData"))
"""Maps whose values are texts, whatever their keys look like."""
_EMPTY_IS_NONE = _TEXTS | {"resources", "limits", "requests"}
"""Maps that are left out where they are empty. Others are kept: an empty `podSelector` selects every Pod."""
_QUANTITIES = frozenset(("limits", "requests", "hard", "capacity", "overhead"))
"""Maps whose values are quantities; a LimitRange has a list of maps of such."""
_QUANTITY = frozenset(("sizeLimit", "divisor", "averageValue"))


def stored_form(item: Json) -> Json:
    """An object without nulls, without what is empty and says nothing, its quantities and a Secret's texts in one form.

    The status is left out, too: no manifest sets it.
    """
    if not isinstance(item, dict):
        return _stored(item)
    plain = {key: value for key, value in item.items() if key != "status"}
    data = plain.get("data") or {}
    if plain.get("kind") == "Secret" and isinstance(plain.get("stringData"), dict) and isinstance(data, dict):
        texts = plain.pop("stringData")
        plain["data"] = data | {key: b64encode(str(value).encode()).decode() for key, value in texts.items()}
    return _stored(plain)


def _stored(item: Json, key: str = "") -> Json:
    if isinstance(item, list):
        return [_stored(value, key) for value in item]
    if not isinstance(item, dict):
        return quantity(item) if key in _QUANTITY else item
    there = {name: value for name, value in item.items() if value is not None}
    if key in _TEXTS:
        return there
    within = {name: _stored_at(key, name, value) for name, value in there.items()}
    return {name: value for name, value in within.items() if not _says_nothing(name, value)}


def _stored_at(parent: str, name: str, value: Json) -> Json:
    if parent in _QUANTITIES:
        return {key: quantity(one) for key, one in value.items()} if isinstance(value, dict) else quantity(value)
    return _stored(value, name)


def _says_nothing(name: str, value: Json) -> bool:
    return value == [] or (value == {} and name in _EMPTY_IS_NONE)


def with_left_out(live: Json, base: Json) -> Json:
    """The live object with what its manifest sets to nothing (`hostNetwork: false`), and is not there.

    The API server leaves out most of that, depending on the field; of texts it keeps all.
    """
    if isinstance(live, dict) and isinstance(base, dict):
        filled = {key: value if key in _TEXTS else with_left_out(value, base.get(key)) for key, value in live.items()}
        left_out = {key: value for key, value in base.items() if key not in live and key not in _TEXTS}
        return filled | {key: value for key, value in left_out.items() if _is_nothing(value)}
    if isinstance(live, list) and isinstance(base, list):
        return [with_left_out(item, _counterpart(item, place, base)) for place, item in enumerate(live)]
    return live


def _is_nothing(value: Json) -> bool:
    if isinstance(value, dict):
        return all(_is_nothing(one) for one in value.values())
    return not value


def _counterpart(item: Json, place: int, items: list[Json]) -> Json:
    """The item of another list that is the same one: by its name where it has one, else by its place."""
    name = name_of(item)
    if name is not None:
        return next((one for one in items if name_of(one) == name), None)
    return items[place] if place < len(items) else None


def name_of(item: Json) -> str | None:
    """By what an item of a list is told, if it has a name."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


# --- quantities -----------------------------------------------------------------------

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i)|([numkMGTPE]?))")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_EXACT = Context(prec=60)
_NANO = Decimal("1e-9")


def quantity(value: Json) -> Json:
    """As the API server writes it (`apimachinery/pkg/api/resource`, Canonicalize); what is none stays as it is.

    `0.5` is `500m`, `1024Mi` is `1Gi`. Binary suffixes stay binary, where nothing is rounded by that.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return value
    try:
        match = _NUMBER.fullmatch(str(value))
        return value if match is None else _canonical(match)
    except (ArithmeticError, ValueError):  # more digits than any quantity has
        return value


def _canonical(match: re.Match[str]) -> str:
    number, exponent, binary, decimal = match.groups()
    amount = Decimal(number)
    if exponent:
        power = int(exponent[1:])
        if abs(power) > 18:
            raise ValueError("no quantity is so large, or so small")
        return _scaled(amount, power)
    if binary:
        amount = _EXACT.multiply(amount, Decimal(1024) ** _BINARY.index(binary))
        return _in_binary(amount) if abs(amount) >= 1024 and amount == int(amount) else _in_decimal(amount)
    return _scaled(amount, _DECIMAL[decimal])


def _scaled(amount: Decimal, power: int) -> str:
    return _in_decimal(amount.scaleb(power, _EXACT))


def _in_binary(amount: Decimal) -> str:
    number, power = int(amount), 0
    while number % 1024 == 0 and power < len(_BINARY) - 1:
        number, power = number // 1024, power + 1
    return f"{number}{_BINARY[power]}"


def _in_decimal(amount: Decimal) -> str:
    number = int(amount.quantize(_NANO, ROUND_UP, _EXACT).scaleb(9, _EXACT))
    power = -9
    while number % 1000 == 0 and (number or power < 0) and power < 18:
        number, power = number // 1000, power + 3
    return f"{number}{_DECIMAL_SUFFIX[power]}"
