"""If one of these fails, somebody may guess enrolment codes for ever, or an honest installer is locked out."""

import pytest

from cloudsync.attempts import source_of, wait_s, with_failure


def test_source_waits_after_its_last_allowed_failure_and_may_try_again_later() -> None:
    failures: tuple[float, ...] = ()
    for second in (0.0, 1.0, 2.0):
        assert wait_s(failures, second, failures_max=3, window_s=60) == 0
        failures = with_failure(failures, second, failures_max=3, window_s=60)
    assert wait_s(failures, 3.0, failures_max=3, window_s=60) == 57.0
    assert wait_s(failures, 60.0, failures_max=3, window_s=60) == 0
    assert with_failure(failures, 61.0, failures_max=3, window_s=60) == (2.0, 61.0)


def test_clock_that_was_set_back_makes_nobody_wait_longer_than_the_window() -> None:
    failures = (1000.0,) * 3
    assert wait_s(failures, 10.0, failures_max=3, window_s=60) == 60.0
    assert with_failure(failures, 10.0, failures_max=3, window_s=60) == (10.0, 10.0, 10.0)


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
