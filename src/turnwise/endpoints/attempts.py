"""What became of one attempt: which failures are worth another, after how long, and how they are told without a key in them.

A request that is longer than the model can read has a cause of its own, `context-length`: nothing but a shorter request helps.
"""

from __future__ import annotations

import html
import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from turnwise.foundation.errors import EngineError, InputError, TurnwiseError
from turnwise.foundation.secrets import without_secrets

BASE, LONGEST = 0.5, 30.0  # seconds of back-off: at most BASE * 2**n after failure n, and never more than LONGEST
LONGEST_PAUSE = 600.0  # seconds a server may ask to be left alone; a longer one is a failure, not a wait
AGAIN = frozenset(("broken-answer", "connection", "rate-limit", "server-error", "timeout"))  # causes worth another attempt
NOT_JSON = (ValueError, RecursionError)  # what decoding raises: no JSON, no UTF-8, nested beyond all reason
_TOLD = 300  # characters of a server's words in a message
_OF_A_PAGE = 50_000  # characters that are looked at
_GLIMPSE = 80  # of something broken
_STATUS_CAUSES = {408: "timeout", 409: "server-error", 425: "server-error", 429: "rate-limit"}
_PAGE = re.compile(r"\s*(?:<!--.*?-->\s*)?<(?:!doctype|html|head|body|title|h\d|p|center|\?xml)\b", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style|head|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^<>]{0,100}>(.{0,300}?)</title", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*(?:>|\Z)")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # of a character beyond the first 65,536, as JSON writes it
_USER_IN_ADDRESS = re.compile(r"//[^/\s@]+@")
# Words in the codes of errors (`code`, `type`, `status`), as servers use them.
_NO_CREDIT = ("insufficient_quota", "billing", "insufficient_balance", "payment_required")
_LIMITED = ("rate_limit", "rate limit", "ratelimit", "resource_exhausted", "too_many_requests", "throttl", "429")
# How servers say that a request is longer than the model reads: OpenAI and vLLM, SGLang, Gemini, DashScope, others.
_LONG_CODES = ("context_length", "context_window", "string_above_max_length")
_LONG_WORDS = re.compile(
    r"context length|context window|context_length_exceeded|input token count|prompt is too long|input is too long|"
    r"range of input length|longer than the (?:model|maximum)|exceeds? the (?:model|maximum number of (?:input )?tokens)|"
    r"max_model_len",
    re.IGNORECASE,
)
_SHORTER = "show less of the past (`past` of the arm's context), ask for a shorter answer, or name a model that reads more"
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
                else f"say which variable holds its key: `key` of the endpoint {self.name} (listen has --key)"
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
        if status in (400, 413, 422) and _too_long(codes, words):
            return AttemptFailed("context-length", self._too_long(path, f"{status}{told}"))
        message = f"endpoint {self.name}: {path or self.url} was answered with {status}{told or _nothing_told(headers)}"
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
        words = self.words(answer, key)
        if _too_long(codes, words):
            return AttemptFailed("context-length", self._too_long(path, words))
        if any(word in codes for word in _LIMITED):
            cause = "rate-limit"
        elif any(word in codes for word in _OVERLOADED):
            cause = "server-error"
        else:
            cause = "refused"
        return AttemptFailed(cause, f"endpoint {self.name}: {path or self.url} was answered with an error: {words}")

    def not_json(self, status: int, kind: str, body: bytes, key: str, path: str) -> AttemptFailed:
        """What came where JSON was promised: nothing, a page, or something else."""
        where = f"endpoint {self.name}: {path or self.url} was answered with {status}"
        if not body.strip():
            return AttemptFailed("broken-answer", f"{where} and no content, expected JSON")
        text = body.decode("utf-8", "replace")
        what = kind or "no content type"
        said = self.words(text, key)
        if kind == "application/json":
            return AttemptFailed("broken-answer", f"{where}, and the answer of {path} is not JSON: {said[:_GLIMPSE]}")
        error = AttemptFailed("broken-answer", f"{where} and {what}, expected JSON: {said}")
        if _PAGE.match(text):
            error.hint = f"that is a page for people: is {self.url} the address of the interface? most end in /v1"
        return error

    def _too_long(self, path: str, told: str) -> str:
        return f"endpoint {self.name}: what was sent to {path} is longer than the model can read ({told}): {_SHORTER}"

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
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        text = _seen(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
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


def json_of(body: bytes) -> Any:
    """The JSON in a body; raises one of NOT_JSON. Halves of characters, which some servers send, stay in its texts."""
    try:
        return msgspec.json.decode(body)
    except NOT_JSON:
        if not _HALF.search(body):
            raise
        return json.loads(body, parse_constant=_no_number)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def decoded(body: bytes) -> Any:
    try:
        return json_of(body)
    except NOT_JSON:
        return None


def _seen(text: str) -> str:
    """What a reader of a page would see, its title first; other text as it is."""
    if not _PAGE.match(text):
        return text
    text = text[:_OF_A_PAGE]
    title = _TITLE.search(text)
    shown = html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text)))
    named = html.unescape(_TAG.sub(" ", title[1])).strip() if title else ""
    return shown if not named or shown.split()[: len(named.split())] == named.split() else f"{named}: {shown}"


def _nothing_told(headers: Mapping[str, str]) -> str:
    """For an answer without a word, what it was said to be."""
    kind = headers.get("content-type", "").partition(";")[0].strip()
    return f" and no content ({kind})" if kind else " and no content"


def _too_long(codes: str, words: str) -> bool:
    return any(word in codes for word in _LONG_CODES) or bool(_LONG_WORDS.search(words))


def _codes(answer: Any) -> str:
    """All that an error is called by in its answer, in lower case."""
    error = answer.get("error") or answer if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return ""
    details = error.get("details")
    reasons = [one.get("reason") for one in (details if isinstance(details, list) else ()) if isinstance(one, dict)]
    return " ".join(str(name).lower() for name in (error.get("code"), error.get("type"), error.get("status"), *reasons) if name)
