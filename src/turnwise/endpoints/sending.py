"""What is sent and where to: the address of an endpoint, its key, the user's proxy, and bodies."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from turnwise.endpoints.attempts import AttemptFailed
from turnwise.endpoints.endpoint import Endpoint
from turnwise.foundation.errors import InputError
from turnwise.foundation.secrets import declare

if TYPE_CHECKING:
    import aiohttp

JSON = {"Content-Type": "application/json"}
EVENTS = {**JSON, "Accept": "text/event-stream", "Accept-Encoding": "identity"}  # a compressor would hold events back
_LARGE = 1 << 20  # bytes; a larger body is sent in pieces, so that the loop goes on meanwhile


class Address:
    """Where an endpoint is, and with what a request is let in there."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        try:
            parts = urlsplit(endpoint.url)
        except ValueError as error:
            raise InputError(f"endpoints.{name}.url is no address: {error}") from None
        if parts.username is not None or parts.password is not None:
            raise InputError(f"endpoints.{name}.url holds a name or a password", "name a variable of the environment with `key`")
        if endpoint.key:
            declare(endpoint.key)
        self._name = name
        self._endpoint = endpoint
        self._header = "x-goog-api-key" if endpoint.dialect == "gemini" else "Authorization"
        self._scheme = "" if endpoint.dialect == "gemini" else "Bearer "
        self.proxy = _proxy(parts.scheme, parts.hostname or "")

    def url(self, path: str) -> str:
        return f"{self._endpoint.url}/{path.removeprefix('/')}"

    def key(self) -> str:
        """Read from the environment now; "" where the endpoint has none."""
        name = self._endpoint.key
        if not name:
            return ""
        key = os.environ.get(name, "").strip()
        if not key:
            raise InputError(f"endpoints.{self._name}.key: the environment variable {name} is not set", f"set {name} to the key")
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"endpoints.{self._name}.key: the value of {name} holds characters that no key has", "set it again")
        return key

    def headers(self, key: str, others: Mapping[str, str]) -> dict[str, str]:
        return {**others, self._header: self._scheme + key} if key else dict(others)


def price_table(name: str, model: str) -> str:
    """Where a study file holds the price of a model."""
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
    return f'[endpoints.{key}.prices."{model}"]'


def encoded(body: Mapping[str, Any]) -> bytes | io.BytesIO:
    data = msgspec.json.encode(body)
    return data if len(data) <= _LARGE else io.BytesIO(data)


def form(fields: Mapping[str, str], file: tuple[str, bytes, str]) -> aiohttp.FormData:
    """A form with a file (name, content, type)."""
    import aiohttp

    filled = aiohttp.FormData()
    for field, value in fields.items():
        filled.add_field(field, value)
    name, data, kind = file
    filled.add_field("file", io.BytesIO(data), filename=name, content_type=kind)
    return filled


def opened() -> aiohttp.ClientSession:
    """Connections to any number of servers; how many, `Limits` decides. Requests carry as `trace_request_ctx` an object whose
    `sent` becomes the time.perf_counter() of sending: connecting is over then, and the head of the request goes out.
    """
    import aiohttp

    watch = aiohttp.TraceConfig()
    watch.on_request_headers_sent.append(_sent)
    watch.on_request_redirect.append(_redirected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[watch],
    )


async def _sent(session: Any, context: Any, details: Any) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.sent = time.perf_counter()


async def _redirected(session: Any, context: Any, details: Any) -> None:
    """Only WebSockets come here: aiohttp follows their redirects, and would take along a key in a header it does not know."""
    details.response.close()
    raise AttemptFailed("refused", "a WebSocket was redirected (not followed: that could take the key elsewhere)")


def _proxy(scheme: str, host: str) -> str | None:
    """The user's proxy by the environment; never one for this machine itself."""
    try:
        own = ip_address(host).is_loopback
    except ValueError:
        own = host == "localhost" or host.endswith(".localhost")
    return None if own or proxy_bypass(host) else getproxies().get(scheme)
