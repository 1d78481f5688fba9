"""The loss of ALLD: known values, an independent computation, whose gradients flow, and what the reference reads."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

import tiny_describer
from tiny_describer import caption, comparison, write_examples
from tiny_omni import _tokenizer
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.weights import Placement
from turnwise.training.alld import alld_losses, scorer
from turnwise.training.example_file import Example, read_examples
from turnwise.training.objectives import Aligning
from turnwise.training.own_answers import Own, pairs
from turnwise.training.recipe import Alld
from turnwise.training.reference import Reading, Referred, told_in_words

torch.set_num_threads(1)
ON_CPU = Placement("cpu", "float32", "")


def loss(expert: float, own: float, reference_expert: float, reference_own: float, beta: float = 0.1) -> float:
    values = [torch.tensor([v], dtype=torch.float64) for v in (expert, own, reference_expert, reference_own)]
    return float(alld_losses(*values, beta=beta).losses.mean())  # type: ignore[misc]


def test_known_values() -> None:
    """Facts C.3."""
    assert loss(-20, -20, -20, -20) == pytest.approx(0.693147, abs=1e-6)
    assert loss(-13, -41, -7, -35) == pytest.approx(math.log(2), abs=1e-12)
    assert loss(-20, -25, -30, -22) == pytest.approx(0.241008, abs=1e-6)


def test_against_the_formula_in_numpy() -> None:
    draw = np.random.default_rng(0)
    expert, own, r_expert, r_own = draw.uniform(-60, -1, (4, 50))
    for beta in (0.1, 0.4, 2.0):
        d = beta * (expert - r_expert) - beta * (own - r_own)
        found = alld_losses(*(torch.tensor(v) for v in (expert, own, r_expert, r_own)), beta=beta)  # type: ignore[misc]
        assert np.allclose(found.losses.numpy(), np.logaddexp(0.0, -d), atol=1e-12)
        assert np.allclose(found.margins.numpy(), d, atol=1e-12)


def test_a_margin_beyond_all_bounds_gives_numbers() -> None:
    assert loss(0, -1e6, -1e6, 0) == 0.0
    assert loss(-1e6, 0, 0, -1e6) == pytest.approx(2e5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alld")
    tiny_describer.qwen2_audio(root / "base", seconds=1)
    tiny_describer.expert(root / "expert")
    first, second = caption("a", 2.0), caption("b", 4.0)
    write_examples(root / "examples.jsonl", [first, second, comparison("ab", first, second)])
    return root


@pytest.fixture(scope="module")
def processor(root: Path) -> Any:
    return Qwen2AudioProcessor.from_pretrained(root / "base")


@pytest.fixture(scope="module")
def examples(root: Path) -> tuple[Example, ...]:
    return read_examples(root / "examples.jsonl")


OWN = {"a": Own("a", "It is bad."), "b": Own("b", "Nice, ni", whole=False), "ab": Own("ab", "[SpeechA]")}


@pytest.fixture(scope="module")
def referred(root: Path, processor: Any, examples: tuple[Example, ...]) -> dict[str, Referred]:
    reading = Reading(str(root / "expert"), "main", processor.tokenizer, ON_CPU)
    found = reading.refer(examples, [OWN[e.id] for e in examples])
    reading.close()
    return {each.id: each for each in found}


def test_the_reference_reads_the_ratings_and_scores_the_answers(
    root: Path, examples: tuple[Example, ...], referred: dict[str, Referred]
) -> None:
    """Against the expert's own logits, one answer at a time, with scipy."""
    network: Any = AutoModelForCausalLM.from_pretrained(root / "expert").eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(root / "expert")
    for example in examples:
        for answer, end, found, count in (
            (example.answer, "<|im_end|>", referred[example.id].expert, referred[example.id].expert_tokens),
            (
                OWN[example.id].answer,
                "<|im_end|>" if OWN[example.id].whole else "",
                referred[example.id].own,
                referred[example.id].own_tokens,
            ),
        ):
            asked = f"<|im_start|>user\n{told_in_words(example)}<|im_end|>\n<|im_start|>assistant\n"
            question, said = tokenizer(asked)["input_ids"], tokenizer(answer + end)["input_ids"]
            with torch.no_grad():
                logits = network(torch.tensor([question + said])).logits[0].numpy()
            logs = log_softmax(logits.astype(np.float64), axis=-1)
            expected = sum(logs[len(question) - 1 + k, token] for k, token in enumerate(said))
            assert found == pytest.approx(expected, abs=1e-3)
            assert count == len(said)


def test_what_the_reference_is_told(examples: tuple[Example, ...]) -> None:
    told = told_in_words(examples[2])
    assert "dis: discontinuity; 1 = severely discontinuous" in told
    rated = [json.loads(line.partition(" is rated ")[2].rstrip(".")) for line in told.splitlines() if " is rated " in line]
    assert rated == [dict.fromkeys(("mos", "noi", "col", "dis", "loud"), value) for value in (2.0, 4.0)]
    assert "SpeechA is rated" in told
    assert told.endswith("Which is better?")
    assert "The recording is rated" in told_in_words(examples[0])


