from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoConfig, CsmForConditionalGeneration, LlamaForCausalLM

import tiny_models
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.speech import weights
from turnwise.speech.weights import find_weights, halving, load, load_reader, memory_guard, placement, seeded, versions

torch.set_num_threads(1)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ON_CPU = placement("test", "cpu")


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.chat(tmp_path_factory.mktemp("weights") / "chat")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    for name in ("HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub"


def in_hub(hub: Path, name: str = "org--model", revision: str = "main", commit: str = COMMIT) -> Path:
    place = hub / f"models--{name}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / revision).write_text(commit)
    snapshot = place / "snapshots" / commit
    snapshot.mkdir(parents=True, exist_ok=True)
    (snapshot / "config.json").write_text("{}")
    return snapshot


# ---------------------------------------------------------------- where they are


def test_a_folder_is_found_as_it_is(chat: Path) -> None:
    found = find_weights(str(chat))
    assert found.folder == chat
    assert found.revision == ""


def test_a_hub_id_is_found_in_the_cache_with_its_commit(hub: Path) -> None:
    snapshot = in_hub(hub)
    found = find_weights("org/model")
    assert (found.folder, found.revision) == (snapshot, COMMIT)
    assert found.identity()["revision"] == COMMIT


def test_a_revision_is_a_name_or_a_commit(hub: Path) -> None:
    other = "f" * 40
    in_hub(hub)
    snapshot = in_hub(hub, revision="v2", commit=other)
    assert find_weights("org/model", "v2").folder == snapshot
    assert find_weights("org/model", other).folder == snapshot
    with pytest.raises(InputError, match=r"revision v3 of org/model is neither.*hf download org/model --revision v3"):
        find_weights("org/model", "v3")


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "XDG_CACHE_HOME"])
def test_the_cache_is_where_the_environment_says(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    place = tmp_path / "elsewhere" / ("" if variable == "HF_HUB_CACHE" else "huggingface/hub")
    assert find_weights("org/model" if in_hub(place) else "").folder.is_relative_to(place)


def test_what_is_absent_is_said_with_the_way_to_get_it(hub: Path) -> None:
    with pytest.raises(InputError, match="org/model is neither a folder nor in the Hugging Face cache") as caught:
        find_weights("org/model")
    assert "hf download org/model" in caught.value.hint
    assert "huggingface-cli download org/model" in caught.value.hint
    assert str(hub) in caught.value.message


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/nowhere/at/all", "a b"])
def test_a_folder_that_does_not_exist(name: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_weights(name)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(InputError, match="holds no model"):
        find_weights(str(tmp_path))


def test_a_download_that_was_stopped(hub: Path) -> None:
    snapshot = in_hub(hub)
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (snapshot / shards["a"]).write_bytes(b"x")
    with pytest.raises(InputError, match=r"not complete.*model-00002-of-00002.safetensors is missing"):
        find_weights("org/model")
    (snapshot / shards["b"]).write_bytes(b"x")
    assert find_weights("org/model").folder == snapshot


# ---------------------------------------------------------------- what they are called


def copy(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def named(folder: Path) -> str:
    return find_weights(str(folder)).identity()["weights"]


def test_a_copy_is_the_same_and_its_read_me_no_part_of_it(chat: Path, tmp_path: Path) -> None:
    other = copy(chat, tmp_path / "other")
    (other / "README.md").write_text("new words")
    (other / ".cache").mkdir()
    (other / ".cache" / "note.json").write_text("{}")
    assert named(other) == named(chat)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "generation_config.json"])
def test_every_file_of_a_model_counts(chat: Path, tmp_path: Path, name: str) -> None:
    other = copy(chat, tmp_path / "other")
    data = bytearray((other / name).read_bytes())
    data[-2] ^= 1
    (other / name).write_bytes(data)
    assert named(other) != named(chat)


def test_a_file_more_counts(chat: Path, tmp_path: Path) -> None:
    other = copy(chat, tmp_path / "other")
    (other / "chat_template.jinja").write_text("{{ messages }}")
    assert named(other) != named(chat)


def test_large_files_are_sampled_at_their_head_and_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_WHOLE", 1000)
    path = tmp_path / "model.safetensors"
    data = bytearray(3 << 20)
    path.write_bytes(data)
    plain = named(tmp_path)
    trained = bytes(byte ^ 1 if place > 1 << 20 else byte for place, byte in enumerate(data))
    for changed in (b"\1" + data[1:], trained, data[:-1] + b"\1", data + b"\0"):
        path.write_bytes(changed)
        assert named(tmp_path) != plain
    path.write_bytes(data)
    assert named(tmp_path) == plain


# ---------------------------------------------------------------- where they compute


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("gpu", "auto", ""), "device is 'gpu'"),
        (("cuda:", "auto", ""), "device is 'cuda:'"),
        (("cpu", "int8", ""), "dtype is 'int8'"),
        (("cpu", "auto", "8bit"), "quantization is '8bit'"),
    ],
)
def test_options_are_checked_by_form(options: tuple[str, str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"somebody: {message}"):
        placement("somebody", *options)


@pytest.mark.parametrize(
    ("device", "dtype", "here", "identity"),
    [
        ("auto", "auto", False, "float32 on cpu"),
        ("auto", "auto", True, "bfloat16 on cuda"),
        ("cpu", "auto", True, "float32 on cpu"),
        ("cuda:1", "auto", True, "bfloat16 on cuda"),
        ("cuda", "float16", True, "float16 on cuda"),
        ("cpu", "bfloat16", False, "bfloat16 on cpu"),
    ],
)
def test_numbers_follow_the_device(monkeypatch: pytest.MonkeyPatch, device: str, dtype: str, here: bool, identity: str) -> None:
    monkeypatch.setattr(weights, "cuda_here", lambda: here)
    assert placement("x", device, dtype).identity() == {"numbers": identity}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(chat: Path) -> None:
    with pytest.raises(InputError, match="finds no GPU here"):
        load(LlamaForCausalLM, find_weights(str(chat)), placement("x", "cuda"))


def test_four_bits_need_their_package(chat: Path) -> None:
    four = placement("x", "cpu", quantization="4bit")
    try:
        versions("bitsandbytes")
    except MissingDependency:
        pass
    else:
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(MissingDependency, match="pip install bitsandbytes"):
        four.identity()
    with pytest.raises(MissingDependency, match="pip install bitsandbytes"):
        load(LlamaForCausalLM, find_weights(str(chat)), four)


def test_versions_of_packages() -> None:
    assert versions("torch") == {"torch": torch.__version__}
    with pytest.raises(MissingDependency, match=r'pip install "turnwise\[local\]"'):
        versions("no-such-package")


# ---------------------------------------------------------------- loading


def test_a_model_is_loaded_to_be_asked(chat: Path) -> None:
    network = load(LlamaForCausalLM, find_weights(str(chat)), ON_CPU)
    assert not network.training
    assert network.dtype == torch.float32
    assert not any(values.is_inference() for values in network.parameters())
    coarse = load(LlamaForCausalLM, find_weights(str(chat)), placement("x", "cpu", "bfloat16"))
    assert coarse.dtype == torch.bfloat16


def test_a_model_is_loaded_straight_to_its_device(chat: Path) -> None:
    """As on a GPU, with the device that is there."""
    plain = load(LlamaForCausalLM, find_weights(str(chat)), ON_CPU)
    mapped = load(LlamaForCausalLM, find_weights(str(chat)), ON_CPU, device_map={"": "cpu"})
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), mapped.parameters(), strict=True))


