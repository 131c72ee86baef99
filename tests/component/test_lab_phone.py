"""Real phones calling each other directly: who hears whom, hold, digits, both kinds of transfer, SRTP, codecs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.lab import tones
from tests.lab.addresses import claim
from tests.lab.phone import Identity, Phone, start_all

Make = Callable[..., Any]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Start phones; keywords go to every identity."""
    held = claim()
    made: list[Phone] = []

    async def start(count: int, **identity: Any) -> list[Phone]:
        phones = [
            Phone(Identity(f"20{n}", held.addresses.phone(n), tones.assigned(n), **identity), held.folder)
            for n in range(1, count + 1)
        ]
        made.extend(phones)
        await start_all(phones)
        return phones

    yield start
    await asyncio.gather(*(phone.stop() for phone in made))
    held.release()


def at(phone: Phone) -> str:
    return f"sip:{phone.identity.user}@{phone.identity.address};transport={phone.identity.transport}"


async def test_both_sides_hear_the_other_s_tone_and_hold_silences(make: Make) -> None:
    one, two = await make(2)
    call = await one.call(at(two))
    other = two.current()
    await call.wait_hears(two.tone_hz)
    await other.wait_hears(one.tone_hz)
    await call.dtmf("12#")
    await other.wait_digits("12#")
    await call.hold()
    await other.wait_hears()
    assert other.held
    await call.resume()
    await other.wait_hears(one.tone_hz)
    assert 0 < call.post_dial_delay_s < 10
    await other.hangup()
    await call.wait("closed")


async def test_blind_then_attended_transfer_joins_the_right_parties(make: Make) -> None:
    one, two, three = await make(3)
    await (await one.call(at(two))).transfer(at(three))
    await two.current().wait_hears(three.tone_hz)
    first = three.current()
    await first.transfer_to(await three.call(at(one)))
    await one.current().wait_hears(two.tone_hz)
    await two.current().wait_hears(one.tone_hz)


async def test_refused_and_unanswered_calls_close_with_their_cause(make: Make) -> None:
    one, two = await make(2)
    await two.behave(refuse=True)
    refused = await one.dial(at(two))
    await refused.wait("closed")
    assert refused.code == 486
    await two.behave(answer_after_s=None)
    ringing = await one.dial(at(two))
    await ringing.wait("ringing")
    await ringing.hangup()
    assert (await two.wait_incoming(2)).state in ("ringing", "closed")


async def test_tcp_carries_calls(make: Make) -> None:
    one, two = await make(2, transport="tcp")
    call = await one.call(at(two))
    await call.wait_hears(two.tone_hz)


@pytest.mark.parametrize("encryption", ["sdes", "dtls", "webrtc"])
async def test_encrypted_media_is_heard(make: Make, encryption: str) -> None:
    one, two = await make(2, encryption=encryption)
    call = await one.call(at(two))
    await call.wait_hears(two.tone_hz)
    assert call.encrypted


@pytest.mark.parametrize("codec", ["pcma", "g722/16000/1", "opus/48000/2"])
async def test_every_codec_carries_the_tone(make: Make, codec: str) -> None:
    one, two = await make(2, codecs=(codec,))
    call = await one.call(at(two))
    await call.wait_hears(two.tone_hz)
    await two.current().wait_hears(one.tone_hz)


async def test_gap_in_the_audio_is_measured(make: Make) -> None:
    one, two = await make(2)
    call = await one.call(at(two))
    await call.wait_hears(two.tone_hz)
    other = two.current()
    began = call.times["established"]
    await other.hold()
    await asyncio.sleep(0.8)
    await other.resume()
    await call.wait_hears(two.tone_hz)
    until = (await call.timeline())[-1][0]
    assert 0.5 < await call.longest_gap_s(two.tone_hz, began + 0.5, until) < 4
