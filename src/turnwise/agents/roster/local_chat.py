"""A chat model of words in this process: any causal language model of transformers that has a chat template.

A text mind: it reads the words it is shown and answers in words; `cascade` gives it ears and a voice. The study's instructions
are the system message, the user's turns and its own are the messages; neighbouring turns of one speaker are one message. Where a
model's template takes no system message, the instructions stand before the first user turn, and each reply says so in its notes.
Models that also take sound and pictures (Qwen2.5-Omni, Gemma 3n, Voxtral, ...) are asked in words only. Conversations are
answered in batches; each draws from its own seed, so a reply is the same alone or in a batch (in coarse numbers up to rounding).

Options: `model` is a folder or a hub id ("Qwen/Qwen3-8B") with `revision`. `temperature` (0.7; 0 takes the likeliest word),
`top_p` (1.0) and `top_k` (0, all) narrow the choice; `repetition_penalty` (1.0, none) counts the words of the prompt too. These
are the whole of it: what a checkpoint recommends for itself is not used. `most_tokens` (512) ends a reply, and its notes say so.
`thinking` (off) asks the template to let the model think first; thoughts between <think> and </think> are never part of the
reply. `cut`: when the conversation and `most_tokens` are more than the model has positions for, "" (an error "context-length")
or "oldest" (whole rounds are left out from the beginning, and the notes say "context cut to N rounds by the model's limit").
`batch` (8), `device`, `dtype`, `quantization` ("" or "4bit"; see docs/local_models.md).

Limits: a turn that is shown only as sound is an error "no-input". Marks of the model's own in the conversation, such as
<|im_end|>, are broken up by a blank, and the notes say so. With a batch above 1 the seconds of a reply are those of its whole
batch.

Needs `pip install "turnwise[local]"` (4bit: and bitsandbytes) and the weights: `hf download Qwen/Qwen3-8B`. The licence is that
of the model.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from turnwise.agents.agent import Asked, Reply, SessionMany, Surroundings, Timings, View
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.speech.row_draws import RowDraws
from turnwise.speech.special_marks import broken_up, marks_of
from turnwise.speech.weights import (
    Placement,
    Weights,
    at_work,
    find_weights,
    free_memory,
    halving,
    load,
    load_reader,
    placement,
    versions,
)

BROKEN = "marks of the model's own in the conversation were broken up"
FOLDED = "the model's template takes no system message: the instructions stand before the first user turn"
FULL = "the reply was cut at most_tokens"
# Of these the part that reads and writes is a model of its own class, in the same files.
_READING_PARTS = {
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen3_omni_moe": "Qwen3OmniMoeThinkerForConditionalGeneration",
}


def agent(
    model: str,
    revision: str = "main",
    temperature: float = 0.7,
    top_p: float = 1.0,
    top_k: int = 0,
    repetition_penalty: float = 1.0,
    most_tokens: int = 512,
    thinking: bool = False,
    cut: str = "",
    batch: int = 8,
    device: str = "auto",
    dtype: str = "auto",
    quantization: str = "",
) -> LocalChat:
    if not 0.0 <= temperature <= 10.0:
        raise InputError(f"local_chat: temperature is {temperature}, expected 0 to 10")
    if not 0.0 < top_p <= 1.0:
        raise InputError(f"local_chat: top_p is {top_p}, expected above 0, at most 1")
    if top_k < 0:
        raise InputError(f"local_chat: top_k is {top_k}, expected at least 0 (0: all)")
    if not 0.1 <= repetition_penalty <= 10.0:
        raise InputError(f"local_chat: repetition_penalty is {repetition_penalty}, expected 0.1 to 10 (1: none)")
    if most_tokens < 1 or batch < 1:
        raise InputError(f"local_chat: most_tokens is {most_tokens} and batch {batch}, expected at least 1")
    if cut not in ("", "oldest"):
        raise InputError(f"local_chat: cut is {cut!r}, expected '' (an error) or 'oldest'")
    place = placement("local_chat", device, dtype, quantization)
    return LocalChat(model, revision, temperature, top_p, top_k, repetition_penalty, most_tokens, thinking, cut, batch, place)


class LocalChat(msgspec.Struct, frozen=True):
    """The mind with its options settled."""

    model: str
    revision: str
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    most_tokens: int
    thinking: bool
    cut: str
    batch: int
    placement: Placement
    speaks: bool = False

    @property
    def place(self) -> Place:
        return "device"

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        return {
            "shared": lineage(__file__),
            **find_weights(self.model, self.revision).identity(),
            **self.placement.identity(),
            **versions("torch", "transformers", "tokenizers"),
        }

    def open(self, surroundings: Surroundings) -> SessionMany:
        return LocalChatSession(self)


class _Prompt(msgspec.Struct, frozen=True):
    """A conversation as the model reads it."""

    tokens: tuple[int, ...]
    notes: tuple[str, ...]
    thinking: bool  # it ends with the beginning of a thought


class LocalChatSession:
    """The mind with its weights loaded."""

    def __init__(self, chat: LocalChat) -> None:
        versions("torch", "transformers")
        import transformers
        from transformers import AutoTokenizer

        self.batch = chat.batch
        self._chat = chat
        found = find_weights(chat.model, chat.revision)
        self._reader: Any = load_reader(AutoTokenizer, found)
        if not self._reader.chat_template:
            self._reader.chat_template = _older_template(found)
        if not self._reader.chat_template:
            raise InputError(f"{chat.model} has no chat template", "name the instruct or chat version of the model")
        self._network = load(_model_class(found), found, chat.placement)
        # Without a number there is no limit, as in models that keep a state instead of positions.
        self._positions: int | None = getattr(self._network.config.get_text_config(), "max_position_embeddings", None)
        own = self._network.generation_config
        ends = own.eos_token_id if own.eos_token_id is not None else self._reader.eos_token_id
        ends = list(ends) if isinstance(ends, list | tuple) else [ends]
        self._ends = frozenset(end for end in ends if end is not None)
        padding = self._reader.pad_token_id if self._reader.pad_token_id is not None else next(iter(sorted(self._ends)), 0)
        self._padding = int(padding)
        settings: Any = transformers.GenerationConfig
        self._network.generation_config = settings(
            do_sample=False, max_new_tokens=chat.most_tokens, eos_token_id=sorted(self._ends) or None, pad_token_id=self._padding
        )
        self._takes_system = self._renders([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])

    def answer(self, view: View, *, seed: int) -> Reply:
        return self.answer_many([Asked(view, seed)])[0]

    def answer_many(self, asked: Sequence[Asked]) -> list[Reply]:
        prompts = [self._prompt(one.view) for one in asked]
        started = time.perf_counter()
        replies = halving(list(zip(prompts, asked, strict=True)), self._answer)
        seconds = time.perf_counter() - started
        return [msgspec.structs.replace(reply, timings=Timings(think=seconds)) for reply in replies]

    def close(self) -> None:
        self._network = self._reader = None
        free_memory()

    # ------------------------------------------------------------------ what it reads

    def _prompt(self, view: View) -> _Prompt:
        """The conversation in tokens: all of it, or what `cut` permits, or an error."""
        if view.text is None or any(turn.text is None for turn in view.past):
            raise EngineError("no-input", "a turn is shown as sound only, and this mind reads words")
        rounds = _rounds(view)
        room = float("inf") if self._positions is None else self._positions - self._chat.most_tokens
        for first in range(len(rounds)):
            prompt = self._read(view.instructions, rounds[first:])
            if len(prompt.tokens) <= room:
                # The last of the rounds is the present one.
                told = (f"context cut to {len(rounds) - first - 1} rounds by the model's limit",) if first else ()
                return msgspec.structs.replace(prompt, notes=(*prompt.notes, *told))
            if self._chat.cut != "oldest":
                break
        raise EngineError(
            "context-length",
            f"the conversation is {len(prompt.tokens)} tokens, with most_tokens={self._chat.most_tokens} more than the"
            f" {self._positions} positions of {self._chat.model}",
        )

    def _read(self, instructions: str, rounds: Sequence[Sequence[tuple[str, str]]]) -> _Prompt:
        notes = []
        turns = [turn for one in rounds for turn in one]
        if instructions.strip():
            if self._takes_system:
                turns = [("system", instructions), *turns]
            else:
                place = next(place for place, (role, _) in enumerate(turns) if role == "user")
                turns[place] = ("user", f"{instructions}\n\n{turns[place][1]}")
                notes.append(FOLDED)
        messages: list[dict[str, str]] = []
        marks = (*marks_of(self._reader), "<think>", "</think>")
        for role, text in turns:
            safe = broken_up(text, marks)
            if safe != text and BROKEN not in notes:
                notes.append(BROKEN)
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] += f"\n{safe}"
            else:
                messages.append({"role": role, "content": safe})
        text = self._rendered(messages)
        tokens = self._reader(text, add_special_tokens=False)["input_ids"]
        return _Prompt(tuple(tokens), tuple(notes), text.rstrip().endswith("<think>"))

    def _rendered(self, messages: Sequence[Mapping[str, str]]) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self._reader.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True, enable_thinking=self._chat.thinking
            )
        except TemplateError as error:
            raise EngineError("template", f"the chat template of {self._chat.model} refuses the conversation: {error}") from error
        return text

    def _renders(self, messages: Sequence[Mapping[str, str]]) -> bool:
        try:
            self._rendered(messages)
        except EngineError:
            return False
        return True

    # ------------------------------------------------------------------ what it answers

    def _answer(self, asked: Sequence[tuple[_Prompt, Asked]]) -> list[Reply]:
        import torch

        chat = self._chat
        longest = max(len(prompt.tokens) for prompt, _ in asked)
        rows = [[self._padding] * (longest - len(prompt.tokens)) + list(prompt.tokens) for prompt, _ in asked]
        masks = [[0] * (longest - len(prompt.tokens)) + [1] * len(prompt.tokens) for prompt, _ in asked]
        device = self._network.device
        ids, mask = torch.tensor(rows, device=device), torch.tensor(masks, device=device)
        processors: list[Any] = [RowDraws([one.seed for _, one in asked], chat.temperature, top_k=chat.top_k, top_p=chat.top_p)]
        if chat.repetition_penalty != 1.0:
            processors.insert(0, _Penalty(chat.repetition_penalty, mask))
        with at_work():
            told = self._network.generate(input_ids=ids, attention_mask=mask, logits_processor=processors)
        return [self._reply(row[longest:].tolist(), prompt) for row, (prompt, _) in zip(told, asked, strict=True)]

    def _reply(self, tokens: list[int], prompt: _Prompt) -> Reply:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        text = self._spoken(tokens[:end], prompt.thinking)
        if text is None:
            raise EngineError("unfinished-thought", f"most_tokens={self._chat.most_tokens} ended within the model's thoughts")
        return Reply(text.strip(), notes=prompt.notes if end is not None else (*prompt.notes, FULL))

    def _spoken(self, tokens: list[int], thinking: bool) -> str | None:
        """What is meant for the other; None where thoughts were not finished."""
        raw: str = self._reader.decode(tokens, skip_special_tokens=False)
        if "<|channel|>" in raw:  # gpt-oss: thoughts in one channel, the answer in another
            _, final, rest = raw.rpartition("<|channel|>final<|message|>")
            return rest.partition("<|")[0] if final else None
        text: str = self._reader.decode(tokens, skip_special_tokens=True)
        _, thought, rest = text.rpartition("</think>")
        return rest if thought or not (thinking or "<think>" in text) else None


class _Penalty:
    """Makes what was said before less likely; what fills a row up to the length of its batch was not said."""

    def __init__(self, penalty: float, mask: Any) -> None:
        self._penalty = penalty
        self._mask = mask.bool()

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        width = self._mask.shape[1]
        # The last token of a prompt is a real one in every row.
        said = torch.where(self._mask, input_ids[:, :width], input_ids[:, width - 1 : width])
        said = torch.cat([said, input_ids[:, width:]], dim=1)
        before = scores.gather(1, said)
        return scores.scatter(1, said, torch.where(before < 0, before * self._penalty, before / self._penalty))


def _rounds(view: View) -> list[list[tuple[str, str]]]:
    """The turns as (role, text), a round beginning with each user turn; an opening of the agent belongs to the first."""
    roles = {"user": "user", "agent": "assistant"}
    turns = [*((roles[turn.speaker], turn.text or "") for turn in view.past), ("user", view.text or "")]
    rounds: list[list[tuple[str, str]]] = []
    for place, turn in enumerate(turns):
        opened = any(role == "user" for role, _ in turns[:place])
        if rounds and (turn[0] == "assistant" or not opened):
            rounds[-1].append(turn)
        else:
            rounds.append([turn])
    return rounds


def _older_template(found: Weights) -> str | None:
    """The chat template where a model that also hears or sees keeps it, in files of some age."""
    path = found.folder / "chat_template.json"
    if not path.is_file():
        return None
    try:
        return str(msgspec.json.decode(path.read_bytes(), type=dict[str, Any])["chat_template"])
    except (msgspec.MsgspecError, KeyError) as error:
        raise InputError(f"{path} holds no chat template") from error


def _model_class(found: Weights) -> Any:
    """The class of transformers that reads and writes words with these files."""
    import transformers
    from transformers import AutoConfig

    config = load_reader(AutoConfig, found)
    if config.model_type in _READING_PARTS:
        return getattr(transformers, _READING_PARTS[config.model_type])
    if type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM
    if type(config) in transformers.MODEL_FOR_MULTIMODAL_LM_MAPPING:
        return transformers.AutoModelForMultimodalLM
    raise InputError(f"{found.model} is a {config.model_type}, which is no chat model that transformers can run")
