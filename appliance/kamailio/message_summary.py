"""What a message lamp is told: a message summary (RFC 3842). Pure."""

from dataclasses import dataclass

CONTENT_TYPE = "application/simple-message-summary"


@dataclass(frozen=True, slots=True)
class Messages:
    """What lies in a voicemail box. urgent_new, urgent_old: of `new` and `old`."""

    new: int = 0
    old: int = 0
    urgent_new: int = 0
    urgent_old: int = 0


NONE = Messages()


def summary(number: str, domain: str, messages: Messages) -> str:
    """The summary of one extension's box."""
    waiting = "yes" if messages.new else "no"
    counts = f"{messages.new}/{messages.old} ({messages.urgent_new}/{messages.urgent_old})"
    lines = (
        f"Messages-Waiting: {waiting}",
        f"Message-Account: sip:{number}@{domain}",
        f"Voice-Message: {counts}",
    )
    return "".join(f"{line}\r\n" for line in lines)
