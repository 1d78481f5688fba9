"""End-to-end audio models hear what the view shows, speak in their voices, and never make do with less."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import tiny_models
import tiny_omni
from tiny_models import tone
from turnwise.agents.agent import AGENTS, Asked, Past, Reply, SessionMany, Surroundings, View
from turnwise.agents.omni_messages import Prompts
from turnwise.agents.omni_processor import load_processor, padding
from turnwise.agents.roster.omni import IDENTITIES, Omni, OmniSession, agent
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.resampling import resample
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore, to_pcm
from turnwise.speech.engine import Material
from turnwise.speech.weights import find_weights

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SHORT = {"most_tokens": 10, "most_speech_tokens": 20, "device": "cpu"}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    tiny_omni.qwen25_omni(folder / "omni")
    tiny_omni.qwen3_omni(folder / "omni3")
    tiny_omni.qwen2_audio(folder / "audio")
    yield folder
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return ClipStore(tmp_path_factory.mktemp("clips"))


def opened(shelf: Path, clips: ClipStore, model: str, **options: Any) -> OmniSession:
    return agent(str(shelf / model), **{"temperature": 0.0, **SHORT, **options}).open(Surroundings(clips, Material()))


@pytest.fixture(scope="module")
def spoken(shelf: Path, clips: ClipStore) -> OmniSession:
    return opened(shelf, clips, "omni")


@pytest.fixture(scope="module")
def written(shelf: Path, clips: ClipStore) -> OmniSession:
    return opened(shelf, clips, "omni", aloud=False, batch=4)


@pytest.fixture(scope="module")
def user(clips: ClipStore) -> Clip:
    return clips.keep(tone(1.0, rate=24000, seed=1))


@pytest.fixture(scope="module")
def other(clips: ClipStore) -> Clip:
    return clips.keep(tone(0.7, seed=2))


def asked(clip: Clip | None = None, *past: Past, text: str | None = None, instructions: str = "Be brief.") -> View:
    return View("d", 1 + len(past) // 2, instructions, past, text, clip)


def scripted(monkeypatch: pytest.MonkeyPatch, session: OmniSession, text: str = "", *, ends: bool = True) -> None:
    """From now on the thinker writes this."""
    thinker = getattr(session._network, "thinker", session._network)
    tokens = session._tokenizer(text)["input_ids"] + ([session._tokenizer.eos_token_id] if ends else [])
    size = thinker.lm_head.weight.shape[0]
    monkeypatch.setattr(thinker.lm_head, "forward", tiny_omni.Script(tokens, size))


# ---------------------------------------------------------------------------------------------- what it is shown


def prompts(shelf: Path, clips: ClipStore, model: str = "omni", **options: Any) -> Prompts:
    kind = {"omni": "qwen2_5_omni", "omni3": "qwen3_omni_moe", "audio": "qwen2_audio"}[model]
    return Prompts(load_processor(find_weights(str(shelf / model)), kind), clips, **options)


@pytest.mark.parametrize("form", ["text", "audio", "both"])
def test_each_turn_is_one_message_of_what_the_view_shows(
    shelf: Path, clips: ClipStore, user: Clip, other: Clip, form: str
) -> None:
    def shown(speaker: Any, words: str, clip: Clip) -> Past:
        return Past(speaker, None if form == "audio" else words, None if form == "text" else clip)

    view = asked(other, shown("user", "hello", user), shown("agent", "good day", other))
    found = prompts(shelf, clips).messages(view)
    assert [message["role"] for message in found] == ["system", "user", "assistant", "user"]
    kinds = {"text": ["text"], "audio": ["audio"], "both": ["audio", "text"]}[form]
    assert [[part["type"] for part in message["content"]] for message in found] == [["text"], kinds, kinds, ["audio"]]
    words = [part["text"] for message in found for part in message["content"] if part["type"] == "text"]
    assert words == ["Be brief."] + ([] if form == "audio" else ["hello", "good day"])
    sounds = [part["audio"] for message in found for part in message["content"] if part["type"] == "audio"]
    expected = [resample(clips.load(clip), 16000).samples for clip in ([other] if form == "text" else [user, other, other])]
    assert [len(s) for s in sounds] == [len(e) for e in expected]
    assert all(np.array_equal(s, e) for s, e in zip(sounds, expected, strict=True))


def test_the_prompt_to_the_last_token(shelf: Path, clips: ClipStore, user: Clip, other: Clip) -> None:
    maker = prompts(shelf, clips, preface="You are X.")
    view = asked(other, Past("agent", "welcome"), Past("user", "hello", user), Past("agent", None, other), text="and now?")
    encoded, notes = maker.inputs([view])
    # A second of sound is 100 frames, a quarter of them tokens: 1.0 s and 0.7 s are 25 and 17 or 18.
    first, second = "<|AUDIO|>" * 25, "<|AUDIO|>" * 17
    expected = (
        "<|im_start|>system\nYou are X.\n\nBe brief.<|im_end|>\n"
        "<|im_start|>assistant\nwelcome<|im_end|>\n"
        f"<|im_start|>user\n<|audio_bos|>{first}<|audio_eos|>hello<|im_end|>\n"
        f"<|im_start|>assistant\n<|audio_bos|>{second}<|audio_eos|><|im_end|>\n"
        f"<|im_start|>user\n<|audio_bos|>{second}<|audio_eos|>and now?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert maker._processor.tokenizer.decode(encoded["input_ids"][0]) == expected
    assert encoded["input_features"].shape[0] == 3
    assert notes == [()]


def test_nothing_is_added_where_there_are_no_instructions(shelf: Path, clips: ClipStore) -> None:
    found = prompts(shelf, clips).messages(asked(text="hi", instructions=""))
    assert found == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    with pytest.raises(EngineError) as caught:
        prompts(shelf, clips).messages(asked())
    assert caught.value.cause == "no-input"


def test_less_padding_changes_no_feature(shelf: Path, user: Clip, other: Clip, clips: ClipStore) -> None:
    processor = load_processor(find_weights(str(shelf / "omni")), "qwen2_5_omni")
    sounds = [resample(clips.load(clip), 16000).samples for clip in (user, other)]
    assert padding(processor, sounds) == {"padding": True, "audio_kwargs": {"sampling_rate": 16000, "max_length": 32000}}
    assert padding(processor, []) == {"padding": True}
    text = "<|AUDIO|><|AUDIO|>"
    ours = processor(text=text, audio=sounds, return_tensors="pt", **padding(processor, sounds))
    whole = processor(text=text, audio=sounds, return_tensors="pt", sampling_rate=16000)
    assert (ours["input_features"].shape[-1], whole["input_features"].shape[-1]) == (200, 30000)
    for row in range(2):
        heard = ours["feature_attention_mask"][row].bool()
        assert int(heard.sum()) == int(whole["feature_attention_mask"][row].sum())
        length = int(heard.sum())
        assert torch.equal(ours["input_features"][row, :, :length], whole["input_features"][row, :, :length])


NOT_THE_USER = "{% if message['role'] != 'user' %}"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        (("{{ part['text'] }}", ""), "leaves out or moves the words 'Be brief.'"),
        (("<|audio_bos|>", NOT_THE_USER + "{{ raise_exception('no sound there') }}{% endif %}"), "no sound there"),
        (("<|AUDIO|>", NOT_THE_USER + "{% else %}<|AUDIO|>{% endif %}"), "places for 2 of 3 clips"),
    ],
)
def test_a_template_that_drops_something_is_found(
    shelf: Path, clips: ClipStore, user: Clip, other: Clip, template: tuple[str, str], complaint: str
) -> None:
    maker = prompts(shelf, clips)
    view = asked(other, Past("user", None, user), Past("agent", None, other))
    assert template[0] in maker._processor.chat_template
    maker._processor.chat_template = maker._processor.chat_template.replace(*template)
    with pytest.raises(EngineError, match=complaint) as caught:
        maker.inputs([view])
    assert caught.value.cause == "template"


def test_a_clip_longer_than_the_ears_is_not_cut(shelf: Path, clips: ClipStore) -> None:
    maker = prompts(shelf, clips, "audio")
    maker.inputs([asked(clips.keep(tone(30.0, seed=9)))])
    with pytest.raises(EngineError, match=r"a clip has 30\.5 s and the model hears 30\.0 s") as caught:
        maker.inputs([asked(clips.keep(tone(30.5, seed=9)))])
    assert caught.value.cause == "audio-length"


# ---------------------------------------------------------------------------------------------- what it answers


def test_turns_with_its_own_voice_in_the_past(spoken: OmniSession, user: Clip, other: Clip) -> None:
    assert isinstance(spoken, SessionMany)
    assert spoken.batch == 1
    first = spoken.answer(asked(user), seed=3)
    assert first.clip is not None
    assert (first.clip.rate, first.heard) == (24000, None)
    replies: dict[str, Reply] = {}
    for form in ("text", "audio", "both"):
        words = (None, None) if form == "audio" else ("hello", first.text)
        sounds = (None, None) if form == "text" else (user, first.clip)
        view = asked(other, Past("user", words[0], sounds[0]), Past("agent", words[1], sounds[1]))
        replies[form] = spoken.answer(view, seed=3)
        again = spoken.answer(view, seed=3)
        assert (again.text, again.clip) == (replies[form].text, replies[form].clip)
    assert len({reply.text for reply in replies.values()}) == 3
    timings = replies["both"].timings
    assert timings.think is not None and timings.speak is not None and timings.first_audio is not None
    assert timings.think > 0 and timings.speak > 0
    assert timings.first_audio == pytest.approx(timings.think + timings.speak)
    assert timings.hear is None


def test_another_seed_is_another_speech(spoken: OmniSession, user: Clip) -> None:
    one, two = spoken.answer(asked(user), seed=1), spoken.answer(asked(user), seed=2)
    assert one.text == two.text  # temperature 0
    assert one.clip != two.clip
    state = torch.random.get_rng_state()
    assert spoken.answer(asked(user), seed=1).clip == one.clip
    assert torch.equal(torch.random.get_rng_state(), state)


def test_it_is_what_the_library_gives(shelf: Path, clips: ClipStore, spoken: OmniSession, user: Clip, other: Clip) -> None:
    """The same turn by hand: the library's own loader, a prompt written out, its own sampling."""
    from transformers import Qwen2_5OmniForConditionalGeneration

    model = Qwen2_5OmniForConditionalGeneration.from_pretrained(shelf / "omni").eval()
    processor = load_processor(find_weights(str(shelf / "omni")), "qwen2_5_omni")
    sound = "<|audio_bos|><|AUDIO|><|audio_eos|>"
    text = f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{sound}<|im_end|>\n"
    text += f"<|im_start|>assistant\n{sound}hm<|im_end|>\n<|im_start|>user\n{sound}<|im_end|>\n<|im_start|>assistant\n"
    sounds = [resample(clips.load(clip), 16000).samples for clip in (user, other, user)]
    inputs = processor(text=text, audio=sounds, return_tensors="pt", **padding(processor, sounds))
    torch.manual_seed(11)
    tokens, wave = model.generate(
        **inputs,
        thinker_max_new_tokens=10,
        thinker_do_sample=False,
        talker_max_new_tokens=20,
        talker_eos_token_id=[64, 66],
        speaker="Chelsie",
    )
    reply = spoken.answer(asked(user, Past("user", None, user), Past("agent", "hm", other)), seed=11)
    new = tokens[0, inputs["input_ids"].shape[1] :]
    assert reply.text == processor.tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert reply.clip is not None
    assert np.array_equal(to_pcm(clips.load(reply.clip)) / 32768, np.rint(wave.numpy() * 32768) / 32768)


