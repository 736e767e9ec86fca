"""YAML is read as Helm reads it, and none ends the process."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm_rollback.application import helm_yaml

DEEP = 60_000
SHAPES = {
    "lists": "a: " + "[" * DEEP,
    "lists that end": "a: " + "[" * DEEP + "]" * DEEP,
    "mappings": "a: " + "{b: " * DEEP,
    "pairs in lists": "[a: " * DEEP,
    "lists on one line": "- " * DEEP,
    "keys on one line": "? " * DEEP,
    "lists line by line": "".join(f"{' ' * level}-\n" for level in range(2000)),
    "mappings line by line": "".join(f"{' ' * level}a:\n" for level in range(2000)),
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES.keys())
def test_what_is_nested_deeply_is_refused_and_the_process_lives(text: str) -> None:
    program = "import sys\nfrom helm_rollback.application import helm_yaml\nhelm_yaml.load(sys.stdin.read())"

    done = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "ValueError: it is nested more than 200 levels deep" in done.stderr


@pytest.mark.parametrize("shape", ["[{}]", "{{a: {}}}", "[{{a: {}}}]"])
def test_what_is_nested_as_deeply_as_may_be_is_read(shape: str) -> None:
    text = "1"
    while len(text) < 190 * 2:
        text = shape.format(text)

    held = helm_yaml.load(text)

    while isinstance(held, dict | list):
        held = held["a"] if isinstance(held, dict) else held[0]
    assert held == 1


def test_a_few_lines_that_stand_for_more_than_fits_are_refused() -> None:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(ValueError, match="stands for more than 1000000 values"):
        helm_yaml.load("\n".join(lines))


def test_depth_that_aliases_make_counts() -> None:
    """Each line is no deeper than the one before, and stands for what is one level deeper."""
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 300))]

    with pytest.raises(ValueError, match="nested more than 200 levels deep"):
        helm_yaml.load("\n".join(lines))


def test_what_holds_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="it holds itself"):
        helm_yaml.load("a: &a [*a]")


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("a: =", {"a": "="}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 1:30.5", {"a": "1:30.5"}),
        ("a: " + "1:" * 80_000 + "1", {"a": "1:" * 80_000 + "1"}),
        ("a: 2024-13-45", {"a": "2024-13-45"}),
        ("a: 2024-01-02", {"a": "2024-01-02"}),
        ("base: &b {x: 1}\nmore: {<<: *b, y: 2}", {"base": {"x": 1}, "more": {"x": 1, "y": 2}}),
        ("a: '*.b'", {"a": "*.b"}),
        ("", None),
        ('{"a": [1, true, null]}', {"a": [1, True, None]}),
    ],
)
def test_what_helm_takes_is_read_as_helm_reads_it(text: str, held: object) -> None:
    assert helm_yaml.load(text) == held


UNREADABLE = ["a: [", "a: *unknown", "a: !!python/object:os.system x", "{[a]: b}", "a: " + "9" * 5000]
MISTAGGED = ["a: !!bool maybe", 'a: !!int ""', 'a: !!float ""', "a: !!timestamp now", "a: !!binary é", "!!map a"]


@pytest.mark.parametrize("text", UNREADABLE + MISTAGGED)
def test_what_can_not_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - of whatever text
        helm_yaml.load(text)

    assert "\n" not in str(refused.value)


TAGS = ["binary", "bool", "float", "int", "map", "merge", "null", "omap", "pairs", "seq", "set", "str", "timestamp"]
WORDS = ["a", "1", "0x", "_", "''", "~", ".", "true", "<<", "=", "2024-01-02", "&b ", "*b", "- ", "? ", ": ", "\n", " "]
PIECES = st.sampled_from(WORDS + list("[]{},|>%#\"'") + [f"!!{tag} " for tag in TAGS]) | st.text(max_size=3)


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_random_text_raises_nothing_but_value_errors(text: str) -> None:
    with contextlib.suppress(ValueError):
        helm_yaml.load(text)
