"""If one of these fails, somebody may guess enrolment codes for ever, or an honest installer is locked out."""

import pytest

from cloudsync.attempts import Attempts, source_of


def test_source_waits_after_its_last_allowed_failure_and_may_try_again_later() -> None:
    attempts = Attempts(failures_max=3, window_s=60)
    for second in (0.0, 1.0, 2.0):
        assert attempts.wait_s("a", second) == 0
        attempts.failed("a", second)
    assert attempts.wait_s("a", 3.0) == 57.0
    assert attempts.wait_s("b", 3.0) == 0
    assert attempts.wait_s("a", 60.0) == 0


def test_many_sources_do_not_fill_the_memory() -> None:
    attempts = Attempts(failures_max=1, window_s=60, sources_max=2)
    for source in ("a", "b", "c"):
        attempts.failed(source, 0.0)
    assert [attempts.wait_s(source, 1.0) > 0 for source in ("a", "b", "c")] == [False, True, True]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::", "2001:db8:0:1::/64"),
        ("unix", "unix"),
    ],
)
def test_addresses_of_one_customer_count_as_one_source(address: str, source: str) -> None:
    assert source_of(address) == source
