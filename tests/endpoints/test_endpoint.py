"""Names of endpoints become servers: declared, known, or the address itself."""

from __future__ import annotations

import msgspec
import pytest

from turnwise.endpoints.endpoint import Endpoint, Price, resolved
from turnwise.foundation.errors import InputError


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_known_ones_need_no_declaration() -> None:
    assert resolved("openai", {}) == Endpoint("https://api.openai.com/v1", "OPENAI_API_KEY")
    assert resolved("gemini", {}).dialect == "gemini"
    assert resolved("local", {}) == Endpoint("http://localhost:8000/v1")


def test_openai_may_be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1/")
    assert resolved("openai", {}).url == "https://elsewhere.example/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert resolved("openai", {}).url == "https://api.openai.com/v1"


def test_a_declared_one_of_a_known_name_keeps_what_it_leaves_open() -> None:
    price = {"m": Price(1.0, 2.0)}
    told = resolved("gemini", {"gemini": Endpoint(connections=4, prices=price)})
    assert told == Endpoint(
        "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY", "gemini", connections=4, prices=price
    )
    assert resolved("openai", {"openai": Endpoint(key="MINE")}).key == "MINE"


def test_a_known_key_goes_to_no_other_address() -> None:
    assert resolved("openai", {"openai": Endpoint("https://elsewhere.example/v1")}).key == ""


def test_an_address_is_its_own_endpoint() -> None:
    assert resolved("http://127.0.0.1:9/v1/", {}) == Endpoint("http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("name", "declared", "message"),
    [
        ("opnai", {"mine": Endpoint("http://x")}, r"no endpoint is called 'opnai' \(known: gemini, local, mine, openai"),
        ("mine", {"mine": Endpoint()}, r"endpoints.mine.url: expected an address"),
        ("mine", {"mine": Endpoint("ftp://x")}, r"endpoints.mine.url: .* got 'ftp://x'"),
    ],
)
def test_what_is_no_endpoint_is_named(name: str, declared: dict[str, Endpoint], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolved(name, declared)


def test_a_field_that_is_not_known_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="conections"):
        msgspec.convert({"url": "http://x", "conections": 4}, type=Endpoint)
    with pytest.raises(msgspec.ValidationError, match="inputs"):
        msgspec.convert({"url": "http://x", "prices": {"m": {"inputs": 4}}}, type=Endpoint)
    with pytest.raises(msgspec.ValidationError, match="dialect"):
        msgspec.convert({"url": "http://x", "dialect": "klingon"}, type=Endpoint)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (Endpoint("https://me:sk-hidden-1234567890@x.example/v1"), "holds a name or a password"),
        (Endpoint("https://x.example/v1?api-key=sk-hidden-1234567890"), "query"),
        (Endpoint("https://x.example/v1", key="sk-hidden-1234567890abcdef"), "no name of a variable"),
    ],
)
def test_a_secret_in_the_study_is_refused_and_not_repeated(declared: Endpoint, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        resolved("it", {"it": declared})
    assert "hidden" not in str(caught.value)
