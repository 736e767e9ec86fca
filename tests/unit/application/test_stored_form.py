"""What the API server makes of a manifest: what says nothing is left out, quantities are written in one way."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from helm_rollback.application.stored_form import quantity, stored_form, with_left_out

QUANTITIES: dict[Any, str] = {
    "0": "0",
    "0.0": "0",
    "0.5": "500m",
    0.5: "500m",
    1: "1",
    "1.0": "1",
    "+2": "2",
    "-0.5": "-500m",
    "500m": "500m",
    "1000m": "1",
    "1500m": "1500m",
    "1500": "1500",
    "1000": "1k",
    "1e3": "1k",
    "1E-3": "1m",
    "0.1n": "1n",
    "2000k": "2M",
    "1E": "1E",
    "1024Mi": "1Gi",
    "1.5Gi": "1536Mi",
    "1Ki": "1Ki",
    "0.5Ki": "512",
    "0.3Ki": "307200m",
    "1000Mi": "1000Mi",
    "1073741824": "1073741824",
}
NO_QUANTITIES = ["", "a lot", "1 Gi", "1Zi", "1e99", "0x10", "--1", True, None, [1], {"a": "1"}]


@pytest.mark.parametrize("value", QUANTITIES)
def test_a_quantity_is_written_in_one_way(value: Any) -> None:
    assert quantity(value) == QUANTITIES[value]
    assert quantity(quantity(value)) == QUANTITIES[value]


@pytest.mark.parametrize("value", NO_QUANTITIES)
def test_what_is_no_quantity_stays(value: Any) -> None:
    assert quantity(value) is value


def test_quantities_are_known_by_their_place() -> None:
    container = {"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": 1}}}
    written = {
        "containers": [container | {"env": [{"name": "CPU", "value": "0.5"}]}],
        "volumes": [{"emptyDir": {"sizeLimit": "1024Mi"}}],
        "limits": [{"type": "Container", "max": {"cpu": "1000m"}}],
        "hard": {"pods": 4, "requests.cpu": "2000m"},
    }

    stored = stored_form(written)

    assert stored["containers"][0] == {
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "1"}},
        "env": [{"name": "CPU", "value": "0.5"}],
    }
    assert stored["volumes"] == [{"emptyDir": {"sizeLimit": "1Gi"}}]
    assert stored["limits"] == [{"type": "Container", "max": {"cpu": "1"}}]
    assert stored["hard"] == {"pods": "4", "requests.cpu": "2"}


def test_what_says_nothing_is_left_out() -> None:
    written = {
        "metadata": {"name": "web", "creationTimestamp": None, "labels": {}, "annotations": None},
        "spec": {"tolerations": [], "resources": {"limits": {}, "requests": {}}, "nodeSelector": {}},
        "status": {"replicas": 3},
    }

    assert stored_form(written) == {"metadata": {"name": "web"}, "spec": {}}


@pytest.mark.parametrize("written", [{"podSelector": {}}, {"emptyDir": {}}, {"ingress": [{}]}, {"replicas": 0}])
def test_what_means_something_though_it_is_empty_stays(written: dict[str, Any]) -> None:
    assert stored_form(written) == written


def test_texts_stay_whatever_their_keys() -> None:
    written = {"data": {"sizeLimit": "1024Mi", "empty": ""}, "metadata": {"labels": {"divisor": "0.5"}}}

    assert stored_form(written) == written


def test_the_texts_of_a_secret_are_encoded() -> None:
    stored = stored_form({"kind": "Secret", "stringData": {"a": "new"}, "data": {"a": "b2xk", "b": "b2xk"}})

    assert stored == {"kind": "Secret", "data": {"a": b64encode(b"new").decode(), "b": "b2xk"}}


def test_what_the_manifest_sets_to_nothing_counts_as_there() -> None:
    live = {"spec": {"containers": [{"name": "side"}, {"name": "web", "env": [{"name": "A"}]}]}}
    base = {
        "spec": {
            "hostNetwork": False,
            "affinity": {"podAffinity": {}},
            "replicas": 2,
            "containers": [{"name": "web", "env": [{"name": "A", "value": ""}], "stdin": False}],
        }
    }

    filled = with_left_out(live, base)

    web = {"name": "web", "env": [{"name": "A", "value": ""}], "stdin": False}
    assert filled == {
        "spec": {"containers": [{"name": "side"}, web], "hostNetwork": False, "affinity": {"podAffinity": {}}}
    }


def test_an_empty_text_that_is_gone_was_deleted_by_somebody() -> None:
    assert with_left_out({"data": {"b": "1"}}, {"data": {"a": "", "b": "1"}}) == {"data": {"b": "1"}}
    assert with_left_out({}, {"data": {"a": ""}}) == {}


def test_what_no_quantity_and_no_secret_is_like_stays_as_it_is() -> None:
    """A chart that is wrong is what gets previewed."""
    digits = "1" * 60
    for odd in (digits, "1e99", 10**5000):
        assert quantity(odd) == odd
    for data in (["a"], "x"):
        odd_secret = {"kind": "Secret", "data": data, "stringData": {"a": "b"}}
        assert stored_form(odd_secret) == odd_secret
