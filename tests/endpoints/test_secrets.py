"""What is sent to a server as a key is taken out of whatever comes back, whatever its variable is called."""

from __future__ import annotations

import pytest

from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.secrets import without_keys, without_secrets
from turnwise.endpoints.sending import Address

KEY = "an-ordinary-looking-value"


def test_the_key_of_an_endpoint_is_a_secret_under_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETS_ME_IN", f" {KEY}\n")
    assert without_keys(f"you sent {KEY}!") == f"you sent {KEY}!"  # nobody has said that it is one
    address = Address("it", Endpoint("http://127.0.0.1/v1", "LETS_ME_IN"))
    assert address.key() == KEY
    assert without_keys(f"you sent {KEY}!") == without_secrets(f"you sent {KEY}!") == "you sent [LETS_ME_IN]!"


def test_a_model_may_say_what_only_looks_like_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETS_ME_IN", "EMPTY")  # as servers that need no key are given one
    Address("it", Endpoint("http://127.0.0.1/v1", "LETS_ME_IN"))
    said = "EMPTY handed: key-performance-indicators of the quarter"
    assert without_keys(said) == said
    assert without_secrets(said) == "EMPTY handed: [secret] of the quarter"


def test_a_key_is_taken_out_in_every_form_it_may_be_echoed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import json
    from urllib.parse import quote

    value = "aB+c/d=e/fgh+12345=="
    monkeypatch.setenv("SOME_API_KEY", value)
    coded = base64.b64encode(value.encode()).decode()
    for echoed in (value, json.dumps(value)[1:-1], value.replace("/", "\\/"), quote(value, safe=""), coded, coded.rstrip("=")):
        assert "[SOME_API_KEY]" in without_secrets(f"you sent {echoed}, did you not?"), echoed
        assert echoed not in without_secrets(f"you sent {echoed}, did you not?")
