"""Files made by pyrage (rage), read from any byte on. A failure means audio that nobody can hear, or that somebody forged."""

import random
from pathlib import Path

import pyrage
import pytest

from cloudsync.age_stream import CHUNK_BYTES, NotOpenedError, SealedFile, is_identity, open_sealed
from tests.helpers.centre_box import random_bytes

KEY = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 20 * CHUNK_BYTES + 777)


def sealed(plain: bytes, *keys: pyrage.x25519.Identity) -> bytes:
    return pyrage.encrypt(plain, [key.to_public() for key in keys or (KEY,)])


def opened(cipher: bytes, *keys: pyrage.x25519.Identity) -> SealedFile:
    return open_sealed(
        lambda begin, count: cipher[begin : begin + count], len(cipher), [str(key) for key in keys or (KEY,)]
    )


@pytest.mark.parametrize("size", SIZES)
def test_whole_file_and_any_part_of_it_are_what_was_encrypted(size: int) -> None:
    plain = random_bytes(size, size)
    file = opened(sealed(plain))
    assert file.size == size
    assert b"".join(file.read(0, size)) == plain
    chance = random.Random(size)
    for _ in range(40):
        begin = chance.randint(0, size)
        end = chance.randint(begin, size + 10)
        assert b"".join(file.read(begin, end)) == plain[begin:end]


def test_a_part_at_the_end_reads_two_chunks_and_the_header_of_a_long_file() -> None:
    cipher = sealed(bytes(50 * CHUNK_BYTES))
    asked = []

    def read(begin: int, count: int) -> bytes:
        asked.append(count)
        return cipher[begin : begin + count]

    file = open_sealed(read, len(cipher), [str(KEY)])
    assert b"".join(file.read(file.size - 100, file.size)) == bytes(100)
    assert sum(asked) < 4 * CHUNK_BYTES


def test_any_of_several_recipients_opens_it_and_a_stranger_does_not() -> None:
    cipher = sealed(b"audio", KEY, OTHER)
    assert b"".join(opened(cipher, OTHER).read(0, 5)) == b"audio"
    assert b"".join(opened(cipher, pyrage.x25519.Identity.generate(), KEY).read(0, 5)) == b"audio"
    with pytest.raises(NotOpenedError, match="none of the keys"):
        opened(cipher, pyrage.x25519.Identity.generate())


@pytest.mark.parametrize("size", [100, CHUNK_BYTES, 3 * CHUNK_BYTES + 5])
def test_cut_off_anywhere_it_does_not_open(size: int) -> None:
    cipher = sealed(random_bytes(size, 5))
    cuts = {*range(0, 400, 7), *range(len(cipher) - 40, len(cipher)), len(cipher) - CHUNK_BYTES - 16}
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(cipher)):
        with pytest.raises(NotOpenedError):
            opened(cipher[:cut])


def test_lengthened_it_does_not_open() -> None:
    cipher = sealed(random_bytes(CHUNK_BYTES * 2, 6))
    for more in (b"\0", bytes(CHUNK_BYTES + 16), cipher[-CHUNK_BYTES - 16 :]):
        with pytest.raises(NotOpenedError):
            opened(cipher + more)


def test_any_flipped_bit_is_found_out_before_its_bytes_are_given() -> None:
    plain = random_bytes(CHUNK_BYTES + 1000, 7)
    cipher = sealed(plain)
    chance = random.Random(8)
    positions = [*range(0, 260), *(chance.randrange(len(cipher)) for _ in range(150)), len(cipher) - 1]
    for at in positions:
        spoilt = bytearray(cipher)
        spoilt[at] ^= 1 << chance.randrange(8)
        given = b""
        with pytest.raises(NotOpenedError):
            for part in opened(bytes(spoilt)).read(0, len(plain)):
                given += part
        assert plain.startswith(given)


def test_chunks_that_changed_places_are_found_out() -> None:
    cipher = sealed(random_bytes(CHUNK_BYTES * 3, 9))
    step = CHUNK_BYTES + 16
    head = len(cipher) - 3 * step
    swapped = (
        cipher[:head] + cipher[head + step : head + 2 * step] + cipher[head : head + step] + cipher[-step:]
    )
    with pytest.raises(NotOpenedError, match="chunk 0"):
        list(opened(swapped).read(0, 10))


def test_it_opens_what_the_age_format_s_own_vector_says(tmp_path: Path) -> None:
    identity = "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6"
    assert is_identity(identity)
    recipient = str(pyrage.x25519.Identity.from_str(identity).to_public())
    cipher = pyrage.encrypt(b"age", [pyrage.x25519.Recipient.from_str(recipient)])
    file = open_sealed(lambda begin, count: cipher[begin : begin + count], len(cipher), [identity.lower()])
    assert b"".join(file.read(0, 3)) == b"age"


@pytest.mark.parametrize(
    "text",
    ["", "AGE-SECRET-KEY-1", "age1xyz", str(KEY)[:-1], str(KEY)[:-1] + "b", str(KEY.to_public())],
    ids=["nothing", "prefix", "word", "cut", "altered", "public"],
)
def test_what_is_no_private_key_is_said_to_be_none(text: str) -> None:
    assert not is_identity(text)
    cipher = sealed(b"x")
    with pytest.raises(ValueError, match="AGE-SECRET-KEY"):
        open_sealed(lambda begin, count: cipher[begin : begin + count], len(cipher), [text])
