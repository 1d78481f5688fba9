"""Two processes of `turnwise` that compute together, on this CPU: as copies (DDP), or with the weights in pieces (FSDP2).

`accelerate` shards on GPUs alone: asked for it on a CPU, it leaves the weights whole without a word. Told that its processes have
GPUs, it shards on a CPU by the same code. That is the one thing that is pretended here.

Run as a program, this file is one of the two: it carries out the commands that it is given, one after the other, and may come to
a sudden end after a step.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "Qwen2DecoderLayer,Qwen2AudioEncoderLayer",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",  # as `accelerate config` proposes
}


class Ended(NamedTuple):
    """One of the processes, when it is over."""

    code: int
    stdout: str
    stderr: str


def command(*arguments: str, dies_after: tuple[str, int] | None = None, how: str = "raise") -> dict[str, Any]:
    """A command of `turnwise` that ends after a step of a stage: by an exception that nothing catches, or by SIGKILL."""
    return {"arguments": list(arguments), "dies_after": dies_after, "how": how}


def together(folder: Path, *commands: dict[str, Any], sharded: bool = False) -> list[Ended]:
    """Both processes, which carry out all of the commands."""
    (folder / "commands.json").write_text(json.dumps(commands))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, **(SHARDED if sharded else {}), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment |= {"WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true"}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder / "commands.json")],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    told = [process.communicate(timeout=400) for process in processes]
    return [Ended(process.returncode, *each) for process, each in zip(processes, told, strict=True)]


class SuddenEndError(Exception):
    """Nothing of ours catches it."""


def _one_of_two(commands: list[dict[str, Any]]) -> None:
    import torch
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    from turnwise.cli.main import turnwise
    from turnwise.training import loop

    torch.set_num_threads(1)
    if os.environ.get("ACCELERATE_USE_FSDP"):
        PartialState(cpu=True)
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    plain = loop._tell
    for each in commands:

        def tell(run: Any, log: Any, line: Any, each: dict[str, Any] = each) -> None:
            plain(run, log, line)
            if [run.name, line.step] == each["dies_after"] and not line.held_out:
                if each["how"] == "kill":
                    run.accelerator.wait_for_everyone()  # so that neither sees the other go
                    os.kill(os.getpid(), signal.SIGKILL)
                raise SuddenEndError

        loop._tell = tell
        try:
            turnwise.main(each["arguments"], standalone_mode=False)
        except SuddenEndError:
            continue


if __name__ == "__main__":
    _one_of_two(json.loads(Path(sys.argv[1]).read_text()))
