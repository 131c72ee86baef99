"""CORE. How far a campaign is, from the tally that its workers keep, as one line for whoever waits."""

TALLY = "tally-"
"""How the names of files begin that hold a byte for each run."""
SOUND, AT_FAULT, SPOILT = b".", b"!", b"s"
MINUTE_S = 60
LONG_S = 100
"""Above this, minutes are told."""


def line(tally: bytes, runs: int, passed_s: float) -> str:
    """tally: a byte for each run that is over; runs: of the product, in all; passed_s: since the beginning."""
    faults = tally.count(AT_FAULT)
    done = tally.count(SOUND) + faults
    head = f"{min(done, runs):,} of {runs:,} runs, {faults} at fault"
    if done >= runs:
        return f"{head}; {tally.count(SPOILT)} of the spoilt variants"
    if not done:
        return f"{head}, {round(passed_s)} s so far"
    left_s = passed_s / done * (runs - done)
    left = f"{left_s / MINUTE_S:.0f} min" if left_s > LONG_S else f"{left_s:.0f} s"
    return f"{head}, about {left} left"
