"""Makes prompts in a process of its own, so that neither the memory of a dictionary nor the work is the agent's.

    python -P -m appliance.freeswitch.speak FOLDER <prompts.json

Standard input: what `words` wrote. For each prompt that was not there a line on standard output, `told` reads it. Ended at
any moment, it has left whole files alone, and the next one makes the rest.
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from appliance.freeswitch import speech
from appliance.freeswitch.prompt_texts import Spoken

NICENESS = 15
"""Calls come first: the work waits while anything else wants the processor."""


def command(folder: Path) -> list[str]:
    """How the process is started."""
    return [sys.executable, "-P", "-m", "appliance.freeswitch.speak", str(folder)]


def words(spoken: Iterable[Spoken]) -> bytes:
    """What it is told to make."""
    return json.dumps([asdict(one) for one in spoken]).encode()


def told(line: bytes) -> str:
    """Why a prompt could not be made, "" when it was. Raises ValueError for a line that is none of its own."""
    return str(json.loads(line)["why"])


def main() -> int:
    """Make them all. Exit code 0, whatever could not be made."""
    os.nice(NICENESS)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries that talk
    speech.clear_up(Path(sys.argv[1]))
    wanted = [Spoken(**one) for one in json.loads(sys.stdin.buffer.read())]

    def tell(one: Spoken, why: str) -> None:
        print(json.dumps({"prompt": one.prompt, "why": why}), file=out, flush=True)

    speech.ensure(wanted, Path(sys.argv[1]), tell)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
