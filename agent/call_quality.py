"""CORE. How well the two sides of a relayed call heard each other, from rtpengine's answer to `query`.

rtpengine keeps, under the SSRC of each side, what that side's RTCP receiver reports said of the stream that it heard
(RFC 3550 6.4.1): MOS in tenths as it computes them from loss, jitter and round trip, loss in whole per cent, jitter in
ms, and the number of packets lost in all. Measured with rtpengine 10.5: the averages leave out the reports of the first
seconds, for which it has no round trip yet, and whole per cents are rounded down; the packets lost tell more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Quality = dict[str, float]
"""Any of `mos` (1 to 5), `loss` (share, 0 to 1), `jitter_ms`."""

MOS_RANGE = (1.0, 5.0)
"""What a mean opinion score can be (ITU-T P.800); rtpengine writes 0 for none."""
PACKETS_LOST_MAX = 0x7FFFFF
"""The most that a receiver report can say; beyond it stand negative numbers, of a line that doubles packets."""


def quality_of(answer: Mapping[str, Any]) -> Quality | None:
    """Each figure as the worse-off side had it, over the whole call; None when no side has reported anything."""
    reports = [_report(ssrc, entry, answer) for ssrc, entry in _dicts(answer.get("SSRC"))]
    worst: Quality = {}
    for name, choose in (("mos", min), ("loss", max), ("jitter_ms", max)):
        told = [report[name] for report in reports if name in report]
        if told:
            worst[name] = choose(told)
    return worst or None


def _report(ssrc: str, entry: Mapping[str, Any], answer: Mapping[str, Any]) -> Quality:
    """What the side that sends as `ssrc` told of what it heard."""
    average = entry.get("average MOS")
    average = average if isinstance(average, dict) else {}
    told: Quality = {}
    mos = _number(average.get("MOS")) / 10
    if MOS_RANGE[0] <= mos <= MOS_RANGE[1]:
        told["mos"] = mos
        told["jitter_ms"] = _number(average.get("jitter"))
    counted = _loss(_number(entry.get("cumulative loss")), _packets_heard(ssrc, answer))
    if counted is not None or "mos" in told:
        told["loss"] = round(max(counted or 0.0, _number(average.get("packet loss")) / 100), 4)
    return told


def _loss(lost: float, heard: float) -> float | None:
    """Share of packets lost on the way to one side; None when it cannot be told."""
    if not heard or not 0 <= lost <= PACKETS_LOST_MAX:
        return None
    return lost / (lost + heard)


def _packets_heard(ssrc: str, answer: Mapping[str, Any]) -> float:
    """Audio packets that were relayed to the side that sends as `ssrc`; 0 when that side is not found."""
    streams = [(tag, stream) for tag, side in _dicts(answer.get("tags")) for stream in _audio(side)]
    owners = {tag for tag, stream in streams if str(stream.get("SSRC")) == ssrc}
    if not owners:
        return 0.0
    return sum(
        _number(_dict(stream.get("stats")).get("packets")) for tag, stream in streams if tag not in owners
    )


def _audio(side: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The RTP streams of one side (beside each stands one for RTCP)."""
    for media in _list(side.get("medias")):
        for stream in _list(_dict(media).get("streams")):
            if "RTP" in _list(_dict(stream).get("flags")):
                yield stream


def _dicts(value: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((str(key), item) for key, item in _dict(value).items() if isinstance(item, dict))


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int) else 0.0
