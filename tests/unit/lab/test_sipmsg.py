"""Messages are read and written, digests are those of the RFCs' examples."""

import pytest

from tests.lab import sipmsg
from tests.lab.sipmsg import Message

WIRE = (
    b'INVITE sip:201@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nf: "A" <sip:9@h>;tag=x\r\n'
    b"To: <sip:201@h>\r\nCSeq: 1 INVITE\r\nSubject: two\r\n lines\r\nContent-Length: 4\r\n\r\nbody"
)


def test_compact_and_folded_headers_are_read() -> None:
    message = sipmsg.parse(WIRE)
    assert (message.method, message.uri, message.body) == ("INVITE", "sip:201@192.0.2.1", "body")
    assert message.get("via").endswith("branch=z9hG4bK1")
    assert sipmsg.tag_of(message.get("From")) == "x"
    assert sipmsg.user_of(message.get("from")) == "9"
    assert message.get("subject") == "two lines"


def test_written_message_reads_back() -> None:
    message = Message("SIP/2.0 180 Ringing", [("CSeq", "2 INVITE"), ("To", "<sip:a@b>;tag=q")], "x")
    again = sipmsg.parse(message.encode())
    assert (again.code, again.reason, again.method, again.body) == (180, "Ringing", "INVITE", "x")


def test_stream_is_cut_into_messages() -> None:
    whole, rest = sipmsg.split_stream(b"\r\n\r\n" + WIRE + WIRE + WIRE[:50])
    assert whole == [WIRE, WIRE]
    assert rest == WIRE[:50]


@pytest.mark.parametrize("junk", [b"", b"\r\n", b"HELLO\r\n\r\n", b"invite sip:a SIP/2.0\r\n\r\n"])
def test_junk_is_no_message(junk: bytes) -> None:
    with pytest.raises(ValueError, match="not a SIP message"):
        sipmsg.parse(junk)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        # RFC 7616, section 3.9.1
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_is_that_of_the_rfc_s_example(algorithm: str, response: str) -> None:
    asked = sipmsg.challenge(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    answer = sipmsg.authorization(asked, "GET", "/dir/index.html", "Mufasa", "Circle of Life", cnonce)
    assert f'response="{response}"' in answer


def test_description_is_read_back() -> None:
    assert sipmsg.media_of(sipmsg.sdp("192.0.2.7", 4000, "8 101")) == ("192.0.2.7", 4000, [8, 101])
    assert sipmsg.media_of("v=0\r\n") is None
