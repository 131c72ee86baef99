"""`bin/bench NAME [--quick] [--json FILE]`: runs one benchmark and prints its report.

A benchmark is a module of this package with `run(quick: bool) -> dict` (the figures, as JSON) and `report(figures) -> str`.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

NAMES = {
    "failover": "cuts of every kind: does the first call connect, how much later, and when is the cut noticed",
    "kemi": "CPU per registration and per call, ours against a native kamailio.cfg",
    "storm": "5,000 telephones return at once after a power cut",
    "routing": "cost of a routing decision from 100 to 20,000 extensions",
    "centre": "up to 10,000 boxes with heartbeats and held polls at one centre: its CPU, memory, latency, and what bounds it",
    "sync": "CPU and bytes per record from a box's spool to the centre's disk, beside COPY and NATS; a backlog of a million",
    "upload": "recordings over a line that loses 1 %, beside rsync on the same files and with a call on the same line",
    "drain": "whether calls notice that a box empties a backlog of a month into the centre",
    "ivr": "how soon a menu is heard, and what 200 calls in it cost, beside FreeSWITCH's vanilla configuration",
    "events": "1,000 events a second at the controller: heard, written, memory, and whether FreeSWITCH ends a slow listener",
    "render": "1,000 extensions and 50 flows: rendered in, switched with 100 calls up, and held in memory by FreeSWITCH",
}


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    version = subprocess.run(["kamailio", "-v"], capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )[0]
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "kamailio": version.removeprefix("version: "),
        "measured_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def main() -> int:
    """Exit code 0 when the benchmark ran, whatever its figures."""
    parser = argparse.ArgumentParser(prog="bin/bench", description="Runs a benchmark.")
    parser.add_argument("name", nargs="?", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: shows that it works, not what it gives"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    if arguments.name is None:
        for name, what in NAMES.items():
            print(f"{name:10} {what}")
        return 0
    module = importlib.import_module(f"tests.bench.{arguments.name}")
    figures = module.run(quick=arguments.quick)
    figures["machine"] = machine()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    print(module.report(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
