"""No value of a Secret leaves the service, wherever else it turns up."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helm_rollback.application.masking import MASK, UNREADABLE, masked_manifest, masked_text, masked_values, secrets_of


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def secret(**fields: Any) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}} | fields, sort_keys=False)


PASSWORD = "correct horse"
SECRET = secret(data={"password": base64(PASSWORD)})
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web # kept\ndata:\n  url: db://app:correct horse@db\n"

HELD: dict[str, tuple[str, set[str]]] = {
    "data, as written and decoded": (SECRET, {PASSWORD, base64(PASSWORD)}),
    "plain data": (secret(stringData={"password": PASSWORD}), {PASSWORD}),
    "each line of a key": (
        secret(stringData={"key": "-----BEGIN-----\nabcdef\nghijkl\n"}),
        {"-----BEGIN-----\nabcdef\nghijkl", "-----BEGIN-----", "abcdef", "ghijkl"},
    ),
    "each line of an encoded key": (secret(data={"key": base64("abcdef\nghijkl\n")}), {"abcdef", "ghijkl"}),
    "data that is encoded on several lines": (
        "apiVersion: v1\nkind: Secret\ndata:\n  password: |\n    Y29ycmVj\n    dCBob3JzZQ==\n",
        {PASSWORD, "Y29ycmVj", "dCBob3JzZQ=="},
    ),
    "data that is no base64": (secret(data={"password": "not base64!"}), {"not base64!"}),
    "data that is no text": (secret(data={"image": b64encode(b"\xff\xfe\xfd").decode()}), {"//79"}),
    "a quoted text as errors quote it": (secret(stringData={"a": 'say "hi"'}), {'say "hi"', 'say \\"hi\\"'}),
    "the Secrets of a list": (
        "apiVersion: v1\nkind: SecretList\nitems:\n- stringData: {password: correct horse}\n",
        {PASSWORD},
    ),
    "JSON": ('{"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "correct horse"}}', {PASSWORD}),
}


@pytest.mark.parametrize(("manifest", "texts"), HELD.values(), ids=HELD.keys())
def test_the_secrets_of_a_manifest_are(manifest: str, texts: set[str]) -> None:
    assert texts <= secrets_of(CONFIG_MAP + "---\n" + manifest)


NOT_HELD = {
    "no object": "",
    "another kind": CONFIG_MAP,
    "another kind that speaks of Secrets": "apiVersion: v1\nkind: Role\nrules: [{r: [Secret]}]\ndata: {a: kept}\n",
    "a Secret without data": secret(),
    "a Secret with empty data": secret(data=None, stringData={}),
    "data of the wrong type": secret(data=["a text"], stringData="a text"),
    "a Secret of short texts": secret(stringData={"user": "sa", "port": "543", "none": ""}),
}


@pytest.mark.parametrize("manifest", NOT_HELD.values(), ids=NOT_HELD.keys())
def test_nothing_is_secret_in(manifest: str) -> None:
    assert secrets_of(manifest) == frozenset()


# --- manifests --------------------------------------------------------------------------


def test_a_secret_is_shown_without_its_data() -> None:
    shown = yaml.safe_load(masked_manifest(secret(data={"a": "YQ=="}, stringData={"b": "x"}, type="Opaque")))

    assert shown == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db"},
        "data": {"a": MASK},
        "stringData": {"b": MASK},
        "type": "Opaque",
    }


def test_data_of_the_wrong_type_is_not_shown_either() -> None:
    assert "hidden" not in masked_manifest(secret(data=["hidden"], stringData="hidden too"))


def test_a_secret_text_is_masked_in_other_objects_too_and_all_else_is_kept() -> None:
    shown = masked_manifest(CONFIG_MAP + "---\n" + SECRET)

    assert shown.startswith(CONFIG_MAP.replace(PASSWORD, MASK) + "---\n")
    assert PASSWORD not in shown
    assert base64(PASSWORD) not in shown


def test_a_copy_in_a_secrets_own_annotation_is_masked() -> None:
    notes = "the password is correct horse, and " + "words " * 50
    shown = masked_manifest(
        secret(metadata={"annotations": {"note": notes}}, stringData={"p": PASSWORD, "w": "words words"})
    )

    assert PASSWORD not in shown
    assert "words words" not in shown


def test_a_manifest_without_secrets_is_shown_as_it_is() -> None:
    assert masked_manifest("---\n" + CONFIG_MAP) == "---\n" + CONFIG_MAP


def test_a_list_that_holds_a_secret_is_shown_item_by_item() -> None:
    items = [yaml.safe_load(CONFIG_MAP), yaml.safe_load(SECRET)]
    shown = masked_manifest(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))

    config_map, masked = yaml.safe_load_all(shown)
    assert (config_map["kind"], masked["kind"]) == ("ConfigMap", "Secret")
    assert config_map["data"] == {"url": f"db://app:{MASK}@db"}
    assert PASSWORD not in shown
    assert base64(PASSWORD) not in shown


def test_what_may_be_a_secret_and_can_not_be_read_is_left_out() -> None:
    """Go reads YAML that Python does not, and the other way round."""
    shown = masked_manifest(CONFIG_MAP + "---\nkind: Secret\nstringData: {password: @hidden}\n---\na: @shown\n")

    assert "hidden" not in shown
    assert UNREADABLE in shown
    assert "@shown" in shown


@given(st.lists(st.text("abcdefgh0123456789:/#'\"\\äß", min_size=4), min_size=1))
def test_no_value_of_a_secret_is_in_what_is_shown(texts: list[str]) -> None:
    data = {f"key{number}": text for number, text in enumerate(texts)}
    copies = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "data": {key: f"a copy of {text}!" for key, text in data.items()},
    }
    shown = masked_manifest(yaml.safe_dump(copies, allow_unicode=True, width=10**6) + "---\n" + secret(stringData=data))

    assert not [text for text in texts if text in shown]


# --- values and output ------------------------------------------------------------------


def test_a_secret_value_is_masked_wherever_it_stands_in_values() -> None:
    values = {
        "db": {"password": PASSWORD, "user": "app"},
        "urls": ["db://app:correct horse@db", {"plain": "kept"}],
        "pin": 4711,
        "replicas": 3,
        "debug": True,
        "none": None,
    }

    assert masked_values(values, {PASSWORD, "4711"}) == {
        "db": {"password": MASK, "user": "app"},
        "urls": [f"db://app:{MASK}@db", {"plain": "kept"}],
        "pin": MASK,
        "replicas": 3,
        "debug": True,
        "none": None,
    }


def test_values_are_masked_in_a_copy() -> None:
    values = {"db": {"password": PASSWORD}}

    masked_values(values, {PASSWORD})

    assert values == {"db": {"password": PASSWORD}}


def test_of_two_secrets_the_longer_is_masked_first() -> None:
    assert masked_text("hunter2hunter2 hunter2", {"hunter2", "hunter2hunter2"}) == f"{MASK} {MASK}"


def test_a_text_without_secrets_is_kept() -> None:
    assert masked_text("Error: no", frozenset()) == "Error: no"
