"""`bin/test crash [--runs N] [--seed S] [--json FILE]`: many seeded runs on all cores, and the spoilt variants.
With `--postgres`, runs of a centre on PostgreSQL instead (see `postgres.py`).

Exit code 1 when a run of the product was at fault, or in no run of a spoilt variant something was lost, doubled or
corrupt. The figures go to standard output, and as JSON to FILE; how far it is goes to standard error.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.crash import postgres, shim
from tests.crash.campaign import Workers, campaign, total
from tests.crash.share import WORDS
from tests.crash.variants import PRODUCT, SPOILT

RUNS = 1000
SEED = 20261121
WORKERS_MORE = 1
"""More workers than cores: in a run now box, now centre waits for the other, and both for a timer."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Of campaign. spoilt: names of the spoilt variants. runs: of the product, unless more are asked for."""

    workers: Workers
    spoilt: tuple[str, ...]
    runs: int


def main() -> int:
    """The command."""
    options = _options()
    kind = _on_postgresql() if options.postgres else _all_points()
    began_s = time.monotonic()
    runs = options.runs or kind.runs
    names = [PRODUCT.name, *(() if options.product_only else kind.spoilt)]
    parts = campaign(kind.workers, names, runs, options.seed)
    product, *spoilt = (total([part["variants"][name] for part in parts]) for name in names)
    found = {
        **product,
        **({"points": parts[0]["points"]} if "points" in parts[0] else {}),
        "seed": options.seed,
        "seconds": round(time.monotonic() - began_s, 1),
        "spoilt": {
            name: {word: figures[word] for word in ("runs", *WORDS, "caught")}
            for name, figures in zip(names[1:], spoilt, strict=True)
        },
    }
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")
    print(text)
    missed = [name for name, figures in zip(names[1:], spoilt, strict=True) if not figures["caught"]]
    for name in missed:
        print(f"not found out: {name}", file=sys.stderr)
    return 1 if product["at_fault"] or missed or product["runs"] < runs else 0


def _all_points() -> _Kind:
    workers = Workers(
        "tests.crash.worker",
        (os.cpu_count() or 1) + WORKERS_MORE,
        "kyusai-crash-",
        {"LD_PRELOAD": str(shim.library()), "PYTHONWARNINGS": "ignore"},
    )
    return _Kind(workers, tuple(one.name for one in SPOILT), RUNS)


def _on_postgresql() -> _Kind:
    number = (os.cpu_count() or 1) + WORKERS_MORE
    workers = Workers("tests.crash.postgres_worker", number, "kyusai-crash-pg-", {})
    return _Kind(workers, (postgres.SPOILT_NAME,), postgres.RUNS)


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


if __name__ == "__main__":
    sys.exit(main())
