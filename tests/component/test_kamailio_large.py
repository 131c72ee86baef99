"""Requests too large for a packet, over a line of real packets. A failure is a call with video that never rings."""

import shutil
import subprocess
import sys

import pytest

from tests.helpers import large_calls

LIMIT_S = 60
NARROW = f'ip link set lo mtu {large_calls.PACKET_BYTES} up && exec "$@"'


@pytest.mark.skipif(shutil.which("kamailio") is None, reason="Kamailio is not installed")
@pytest.mark.parametrize("name", large_calls.CALLS)
def test_large_request_arrives_whole_or_is_passed_over(name: str) -> None:
    own = ["unshare", "--net", "sh", "-c", NARROW, "sh"]
    if subprocess.run([*own, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine gives no network namespace")
    call = [*own, sys.executable, "-m", "tests.helpers.large_calls", name]
    done = subprocess.run(call, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
