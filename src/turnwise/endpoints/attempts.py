"""What became of one attempt: which failures are worth another, after how long, and how they are told without a key in them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from turnwise.endpoints.secrets import without_secrets
from turnwise.foundation.errors import EngineError, InputError, TurnwiseError

BASE, LONGEST = 0.5, 30.0  # seconds of back-off: at most BASE * 2**n after failure n, and never more than LONGEST
LONGEST_PAUSE = 600.0  # seconds a server may ask to be left alone; a longer one is a failure, not a wait
AGAIN = frozenset(("broken-answer", "connection", "rate-limit", "server-error", "timeout"))  # causes worth another attempt
NOT_JSON = (ValueError, RecursionError)  # what decoding raises: no JSON, no UTF-8, nested beyond all reason
_TOLD = 300  # characters of a server's words in a message
_STATUS_CAUSES = {408: "timeout", 409: "server-error", 425: "server-error", 429: "rate-limit"}
_USER_IN_ADDRESS = re.compile(r"//[^/\s@]+@")
# Words in the codes of errors (`code`, `type`, `status`), as servers use them.
_NO_CREDIT = ("insufficient_quota", "billing", "insufficient_balance", "payment_required")
_LIMITED = ("rate_limit", "rate limit", "ratelimit", "resource_exhausted", "too_many_requests", "throttl", "429")
_OVERLOADED = ("server_error", "overload", "unavailable", "internal", "timeout", "deadline", "500", "502", "503", "504", "529")


class AttemptFailed(EngineError):
    """One attempt at one request came to nothing."""

    def __init__(
        self, cause: str, message: str, *, again: bool | None = None, pause: float | None = None, too_much: bool | None = None
    ) -> None:
        """`pause` in seconds where the server said for how long to leave it alone; `too_much` where it has too much to do."""
        super().__init__(cause, message)
        self.again = cause in AGAIN if again is None else again
        self.pause = pause
        self.too_much = cause == "rate-limit" if too_much is None else too_much
        if pause is not None and pause > LONGEST_PAUSE:
            self.again = False
            self.hint = f"the server asks to be left alone for {pause:.0f} s"


def worth_another(error: EngineError) -> bool:
    return error.again if isinstance(error, AttemptFailed) else error.cause in AGAIN


class Answerer:
    """Who answered, for messages: the endpoint by name, and its key, which no message holds."""

    def __init__(self, name: str, url: str, key_name: str) -> None:
        self.name = name
        self.url = url
        self.key_name = key_name

    def error_of_status(
        self, status: int, headers: Mapping[str, str], body: bytes, key: str, model: str, path: str
    ) -> TurnwiseError:
        """The error that an answer with this status is."""
        answer = decoded(body)
        words = self.words(answer if answer is not None else body.decode("utf-8", "replace"), key)
        told = f": {words}" if words else ""
        codes = _codes(answer)
        if status in (401, 403) or "api_key_invalid" in codes:
            needed = f"the key in {self.key_name}" if self.key_name else "a request without a key"
            hint = (
                f"set {self.key_name} to a key that may use {model}"
                if self.key_name
                else f"name its key: [endpoints.{self.name}] key"
            )
            return InputError(f"endpoint {self.name}: {self.url} refuses {needed} ({status}{told})", hint)
        if status == 404:
            return InputError(
                f"endpoint {self.name}: {self.url} has no {path} or no model {model!r} (404{told})",
                "mend the address or the model's name",
            )
        if status == 402 or any(word in codes for word in _NO_CREDIT):
            return InputError(
                f"endpoint {self.name}: the account has no credit left ({status}{told})", "add credit, then run again"
            )
        message = f"endpoint {self.name}: {path} was answered with {status}{told}"
        if status in _STATUS_CAUSES or status >= 500:
            too_much = status in (429, 503)
            pause = retry_after(headers, answer) if too_much else None
            return AttemptFailed(_STATUS_CAUSES.get(status, "server-error"), message, pause=pause, too_much=too_much)
        if 300 <= status < 400:
            message += " (redirects are not followed: they could take the key elsewhere)"
        return AttemptFailed("refused", message)

    def error_inside(self, answer: Any, key: str, path: str) -> AttemptFailed | None:
        """The error that an answer with status 200 holds, if it holds one."""
        if not isinstance(answer, dict) or not (answer.get("error") or answer.get("object") == "error"):
            return None
        codes = _codes(answer) or str(answer["error"]).lower()
        if any(word in codes for word in _LIMITED):
            cause = "rate-limit"
        elif any(word in codes for word in _OVERLOADED):
            cause = "server-error"
        else:
            cause = "refused"
        return AttemptFailed(cause, f"endpoint {self.name}: {path} was answered with an error: {self.words(answer, key)}")

    def lost(self, error: BaseException, key: str, path: str) -> AttemptFailed:
        """What an error of the transport says."""
        import aiohttp

        why = self.words(str(error), key) or type(error).__name__
        where = f"endpoint {self.name}: {path}"
        if isinstance(error, TimeoutError):
            return AttemptFailed("timeout", f"{where} was not answered in time")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return AttemptFailed("connection", f"{where}: the server's certificate is not trusted: {why}", again=False)
        if isinstance(error, aiohttp.InvalidURL):
            return AttemptFailed("connection", f"{where}: this is no address: {why}", again=False)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return AttemptFailed("connection", f"{where}: the proxy does not connect: {why}", again=error.status >= 500)
        if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
            return AttemptFailed("broken-answer", f"{where} was answered in part: {why}")
        return AttemptFailed("connection", f"{where}: the connection failed: {why}")

    def words(self, answer: Any, key: str) -> str:
        """What a server said, short, without secrets."""
        error = answer.get("error") or answer if isinstance(answer, dict) else answer
        said = error.get("message") or error if isinstance(error, dict) else error
        text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
        if key:
            text = text.replace(key, f"[{self.key_name}]")
        text = " ".join(_USER_IN_ADDRESS.sub("//", without_secrets(text)).split())
        return text if len(text) <= _TOLD else text[: _TOLD - 1] + "…"


def retry_after(headers: Mapping[str, str], answer: Any = None) -> float | None:
    """Seconds after which the server may be asked again, as it says: in milliseconds, seconds, a date, or inside the answer."""
    if (exact := _seconds(headers.get("retry-after-ms", ""))) is not None:
        return exact / 1000
    said = headers.get("retry-after", "")
    if (seconds := _seconds(said)) is not None:
        return seconds
    if said:
        try:
            until = parsedate_to_datetime(said).timestamp()
        except ValueError:
            return None
        try:
            now = parsedate_to_datetime(headers.get("date", "")).timestamp()  # its own clock may differ from ours
        except ValueError:
            now = time.time()
        return max(0.0, until - now)
    error = answer.get("error") if isinstance(answer, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():  # Gemini's google.rpc.RetryInfo: {"retryDelay": "17s"}
        if isinstance(detail, dict) and isinstance(delay := detail.get("retryDelay"), str):
            return _seconds(delay.removesuffix("s"))
    return None


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except NOT_JSON:
        return None


def _codes(answer: Any) -> str:
    """All that an error is called by in its answer, in lower case."""
    error = answer.get("error") or answer if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return ""
    details = error.get("details")
    reasons = [one.get("reason") for one in (details if isinstance(details, list) else ()) if isinstance(one, dict)]
    return " ".join(str(name).lower() for name in (error.get("code"), error.get("type"), error.get("status"), *reasons) if name)