def test_a_weight_that_is_missing_is_never_random(chat: Path, tmp_path: Path) -> None:
    broken = tiny_models.without_weight(chat, tmp_path / "broken", "model.layers.1.mlp.up_proj.weight")
    with pytest.raises(
        InputError, match=r"lacks 1 of the weights of LlamaForCausalLM, among them model.layers.1.mlp.up_proj.weight"
    ):
        load(LlamaForCausalLM, find_weights(str(broken)), ON_CPU)
    assert load(LlamaForCausalLM, find_weights(str(broken)), ON_CPU, may_lack=[r"layers\.1\.mlp"]) is not None


def test_files_of_another_kind_of_model(chat: Path) -> None:
    with pytest.raises(InputError, match="CsmForConditionalGeneration"):
        load(CsmForConditionalGeneration, find_weights(str(chat)), ON_CPU)


def test_pickled_weights_are_refused(chat: Path, tmp_path: Path) -> None:
    other = copy(chat, tmp_path / "pickled")
    network = load(LlamaForCausalLM, find_weights(str(chat)), ON_CPU)
    torch.save(network.state_dict(), other / "pytorch_model.bin")
    (other / "model.safetensors").unlink()
    with pytest.raises(InputError, match="safetensors"):
        load(LlamaForCausalLM, find_weights(str(other)), ON_CPU)


