"""ADAPTER for the age format (age-encryption.org/v1): a file opened with a key and read from any byte on.

The payload of an age file is a row of chunks of 64 KiB, each sealed by itself (STREAM with ChaCha20-Poly1305, the chunk's number
and whether it is the last one in the nonce). So a listener who jumps to the end waits for one chunk. The last chunk is opened
first of all: only then is the length known to be the one that was written, and a file that was cut off is found out before
the first byte is given. pyrage makes such files and opens them as a whole; it cannot seek, hence this module.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.bech32 import decode

VERSION_LINE = b"age-encryption.org/v1\n"
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
NONCE_BYTES = 16
FILE_KEY_BYTES = 16
HEADER_BYTES_MAX = 64 * 1024
"""A recording has at most eight recipients, of 150 bytes each."""
CHUNKS_AT_ONCE = 16
"""Read from the store at once: a mebibyte."""
IDENTITY_PREFIX = "age-secret-key-"
_X25519_INFO = b"age-encryption.org/v1/X25519"
_STANZA = re.compile(rb"-> ([\x21-\x7e]+(?: [\x21-\x7e]+)*)\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)")
_MAC = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")

ReadRange = Callable[[int, int], bytes]
"""(begin, count) -> bytes of the encrypted file, fewer at its end."""


class NotOpenedError(Exception):
    """The file does not open: no key fits, or it is not what was written."""


@dataclass(frozen=True, slots=True)
class _Stanza:
    arguments: tuple[str, ...]
    body: bytes


class SealedFile:
    """An age file that was opened. size: of the plain bytes."""

    def __init__(self, read: ReadRange, payload_at: int, payload_bytes: int, key: bytes) -> None:
        """For `open_sealed`. Raises NotOpenedError when the last chunk is not the last one that was written."""
        self._read = read
        self._at = payload_at
        self._bytes = payload_bytes
        self._cipher = ChaCha20Poly1305(key)
        self._chunks = max(-(-payload_bytes // SEALED_CHUNK_BYTES), 1)
        self.size = payload_bytes - self._chunks * TAG_BYTES
        if self.size < 0 or (self.size == 0 and self._chunks > 1):
            raise NotOpenedError("the file is cut off")
        last = self._sealed(self._chunks - 1, 1)
        if not self._open(self._chunks - 1, last) and self._chunks > 1:
            raise NotOpenedError("the last chunk is empty")

    def read(self, begin: int, end: int) -> Iterator[bytes]:
        """Plain bytes from `begin` to `end` (not included), a chunk or less at a time. Raises NotOpenedError, OSError."""
        end = min(end, self.size)
        number = begin // CHUNK_BYTES
        while number * CHUNK_BYTES < end:
            last = min(-(-end // CHUNK_BYTES), self._chunks)
            count = min(last - number, CHUNKS_AT_ONCE)
            sealed = self._sealed(number, count)
            for offset in range(count):
                at = offset * SEALED_CHUNK_BYTES
                plain = self._open(number, sealed[at : at + SEALED_CHUNK_BYTES])
                first = number * CHUNK_BYTES
                yield plain[max(begin - first, 0) : end - first]
                number += 1

    def _sealed(self, number: int, count: int) -> bytes:
        begin = number * SEALED_CHUNK_BYTES
        size = min(count * SEALED_CHUNK_BYTES, self._bytes - begin)
        data = self._read(self._at + begin, size)
        if len(data) != size:
            raise NotOpenedError("the file is shorter than it was")
        return data

    def _open(self, number: int, sealed: bytes) -> bytes:
        last = number == self._chunks - 1
        try:
            return self._cipher.decrypt(number.to_bytes(11, "big") + bytes([last]), sealed, None)
        except (InvalidTag, ValueError):
            raise NotOpenedError(f"chunk {number} was altered or cut off") from None


def open_sealed(read: ReadRange, size_bytes: int, identities: Sequence[str]) -> SealedFile:
    """Open an encrypted file of `size_bytes`. identities: `AGE-SECRET-KEY-1…`, any that might fit.

    Raises NotOpenedError, and ValueError for an identity that is none.
    """
    scalars = [_scalar(text) for text in identities]
    head = read(0, min(HEADER_BYTES_MAX, size_bytes))
    stanzas, mac_at, mac, payload_at = _header(head)
    file_key = _file_key(stanzas, scalars)
    if not hmac.compare_digest(
        hmac.new(_hkdf(file_key, b"", b"header"), head[:mac_at], hashlib.sha256).digest(), mac
    ):
        raise NotOpenedError("the header was altered")
    nonce = head[payload_at : payload_at + NONCE_BYTES]
    if len(nonce) != NONCE_BYTES:
        raise NotOpenedError("the file is cut off")
    begin = payload_at + NONCE_BYTES
    return SealedFile(read, begin, size_bytes - begin, _hkdf(file_key, nonce, b"payload"))


def is_identity(text: str) -> bool:
    """Whether a text is a private key of age (X25519)."""
    try:
        _scalar(text)
    except ValueError:
        return False
    return True


def _header(head: bytes) -> tuple[list[_Stanza], int, bytes, int]:
    """Stanzas, where the MAC's part ends, the MAC, where the payload begins."""
    if not head.startswith(VERSION_LINE):
        raise NotOpenedError("this is no age file")
    at, stanzas = len(VERSION_LINE), []
    while found := _STANZA.match(head, at):
        body = _base64(b"".join(found[2].split()))
        stanzas.append(_Stanza(tuple(found[1].decode().split(" ")), body))
        at = found.end()
    mac = _MAC.match(head, at)
    if mac is None or not stanzas:
        raise NotOpenedError("the header is not that of an age file")
    return stanzas, at + len(b"---"), _base64(mac[1]), mac.end()


def _file_key(stanzas: Sequence[_Stanza], scalars: Sequence[bytes]) -> bytes:
    for stanza in stanzas:
        if stanza.arguments[0] != "X25519" or len(stanza.arguments) != 2:
            continue
        share = _base64(stanza.arguments[1].encode())
        for scalar in scalars:
            try:
                private = X25519PrivateKey.from_private_bytes(scalar)
                shared = private.exchange(X25519PublicKey.from_public_bytes(share))
                salt = share + private.public_key().public_bytes_raw()
                key = ChaCha20Poly1305(_hkdf(shared, salt, _X25519_INFO)).decrypt(
                    bytes(12), stanza.body, None
                )
            except (InvalidTag, ValueError):
                continue
            if len(key) == FILE_KEY_BYTES:
                return key
    raise NotOpenedError("none of the keys given fits")


def _scalar(identity: str) -> bytes:
    found = decode(identity.strip().lower(), IDENTITY_PREFIX)
    if found is None or len(found) != 32:
        raise ValueError("a private key of age reads AGE-SECRET-KEY-1 and 58 characters")
    return found


def _base64(text: bytes) -> bytes:
    """Without padding, and of the one form that these bytes have: two texts must not be one header."""
    try:
        found = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if base64.b64encode(found).rstrip(b"=") != text:
        raise NotOpenedError("the header is not that of an age file")
    return found


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)
