"""The folder of a trained model, as the describer and the listener `trained` load it: with LoRA the adapter alone.

Weights are gathered from all processes and written in float32, as they were trained (ZeRO-3 of DeepSpeed: in its own numbers).
Where they are sharded, the host needs memory for one whole model in the main process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.whole_file import write_whole
from turnwise.listening.sound_model import CARD, Trained
from turnwise.speech.weights import at_work
from turnwise.training.whole_folder import whole_folder

SCORER = "network."  # what training/alld.py's scorer calls the network in it


class ModelFolder:
    """Writes what a stage trains."""

    def __init__(self, network: Any, processor: Any, card: Trained, accelerator: Any) -> None:
        self._network, self._processor, self._card, self._accelerator = network, processor, card, accelerator

    def write(self, trained: Any, folder: Path) -> None:
        """To be called by every process; `trained` is what the accelerator made of the network."""
        state = self._accelerator.get_state_dict(trained)  # gathered, where it is in pieces
        with whole_folder(folder, self._accelerator) as part:
            if self._accelerator.is_main_process:
                weights = {key.removeprefix(SCORER): value for key, value in state.items()}
                with at_work():
                    self._save(weights, part)
                    self._processor.save_pretrained(part)
                write_whole(part / CARD, msgspec.json.format(msgspec.json.encode(self._card), indent=2) + b"\n")

    def _save(self, weights: dict[str, Any], part: Path) -> None:
        network = self._network
        if self._card.tuned == "lora":
            for settings in network.peft_config.values():
                settings.base_model_name_or_path = self._card.base
            # No embedding is trained; looking whether one has grown would ask the hub.
            network.save_pretrained(part, state_dict=weights, save_embedding_layers=False)
            return
        # Names of weights differ between files and memory. Loaded under ZeRO-3, a network remembers rules that were not used, and
        # would write names that nobody reads; without a memory it goes by the rules of its class.
        network._weight_conversions = None
        network.config.use_cache = True  # off while it is trained
        network.save_pretrained(part, state_dict=weights)
        network.config.use_cache = False
