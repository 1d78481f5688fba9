"""What is sent to a server as a key is taken out of whatever comes back, whatever its variable is called."""

from __future__ import annotations

import base64
import html
import json
import random
import string
import time
from urllib.parse import unquote

import pytest

from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.sending import Address
from turnwise.foundation.secrets import without_keys, without_secrets

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


VALUE = "sk-proj-aB3+c/d=e&fgh_12345<xyz>ZQ9w8v7u6t5"


def declared(monkeypatch: pytest.MonkeyPatch, value: str = VALUE) -> None:
    monkeypatch.setenv("LETS_ME_IN", value)
    Address("it", Endpoint("http://127.0.0.1/v1", "LETS_ME_IN"))


def escaped_one_by_one(text: str, form: str) -> str:
    return "".join(form.format(ord(c), c) if not c.isalnum() else c for c in text)


@pytest.mark.parametrize(
    "echoed",
    [
        VALUE,
        json.dumps(json.dumps(VALUE.replace("/", "\\/")))[1:-1],
        json.dumps(json.dumps(json.dumps({"key": VALUE}))),
        html.escape(VALUE),
        html.escape(html.escape(VALUE)),
        escaped_one_by_one(VALUE, "&#{0};"),
        escaped_one_by_one(VALUE, "&#x{0:02X};"),
        escaped_one_by_one(VALUE, "&amp;#{0};"),
        escaped_one_by_one(VALUE, "\\u{0:04x}"),
        escaped_one_by_one(VALUE, "\\\\u{0:04X}"),
        escaped_one_by_one(VALUE, "%{0:02x}"),
        escaped_one_by_one(VALUE, "%25{0:02X}"),
        VALUE.replace("&", "&amp;").replace("/", "\\/").replace("+", "%2B"),
        VALUE[:20] + "...",
        VALUE[:11] + "****",
        "…" + VALUE[-9:],
        VALUE[5:30],
        html.escape(VALUE[:26]) + "…",
        html.escape(VALUE)[:33] + "…",
        base64.b64encode(VALUE.encode()).decode()[:24] + "...",
    ],
)
def test_a_key_is_known_escaped_twice_or_cut(echoed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch)
    for around in ("Incorrect API key provided: {}. Try again.", '{{"message": "key \\"{}\\" is unknown"}}', "{}"):
        cleaned = without_keys(around.format(echoed))
        assert "[LETS_ME_IN]" in cleaned
        plain = html.unescape(html.unescape(unquote(unquote(cleaned)))).replace("\\", "")
        assert not any(VALUE[start : start + 8] in plain for start in range(len(VALUE) - 7)), cleaned
        before, _, after = around.partition("{}")
        assert cleaned.startswith(before.format()) and cleaned.endswith(after.format())


def test_what_is_no_key_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch, "my-conversational-agent-key-2026")
    for said in (
        "a conversational agent",
        "my-conversational style",
        'He said \\"100 % &amp; more\\" at 50%25 \\u00e9',
        "",
        "key-2026 or so"[:7],
        "C:\\path\\to &lt;file&gt;",
    ):
        assert without_keys(said) == said
    assert without_keys("agent-key-2026") == "[LETS_ME_IN]"


def test_a_record_stays_json_where_a_key_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch)
    record = {"text": f'he said "{VALUE[:15]}", \n {html.escape(VALUE)}', "notes": [VALUE, "\\"], "n": 1}
    cleaned = json.loads(without_keys(json.dumps(record)))
    assert cleaned == {"text": 'he said "[LETS_ME_IN]", \n [LETS_ME_IN]', "notes": ["[LETS_ME_IN]", "\\"], "n": 1}


def test_long_texts_and_long_keys_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    key = "".join(draw.choices(string.ascii_letters + string.digits, k=1200))
    declared(monkeypatch, key)
    text = json.dumps(['some "words" & more', "x" * 50]) * 5000
    began = time.perf_counter()
    assert without_keys(text) == text
    assert without_keys(text + key[300:320]) == text + "[LETS_ME_IN]"
    assert time.perf_counter() - began < 6
