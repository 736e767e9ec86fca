"""Names of releases: `<cluster>.<namespace>.<name>`, and nothing that Helm or Kubernetes would refuse."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.release import ReleaseId, check_dns_label

GOOD = {
    "default.prod.shop": ("default", "prod", "shop"),
    "default.prod.shop.eu.v2": ("default", "prod", "shop.eu.v2"),
    "a.b.c": ("a", "b", "c"),
    "0.1.2": ("0", "1", "2"),
    "a-b.c--d.e-f.g-h": ("a-b", "c--d", "e-f.g-h"),
    f"c.n.{'x' * 53}": ("c", "n", "x" * 53),
    f"{'c' * 63}.{'n' * 63}.x": ("c" * 63, "n" * 63, "x"),
}


@pytest.mark.parametrize(("text", "parts"), GOOD.items())
def test_everything_behind_the_second_dot_is_helms_name(text: str, parts: tuple[str, str, str]) -> None:
    release_id = ReleaseId.parse(text)

    assert (release_id.cluster, release_id.namespace, release_id.name) == parts
    assert str(release_id) == text


BAD = {
    "empty": "",
    "one part": "shop",
    "two parts": "prod.shop",
    "only dots": "..",
    "no cluster": ".prod.shop",
    "no namespace": "default..shop",
    "no name": "default.prod.",
    "two dots in the name": "default.prod.shop..eu",
    "a dot at the end": "default.prod.shop.",
    "a dot before the name": "default.prod..shop",
    "a path": "default.prod.../../x",
    "a slash": "default.prod.sh/op",
    "a flag": "default.prod.-x",
    "a long flag": "default.prod.--kubeconfig",
    "a part that begins with a hyphen": "default.prod.shop.-x",
    "a hyphen at the end": "default.prod.shop-",
    "a newline at the end": "default.prod.shop\n",
    "a newline at the end of the namespace": "default.prod\n.shop",
    "a newline at the end of the cluster": "default\n.prod.shop",
    "a newline within": "default.prod.sh\nop",
    "a NUL": "default.prod.shop\0",
    "a space": "default.prod.sh op",
    "upper case": "default.prod.Shop",
    "an underscore": "default.prod.sh_op",
    "a star": "default.prod.*",
    "a digit of another script": "default.prod.shop٣",
    "a letter of another script": "default.prod.shоp",
    "a namespace with an accent": "default.pröd.shop",
    "a lone surrogate": "default.prod.shop\udc80",
    "54 characters": f"default.prod.{'x' * 54}",
    "54 characters with dots": f"default.prod.{'x.' * 26}xx",
    "a namespace of 64 characters": f"default.{'n' * 64}.shop",
    "a cluster of 64 characters": f"{'c' * 64}.prod.shop",
    "a cluster that ends with a hyphen": "default-.prod.shop",
    "a megabyte": "default.prod." + "a-" * 500_000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_bad_name_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        ReleaseId.parse(text, field="filter.release_id")

    assert refusal.value.field == "filter.release_id"
    assert len(refusal.value.problem) < 200


def test_the_length_is_told() -> None:
    with pytest.raises(InvalidField, match="54 characters, Helm allows 53"):
        ReleaseId.parse("default.prod." + "x" * 54)


@given(st.text(alphabet="ab-.\n/", max_size=12))
def test_a_name_is_taken_exactly_where_helm_takes_it(name: str) -> None:
    """Helm's own expression, pkg/chart/common/util/validate_name.go; Go's `$` is the end of the text."""
    helms = re.compile(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
    try:
        taken = ReleaseId.parse(f"c.n.{name}").name == name
    except InvalidField:
        taken = False

    assert taken == bool(helms.match(name))


def test_a_dns_label_that_is_none_is_named_by_what_it_is() -> None:
    with pytest.raises(InvalidField) as refusal:
        check_dns_label("Prod", field="namespace", what="the namespace")

    assert (refusal.value.field, refusal.value.problem.startswith("the namespace ")) == ("namespace", True)


def test_releases_are_ordered_by_cluster_namespace_and_name() -> None:
    texts = ["b.a.a", "a.b.a", "a.a.b", "a.a.a"]

    assert [str(one) for one in sorted(map(ReleaseId.parse, texts))] == sorted(texts)