def test_voices(shelf: Path, clips: ClipStore, spoken: OmniSession, user: Clip) -> None:
    plain = spoken.answer(asked(user), seed=5)
    chelsie = opened(shelf, clips, "omni", voice="chelsie").answer(asked(user), seed=5)
    ethan = opened(shelf, clips, "omni", voice="Ethan").answer(asked(user), seed=5)
    assert plain.text == chelsie.text == ethan.text
    assert plain.clip == chelsie.clip != ethan.clip
    with pytest.raises(InputError, match=r"voice is 'Bob', and .* knows: Chelsie, Ethan"):
        opened(shelf, clips, "omni", voice="Bob")


def test_qwen3_speaks_by_the_same_file(
    shelf: Path, clips: ClipStore, user: Clip, other: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(shelf, clips, "omni3", voice="Aiden")
    scripted(monkeypatch, session, "Yes.")
    view = asked(other, Past("user", "hello", user), Past("agent", "hm", other))
    aiden = session.answer(view, seed=4)
    assert (aiden.text, aiden.notes) == ("Yes.", ("the speech was cut at 20 sound codes",))
    assert aiden.clip is not None and aiden.clip.seconds == pytest.approx(1.5, abs=0.2)
    ethan = opened(shelf, clips, "omni3")
    scripted(monkeypatch, ethan, "Yes.")
    assert ethan.answer(view, seed=4).clip != aiden.clip
    with pytest.raises(InputError, match="knows: aiden, chelsie, ethan"):
        opened(shelf, clips, "omni3", voice="Bob")


def test_words_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, shelf: Path, clips: ClipStore, user: Clip) -> None:
    said = " I can be your Assistant for tonight's booking : call (312) 555-0100 *now* [sic] , ok ?\n"
    for aloud in (True, False):
        session = opened(shelf, clips, "omni", aloud=aloud, most_tokens=120)
        scripted(monkeypatch, session, said + "<|im_start|>")
        reply = session.answer(asked(user), seed=1)
        assert reply.text == said
        assert not [note for note in reply.notes if "reply was cut" in note]


