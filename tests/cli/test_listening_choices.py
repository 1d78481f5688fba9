"""Which listener and describer the options mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from turnwise.cli.listening_choices import Asked, check_servers, diverse, hearing_of, remote_of
from turnwise.foundation.errors import InputError
from turnwise.listening.ears import Choice


def asked(**given: Any) -> Asked:
    plain: dict[str, Any] = {
        name: None for name in ("listener", "describer", "model", "endpoint", "key", "preset", "example", "channel")
    }
    plain |= {"listener_options": (), "describer_options": (), "tie": 0.1, "window": 9.0, "seed": 1}
    return Asked(**{**plain, **given})


def test_the_default_needs_nothing() -> None:
    hearing = hearing_of(asked())
    assert hearing.listener == Choice("embedded")
    assert hearing.describer == Choice("template", {"tie": 0.1})


def test_a_model_alone_is_a_trained_describer_that_also_rates() -> None:
    hearing = hearing_of(asked(model="./mine"))
    assert hearing.describer == Choice("trained", {"model": "./mine"})
    assert hearing.listener == Choice("trained", {"model": "./mine"})
    assert hearing_of(asked(model="./mine", listener="embedded")).listener == Choice("embedded")


def test_a_model_at_an_endpoint_is_a_language_model() -> None:
    hearing = hearing_of(asked(model="m", endpoint="local", preset="diverse", describer_options=("top_p=0.5", 'extra={"k": 1}')))
    assert hearing.listener == Choice("embedded")
    assert hearing.describer is not None
    options = {"top_p": 0.5, "extra": {"k": 1}, "model": "m", "endpoint": "local", "preset": "diverse", "tie": 0.1}
    assert hearing.describer == Choice("language_model", options)


def test_options_are_json_or_words() -> None:
    hearing = hearing_of(asked(listener="nisqa", listener_options=("weights=my file.tar", "n=3", "b=true", 's="3"')))
    assert hearing.listener.options == {"weights": "my file.tar", "n": 3, "b": True, "s": "3"}
    with pytest.raises(InputError, match="NAME=VALUE"):
        hearing_of(asked(listener_options=("=3",)))


def test_none_and_diverse() -> None:
    nothing = hearing_of(asked(describer="none"))
    assert nothing.describer is None
    assert diverse(nothing) is None
    assert diverse(hearing_of(asked(model="./mine"))) is None
    varied = diverse(hearing_of(asked()))
    assert varied is not None and varied.describer is not None
    assert varied.describer.options["preset"] == "diverse"


def test_the_margin_of_ties_is_no_part_of_a_rows_name() -> None:
    rows = {
        hearing_of(asked(describer="template", listener="listening_double:listener", tie=tie)).made_by() for tie in (0.1, 0.3)
    }
    assert len(rows) == 1


def test_a_key_goes_to_its_endpoint_only(tmp_path: Path) -> None:
    remote = remote_of(asked(model="m", endpoint="http://localhost:1/v1", key="MINE"))
    assert remote.line("http://localhost:1/v1").endpoint.key == "MINE"
    assert remote.line("openai").endpoint.key == "OPENAI_API_KEY"
    assert remote_of(asked()).line("http://localhost:1/v1").endpoint.key == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "m", "endpoint": "openai"}, "the environment variable OPENAI_API_KEY is not set"),
        ({"listener": "audio_model", "listener_options": ("model=m",)}, "the environment variable OPENAI_API_KEY is not set"),
        ({"model": "m", "endpoint": "nowhere"}, "no endpoint is called 'nowhere'"),
    ],
)
def test_what_no_server_could_be_asked_with_is_refused_before_a_sound_is_heard(
    given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    one = asked(**given)
    with pytest.raises(InputError, match=said):
        check_servers(hearing_of(one), remote_of(one))


def test_servers_that_need_no_key_pass() -> None:
    for given in ({}, {"model": "m", "endpoint": "local"}, {"model": "m", "endpoint": "http://localhost:1/v1"}):
        one = asked(**given)
        check_servers(hearing_of(one), remote_of(one))
