"""What a manifest consists of: the same, whether its two lines are found or it is parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm_rollback.application.manifest import documents, kinds, objects
from helm_rollback.application.ports import ServedKind

CONFIG_MAP = ServedKind("v1", "ConfigMap")
DEPLOYMENT = ServedKind("apps/v1", "Deployment")
SECRET = ServedKind("v1", "Secret")

KINDS: dict[str, tuple[str, set[ServedKind]]] = {
    "nothing": ("", set()),
    "comments alone": ("# Source: shop/templates/empty.yaml\n", set()),
    "one object": ("apiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "a separator right before the lines": ("---\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "Helm's own comment between": (
        "---\n# Source: shop/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\n"
        "---\n# Source: shop/templates/b.yaml\napiVersion: apps/v1\nkind: Deployment\n",
        {CONFIG_MAP, DEPLOYMENT},
    ),
    "two of one kind": ("apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "no newline at the end": ("apiVersion: v1\nkind: ConfigMap", {CONFIG_MAP}),
    "a comment behind the separator": ("--- # the first\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "blanks behind the separator": ("--- \t\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "an object behind the separator": ("--- {apiVersion: v1, kind: ConfigMap}\n", {CONFIG_MAP}),
    "empty documents": ("---\n---\n\n---\napiVersion: v1\nkind: ConfigMap\n---\n", {CONFIG_MAP}),
    "Windows line ends": (
        "---\r\napiVersion: v1\r\nkind: ConfigMap\r\n---\r\napiVersion: v1\r\nkind: Secret\r\n",
        {CONFIG_MAP, SECRET},
    ),
    "quotes": ("apiVersion: 'v1'\nkind: \"ConfigMap\"\n", {CONFIG_MAP}),
    "comments behind the words": ("apiVersion: v1 # core\nkind: ConfigMap # plain\n", {CONFIG_MAP}),
    "a comment that looks like a kind": ("# kind: Secret\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "lines that stand further in": ("  apiVersion: v1\n  kind: ConfigMap\n", {CONFIG_MAP}),
    "the word on the next line": ("apiVersion: v1\nkind:\n  ConfigMap\n", {CONFIG_MAP}),
    "the word folded": ("apiVersion: v1\nkind: >-\n  ConfigMap\n", {CONFIG_MAP}),
    "the word by an alias": ("apiVersion: v1\nx: &k ConfigMap\nkind: *k\n", {CONFIG_MAP}),
    "JSON": ('{"apiVersion": "v1", "kind": "ConfigMap"}', {CONFIG_MAP}),
    "JSON on several lines": ('{\n"apiVersion": "v1",\n"kind": "ConfigMap"\n}\n', {CONFIG_MAP}),
    "a kind within a block": (
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    apiVersion: v1\n    kind: Secret\n",
        {CONFIG_MAP},
    ),
    "a kind within a template": (
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    kind: Pod\n    apiVersion: v1\n",
        {DEPLOYMENT},
    ),
    "a separator within a block": (
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    x\n    ---\n    kind: Secret\n",
        {CONFIG_MAP},
    ),
    "dashes that separate nothing": ("apiVersion: v1\nkind: ConfigMap\ndata: {a: x}\n# ---\n#---- \n", {CONFIG_MAP}),
    "a kind given twice": ("apiVersion: v1\nkind: Secret\nkind: ConfigMap\n", {CONFIG_MAP}),
    "a List": (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n"
        "- {apiVersion: apps/v1, kind: Deployment}\n",
        {CONFIG_MAP, DEPLOYMENT},
    ),
    "a List in a List": (
        '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": '
        '[{"apiVersion": "v1", "kind": "Secret"}]}]}',
        {SECRET},
    ),
    "a list of one kind, whose items do not tell it": (
        "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {}\n",
        {SECRET},
    ),
    "a list with what is no object": ("apiVersion: v1\nkind: SecretList\nitems: [1, null, words]\n", set()),
    "a List whose items tell no kind": ("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n", set()),
    "an empty List": ("apiVersion: v1\nkind: List\nitems: []\n", set()),
    "a kind that ends like a list": (
        "apiVersion: x/v1\nkind: AllowList\nspec: {}\n",
        {ServedKind("x/v1", "AllowList")},
    ),
    "no kind": ("apiVersion: v1\nmetadata: {}\n", set()),
    "no version": ("kind: ConfigMap\n", set()),
    "a text": ("just words", set()),
    "a sequence": ("- apiVersion: v1\n- kind: ConfigMap\n", set()),
    "what is no YAML, beside an object": ("a: [\n---\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "a date that is none": ("{apiVersion: v1, kind: ConfigMap, day: 2024-13-45}", {CONFIG_MAP}),
    "a number too long": ("a: " + "9" * 5000 + "\n---\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "nesting too deep": ("a: " + "[" * 20_000 + "\n---\napiVersion: v1\nkind: ConfigMap\n", {CONFIG_MAP}),
    "a List of itself": (
        "&a {apiVersion: v1, kind: List, items: [*a]}\n---\napiVersion: v1\nkind: ConfigMap\n",
        {CONFIG_MAP},
    ),
}


@pytest.mark.parametrize(("manifest", "expected"), KINDS.values(), ids=KINDS.keys())
def test_the_kinds_of_a_manifest_with(manifest: str, expected: set[ServedKind]) -> None:
    assert kinds(manifest) == expected


SHORT = {name: case for name, case in KINDS.items() if len(case[0]) < 1000}


@pytest.mark.parametrize(("manifest", "expected"), SHORT.values(), ids=SHORT.keys())
def test_parsing_finds_the_same_kinds_as_looking(manifest: str, expected: set[ServedKind]) -> None:
    assert {ServedKind(item["apiVersion"], item["kind"]) for item in objects(manifest)} == expected


def test_the_items_of_a_list_are_objects_by_themselves() -> None:
    manifest = "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: a}\n- {kind: Other, metadata: {name: b}}\n"

    assert list(objects(manifest)) == [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "Other", "metadata": {"name": "b"}},
    ]


def test_a_date_is_a_text_as_it_is_for_helm() -> None:
    (item,) = objects("apiVersion: v1\nkind: Secret\nstringData: {expires: 2024-01-31}\n")

    assert item["stringData"] == {"expires": "2024-01-31"}


def test_documents_are_kept_as_they_are_written() -> None:
    assert documents("---\na: 1 # one\n\n---\n\n---\nb: |\n  ---\n") == ["\na: 1 # one\n\n", "\nb: |\n  ---\n"]


@given(st.text(alphabet="akKiInNdD:-vV1/ \n\r\t\"'#&*|>[]{},A"))
def test_no_text_is_too_odd(manifest: str) -> None:
    assert all(isinstance(kind, ServedKind) for kind in kinds("apiVersion: v1\n" + manifest))
