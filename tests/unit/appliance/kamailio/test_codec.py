"""Which codec an SDP answer agrees on."""

import pytest

from appliance.kamailio.codec import agreed_codec

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


@pytest.mark.parametrize(
    ("media", "codec"),
    [
        pytest.param("m=audio 4000 RTP/AVP 0 8\r\n", "PCMU", id="payload type without rtpmap"),
        pytest.param("m=audio 4000 RTP/AVP 9 0\r\na=rtpmap:9 G722/8000\r\n", "G722", id="first of several"),
        pytest.param(
            "m=audio 4000 RTP/SAVPF 101 96\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 OPUS/48000/2\r\n",
            "opus",
            id="digits stand first, any case",
        ),
        pytest.param(
            "m=audio 4000/2 UDP/TLS/RTP/SAVPF 13 8\r\na=rtpmap:13 CN/8000\r\n", "PCMA", id="noise first"
        ),
        pytest.param("m=audio 0 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n", "PCMA", id="first stream refused"),
        pytest.param("m=image 4000 udptl t38\r\n", "", id="fax"),
        pytest.param(
            "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 speex/8000\r\n", "speex", id="one that is not listed"
        ),
        pytest.param("m=audio 4000 RTP/AVP 97\r\n", "", id="dynamic type without a name"),
        pytest.param("m=audio 4000 RTP/AVP\r\nm=audio x RTP/AVP 0\r\n", "", id="broken"),
        pytest.param("", "", id="no stream"),
    ],
)
def test_codec_is_the_answers_first_that_carries_audio(media: str, codec: str) -> None:
    assert agreed_codec(HEAD + media) == codec
    assert agreed_codec((HEAD + media).replace("\r\n", "\n")) == codec


def test_video_before_audio_lends_it_no_name() -> None:
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    assert agreed_codec(HEAD + video + "m=audio 4000 RTP/AVP 96 0\r\n") == "PCMU"