def test_nothing_to_say_is_silence(
    monkeypatch: pytest.MonkeyPatch, spoken: OmniSession, written: OmniSession, user: Clip
) -> None:
    for session in (spoken, written):
        for words in ("", " \n"):
            scripted(monkeypatch, session, words)
            reply = session.answer(asked(user), seed=1)
            assert (reply.text, reply.clip, reply.notes) == ("", None, ())
            assert reply.timings.think is not None and reply.timings.speak is None and reply.timings.first_audio is None


def test_words_without_sound_are_an_error(monkeypatch: pytest.MonkeyPatch, spoken: OmniSession, user: Clip) -> None:
    network = spoken._network
    with monkeypatch.context() as mute:
        mute.setattr(network.talker.codec_head, "forward", tiny_omni.Script([66], 72))
        with pytest.raises(EngineError, match="spoke none of them") as caught:
            spoken.answer(asked(user), seed=1)
    assert caught.value.cause == "empty-audio"
    with monkeypatch.context() as mute:
        faint = torch.full((4800,), 1e-6)  # less than half a step of 16 bits
        mute.setattr(network.token2wav, "forward", lambda *_, **__: faint)
        with pytest.raises(EngineError, match=r"0\.2 s of silence") as caught:
            spoken.answer(asked(user), seed=1)
    assert caught.value.cause == "empty-audio"
    assert spoken.answer(asked(user), seed=1).clip is not None


