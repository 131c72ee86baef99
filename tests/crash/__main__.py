"""`bin/test crash [--runs N] [--seed S] [--json FILE]`: many seeded runs on all cores, and the spoilt variants.

Exit code 1 when a run of the product was at fault, or a spoilt variant was not found out. The figures go to standard
output, and as JSON to FILE.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.crash import shim
from tests.crash.variants import PRODUCT, SPOILT

RUNS = 1000
SPOILT_RUNS = 60
"""Runs of each spoilt variant at most: it is found out by the first that is at fault, and no more are made."""
SEED = 20261121
FAULTS_SHOWN = 10
WORDS = ("lost", "doubled", "corrupt", "stuck")


def main() -> int:
    """The command."""
    options = _options()
    began_s = time.monotonic()
    product = _campaign(PRODUCT.name, options.runs, options.seed)
    spoilt = (
        {} if options.product_only else {v.name: _campaign(v.name, SPOILT_RUNS, options.seed) for v in SPOILT}
    )
    found = {
        **product,
        "seed": options.seed,
        "seconds": round(time.monotonic() - began_s, 1),
        "spoilt": {
            name: {word: figures[word] for word in ("runs", *WORDS)} for name, figures in spoilt.items()
        },
    }
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")
    print(text)
    missed = [name for name, figures in spoilt.items() if not figures["at_fault"]]
    for name in missed:
        print(f"not found out: {name}", file=sys.stderr)
    return 1 if product["at_fault"] or missed or product["runs"] < options.runs else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/test crash", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="seeded runs of the product (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="another seed is another choice of kills")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--product-only", action="store_true", help="leave the spoilt variants out")
    return parser.parse_args()


def _campaign(variant: str, runs: int, seed: int) -> dict[str, Any]:
    """All runs of one variant, spread over worker processes that run under the shim."""
    workers = max(os.cpu_count() or 1, 1)
    environment = {**os.environ, "LD_PRELOAD": str(shim.library()), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory(prefix="kyusai-crash-", dir=shim.memory()) as ground:
        processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.crash.worker", ground, str(worker), str(workers)),
                    *(str(runs), str(seed), variant),
                ],
                env=environment,
                stdout=subprocess.PIPE,
            )
            for worker in range(workers)
        ]
        parts = [json.loads(process.communicate()[0] or "{}") for process in processes]
    total: dict[str, Any] = {"runs": 0, **dict.fromkeys(WORDS, 0), "at_fault": 0}
    sums: dict[str, Counter[str]] = {"killed": Counter(), "points": Counter()}
    faults: list[Any] = []
    for part in parts:
        for word in ("runs", *WORDS, "at_fault", "kills", "power_cuts"):
            total[word] = total.get(word, 0) + part.get(word, 0)
        for word in sums:
            sums[word].update(part.get(word, {}))
        faults += part.get("faults", [])
    sums["points"] = Counter(parts[0].get("points", {}))
    return (
        total
        | {word: dict(sorted(counts.items())) for word, counts in sums.items()}
        | {"faults": faults[:FAULTS_SHOWN]}
    )


if __name__ == "__main__":
    sys.exit(main())
