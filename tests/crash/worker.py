"""One worker: makes its own ground, then does its share of the runs, each in forked children. Prints JSON.

Started under the shim, which does nothing in this process itself.
"""

import asyncio
from typing import Any

from tests.crash import ground, warm
from tests.crash.plan import Side, plan
from tests.crash.run import Run
from tests.crash.share import Outcome, Share, work
from tests.crash.variants import PRODUCT, SPOILT


def main(share: Share) -> dict[str, Any]:
    """The figures of this worker's runs, by variant."""
    own = share.folder / f"worker-{share.number}"
    own.mkdir()
    asyncio.run(warm.warm_up(own / "warm"))
    listen = ground.free_address(share.number)
    ground.prepare(own / "ground", listen)
    warm.before_forks()
    whole = Run(None, own / "ground", own / "whole", listen)
    verdict = whole.go()
    if not verdict.sound:
        raise SystemExit(f"a run in which nobody is killed is at fault: {verdict} {whole.story}")
    points = whole.story.points

    def once(number: int) -> Outcome:
        chosen = plan(share.seed, number, points)
        run = Run(chosen, own / "ground", own / "run", listen, variant)
        verdict = run.go()
        return Outcome(verdict, run.story.killed, str(chosen), run.story.cuts)

    done = {}
    for variant in (PRODUCT, *SPOILT):
        if variant.name in share.variants:
            done[variant.name] = share.go(variant.name, once)
    return {"points": {str(side): points[side] for side in Side}, "variants": done}


if __name__ == "__main__":
    work(main)