def test_what_ran_into_a_limit_is_noted(monkeypatch: pytest.MonkeyPatch, spoken: OmniSession, user: Clip) -> None:
    scripted(monkeypatch, spoken, "Good morning to you", ends=False)
    with monkeypatch.context() as talking:
        talking.setattr(spoken._network.talker.codec_head, "forward", tiny_omni.Script([7], 72))
        reply = spoken.answer(asked(user), seed=1)
    assert reply.text == "Good morni"
    assert reply.notes == ("the speech was cut at 20 sound codes", "the reply was cut at 10 tokens")
    assert reply.clip is not None and reply.clip.seconds in (0.38, 0.4)  # 50 codes a second; older versions drop the last
    scripted(monkeypatch, spoken, "Hello")
    with monkeypatch.context() as talking:
        talking.setattr(spoken._network.talker.codec_head, "forward", tiny_omni.Script([7, 8, 9, 66], 72))
        reply = spoken.answer(asked(user), seed=1)
    assert (reply.text, reply.notes) == ("Hello", ())
    assert reply.clip is not None and reply.clip.seconds == 0.06


# ---------------------------------------------------------------------------------------------- text mode


def views(user: Clip, other: Clip) -> list[Asked]:
    return [
        Asked(asked(user), 1),
        Asked(asked(text="hello there, how are you today?", instructions=""), 2),
        Asked(asked(other, Past("user", "hello", user), Past("agent", "hm", other), Past("user", None, other)), 3),
        Asked(asked(text="hi"), 4),
    ]


