"""The dispatcher against a simulated caller, VAD and recognizer: whatever they do, every word has one place."""

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush

from hypothesis import given

from batkol.speech.outcomes import Final, Missed, Partial, Revision, Unplaced, UtteranceOutcome
from batkol.speech.results import Transcript
from batkol.speech.sameness import same
from batkol.speech.utterance import REACHES, Mode, Source, Utterance, UtteranceState
from batkol.speech.utterances import Utterances, UtteranceTimeouts
from support.properties import few_by_day
from support.speech.conversation import SECOND, Begins, Conversation, FallsSilent, Sentence, conversations

PATIENCE = UtteranceTimeouts()
MICROSECOND = 1e-6  # the float of a sum is not that of its parts in another order


@dataclass
class Call:
    """Plays a conversation to a dispatcher, as the policy does: ticks on time, asks elsewhere for what was missed."""

    conversation: Conversation
    dispatcher: Utterances = field(default_factory=lambda: Utterances(PATIENCE))
    sentences: dict[int, Sentence] = field(default_factory=dict)  # by the utterance's index
    log: list[tuple[float, UtteranceOutcome]] = field(default_factory=list)
    silent_at: dict[int, float] = field(default_factory=dict)
    asked: list[tuple[float, int, Utterance]] = field(default_factory=list)
    early: set[int] = field(default_factory=set)  # promoted by a second interim that says the same

    def play(self) -> "Call":
        for now, event in self.conversation.script:
            self._wait_until(now)
            match event:
                case Begins(sentence, begin):
                    utterance = self.dispatcher.begin(begin, sentence.speech_at, sentence.mode)
                    self.sentences[utterance.index] = sentence
                case FallsSilent(sentence, heard_to):
                    self._fall_silent(sentence, heard_to, now)
                case Transcript():
                    before = {u.index: (u.interim, u.interim_end) for u in self.dispatcher.open}
                    self._act(self.dispatcher.dispatch(event), now)
                    self.early |= {
                        index
                        for index, (interim, end) in before.items()
                        if not event.final and interim and same(interim, event.text) and event.end > end
                    }
        end = self.conversation.ends
        if self.conversation.complete:  # otherwise the call ends at once, with all that is still due
            end += 10
            self._wait_until(end)
            assert self.dispatcher.deadline is None
        self._act(self.dispatcher.stream_ended(), end)
        self._wait_until(end + 10)
        return self

    def _fall_silent(self, sentence: Sentence, heard_to: int, now: float) -> None:
        utterance = self.dispatcher.speaking
        assert utterance is not None
        self.silent_at[utterance.index] = now
        self._act(self.dispatcher.fall_silent(sentence.end, heard_to, now), now)
        if utterance.mode is Mode.SINGLE:
            self._ask(utterance, now)

    def _ask(self, utterance: Utterance, now: float) -> None:
        heappush(self.asked, (now + self.conversation.answers, utterance.index, utterance))

    def _wait_until(self, now: float) -> None:
        """Let the time pass: the deadlines that fall in it, and the answers that arrive in it."""
        while True:
            deadline = self.dispatcher.deadline
            answer = self.asked[0][0] if self.asked else float("inf")
            if deadline is not None and deadline <= min(now, answer):
                self._act(self.dispatcher.tick(deadline), deadline)
                after = self.dispatcher.deadline
                assert after is None or after > deadline, "a tick does what was due"
            elif answer <= now:
                _, _, utterance = heappop(self.asked)
                text = self.sentences[utterance.index].text
                self._act(self.dispatcher.settle(utterance, text, Source.SINGLE), answer)
            else:
                return

    def _act(self, outcomes: list[UtteranceOutcome], now: float) -> None:
        for outcome in outcomes:
            self.log.append((now, outcome))
            match outcome:
                case Missed(utterance):
                    self._ask(utterance, now)
                case Partial(utterance):
                    assert utterance.state is not UtteranceState.DONE, "no partial after the final"
                    assert utterance.mode is Mode.STREAMING
                case Final(utterance) if utterance.source is Source.INTERIM:
                    assert utterance.end is not None
                    assert utterance.interim_end >= utterance.end - REACHES, "promoted, though it stopped short"
                case _:
                    pass

    def due(self, utterance: Utterance) -> tuple[float, float]:
        """When it had to be promoted, and when it had to be given up."""
        now = self.silent_at[utterance.index]
        ended = self.sentences[utterance.index].end / SECOND
        deadline = max(ended + PATIENCE.final, now + PATIENCE.settle)
        return deadline, max(ended + PATIENCE.give_up, deadline)

    def of(self, kind: type[UtteranceOutcome]) -> list[tuple[float, Utterance]]:
        return [(now, outcome.utterance) for now, outcome in self.log if isinstance(outcome, kind)]


@few_by_day(20)
@given(conversations())
def test_every_utterance_gets_exactly_one_final(conversation: Conversation) -> None:
    call = Call(conversation).play()
    finals = Counter(utterance.index for _, utterance in call.of(Final))

    unplaced = {utterance.index for _, utterance in call.of(Unplaced)}
    assert finals == Counter({*call.sentences, *unplaced})
    assert set(call.sentences).isdisjoint(unplaced)
    assert call.dispatcher.open == []


@few_by_day(20)
@given(conversations())
def test_every_word_ends_up_in_the_utterance_it_was_spoken_in_and_only_there(conversation: Conversation) -> None:
    """The record at the end of the call, with every late final in: nothing lost, doubled or next door."""
    call = Call(conversation).play()
    if not conversation.complete:
        return
    records = {utterance.index: utterance for _, utterance in call.of(Final)}
    for index, sentence in call.sentences.items():
        assert records[index].text == sentence.text
    missed_by_vad = sorted((u for _, u in call.of(Unplaced)), key=lambda utterance: utterance.begin)
    unseen = [sentence.text for sentence in conversation.sentences if not sentence.seen]
    assert " ".join(utterance.text for utterance in missed_by_vad) == " ".join(unseen)


@few_by_day(20)
@given(conversations())
def test_nothing_waits_past_its_deadline(conversation: Conversation) -> None:
    """Promoted on time if it can be; otherwise closed, or named as missed once, when patience ends."""
    call = Call(conversation).play()
    missed = Counter(utterance.index for _, utterance in call.of(Missed))
    assert all(times == 1 for times in missed.values())
    given_up = {utterance.index: now for now, utterance in call.of(Missed)}
    for now, utterance in call.of(Final):
        if utterance.index not in call.silent_at or utterance.mode is Mode.SINGLE:
            continue
        deadline, give_up = call.due(utterance)
        assert min(now, given_up.get(utterance.index, now)) <= give_up + MICROSECOND
        if utterance.source is Source.INTERIM and now < conversation.ends:
            early = utterance.index in call.early
            assert early or now >= deadline - MICROSECOND, "a promotion is early only if the text was said twice"


@few_by_day(20)
@given(conversations())
def test_a_revision_says_something_new_of_its_own_utterance_after_its_final(conversation: Conversation) -> None:
    call = Call(conversation).play()
    said: dict[int, str] = {}
    for _, outcome in call.log:
        match outcome:
            case Final(utterance):
                said[utterance.index] = ""
            case Revision(utterance, text):
                assert said[utterance.index] != text
                said[utterance.index] = text
                spoken = call.sentences.get(utterance.index)
                assert not conversation.complete or spoken is None or set(text.split()) <= set(spoken.text.split())
