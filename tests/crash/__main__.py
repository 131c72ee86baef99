"""`bin/test crash [--runs N] [--seed S] [--json FILE]`: many seeded runs on all cores, and the spoilt variants.
With `--postgres`, runs of a centre on PostgreSQL instead (see `postgres.py`).

Exit code 1 when a run of the product was at fault, or in no run of a spoilt variant something was lost, doubled or
corrupt. The figures go to standard output, and as JSON to FILE.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.crash import postgres, shim
from tests.crash.variants import PRODUCT, SPOILT
from tests.crash.worker import AT_FAULT, TALLY

RUNS = 1000
SEED = 20261121
FAULTS_SHOWN = 10
WORKERS_MORE = 1
"""More workers than cores: in a run now box, now centre waits for the other, and both for a timer."""
PROGRESS_EVERY_S = 15.0
BROKEN = ("lost", "doubled", "corrupt")
"""One of these is what a spoilt variant has to show; that it is merely stuck is no proof."""
WORDS = (*BROKEN, "stuck")


def main() -> int:
    """The command."""
    options = _options()
    return _postgres(options) if options.postgres else _all_points(options)


def _postgres(options: argparse.Namespace) -> int:
    found = postgres.campaign(options.runs or postgres.RUNS, options.seed, not options.product_only)
    _tell(found, options.json)
    missed = [
        name for name, figures in found.get("spoilt", {}).items() if not sum(figures[word] for word in BROKEN)
    ]
    for name in missed:
        print(f"not found out: {name}", file=sys.stderr)
    return 1 if found["at_fault"] or missed else 0


def _tell(found: dict[str, Any], file: Path | None) -> None:
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if file:
        file.write_text(text + "\n", "utf-8")
    print(text)


def _all_points(options: argparse.Namespace) -> int:
    began_s = time.monotonic()
    runs = options.runs or RUNS
    names = [PRODUCT.name] if options.product_only else [one.name for one in (PRODUCT, *SPOILT)]
    parts = _campaign(names, runs, options.seed)
    product, *spoilt = (_total([part["variants"][name] for part in parts]) for name in names)
    found = {
        **product,
        "points": parts[0]["points"],
        "seed": options.seed,
        "seconds": round(time.monotonic() - began_s, 1),
        "spoilt": {
            name: {word: figures[word] for word in ("runs", *WORDS, "caught")}
            for name, figures in zip(names[1:], spoilt, strict=True)
        },
    }
    _tell(found, options.json)
    missed = [name for name, figures in zip(names[1:], spoilt, strict=True) if not figures["caught"]]
    for name in missed:
        print(f"not found out: {name}", file=sys.stderr)
    return 1 if product["at_fault"] or missed or product["runs"] < runs else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/test crash", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument(
        "--runs", type=int, help=f"seeded runs of the product (default {RUNS}; on PostgreSQL {postgres.RUNS})"
    )
    parser.add_argument("--postgres", action="store_true", help="kill a centre on PostgreSQL, and PostgreSQL")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed is another choice of kills")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--product-only", action="store_true", help="leave the spoilt variants out")
    return parser.parse_args()


def _campaign(variants: list[str], runs: int, seed: int) -> list[dict[str, Any]]:
    """All runs of all variants, spread over worker processes that run under the shim; what each of them printed."""
    workers = (os.cpu_count() or 1) + WORKERS_MORE
    environment = {**os.environ, "LD_PRELOAD": str(shim.library()), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory(prefix="kyusai-crash-", dir=shim.memory()) as ground:
        processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.crash.worker", ground, str(worker), str(workers)),
                    *(str(runs), str(seed), *variants),
                ],
                env=environment,
                stdout=subprocess.PIPE,
            )
            for worker in range(workers)
        ]
        over = threading.Event()
        teller = threading.Thread(target=_tell_progress, args=(Path(ground), runs, over))
        teller.start()
        told = [process.communicate()[0] for process in processes]
        over.set()
        teller.join()
    if not all(told):
        raise SystemExit("a worker failed; its error is above")
    return [json.loads(one) for one in told]


def _tell_progress(folder: Path, runs: int, over: threading.Event) -> None:
    """How many runs are done, on standard error, until `over`."""
    while not over.wait(PROGRESS_EVERY_S):
        tally = b"".join(path.read_bytes() for path in folder.glob(f"{TALLY}*"))
        print(
            f"{len(tally):,} runs ({runs:,} of the product, then the spoilt variants), {tally.count(AT_FAULT)} at fault",
            file=sys.stderr,
            flush=True,
        )


def _total(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums over all workers of one variant."""
    killed: Counter[str] = Counter()
    for part in parts:
        killed.update(part["killed"])
    numbers = ("runs", *WORDS, "at_fault", "caught", "kills", "power_cuts")
    faults = [fault for part in parts for fault in part["faults"]]
    return {
        **{word: sum(part.get(word, 0) for part in parts) for word in numbers},
        "killed": dict(sorted(killed.items())),
        "faults": faults[:FAULTS_SHOWN],
    }


if __name__ == "__main__":
    sys.exit(main())