def test_the_batch_loss_is_the_formula(root: Path, processor: Any, examples: tuple[Example, ...], referred: Any) -> None:
    network: Any = Qwen2AudioForConditionalGeneration.from_pretrained(root / "base").eval()
    score = scorer(network)
    for stage in (Alld(beta=0.1), Alld(beta=0.4, length_norm=True)):
        objective = Aligning(processor, stage, OWN, referred)
        with torch.no_grad():
            ready = objective.ready(examples)
            total, told = objective.loss(score, ready)
            scores, tokens = score(ready.batch.inputs, ready.batch.labels)
        expected = []
        for k, example in enumerate(examples):
            r = referred[example.id]
            ratios = np.array([float(scores[k]) - r.expert, float(scores[3 + k]) - r.own])
            if stage.length_norm:
                ratios /= [r.expert_tokens, r.own_tokens]
            expected.append(stage.beta * (ratios[0] - ratios[1]))
        assert tokens.tolist() == [r.expert_tokens for r in referred.values()] + [r.own_tokens for r in referred.values()]
        assert float(total) == pytest.approx(np.logaddexp(0, -np.array(expected)).sum(), abs=1e-4)
        assert told["margin"] == pytest.approx(sum(expected), abs=1e-4)
        assert told["preferred"] == sum(d > 0 for d in expected)
        assert (ready.units, objective.unit) == (3, "pairs")


def test_gradients_flow_to_the_model_alone_and_towards_the_expert(
    root: Path, processor: Any, examples: Any, referred: Any
) -> None:
    network: Any = Qwen2AudioForConditionalGeneration.from_pretrained(root / "base").train()
    score, objective = scorer(network), Aligning(processor, Alld(), OWN, referred)
    ready = objective.ready(examples)
    before = score(ready.batch.inputs, ready.batch.labels)[0].detach()
    total, _ = objective.loss(score, ready)
    total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.model.language_model.layers.parameters())
    with torch.no_grad():
        for weight in network.parameters():
            if weight.grad is not None:
                weight -= 1e-4 * weight.grad
        after = score(ready.batch.inputs, ready.batch.labels)[0]
    assert (after[:3] - after[3:] - before[:3] + before[3:]).sum() > 0
    reference = torch.tensor([-3.0], requires_grad=True)
    alld_losses(
        torch.tensor([-2.0], requires_grad=True), torch.tensor([-4.0]), reference, reference, beta=0.1
    ).losses.sum().backward()
    assert reference.grad is None


def test_a_reference_that_read_other_tokens_is_noticed(processor: Any, examples: Any, referred: Any) -> None:
    wrong = {**referred, "b": msgspec.structs.replace(referred["b"], own_tokens=99)}
    objective = Aligning(processor, Alld(), OWN, wrong)
    ready = objective.ready(examples)

    def score(inputs: Any, labels: Any) -> Any:
        counts = (labels != -100).sum(dim=1)
        return torch.zeros(len(counts)), counts

    with pytest.raises(EngineError) as caught:
        objective.loss(score, ready)
    assert caught.value.cause == "tokens"


def test_a_reference_with_other_tokens_is_refused(root: Path, processor: Any, examples: Any, tmp_path: Path) -> None:
    from transformers import Qwen2Tokenizer

    from tiny_models import byte_vocabulary

    vocabulary = byte_vocabulary()
    vocabulary["MO"] = len(vocabulary)
    marks = ["<|im_start|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
    other = Qwen2Tokenizer(
        vocab=vocabulary, merges=[("M", "O")], eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=marks
    )
    tiny_describer.expert(tmp_path / "other", tokenizer=other)
    reading = Reading(str(tmp_path / "other"), "main", processor.tokenizer, ON_CPU)
    with pytest.raises(InputError, match=r"cuts 'MOS: 2.0' into other tokens"):
        reading.refer(examples[:1], [OWN["a"]])


def test_marks_of_sound_are_text_to_both(processor: Any, examples: Any, tmp_path: Path) -> None:
    """The text model has no such mark; the answer is broken up for both in the same way."""
    tiny_describer.expert(tmp_path / "deaf", tokenizer=_tokenizer({}, ["<|im_start|>"]))
    reading = Reading(str(tmp_path / "deaf"), "main", processor.tokenizer, ON_CPU)
    marked = msgspec.structs.replace(examples[0], answer="A <|AUDIO|> of noise. MOS: 2.0")
    (found,) = reading.refer([marked], [OWN["a"]])
    assert found.expert_tokens == len("A < |AUDIO|> of noise. MOS: 2.0") + 1


def test_a_reference_that_overflows_is_told(root: Path, processor: Any, examples: Any) -> None:
    """And nothing of it is written down: a number that is none cannot be read again."""
    reading = Reading(str(root / "expert"), "main", processor.tokenizer, ON_CPU)
    with torch.no_grad():
        reading._network.lm_head.weight.fill_(torch.inf)
    with pytest.raises(EngineError, match="its numbers overflow") as caught:
        reading.refer(examples[:1], [OWN["a"]])
    assert caught.value.cause == "not-a-number"


def test_a_reference_that_cannot_talk_is_refused(root: Path, processor: Any, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(root / "expert", tmp_path / "mute")
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = tmp_path / "mute" / name
        if name.endswith(".json"):
            settings = json.loads(path.read_text())
            settings.pop("chat_template", None)
            path.write_text(json.dumps(settings))
        else:
            path.unlink(missing_ok=True)
    with pytest.raises(InputError, match="has no chat template"):
        Reading(str(tmp_path / "mute"), "main", processor.tokenizer, ON_CPU)


def test_an_own_answer_that_is_the_experts_teaches_nothing(examples: Any) -> None:
    own = {**OWN, "a": Own("a", "MOS: 2.0")}
    assert [e.id for e in pairs(examples, own)] == ["b", "ab"]
    with pytest.raises(InputError, match="nothing for alld to learn"):
        pairs(examples[:1], own)
