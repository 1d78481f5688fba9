"""A script at work in another Python interpreter, asked in JSON lines, one request at a time.

For libraries that cannot live beside ours because they are tied to other versions. The script is started in a folder of its own
and in a session of its own, and ends when its input ends. A script that dies, does not answer in time or answers something else
is an `EngineError` ("worker-died", "timeout", "broken-answer") with its last words; it is then gone, and whoever wants another
asks for one.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from turnwise.foundation.errors import EngineError, InputError

_GRACE = 5.0  # seconds to end once its input has ended
_LAST_WORDS = 4000  # bytes of standard error that are looked at
_OURS = ("PYTHONPATH", "PYTHONHOME")


def foreign_environment() -> dict[str, str]:
    """Our environment without what would mislead another interpreter."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


class ForeignPython:
    """The running script."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.running = True
        self._shown = shlex.join(command)
        self._asked = 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the script runs
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=foreign_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise InputError(f"{self._shown} cannot be started in {folder}: {error.strerror}") from error

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to this request; `seconds` is how long it may take."""
        self._asked += 1
        late = threading.Event()

        def end() -> None:
            late.set()
            self._kill()

        clock = threading.Timer(seconds, end)
        clock.start()
        try:
            line = self._exchange(json.dumps({"id": self._asked, **request}).encode() + b"\n")
        finally:
            clock.cancel()
        if late.is_set():
            self.close()
            raise EngineError("timeout", f"{self._shown} gave no answer within {seconds:g} s")
        if not line.endswith(b"\n"):
            raise self._dead()
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("id") != self._asked:
            self.close()
            raise EngineError("broken-answer", f"{self._shown} answered {line[:200].decode('utf-8', 'replace').strip()!r}")
        return answer

    def close(self) -> None:
        """End it; twice is harmless."""
        if not self.running:
            return
        self.running = False
        streams = (self._process.stdin, self._process.stdout)
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(_GRACE)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._kill()
            self._process.wait()
        for stream in (*streams, self._errors):
            if stream is not None:
                stream.close()

    def _exchange(self, line: bytes) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):  # ValueError: closed before
            return b""
        return self._process.stdout.readline()

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended by itself

    def _dead(self) -> EngineError:
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        words = self._last_words()
        self.close()
        return EngineError("worker-died", f"{self._shown} {how}" + (f": {words}" if words else ""))

    def _last_words(self) -> str:
        size = os.fstat(self._errors.fileno()).st_size
        said = os.pread(self._errors.fileno(), _LAST_WORDS, max(0, size - _LAST_WORDS)).decode("utf-8", "replace")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""