@pytest.mark.parametrize("model", ["omni", "omni3", "audio"])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_batch_answers_as_each_alone(
    shelf: Path, clips: ClipStore, user: Clip, other: Clip, model: str, temperature: float
) -> None:
    session = opened(shelf, clips, model, aloud=False, batch=4, temperature=temperature, top_p=0.95, top_k=100)
    assert session.batch == 4
    together = session.answer_many(views(user, other))
    alone = [session.answer(one.view, seed=one.seed) for one in views(user, other)]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert len({reply.text for reply in together}) == 4
    assert all(reply.clip is None and reply.timings.think for reply in together)
    turned = [Asked(one.view, one.seed + 100) for one in views(user, other)]
    others = [reply.text for reply in session.answer_many(turned)]
    assert (others == [reply.text for reply in together]) == (temperature == 0)


def test_only_what_is_declared_shapes_the_text(
    shelf: Path, clips: ClipStore, written: OmniSession, user: Clip, tmp_path: Path
) -> None:
    plain = written.answer(asked(user), seed=1).text
    own = {"repetition_penalty": 5.0, "temperature": 0.1, "top_k": 1, "do_sample": True}
    tiny_omni.edited(shelf / "omni", tmp_path / "opinionated", "generation_config.json", **own)
    assert opened(tmp_path, clips, "opinionated", aloud=False).answer(asked(user), seed=1).text == plain
    assert opened(shelf, clips, "omni", aloud=False, repetition_penalty=50.0).answer(asked(user), seed=1).text != plain


def test_text_mode_thinks_what_the_whole_model_thinks(spoken: OmniSession, written: OmniSession, user: Clip, other: Clip) -> None:
    view = asked(other, Past("user", None, user), Past("agent", "hm", other))
    assert written.answer(view, seed=1).text == spoken.answer(view, seed=1).text
    assert not hasattr(written._network, "talker")


def test_too_little_memory_makes_batches_smaller_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, written: OmniSession, user: Clip, other: Clip
) -> None:
    whole = [reply.text for reply in written.answer_many(views(user, other))]
    real, rows = written._network.generate, []

    def tight(**inputs: Any) -> Any:
        rows.append(len(inputs["input_ids"]))
        if len(inputs["input_ids"]) > 1:
            raise torch.OutOfMemoryError("no room")
        return real(**inputs)

    monkeypatch.setattr(written._network, "generate", tight)
    assert [reply.text for reply in written.answer_many(views(user, other))] == whole
    assert rows == [4, 2, 1, 1, 2, 1, 1]


@pytest.mark.parametrize("aloud", [True, False])
def test_out_of_memory_is_an_error(
    monkeypatch: pytest.MonkeyPatch, spoken: OmniSession, written: OmniSession, user: Clip, aloud: bool
) -> None:
    session = spoken if aloud else written

    def full(**inputs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(session._network, "generate", full)
    with pytest.raises(EngineError, match="Tried to allocate") as caught:
        session.answer(asked(user), seed=1)
    assert caught.value.cause == "out-of-memory"


# ---------------------------------------------------------------------------------------------- too long


def long_past(user: Clip, other: Clip) -> tuple[Past, ...]:
    rounds = [(Past("user", f"number {n}", user), Past("agent", f"yes {n}", other)) for n in range(1, 5)]
    return (Past("agent", "welcome"), *(turn for pair in rounds for turn in pair))


def test_a_turn_that_does_not_fit(shelf: Path, clips: ClipStore, user: Clip, other: Clip) -> None:
    view = asked(other, *long_past(user, other))
    length = int(prompts(shelf, clips).inputs([view])[0]["attention_mask"].sum())
    assert prompts(shelf, clips, room=length).inputs([view])[1] == [()]
    with pytest.raises(EngineError, match=f"needs {length} tokens of context and the model has room for {length - 1}") as caught:
        prompts(shelf, clips, room=length - 1).inputs([view])
    assert caught.value.cause == "context-length"
    maker = prompts(shelf, clips, room=length - 1, cut="oldest")
    encoded, notes = maker.inputs([view])  # the opening turn is enough
    assert notes == [("context cut to 4 rounds by the model's limit",)]
    assert "welcome" not in maker._processor.tokenizer.decode(encoded["input_ids"][0])


@pytest.mark.parametrize("kept", [3, 2, 1, 0])
def test_the_oldest_rounds_go_and_no_more_than_needed(shelf: Path, clips: ClipStore, user: Clip, other: Clip, kept: int) -> None:
    past = long_past(user, other)
    rest = asked(other, *past[len(past) - 2 * kept :])
    fitting = int(prompts(shelf, clips).inputs([rest])[0]["attention_mask"].sum())
    maker = prompts(shelf, clips, room=fitting, cut="oldest")
    encoded, notes = maker.inputs([asked(other, *past), asked(text="hi")])
    assert notes == [(f"context cut to {kept} rounds by the model's limit",), ()]
    expected = prompts(shelf, clips).inputs([rest])[0]["input_ids"][0]
    assert torch.equal(encoded["input_ids"][0], expected)
    if kept == 0:
        with pytest.raises(EngineError) as caught:
            prompts(shelf, clips, room=fitting - 1, cut="oldest").inputs([asked(other, *past)])
        assert caught.value.cause == "context-length"


def test_the_limit_is_the_models_less_the_reply(
    monkeypatch: pytest.MonkeyPatch, shelf: Path, clips: ClipStore, user: Clip, other: Clip
) -> None:
    view = asked(other, *long_past(user, other))
    length = int(prompts(shelf, clips).inputs([view])[0]["attention_mask"].sum())
    for cut, room, notes in (("", length, ()), ("oldest", length - 1, ("context cut to 4 rounds by the model's limit",))):
        session = opened(shelf, clips, "omni", aloud=False, most_tokens=4096 - room, cut=cut)
        scripted(monkeypatch, session, "Yes.")
        lost = tuple(note for note in session.answer(view, seed=1).notes if note.startswith("context"))
        assert lost == notes
    session = opened(shelf, clips, "omni", aloud=False, most_tokens=4096 - length + 1)
    with pytest.raises(EngineError) as caught:
        session.answer(view, seed=1)
    assert caught.value.cause == "context-length"


# ---------------------------------------------------------------------------------------------- opening and options


def test_files_that_lack_something(shelf: Path, clips: ClipStore, user: Clip, tmp_path: Path) -> None:
    deaf = tiny_models.without_weight(shelf / "omni", tmp_path / "deaf", "thinker.audio_tower.proj.weight")
    with pytest.raises(InputError, match=r"lacks 1 of the weights .* thinker\..*audio_tower\.proj\.weight"):
        opened(tmp_path, clips, "deaf")
    with pytest.raises(InputError, match="lacks 1 of the weights"):
        opened(tmp_path, clips, "deaf", aloud=False)
    assert deaf.is_dir()
    tiny_models.without_weight(shelf / "omni", tmp_path / "mute", "talker.codec_head.weight")
    with pytest.raises(InputError, match=r"lacks 1 of the weights .* talker\.codec_head\.weight"):
        opened(tmp_path, clips, "mute")
    assert opened(tmp_path, clips, "mute", aloud=False).answer(asked(user), seed=1).text  # it needs no talker
    shutil.copytree(shelf / "omni", tmp_path / "nameless")
    (tmp_path / "nameless" / "spk_dict.pt").unlink()
    with pytest.raises(InputError, match=r"has no spk_dict\.pt"):
        opened(tmp_path, clips, "nameless")
    with pytest.raises(InputError, match="is neither a folder nor in the Hugging Face cache"):
        agent("nobody/nothing-of-the-kind").open(Surroundings(clips, Material()))


def test_models_of_another_kind(shelf: Path, clips: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot speak"):
        opened(shelf, clips, "audio")
    with pytest.raises(InputError, match="cannot speak"):
        tiny_omni.edited(shelf / "omni", tmp_path / "quiet", "config.json", enable_audio_output=False)
        opened(tmp_path, clips, "quiet")
    tiny_models.chat(tmp_path / "chat")
    with pytest.raises(InputError, match="is no model of words and sound"):
        opened(tmp_path, clips, "chat", aloud=False)


def test_the_models_own_sentence(shelf: Path, clips: ClipStore, user: Clip) -> None:
    session = opened(shelf, clips, "omni", identity_prompt="model")
    system = session._prompts.messages(asked(user))[0]
    assert system == {"role": "system", "content": [{"type": "text", "text": f"{IDENTITIES['qwen2_5_omni']}\n\nBe brief."}]}
    assert session.answer(asked(user), seed=1).notes[0] == "the model's own sentence on who it is stood before the instructions"
    with pytest.raises(InputError, match="no sentence of its own is known for models of type qwen2_audio"):
        opened(shelf, clips, "audio", aloud=False, identity_prompt="model")


def test_half_precision(shelf: Path, clips: ClipStore, user: Clip) -> None:
    session = opened(shelf, clips, "omni", dtype="bfloat16")
    assert session._network.thinker.dtype == torch.bfloat16
    assert {weight.dtype for weight in session._network.token2wav.parameters()} == {torch.float32}
    assert session.answer(asked(user), seed=1).clip is not None


def test_identity_and_options(shelf: Path) -> None:
    built = agent(str(shelf / "omni"), device="cpu")
    assert isinstance(built, Omni)
    assert (built.speaks, built.place, built.models) == (True, "device", (str(shelf / "omni"),))
    assert not agent(str(shelf / "omni"), aloud=False).speaks
    identity = built.identity()
    assert {"shared", "torch", "transformers", "tokenizers", "soxr", "weights", "numbers"} == identity.keys()
    assert identity["numbers"] == "float32 on cpu"
    assert identity["weights"] != agent(str(shelf / "omni3")).identity()["weights"]
    options = {"model": str(shelf / "omni")}
    assert AGENTS.identity("omni", options) != AGENTS.identity("omni", {**options, "voice": "Ethan"})
    assert agent("nobody/nothing").model == "nobody/nothing"  # building looks at no file


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"model": ""}, "model is empty"),
        ({"most_tokens": 1}, "most_tokens is 1, expected at least 2"),
        ({"most_speech_tokens": 0}, "most_speech_tokens is 0"),
        ({"temperature": -1}, "temperature -1"),
        ({"top_p": 0}, "top_p 0"),
        ({"top_p": 1.5}, "top_p 1.5"),
        ({"top_k": -1}, "top_k -1"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0"),
        ({"identity_prompt": "yes"}, "identity_prompt is 'yes'"),
        ({"cut": "newest"}, "cut is 'newest'"),
        ({"aloud": False, "voice": "Ethan"}, "a text has no voice"),
        ({"batch": 4}, "batch is 4 and aloud is true"),
        ({"batch": 0}, "batch is 0"),
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"quantization": "2bit"}, "quantization is '2bit'"),
    ],
)
def test_wrong_options(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        agent(**{"model": "a/b", **options})


def test_closing_twice(shelf: Path, clips: ClipStore) -> None:
    session = opened(shelf, clips, "audio", aloud=False)
    session.close()
    session.close()


def test_a_view_is_left_as_it_was(spoken: OmniSession, user: Clip) -> None:
    view = asked(user, Past("user", "hello", user))
    before = msgspec.json.encode(view)
    spoken.answer(view, seed=1)
    assert msgspec.json.encode(view) == before
