"""Which calls lost the FreeSWITCH that one of their sides was in: another one runs now, or none. Pure.

A FreeSWITCH that dies says BYE to nobody, and rtpengine goes on relaying to where it was: its callers would hear silence.
"""

from collections.abc import Collection, Mapping


def judge(
    calls: Collection[str], seen: Mapping[str, str], runs: str
) -> tuple[frozenset[str], dict[str, str]]:
    """Calls that lost their FreeSWITCH, and what is kept for the next look.

    calls: those with a side in FreeSWITCH that were up before it was looked which one `runs`; then a call is never taken
    for one of its predecessor. seen: kept from the look before, call -> which one ran when the call was first seen. runs: another
    word for each one that was ever started, "" for none.
    """
    began = {call: seen.get(call, runs) for call in calls}
    lost = frozenset(call for call, at in began.items() if at != runs or not runs)
    return lost, {call: at for call, at in began.items() if call not in lost}
