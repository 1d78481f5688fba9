"""What to say next: from the state of a conversation to a reply of one to three sentences."""

from __future__ import annotations

from turnwise.agents.catalogue import Catalogue, Item
from turnwise.agents.domains import Intent
from turnwise.agents.frame_state import State
from turnwise.agents.phrasebook import Chooser, Phrasebook
from turnwise.agents.small_talk import small_talk
from turnwise.foundation.fingerprint import seed_of

LONGEST = 30  # words in a reply
SHORTEST = 8
LONGEST_CARRIER = 6  # words a recommendation adds to name, place and description
ENOUGH = 3  # known values from which a recommendation is worth making, once what tells items apart is known or was asked
PLENTY = 5  # known values from which it is worth making anyway
LONGEST_SUMMARY = 24  # words of a summary that still names its item
ATTEMPTS = 16  # other choices of words, should a whole reply have been said before
STRICT_ATTEMPTS = 4  # of these, how many use the least used phrases only
# Words in an own turn that show it booked; phrases.toml uses them for nothing else.
BOOKED = (
    "booked",
    "reserved",
    "confirmed",
    "booking is made",
    "is starting now",
    "here it comes",
    "i am playing",
    "begins right now",
    "list is ready",
    "set it going",
    "ready to play",
    "music begins",
)


def reply(state: State, catalogue: Catalogue, book: Phrasebook, *, seed: int) -> str:
    """A reply that the shown past does not hold yet."""
    text = ""
    for attempt in range(ATTEMPTS):
        # When every phrase was used, the least used ones may only fit together as before: then any will do.
        said = state.said if attempt < STRICT_ATTEMPTS else ()
        text = _Composer(state, catalogue, book, seed_of(seed, attempt), said).text()
        if text not in state.said:
            break
    return text


