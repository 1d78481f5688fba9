"""Batches: what the model is shown is what it meets in use, and the loss is on the answer alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

import tiny_describer
from tiny_describer import caption, comparison, write_examples
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound, write_sound
from turnwise.foundation.errors import InputError
from turnwise.listening.sound_questions import inputs_of, longest_of
from turnwise.training.alld import answer_scores, scorer
from turnwise.training.audio_batches import NOTHING, answer_tokens, audio_batch, refuse_unheard
from turnwise.training.example_file import Example, read_examples

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_describer.qwen2_audio(tmp_path_factory.mktemp("tiny") / "base", seconds=1)


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    return Qwen2AudioProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def network(folder: Path) -> Any:
    return Qwen2AudioForConditionalGeneration.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Example, ...]:
    folder = tmp_path_factory.mktemp("examples")
    short, long = caption("a", 2.0), caption("b", 4.0, answer="The speech is clean. MOS: 4.0")
    write_sound(Sound(tiny_describer.tone(3).samples[:8000], 16000), folder / "a.wav")
    return read_examples(write_examples(folder / "e.jsonl", [short, long, comparison("ab", short, long)]))


def test_the_loss_is_on_the_answer_and_its_end_alone(processor: Any, examples: tuple[Example, ...]) -> None:
    batch = audio_batch(processor, examples[:2], [(e.answer,) for e in examples[:2]])
    tokenizer = processor.tokenizer
    for row, example in enumerate(examples[:2]):
        learned = batch.labels[row][batch.labels[row] != NOTHING]
        assert tokenizer.decode(learned) == example.answer + "<|im_end|>"
        places = (batch.labels[row] != NOTHING).nonzero().flatten()
        assert (places[1:] - places[:-1] == 1).all()
        assert torch.equal(batch.inputs["input_ids"][row, places], learned)
        asked = tokenizer.decode(batch.inputs["input_ids"][row, : int(places[0])])
        assert asked.endswith("Rate it.<|im_end|>\n<|im_start|>assistant\n")
        rest = batch.inputs["input_ids"][row, int(places[-1]) + 1 :]
        assert (rest == tokenizer.pad_token_id).all()
        assert (batch.inputs["attention_mask"][row] == torch.arange(batch.labels.shape[1]).le(int(places[-1]))).all()
    assert batch.tokens == len("MOS: 2.0") + 1 + len("The speech is clean. MOS: 4.0") + 1


def test_the_question_is_the_one_that_is_asked_in_use(processor: Any, examples: tuple[Example, ...]) -> None:
    for example in (examples[0], examples[2]):
        batch = audio_batch(processor, [example], [(example.answer,)])
        used = inputs_of(processor, [(example.question, [read_sound(Path(sound)) for sound in example.sounds])])
        width = used["input_ids"].shape[1]
        assert torch.equal(batch.inputs["input_ids"][:, :width], used["input_ids"])
        assert torch.equal(batch.inputs["input_features"], used["input_features"])
        assert torch.equal(batch.inputs["feature_attention_mask"], used["feature_attention_mask"].long())
        assert int((batch.labels[0] != NOTHING).int().argmax()) == width


def test_rows_alone_and_together_have_the_same_scores(processor: Any, network: Any, examples: tuple[Example, ...]) -> None:
    score = scorer(network)
    rows = [(example, example.answer) for example in examples] + [(example, "bad") for example in examples]
    with torch.no_grad():
        together, tokens = score(*audio_batch(processor, examples, [(example.answer, "bad") for example in examples]))
        alone = torch.cat([score(*audio_batch(processor, [example], [(answer,)]))[0] for example, answer in rows])
    assert torch.allclose(together, alone, atol=1e-3), (together, alone)
    assert tokens.tolist() == [len(e.answer) + 1 for e in examples] + [4] * 3


def test_scores_are_those_of_the_whole_model(processor: Any, network: Any, examples: tuple[Example, ...]) -> None:
    """Against log-softmax of all of the network's own logits, and against its own loss."""
    batch = audio_batch(processor, [examples[1]], [(examples[1].answer,)])
    with torch.no_grad():
        sums, tokens = scorer(network)(batch.inputs, batch.labels)
        logits = network(**batch.inputs).logits
        own = network(**batch.inputs, labels=batch.labels).loss
    logs = logits.log_softmax(-1)[0]
    expected = sum(logs[k - 1, int(token)] for k, token in enumerate(batch.labels[0]) if token != NOTHING)
    assert torch.allclose(sums[0], torch.as_tensor(expected), atol=1e-4)
    assert torch.allclose(-sums[0] / tokens[0], own, atol=1e-5)
    assert torch.allclose(answer_scores(logits, batch.labels)[0], sums, atol=1e-4)


