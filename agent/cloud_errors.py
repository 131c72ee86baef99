"""What can go wrong between box and centre, by what the box has to do about it.

Only `CloudRefused` is the centre's own considered word. Everything else may be a cut cable, a proxy or a captive
portal, says nothing about the request and is tried again.
"""

from appliance.errors import KyusaiError


class CloudError(KyusaiError):
    """Base. retry_after_s: the centre's wish, 0 for none."""

    retry_after_s: float = 0.0


class CloudUnreachable(CloudError):
    """No connection, a time-out, or a connection that broke: try again later."""


class CloudUntrusted(CloudError):
    """What answers is not the centre that this box was enrolled with (its certificate is by another CA)."""


class CloudConfused(CloudError):
    """An answer that the centre cannot have given: a proxy's page, a truncated or endless body, wrong JSON."""


class CloudBusy(CloudError):
    """The centre is there but cannot serve (408, 429, 5xx): nothing was taken, try again later."""


class CloudRefused(CloudError):
    """The centre's considered no (4xx with an error body). status: HTTP; `key` is the centre's. offset: what an
    Upload-Offset header said, -1 for none."""

    def __init__(self, status: int, key: str, message: str, hint: str = "", offset: int = -1) -> None:
        super().__init__(key, message, hint, status=status)
        self.status = status
        self.offset = offset


def unreachable(url: str, detail: str) -> CloudUnreachable:
    """The error of a connection that failed or broke."""
    return CloudUnreachable(
        "cloud.unreachable",
        f"no connection to the centre {url}: {detail}",
        "Calls go on without it. Check the line, the address in box.toml, and that `kyusai centre serve` runs.",
        url=url,
        detail=detail,
    )


def untrusted(url: str, detail: str) -> CloudUntrusted:
    """The error of a certificate that does not fit."""
    return CloudUntrusted(
        "cloud.untrusted",
        f"{url} is not the centre that this box was enrolled with: {detail}",
        "If the centre was set up anew, enrol the box again. If not, somebody stands in the line.",
        url=url,
        detail=detail,
    )


def confused(url: str, detail: str) -> CloudConfused:
    """The error of an answer that makes no sense."""
    return CloudConfused(
        "cloud.confused",
        f"{url} gave an answer that no centre gives: {detail}",
        "A proxy or a login page may stand in the line. Nothing was counted as received.",
        url=url,
        detail=detail,
    )


def busy(url: str, status: int, retry_after_s: float) -> CloudBusy:
    """The error of a centre that cannot serve now."""
    error = CloudBusy(
        "cloud.busy",
        f"the centre {url} cannot serve now (HTTP {status})",
        "Nothing is lost; the box tries again by itself.",
        url=url,
        status=status,
    )
    error.retry_after_s = retry_after_s
    return error