class _Composer:
    """One attempt at a reply: sentences that must be said, and others as long as there is room."""

    def __init__(self, state: State, catalogue: Catalogue, book: Phrasebook, seed: int, said: tuple[str, ...]) -> None:
        self.state = state
        self.catalogue = catalogue
        self.book = book
        self.seed = seed
        self.choose = Chooser(seed, said)
        self.parts: list[str] = []

    def text(self) -> str:
        if self.state.intent is None:
            self._without_intent()
        else:
            self._task(self.state.intent)
        for act in ("sure", "waiting"):
            if self._length() < SHORTEST:
                self._more(self._phrase(act))
        return " ".join(self.parts)

    # Without a known wish

    def _without_intent(self) -> None:
        state = self.state
        asked = [slot for slot in state.acts.probes if slot not in state.fresh]
        if state.acts.everything or (asked and (state.acts.framed or not state.heard)):
            self._recall(None, asked)
            self._more(self._phrase("clarify"))
        elif state.acts.book and not state.heard:
            self._must(self._phrase("no_book"))
            self._more(self._phrase("clarify"))
        elif state.fresh and not state.heard and not state.acts.greeting:
            self._must(self._phrase("ack", values=self.book.listed(None, state.fresh)))
            self._must(self._phrase("clarify"))
        else:
            values = self.book.listed(None, state.fresh) if state.fresh else ""
            for sentence in small_talk(state.text, state.heard, self.choose, values):
                self._more(sentence)

    # With one

    def _task(self, intent: Intent) -> None:
        state = self.state
        probes = [slot for slot in state.acts.probes if slot not in state.fresh]
        asks_vaguely = state.acts.framed and not probes and self._nothing_else()
        if state.acts.everything or probes or (asks_vaguely and state.known):
            self._acknowledge(intent)
            self._recall(intent, probes)
            if state.acts.book and state.known and all(slot in state.known for slot in probes):
                self._more(self._phrase(self._booking(intent, "_recall")))
            elif state.acts.thanks:
                self._more(self._phrase("bye"))
            elif not state.booked and not self._ask_missing(probes):
                self._more(self._phrase("sure"))
        elif state.acts.book and not state.opening and (state.offered or not state.fresh):
            self._confirm(intent)
        elif state.acts.questions and not state.fresh:
            self._answer(intent)
        elif state.acts.thanks and not state.fresh and not state.opening:
            self._must(self._phrase("bye"))
        else:
            self._go_on(intent)

    def _nothing_else(self) -> bool:
        """Whether the turn appeals to memory and does nothing else that can be made out."""
        acts = self.state.acts
        return not (self.state.fresh or self.state.opening or acts.book or acts.questions or acts.suggest or acts.thanks)

    def _go_on(self, intent: Intent) -> None:
        """Acknowledge, then take the conversation one step further."""
        state = self.state
        if state.opening and len(state.known) <= ENOUGH:  # where more is known, there is no room for pleasantries
            self._must(self._phrase("transition", thing=self.book.thing(intent)))
        self._acknowledge(intent)
        offered = self._current()
        if offered is not None and offered.misses(state.known) and (state.fresh or state.acts.suggest):
            offered = None
        if state.acts.suggest and not state.opening:
            offered = None
        telling = self.catalogue.telling(intent.name)
        open_ = [slot for slot in self._askable() if slot in telling]
        ready = (len(state.known) >= ENOUGH and not open_) or len(state.known) >= PLENTY or not self._askable()
        if offered is None and not state.booked and ready and not (state.opening and self._askable()):
            self._recommend(intent)
            return
        if offered is not None and state.fresh:
            self._more(self._phrase("still", name=offered.name))
        if self._ask_missing(()):
            return
        if state.booked:
            self._more(self._phrase("bye" if state.acts.thanks else "waiting"))
        else:
            self._offer(intent)

    def _acknowledge(self, intent: Intent) -> None:
        state = self.state
        values = state.known if state.opening else state.fresh
        if values:
            act = "ack_route" if self.book.routed(intent, values) else "ack"
            act = "changed" if state.replaced and not state.opening else act
            self._must(self._phrase(act, values=self.book.listed(intent, values)))

    def _recall(self, intent: Intent | None, probes: list[str]) -> None:
        """Say again what was asked for, and own up to what was never told."""
        known = self.state.known
        if intent is not None and known and (self.state.acts.everything or not probes):
            self._must(self._phrase("sum", summary=self.book.summary(intent, known)))
            return
        told = {slot: known[slot] for slot in probes if slot in known}
        untold = [slot for slot in probes if slot not in known]
        if told:
            act = "recall_route" if self.book.routed(intent, told) else "recall"
            self._must(self._phrase(act, values=self.book.listed(intent, told)))
        elif not untold:
            self._must(self._phrase("no_sum"))
        if untold:
            nouns = list(dict.fromkeys(self.book.noun(intent, slot) for slot in untold))[:2]
            self._must(self._phrase("unknown", noun=" and the ".join(nouns)))

    def _confirm(self, intent: Intent) -> None:
        state = self.state
        item = self._current() or self._best(intent)
        if state.acts.questions:
            self._must(self._phrase(self._booking(intent, "_recall")))
            self._answers(intent)
            return
        if state.booked and not state.fresh:
            self._must(self._phrase("sum", summary=self.book.summary(intent, state.known)))
        else:
            summary = self.book.summary(intent, state.known)
            by = self.book.by(intent, item.name) if item is not None else ""
            if len((summary + by).split()) > LONGEST_SUMMARY:
                by = ""
            self._must(self._phrase(self._booking(intent, ""), summary=summary + by))
        self._more(self._phrase("bye"))

    def _answer(self, intent: Intent) -> None:
        self._answers(intent)
        if self.state.acts.thanks:
            self._more(self._phrase("bye"))
        elif not self._ask_missing(()) and not self.state.booked:
            self._offer(intent)

    def _answers(self, intent: Intent) -> None:
        item = self._current() or self._best(intent)
        for kind in self.state.acts.questions[:2]:
            if kind == "weather":
                self._must(self._phrase("weather"))
            elif item is not None and kind in item.answers:
                answer = item.answers[kind]
                self._must(self._phrase("answer", answer=answer, answer_low=answer[:1].lower() + answer[1:]))
            else:
                self._must(self._phrase("no_answer", name=item.name if item else self.book.thing(intent)))

    def _recommend(self, intent: Intent) -> None:
        item = self._best(intent, without=self.state.offered)
        if item is None:
            self._must(self._phrase("nothing", summary=self.book.summary(intent, self.state.known)))
        elif item.misses(self.state.known):
            self._must(self._phrase("recommend_near", name=item.name, blurb=item.blurb))
        else:
            where = self.book.where(intent, self.state.known)
            room = LONGEST - self._length() - len(where.split()) - len(item.name.split()) - LONGEST_CARRIER
            blurb = item.blurb if len(item.blurb.split()) <= room else _shortened(item.blurb)
            self._must(self._phrase("recommend", name=item.name, where=where, blurb=blurb))
        if not self._ask_missing(()):
            self._offer(intent)

    # Pieces

    def _offer(self, intent: Intent) -> None:
        self._more(self._phrase("offer_play" if "play" in intent.description else "offer"))

    def _best(self, intent: Intent, without: tuple[Item, ...] = ()) -> Item | None:
        return self.catalogue.best(intent.name, self.state.known, self.seed, without)

    def _current(self) -> Item | None:
        intent = self.state.intent
        listed = [item for item in self.state.offered if intent is not None and item.intent == intent.name]
        return listed[-1] if listed else None

    def _booking(self, intent: Intent, suffix: str) -> str:
        return ("play" if "play" in intent.description else "book" if not suffix else "booked") + suffix

    def _askable(self) -> list[str]:
        """Missing slots that were not asked for yet."""
        return [slot for slot in self.state.missing if slot not in self.state.asked]

    def _ask_missing(self, first: tuple[str, ...] | list[str]) -> bool:
        """Ask for one missing thing, sooner for what the user just asked about; whether there was something to ask."""
        slots = [s for s in first if s in self.state.missing] or self._askable()
        if not slots or self.state.intent is None or self.state.booked:
            return False
        questions = self.state.intent.slot(slots[0]).ask
        question = self.choose.pick("question", questions)
        return self._more(self._phrase("ask", ask=question, ask_low=question[:1].lower() + question[1:])) or self._more(question)

    def _phrase(self, act: str, **fill: str) -> str:
        return self.choose.pick(act, self.book.say(act), **fill)

    def _length(self) -> int:
        return sum(len(part.split()) for part in self.parts)

    def _must(self, sentence: str) -> None:
        self.parts.append(sentence)

    def _more(self, sentence: str) -> bool:
        if self._length() + len(sentence.split()) > LONGEST:
            return False
        self.parts.append(sentence)
        return True


def _shortened(blurb: str) -> str:
    """A description without its last parts."""
    return blurb.partition(",")[0] if "," in blurb else blurb.rpartition(" and ")[0] or blurb