def test_a_file_that_was_cut_short(chat: Path, tmp_path: Path) -> None:
    other = copy(chat, tmp_path / "short")
    data = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cannot be loaded as LlamaForCausalLM"):
        load(LlamaForCausalLM, find_weights(str(other)), ON_CPU)


def test_code_of_a_repository_never_runs(chat: Path, tmp_path: Path) -> None:
    other = copy(chat, tmp_path / "coded")
    config = json.loads((other / "config.json").read_text())
    config |= {"model_type": "foreign", "auto_map": {"AutoConfig": "foreign.Config"}}
    (other / "config.json").write_text(json.dumps(config))
    mark = tmp_path / "ran"
    (other / "foreign.py").write_text(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(InputError):
        load_reader(AutoConfig, find_weights(str(other)))
    assert not mark.exists()


def test_the_library_keeps_quiet_unless_asked(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    logging = transformers.utils.logging
    logger = logging.get_logger("transformers.test")
    with weights.at_work():
        logger.warning("within")
        assert not logging.is_progress_bar_enabled()
    logger.warning("outside")
    assert logging.is_progress_bar_enabled()
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "warning")
    with weights.at_work():
        logger.warning("asked for")
    assert caplog.messages == ["outside", "asked for"]


# ---------------------------------------------------------------- draws and memory


def test_draws_inside_leave_those_outside_as_they_were() -> None:
    torch.manual_seed(1)
    plain = torch.rand(2)
    torch.manual_seed(1)
    first = torch.rand(1)
    with seeded(2**62 + 7):
        inside = torch.rand(3)
    assert torch.equal(torch.cat([first, torch.rand(1)]), plain)
    with seeded(2**62 + 7):
        assert torch.equal(torch.rand(3), inside)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA failed with error out of memory"),
        MemoryError(),
    ],
)
def test_no_memory_is_told_as_such(error: Exception) -> None:
    with pytest.raises(EngineError) as caught, memory_guard():
        raise error
    assert caught.value.cause == "out-of-memory"


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), memory_guard():
        raise RuntimeError("shapes differ")


def test_a_real_allocation_that_cannot_be() -> None:
    with pytest.raises(EngineError) as caught, memory_guard():
        torch.empty(1 << 55)
    assert caught.value.cause == "out-of-memory"


def test_a_batch_is_halved_until_it_fits_and_keeps_its_order() -> None:
    sizes = []

    def work(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError("too many")
        return [item * 10 for item in items]

    assert halving([1, 2, 3, 4, 5], work) == [10, 20, 30, 40, 50]
    assert sizes == [5, 2, 3, 1, 2]


def test_one_item_that_does_not_fit_is_an_error() -> None:
    def work(items: Sequence[int]) -> list[int]:
        raise torch.OutOfMemoryError("too much")

    with pytest.raises(EngineError) as caught:
        halving([1, 2], work)
    assert caught.value.cause == "out-of-memory"


def test_building_plug_ins_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from turnwise.agents.agent import AGENTS\n"
        "from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS\n"
        "RECOGNIZERS.build('whisper', {'model': 'org/m'})\n"
        "for name in ('csm', 'vits'): SYNTHESIZERS.build(name, {'model': 'org/m'})\n"
        "SYNTHESIZERS.build('parler', {'model': 'org/m', 'python': 'p', 'description': 'a voice'})\n"
        "print(AGENTS.build('local_chat', {'model': 'org/m'}).models)\n"
        "print(*sorted({'torch', 'transformers', 'tokenizers', 'safetensors', 'huggingface_hub'} & sys.modules.keys()))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["('org/m',)", ""]
