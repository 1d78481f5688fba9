"""Whatever breaks, as a fault; whatever comes back, as something the ledger can hold."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from turnwise.agents.agent import Reply
from turnwise.endpoints.remote import BudgetSpent
from turnwise.foundation.errors import EngineError, InputError, RunStopped, TurnwiseError
from turnwise.foundation.plugin import told, whole_text
from turnwise.foundation.secrets import without_keys, without_secrets
from turnwise.judges.verdict import Fault, Verdict
from turnwise.speech.clip_store import ClipStore
from turnwise.study.cell import Ruling
from turnwise.study.clip_files import whole
from turnwise.study.plan import JudgePlan

T = TypeVar("T")

STOPPED = "stopped"  # cause of a fault that the stop of the run made: no result, and never recorded


def for_the_user(error: BaseException) -> bool:
    """Whether only the user can mend it, so that nothing else is worth trying."""
    return isinstance(error, TurnwiseError) and not isinstance(error, EngineError)


def fault_of(error: BaseException) -> Fault:
    """An exception as a fault: what, where, and no secret."""
    if isinstance(error, RunStopped | BudgetSpent):
        return Fault(STOPPED, error.message)
    if isinstance(error, EngineError):
        return Fault(whole_text(error.cause), whole_text(without_secrets(error.message)))
    return Fault("error", told(error))


def recordable(result: T, type_: type[T]) -> T | Fault:
    """The result if the ledger could give it back as it is, without the keys that a server may have told in its answer; plug-ins
    of others may return anything.
    """
    try:
        written = msgspec.json.encode(result).decode()
        clean = without_keys(written)
        again = msgspec.json.decode(clean, type=type_)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        return Fault("contract", whole_text(without_secrets(f"the result cannot be recorded: {error}")))
    if clean != written:
        return again
    return result if again == result else Fault("contract", "the result is not the same after it was recorded")


def sound_reply(reply: Reply, clips: ClipStore) -> Reply:
    """A reply whose text can be stored and whose clip is there."""
    text = whole_text(reply.text)
    if text != reply.text:
        note = "half characters (unpaired surrogates) were replaced"
        reply = msgspec.structs.replace(reply, text=text, notes=(*reply.notes, note))
    wrong = clips.check(reply.clip) if reply.clip is not None else None
    if wrong and reply.clip is not None:
        with suppress(InputError):  # a name that is none
            whole(clips, reply.clip)  # a damaged file is taken away, and the next attempt can keep its own
        raise EngineError("contract", f"the reply's clip is not in the clip store: {wrong}")
    return reply


def ruling_of(judge: JudgePlan, verdicts: Mapping[str, Verdict]) -> Ruling | Fault:
    """A judge's verdicts, if it decided on exactly its criteria; one criterion at fault makes the turn be asked again."""
    verdicts = dict(verdicts)
    missing = set(judge.plain) ^ verdicts.keys()
    if missing:
        return Fault("contract", f"{judge.name} must decide on exactly its criteria; differing: {', '.join(sorted(missing))}")
    broken: Any = next((v for v in verdicts.values() if isinstance(v, Fault)), None)
    if broken is None:
        return recordable(Ruling(verdicts), Ruling)
    each = {name: _clean(v) if isinstance(v, Fault) else v for name, v in verdicts.items()}
    return recordable(msgspec.structs.replace(_clean(broken), partial=each), Fault)


def _clean(fault: Fault) -> Fault:
    return Fault(whole_text(fault.cause), whole_text(without_secrets(fault.detail)))
