"""Bech32 (BIP 173), the form of age's recipients and identities. Pure; finds typing errors, knows no keys."""

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)

_CHECKSUM_CHARS = 6

AGE_PREFIX = "age"
AGE_CHARS = 62
""""age", "1", 52 characters of an X25519 key and 6 of checksum (age-encryption.org/v1)."""


def is_age_recipient(value: str) -> bool:
    """Whether a text is an X25519 recipient of age, checksum included."""
    return len(value) == AGE_CHARS and _fits(*value.rpartition("1")[::2], AGE_PREFIX)


def decode(value: str, prefix: str) -> bytes | None:
    """The bytes that a lower-case text with this prefix stands for; None when it is not so formed."""
    found, _, data = value.rpartition("1")
    if not _fits(found, data, prefix):
        return None
    number, bits, result = 0, 0, bytearray()
    for letter in data[:-_CHECKSUM_CHARS]:
        number, bits = number << 5 | _CHARSET.index(letter), bits + 5
        if bits >= 8:
            bits -= 8
            result.append(number >> bits & 0xFF)
    padding = number & (1 << bits) - 1
    return bytes(result) if bits < 5 and not padding else None


def _fits(found: str, data: str, prefix: str) -> bool:
    if found != prefix or not set(data) <= set(_CHARSET) or len(data) < _CHECKSUM_CHARS:
        return False
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    return _polymod(expanded + [_CHARSET.index(letter) for letter in data]) == 1


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum
