"""Loss of the local carrier: sending to a lab address fails at once, as with an unplugged cable.

An ``unreachable`` route for the single address in the kernel's ``local`` table does that on loopback too: it is more
specific than 127.0.0.0/8, ``sendto`` and ``connect`` fail with EHOSTUNREACH and nothing leaves. It needs CAP_NET_ADMIN in
the network namespace: root has it, and anybody has it inside ``unshare --user --map-root-user --net``
(``python -m tests.lab.carrier COMMAND...`` runs a command there, with loopback up).
"""

import os
import subprocess
import sys
from pathlib import Path


class CarrierFixed(RuntimeError):
    """This process may not change routes, so it cannot take a carrier away."""


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=5)


def take_away(address: str, folder: Path) -> None:
    """Make ``address`` unreachable from this machine; noted in ``folder`` first, so that a crash is undone.

    Raises ``CarrierFixed`` with the reason when routes cannot be changed here.
    """
    with (folder / "routes").open("a") as file:
        file.write(address + "\n")
    done = _ip("route", "replace", "unreachable", f"{address}/32", "table", "local")
    if done.returncode != 0:
        raise CarrierFixed(f"cannot take the carrier to {address} away: {done.stderr.strip()}")


def give_back(address: str) -> None:
    """Undo ``take_away``; harmless when there is nothing to undo."""
    _ip("route", "del", "unreachable", f"{address}/32", "table", "local")


def can_take_away() -> bool:
    """Whether this process may change routes (tried on an address that no lab uses)."""
    probe = "127.79.255.254"
    done = _ip("route", "replace", "unreachable", f"{probe}/32", "table", "local")
    if done.returncode == 0:
        give_back(probe)
    return done.returncode == 0


def undo_recorded(folder: Path) -> None:
    """Give back every address noted in a lab's folder."""
    try:
        addresses = set((folder / "routes").read_text().split())
    except FileNotFoundError:
        return
    for address in addresses:
        give_back(address)
    (folder / "routes").unlink()


def main() -> None:
    """Run the command line's command in a network namespace of its own where routes may be changed."""
    script = 'ip link set lo up && exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script, "sh", *sys.argv[1:]]
    os.execvp(words[0], words)  # noqa: S606 - replaces this process on purpose; the arguments are the user's own


if __name__ == "__main__":
    main()
