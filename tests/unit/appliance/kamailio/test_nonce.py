"""Nonces: good for one sender, one realm, a while; written alike by Python and by routes.cfg."""

import hashlib

import pytest

from appliance.kamailio.digest import (
    CLOCK_SLACK_S,
    HASH_CHARACTERS,
    MD5,
    NONCE_S,
    Question,
    Secrets,
    Verdict,
    judge,
    nonce,
)

NOW_S, REALM, SOURCE, KEY = 1_800_000_000, "tokyo-1.example", "192.0.2.101", "secret"
HA1 = hashlib.md5(b"201:tokyo-1.example:pw").hexdigest()  # noqa: S324 - digest authentication


def verdict(given: str, *, now_s: int = NOW_S, source: str = SOURCE, key: str = KEY) -> Verdict:
    """What becomes of the right password over the nonce `given`."""
    ha2 = hashlib.md5(b"REGISTER:sip:box").hexdigest()  # noqa: S324
    response = hashlib.md5(f"{HA1}:{given}:{ha2}".encode()).hexdigest()  # noqa: S324
    credentials = {"username": "201", "realm": REALM, "uri": "sip:box", "nonce": given, "response": response}
    return judge(
        credentials | {"algorithm": MD5},
        Secrets("201", HA1, ""),
        Question(REALM, "REGISTER", "", source, now_s, key),
    )


def test_nonce_is_the_text_that_routes_cfg_writes() -> None:
    text = f"{NOW_S}:{SOURCE}:{REALM}:{KEY}"
    assert nonce(NOW_S, SOURCE, REALM, KEY) == f"{NOW_S}{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    assert HASH_CHARACTERS == 24


@pytest.mark.parametrize("age_s", [-CLOCK_SLACK_S, 0, NONCE_S])
def test_fresh_nonce_is_good(age_s: int) -> None:
    assert verdict(nonce(NOW_S - age_s, SOURCE, REALM, KEY)) is Verdict.GOOD


@pytest.mark.parametrize(
    "given",
    [
        nonce(NOW_S - NONCE_S - 1, SOURCE, REALM, KEY),
        nonce(NOW_S + CLOCK_SLACK_S + 1, SOURCE, REALM, KEY),
        nonce(NOW_S, "192.0.2.102", REALM, KEY),
        nonce(NOW_S, SOURCE, "osaka-1.example", KEY),
        nonce(NOW_S, SOURCE, REALM, "another start of Kamailio"),
        f"{NOW_S}{'0' * HASH_CHARACTERS}",
        nonce(NOW_S, SOURCE, REALM, KEY)[:-1],
        "0" * HASH_CHARACTERS,
        "x",
        "",
        "９" * 34,
    ],
    ids=[
        *(
            "old",
            "from the future",
            "another sender's",
            "another realm's",
            "another key's",
            "invented",
            "cut",
        ),
        *("without a time", "short", "empty", "other digits"),
    ],
)
def test_right_password_over_any_other_nonce_is_asked_for_again(given: str) -> None:
    assert verdict(given) is Verdict.STALE
