"""What names the objects of a manifest: the same, whether lines are found or it is parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm_rollback.application import manifest
from helm_rollback.domain.live_object import ObjectKey

HEAD = "apiVersion: v1\nkind: ConfigMap\n"
A = ObjectKey("", "ConfigMap", "prod", "a")
ELSEWHERE = A._replace(namespace="other")

NAMES: dict[str, tuple[str, set[ObjectKey]]] = {
    "nothing": ("", set()),
    "a name": (HEAD + "metadata:\n  name: a\n", {A}),
    "no newline at the end": (HEAD + "metadata:\n  name: a", {A}),
    "a namespace": (HEAD + "metadata:\n  namespace: other\n  name: a\n", {ELSEWHERE}),
    "an empty namespace": (HEAD + "metadata:\n  name: a\n  namespace:\n", {A}),
    "quotes": (HEAD + "metadata:\n  name: \"a\"\n  namespace: 'other'\n", {ELSEWHERE}),
    "comments": (HEAD + "metadata: # one\n  # two\n# three\n  name: a # four\n  # five\n", {A}),
    "Windows line ends": (HEAD + "metadata:\r\n  name: a\r\n\r\n  namespace: other\r\n", {ELSEWHERE}),
    "wider indentation": (HEAD + "metadata:\n    labels:\n        name: b\n    name: a\n", {A}),
    "a name further in": (HEAD + "metadata:\n  labels:\n    name: b\n    namespace: b\n  name: a\n", {A}),
    "a name in a block": (HEAD + "metadata:\n  annotations:\n    x: |\n      name: b\n  name: a\n", {A}),
    "a name elsewhere": (HEAD + "data:\n  name: b\nmetadata:\n  name: a\nspec:\n  namespace: b\n", {A}),
    "metadata first": ("metadata:\n  name: a\n" + HEAD, {A}),
    "a list at the same indentation": (
        HEAD + "metadata:\n  finalizers:\n  - x\n  name: a\n  namespace: other\n",
        {ELSEWHERE},
    ),
    "flow style": (HEAD + "metadata: {name: a, namespace: other}\n", {ELSEWHERE}),
    "a merged namespace": (HEAD + "x: &x {namespace: other}\nmetadata:\n  <<: *x\n  name: a\n", {ELSEWHERE}),
    "a quoted key": (HEAD + 'metadata:\n  "namespace": other\n  name: a\n', {ELSEWHERE}),
    "a blank before the colon": (HEAD + "metadata:\n  namespace : other\n  name: a\n", {ELSEWHERE}),
    "a value on the next line": (HEAD + "metadata:\n  namespace:\n    other\n  name: a\n", {ELSEWHERE}),
    "an alias": (HEAD + "x: &x other\nmetadata:\n  namespace: *x\n  name: a\n", {ELSEWHERE}),
    "a key twice": (HEAD + "metadata:\n  name: b\n  name: a\n", {A}),
    "a name within a quotation": (HEAD + 'metadata:\n  text: "\n  name: b\n  "\n  name: a\n', {A}),
    "a name within brackets": (HEAD + "metadata:\n  labels: {\n  name: b\n  }\n  name: a\n", {A}),
    "an escaped quotation mark": (HEAD + 'metadata:\n  text: "\\"\n  namespace: b\n  "\n  name: a\n', {A}),
    "metadata twice": (HEAD + "metadata:\n  name: b\nmetadata:\n  name: a\n", {A}),
    "JSON": ('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}', {A}),
    "JSON on several lines": (
        '{\n"apiVersion": "v1",\n"kind": "ConfigMap",\n"metadata": {\n  "name": "a"\n}\n}\n',
        {A},
    ),
    "a name that begins with a digit": (HEAD + "metadata:\n  name: 1a\n", {A._replace(name="1a")}),
    "a name with a colon": (HEAD + "metadata:\n  name: system:a\n", {A._replace(name="system:a")}),
    "a lone equals sign": (HEAD + "metadata: {name: a}\ndata:\n  op: =\n", {A}),
    "no name": (HEAD + "metadata:\n  generateName: a-\n", set()),
    "no metadata": (HEAD, set()),
    "a text as metadata": (HEAD + "metadata: a\n", set()),
    "two objects": (
        HEAD + "metadata:\n  name: a\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: b\n",
        {A, ObjectKey("apps", "Deployment", "prod", "b")},
    ),
    "a List": (
        "apiVersion: v1\nkind: List\nmetadata:\n  name: b\nitems:\n"
        "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n",
        {A},
    ),
    "comments alone": ("# Source: shop/templates/empty.yaml\n", set()),
}


@pytest.mark.parametrize(("text", "expected"), NAMES.values(), ids=NAMES.keys())
def test_the_objects_of_a_manifest_with(text: str, expected: set[ObjectKey]) -> None:
    assert manifest.named_objects(text, namespace="prod").keys() == expected


@pytest.mark.parametrize(("text", "expected"), NAMES.values(), ids=NAMES.keys())
def test_parsing_finds_the_same_objects_as_looking(text: str, expected: set[ObjectKey]) -> None:
    assert parsed(text) == expected


def test_the_version_is_told_as_it_is_written() -> None:
    text = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: a\n"

    assert manifest.named_objects(text, namespace="prod") == {
        ObjectKey("autoscaling", "HorizontalPodAutoscaler", "prod", "a"): "autoscaling/v2"
    }


def test_a_document_that_can_not_be_read_may_hold_any_object() -> None:
    with pytest.raises(ValueError, match="while parsing"):
        manifest.named_objects(HEAD + "metadata:\n  name: a\n---\na: [\n", namespace="prod")


LINES = st.lists(
    st.sampled_from(
        [
            *("  name: a", "  name: b", "    name: b", "  namespace: other", "   namespace: b", '  "namespace": other'),
            *("  labels:", "  labels: {name: b}", "  x: |", "  - name: b", "# name: b", "", "  # name: b", "spec:"),
            *("  <<: {namespace: other}", "metadata:", "  name: 'a'", '  text: "', '  name: b"', "  name: a\r"),
            *(
                "  labels: {",
                "  name: b}",
                "  text: 'it''s",
                "  text: [",
                "  ]",
                r'  text: "\"',
                "  name: a: b",
                "  ? x",
            ),
        ]
    ),
    max_size=7,
)


@given(LINES)
def test_what_is_found_by_looking_is_what_parsing_finds(lines: list[str]) -> None:
    text = HEAD + "\n".join(["metadata:", *lines])
    try:
        expected = parsed(text)
    except ValueError:
        return  # no YAML, so Helm stored no such manifest

    assert manifest.named_objects(text, namespace="prod").keys() == expected


def parsed(text: str) -> set[ObjectKey]:
    """The objects, from the parsed documents alone."""
    found = set()
    for document in manifest.documents(text):
        for item in manifest.objects_of(document):
            metadata = item.get("metadata")
            if isinstance(metadata, dict) and metadata.get("name"):
                group = item["apiVersion"].rpartition("/")[0]
                place = str(metadata.get("namespace") or "prod")
                found.add(ObjectKey(group, item["kind"], place, str(metadata["name"])))
    return found
