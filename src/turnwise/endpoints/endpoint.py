"""An endpoint: a server that answers requests, as the user declares it: where, with which key, how fast, at what price.

What an endpoint is called and which model is asked for belong to a result's identity; the address behind the name, the limits and
the prices do not, so a server may move, slow down or get cheaper without making answers old. The value of a key is read from the
environment at the moment of sending, and is sent to no other address than the endpoint's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from turnwise.foundation.errors import InputError

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")  # as environments are written; a pasted key has other letters
Dialect = Literal["openai", "vllm", "vllm-omni", "sglang", "dashscope", "gemini", "vertex"]


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one model costs here, in US dollars (or any one currency throughout)."""

    input: float = 0.0  # per million tokens of text
    output: float = 0.0
    audio_input: float | None = None  # per million tokens of audio; as `input` where not given
    audio_output: float | None = None
    minute: float = 0.0  # per minute of audio sent, for transcription priced by time
    character: float = 0.0  # per million characters of text sent, for speech priced by length


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A server and how it may be used."""

    url: str = ""  # base, e.g. "https://api.openai.com/v1"; paths are appended to it
    key: str = ""  # name of the environment variable that holds the key; "" for none
    dialect: Dialect = "openai"
    connections: int = 16  # requests under way at the same time
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None  # as sent and received together
    timeout: float = 120.0  # seconds for one attempt, from sending to the last byte
    idle: float = 30.0  # seconds without a single byte before an attempt counts as stalled
    retries: int = 6  # attempts after the first
    prices: dict[str, Price] = {}  # by model


def known() -> dict[str, Endpoint]:
    """Endpoints that need no declaration."""
    return {
        "openai": Endpoint(os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1", "OPENAI_API_KEY"),
        "gemini": Endpoint("https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY", "gemini"),
        "local": Endpoint("http://localhost:8000/v1"),
    }


def resolved(name: str, declared: Mapping[str, Endpoint]) -> Endpoint:
    """The endpoint of a name: declared, known, or the address itself (without a key). A declared one of a known name keeps what
    it leaves open.
    """
    base = known().get(name)
    endpoint = declared.get(name)
    if endpoint is not None:
        if base is not None and not endpoint.url:
            key = endpoint.key or base.key
            dialect = endpoint.dialect if endpoint.dialect != "openai" else base.dialect
            endpoint = msgspec.structs.replace(endpoint, url=base.url, key=key, dialect=dialect)
    elif base is not None:
        endpoint = base
    elif name.startswith(("http://", "https://")):
        endpoint = Endpoint(name)
    else:
        here = ", ".join(sorted({*declared, *known()}))
        raise InputError(f"no endpoint is called {name!r}", f"known: {here}; or give an address, or declare [endpoints.{name}]")
    return checked(name, endpoint)


def checked(name: str, endpoint: Endpoint) -> Endpoint:
    """An endpoint that can be reached and keeps its key out of the study; what is refused is not repeated."""
    place = "the endpoint's address" if "://" in name else f"endpoints.{name}.url"
    if not endpoint.url.startswith(("http://", "https://")):
        raise InputError(f"{place}: expected an address that starts with http:// or https://, got {endpoint.url!r}")
    try:
        parts = urlsplit(endpoint.url)
    except ValueError as error:
        raise InputError(f"{place} is no address: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise InputError(f"{place} holds a name or a password", "name a variable of the environment with `key`")
    if parts.query or parts.fragment:
        raise InputError(
            f"endpoints.{name}.url ends in a query or a fragment", "give the base address, to which paths are appended"
        )
    if endpoint.key and not _VARIABLE.fullmatch(endpoint.key):
        raise InputError(
            f"endpoints.{name}.key is no name of a variable",
            "put the key into a variable of the environment and give that variable's name, such as OPENAI_API_KEY",
        )
    return msgspec.structs.replace(endpoint, url=endpoint.url.rstrip("/"))
