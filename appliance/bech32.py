"""The checksum of Bech32 (BIP 173), which age recipients carry. Pure; finds typing errors, knows no keys."""

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)

AGE_PREFIX = "age"
AGE_CHARS = 62
""""age", "1", 52 characters of an X25519 key and 6 of checksum (age-encryption.org/v1)."""


def is_age_recipient(value: str) -> bool:
    """Whether a text is an X25519 recipient of age, checksum included."""
    prefix, _, data = value.rpartition("1")
    if len(value) != AGE_CHARS or prefix != AGE_PREFIX or not set(data) <= set(_CHARSET):
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
