"""The agent says again what it has said: near copies of its earlier replies, questions put twice.

Compares the reply with every earlier reply of the conversation, by what they have in common in the same order (words weighted by
how rare they are in the corpus, misheard endings allowed) and by the cosine of character n-grams. Courtesies may be repeated, and
a stretch with new numbers or with words that the user has just said is progress even where its frame is an old one
("a table for two, at seven" after "a table for two").
Sees copies, rewordings that keep most of the words, and one old sentence within a longer reply. Does not see the same thought in
other words, and cannot tell a repetition the user asked for from one that nobody wanted, except by the words of the request.
Of replies longer than 500 words only the first 500 are compared. Needs no annotation; without a corpus all words weigh the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.dialogues.dialogue import Turn
from turnwise.judges.alignment import LONGEST, aligned
from turnwise.judges.instrument import TextJudge
from turnwise.judges.judge import Bench, Exchange, Spoken
from turnwise.judges.learned import Learned, learned
from turnwise.judges.likeness import Likeness, same_word
from turnwise.judges.phrasing import COURTESY
from turnwise.judges.scene import scene_of
from turnwise.judges.severity import criterion, graded
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.judges.wording import FUNCTION_WORDS, numeric

NAME = "repetition"
LITTLE = 0.8  # weight of common words below which two replies share no more than small talk does
MUCH = 6.0  # weight in common that is a severe repetition however long the reply
FACT = 0.15  # weight of a word of a stated value: to name again what the user wants is to confirm it
SMALL_TALK = COURTESY | FUNCTION_WORDS
NEARBY = 3  # words beside the common stretch in which news count against a repetition
STEPS = (0.42, 0.52, 0.68, 0.9)  # shares of a reply that was said before: none, and the upper ends of mild, moderate, severe


class _Sitting:
    def __init__(self, corpus: Learned) -> None:
        self._corpus = corpus

    def close(self) -> None:
        """Nothing is held."""

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        scene = scene_of(exchange)
        if not scene.reply:
            return {NAME: Abstention("no word of the reply was understood")}
        if not scene.past_agent:
            return {NAME: Score(0.0, "the first reply repeats nothing")}

        theirs = {part for key, _ in scene.stated.values() for part in key}

        def weight(word: str) -> float:
            if word in theirs:
                return FACT
            if word in COURTESY:
                return 0.05
            if word in FUNCTION_WORDS:
                return 0.15
            return 0.3 + 0.7 * self._corpus.weight(word, scene.dialogue)

        total = sum(map(weight, scene.reply[:LONGEST]))
        likeness = self._corpus.likeness
        vector = likeness.vector(scene.reply)
        best, quoted = 0.0, ""
        for earlier in scene.past_agent:
            common, (start, end) = aligned(scene.reply, earlier, weight)
            if common < LITTLE or SMALL_TALK.issuperset(scene.reply[start:end]):
                continue
            share = common / max(total, LITTLE)
            cosine = Likeness.cosine(vector, likeness.vector(earlier))
            around = scene.reply[max(0, start - NEARBY) : end + NEARBY]
            new = sum(weight(w) for w in dict.fromkeys(around) if w not in FUNCTION_WORDS and _news(w, scene.user, earlier))
            evidence = max(0.5 * (share + cosine), 0.8 * share, common / MUCH) - 1.5 * new / max(total, LITTLE)
            if evidence > best:
                best, quoted = evidence, f"said before: {' '.join(scene.reply[start:end])!r} in {' '.join(earlier)!r}"
        value = graded(best, *STEPS)
        return {NAME: Score(value, quoted if value else "nothing of weight was said before")}


def _news(word: str, user: tuple[str, ...], earlier: tuple[str, ...]) -> bool:
    """Whether a word is progress over an earlier reply: the user has just said it, or it is another number."""
    return (numeric(word) or word in user) and not any(same_word(word, other) for other in earlier)


def _open(bench: Bench) -> _Sitting:
    return _Sitting(learned(bench.background))


def _example(*replies: str) -> Exchange:
    user = Turn("user", "Could you find me a quiet hotel near the harbor?")
    rounds = tuple(Spoken(n, user, None, None, reply, reply, None) for n, reply in enumerate(replies, start=1))
    return Exchange("example", "SearchHotel", (), rounds)


_COPY = "which evening would you be arriving and how many nights will you stay"


def judge() -> TextJudge:
    return TextJudge(
        version=1,
        criteria=(criterion(NAME),),
        open=_open,
        background=True,
        examples=(
            (_example(_COPY), {NAME: Score(0.0, "the first reply repeats nothing")}),
            (_example(_COPY, _COPY), {NAME: Score(100.0, f"said before: {_COPY!r} in {_COPY!r}")}),
        ),
    )
