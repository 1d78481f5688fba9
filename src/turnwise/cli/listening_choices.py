"""Which listener and describer the options of `turnwise listen` mean."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnwise.endpoints.endpoint import Endpoint, resolved
from turnwise.endpoints.remote import Remote
from turnwise.endpoints.sending import Address
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import InputError
from turnwise.foundation.plugin import naming
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.ears import Choice, Hearing
from turnwise.listening.listener import LISTENERS

NO_DESCRIBER = "none"


class Asked(msgspec.Struct, frozen=True):
    """The options as given."""

    listener: str | None
    listener_options: Sequence[str]
    describer: str | None
    describer_options: Sequence[str]
    model: str | None
    endpoint: str | None
    key: str | None
    preset: str | None
    example: Path | None
    tie: float
    window: float
    channel: int | None
    seed: int


def hearing_of(asked: Asked) -> Hearing:
    """The listener and the describer, options and all."""
    if asked.endpoint is not None and asked.model is None:
        raise InputError("--endpoint needs --model: the name of a model there")
    if asked.key is not None and asked.endpoint is None:
        raise InputError("--key needs --endpoint: the server that is given it")
    implied = None if asked.model is None else "language_model" if asked.endpoint is not None else "trained"
    name = asked.describer or implied or "template"
    options = _options(asked.describer_options, "--describer-option")
    if name == NO_DESCRIBER:
        if asked.model is not None or options or asked.preset or asked.example:
            raise InputError("--describer none goes with no option of a describer")
        describer = None
    else:
        takes = _parameters(DESCRIBERS, name)
        given: dict[str, Any] = {"model": asked.model, "endpoint": asked.endpoint, "preset": asked.preset}
        given["example"] = None if asked.example is None else _example(asked.example)
        for option, value in given.items():
            if value is not None:
                if option not in takes:
                    raise InputError(f"the describer {name} has no option {option}", f"--{option} goes with others")
                options.setdefault(option, value)
        if "tie" in takes:
            options.setdefault("tie", asked.tie)
        describer = Choice(name, options)
    heard = _options(asked.listener_options, "--listener-option")
    # A trained model rates what it hears: its words are checked against its own ratings, unless another listener is named.
    listener = asked.listener or ("trained" if implied == "trained" and asked.describer is None else "embedded")
    if listener == "trained" and implied == "trained":
        heard.setdefault("model", asked.model)
    return Hearing(Choice(listener, heard), describer, asked.window, asked.channel, asked.seed)


def check_servers(hearing: Hearing, remote: Remote) -> None:
    """Refuse what no server could be asked with, before the first sound is heard: an unknown endpoint, a key that is not set."""
    for catalog, choice in ((LISTENERS, hearing.listener), (DESCRIBERS, hearing.describer)):
        if choice is None:
            continue
        parameter = _parameters(catalog, choice.name).get("endpoint")
        name = choice.options.get("endpoint", parameter.default if parameter is not None else None)
        if isinstance(name, str) and name:
            Address(name, remote.line(name).endpoint).key()


def diverse(hearing: Hearing) -> Hearing | None:
    """The same with the describer's diverse preset; None where it has none."""
    chosen = hearing.describer
    if chosen is None or "preset" not in _parameters(DESCRIBERS, chosen.name):
        return None
    return msgspec.structs.replace(hearing, describer=Choice(chosen.name, {**chosen.options, "preset": "diverse"}))


def remote_of(asked: Asked) -> Remote:
    """The servers, of which only the one given with --endpoint may need a declaration."""
    if asked.endpoint is None or asked.key is None:
        return Remote()
    plain = resolved(asked.endpoint, {})
    return Remote({asked.endpoint: Endpoint(plain.url, asked.key, plain.dialect)})


def _parameters(catalog: Catalog, name: str) -> Mapping[str, inspect.Parameter]:
    """The options that a listener or a describer takes."""
    with naming(catalog.kind, name):
        return inspect.signature(catalog.factory(name)).parameters


def _options(given: Sequence[str], flag: str) -> dict[str, Any]:
    """`name=value` as a dictionary; values are JSON where they can be read so, else words."""
    options: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise InputError(f"{flag} {one}: expected NAME=VALUE")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _example(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no JSON object: {error}", 'expected {"ratings": {...}, "text": "..."}') from error