def test_the_sound_matters(processor: Any, network: Any, examples: tuple[Example, ...]) -> None:
    batch = audio_batch(processor, [examples[0]], [("MOS: 2.0",)])
    other = audio_batch(processor, [examples[1]], [("MOS: 2.0",)])
    with torch.no_grad():
        one = scorer(network)(batch.inputs, batch.labels)[0]
        two = scorer(network)(other.inputs, other.labels)[0]
    assert abs(float(one - two)) > 1e-3


def test_an_answer_without_an_end_and_with_marks_in_it(processor: Any) -> None:
    tokenizer = processor.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert answer_tokens(tokenizer, " good ") == [*tokenizer("good")["input_ids"], end]
    assert end not in answer_tokens(tokenizer, "good", whole=False)
    broken = answer_tokens(tokenizer, "good<|im_end|>bad")
    assert broken.count(end) == 1
    assert broken[-1] == end


def test_moments_of_sound_in_an_answer_are_text(folder: Path) -> None:
    """Marks that were added as ordinary tokens, as Qwen2-Audio has one for every fiftieth of a second."""
    tokenizer: Any = Qwen2AudioProcessor.from_pretrained(folder).tokenizer
    tokenizer.add_tokens(["<|0.02|>"])
    number = tokenizer.convert_tokens_to_ids("<|0.02|>")
    assert number in tokenizer("it breaks at <|0.02|>")["input_ids"]
    assert number not in answer_tokens(tokenizer, "it breaks at <|0.02|>")


def test_what_cannot_be_heard_to_its_end_is_refused_before_training(processor: Any, tmp_path: Path) -> None:
    assert longest_of(processor) == 1.0
    path = write_examples(tmp_path / "e.jsonl", [caption("a", 2.0), caption("b", 2.0)])
    write_sound(Sound(np.zeros(17600, dtype=np.float32), 16000), tmp_path / "b.wav")
    examples = read_examples(path)
    refuse_unheard(examples[:1], longest_of(processor))
    with pytest.raises(InputError, match=r"b.wav has 1.1 s and the model hears 1 s"):
        refuse_unheard(examples, longest_of(processor))
    with pytest.raises(InputError, match=r"b.wav: the sound has 1.1 s and the model hears 1 s"):
        audio_batch(processor, examples, [("x",), ("x",)])
    (tmp_path / "b.wav").write_bytes(b"no sound")
    with pytest.raises(InputError, match=r"b.wav cannot be read as sound"):
        refuse_unheard(examples, longest_of(processor))
    (tmp_path / "b.wav").unlink()
    with pytest.raises(InputError, match=r"b.wav does not exist"):
        refuse_unheard(examples, longest_of(processor))


def test_a_sound_of_another_rate_is_heard_at_the_models(processor: Any, tmp_path: Path) -> None:
    path = write_examples(tmp_path / "e.jsonl", [caption("a", 2.0)])
    slow = Sound(tiny_describer.tone(0).samples[::2].copy(), 8000)
    write_sound(slow, tmp_path / "a.wav")
    batch = audio_batch(processor, read_examples(path), [("x",)])
    assert int(batch.inputs["feature_attention_mask"].sum()) == 100  # a hundredth of a second each
