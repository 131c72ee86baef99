"""What a telephone is offered to speak, before and after it has said anything."""

import pytest

from appliance.kamailio.media_anchor import Rtp
from appliance.kamailio.spoken import first_guess, second_guess


@pytest.mark.parametrize(
    ("transport", "caller", "known", "guess"),
    [
        ("udp", Rtp.PLAIN, "", Rtp.PLAIN),
        ("udp", Rtp.SDES, "", Rtp.PLAIN),
        ("tcp", Rtp.WEBRTC, "", Rtp.PLAIN),
        ("tls", Rtp.PLAIN, "", Rtp.PLAIN),
        ("tls", Rtp.SDES, "", Rtp.SDES),
        ("ws", Rtp.PLAIN, "", Rtp.WEBRTC),
        ("wss", Rtp.SDES, "", Rtp.WEBRTC),
        ("ws", Rtp.WEBRTC, "p", Rtp.PLAIN),
        ("tls", Rtp.SDES, "p", Rtp.PLAIN),
        ("udp", Rtp.PLAIN, "s", Rtp.SDES),
        ("tls", Rtp.PLAIN, "s", Rtp.SDES),
    ],
)
def test_first_offer_is_what_was_spoken_last_or_what_the_transport_lets_expect(
    transport: str, caller: Rtp, known: str, guess: Rtp
) -> None:
    assert first_guess(transport, caller, known) is guess


@pytest.mark.parametrize("refused", list(Rtp))
def test_second_offer_is_another_kind(refused: Rtp) -> None:
    assert second_guess(refused) is not refused
