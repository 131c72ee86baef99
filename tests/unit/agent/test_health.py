"""When a box takes a new configuration back, and when it must not."""

import pytest

from agent.health import SERVER_ERRORS_MAX, SILENT_SAMPLES, WATCH_S, HealthWatch, Verdict, Vitals
from appliance.text import Lang, catalogue
from cloudsync.wire import Reason

WELL = Vitals(kamailio=True, registered=40, server_errors=3, extensions=50)


def watch(before: Vitals, *looks: Vitals, every_s: float = 1.0) -> tuple[Verdict, tuple[Reason, ...]]:
    """The last verdict after looks every `every_s`, and the reasons."""
    found = HealthWatch(before, 100.0)
    verdict = Verdict.WAIT
    for number, vitals in enumerate(looks, start=1):
        verdict = found.look(vitals, 100.0 + number * every_s)
        if verdict is not Verdict.WAIT:
            break
    return verdict, found.reasons


def test_a_box_that_stays_well_is_healthy_after_the_watch() -> None:
    assert watch(WELL, *[WELL] * int(WATCH_S - 1))[0] is Verdict.WAIT
    assert watch(WELL, *[WELL] * int(WATCH_S))[0] is Verdict.HEALTHY


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        pytest.param(
            WELL, Vitals(True, 40, 3 + SERVER_ERRORS_MAX + 1, 50), "failed inside", id="script fails"
        ),
        pytest.param(WELL, Vitals(True, 19, 3, 50), "contacts are left", id="phones turned away"),
        pytest.param(
            Vitals(True, 40, 500, 50),
            Vitals(True, 40, SERVER_ERRORS_MAX + 1, 50),
            "failed inside",
            id="script fails after Kamailio began to count anew",
        ),
    ],
)
def test_what_the_switch_caused_is_unhealthy_and_said(before: Vitals, now: Vitals, word: str) -> None:
    verdict, reasons = watch(before, now)
    assert verdict is Verdict.UNHEALTHY
    assert word in str(reasons[0])


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_reason_to_go_back_is_told_in_the_readers_language(lang: Lang) -> None:
    before = Vitals(True, 40, 3, 50, {"201>202": 200, "emergency:119": 200})
    now = Vitals(True, 19, 33, 50, {"201>202": 200, "emergency:119": 0})
    reasons: list[Reason] = []
    for look in (now, Vitals(kamailio=False)):
        found = HealthWatch(before, 0.0)
        for _ in range(SILENT_SAMPLES):
            found.look(look, 1.0)
        reasons += found.reasons
    told = {one.key: catalogue().retold(one, lang) for one in reasons}
    assert told.keys() == {f"unwell.{name}" for name in ("kamailio", "errors", "call", "contacts")}
    assert (
        told["unwell.call"]
        == {
            "en": "calls find no way since the switch: emergency:119: no answer instead of 200",
            "ja": "切り替え後、通話の経路がありません: emergency:119: 200 のはずが 応答なし",
        }[lang]
    )
    assert all(catalogue().text(one.key, "en", **one.values) == one.text for one in reasons)
    assert all((one.text == told[one.key]) == (lang == "en") for one in reasons)


def test_a_kamailio_that_falls_silent_is_unhealthy_after_five_looks() -> None:
    silent = Vitals(kamailio=False)
    assert watch(WELL, *[silent] * (SILENT_SAMPLES - 1))[0] is Verdict.WAIT
    assert watch(WELL, *[silent] * SILENT_SAMPLES)[0] is Verdict.UNHEALTHY


def test_one_silent_moment_is_forgiven() -> None:
    looks = [Vitals(kamailio=False), WELL] * int(WATCH_S)
    assert watch(WELL, *looks)[0] is Verdict.HEALTHY


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param(Vitals(kamailio=False), Vitals(kamailio=False), id="Kamailio was away before"),
        pytest.param(WELL, Vitals(True, 10, 3, 20), id="the document has fewer phones"),
        pytest.param(Vitals(True, 9, 3, 50), Vitals(True, 1, 3, 50), id="too few phones to judge"),
        pytest.param(WELL, Vitals(True, None, None, 50), id="figures not known"),
        pytest.param(WELL, Vitals(True, 20, 3 + SERVER_ERRORS_MAX, 50), id="just within the limits"),
    ],
)
def test_what_the_switch_did_not_cause_is_not_held_against_it(before: Vitals, now: Vitals) -> None:
    assert watch(before, *[now] * int(WATCH_S))[0] is Verdict.HEALTHY
