"""The policy over the real wire: gRPC to the speech double, HTTP to a Whisper server. All other cases run in memory."""

import asyncio

from batkol.recognizers.whisper.http import WhisperServer
from batkol.speech.utterance import Source
from batkol.voices.marked.voice import WORDS, script
from support.http.one_answer import answering, text
from support.speech.policy_call import BROKEN, REFUSED, THREE, TWO, dying, over_grpc
from support.time.waiting import until


async def test_a_stream_that_dies_in_mid_utterance_is_replaced_and_every_utterance_has_its_final() -> None:
    async with over_grpc(THREE, faults=(dying(1.0, times=1),)) as talk:
        for index in range(3):
            await talk.say(index)

        talk.right(0, 1, 2)
        assert set(talk.told.sources.values()) == {Source.FINAL}
        assert (talk.told.opened, talk.streams, talk.unary) == (1, 2, 0)
        assert (talk.told.reconnects, talk.told.steps) == (["unavailable"], [])


async def test_after_the_stream_and_the_single_request_whisper_gets_the_same_audio() -> None:
    async with answering(text("מה שוויספר שמע")) as (url, asked):
        whisper = WhisperServer(url=url, model="m", language="he", api_key="", timeout=20)
        async with over_grpc(faults=(*BROKEN, REFUSED), whisper=whisper) as talk:
            await talk.begin(0)
            await until(lambda: talk.told.closed == 1)
            await talk.end(0)
            await until(lambda: 0 in talk.told.texts)

            assert talk.told.texts[0] == "מה שוויספר שמע"
            assert talk.told.sources[0] is Source.WHISPER
            assert talk.told.steps == [("streaming", "unavailable"), ("single", "unavailable")]
        await whisper.close()
    assert len(asked) == 1


async def test_two_calls_at_once_never_hear_each_other() -> None:
    """Trap: one module-level session and one current utterance for the whole process."""
    others = script([WORDS[6:9], WORDS[9:12]])
    async with over_grpc(TWO) as one, over_grpc(others) as two:
        for index in (0, 1):
            await asyncio.gather(*(talk.say(index) for talk in (one, two)))

        one.right(0, 1)
        two.right(0, 1)
        assert [len(talk.told.texts) for talk in (one, two)] == [2, 2]
