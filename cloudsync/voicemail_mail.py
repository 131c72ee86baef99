"""CORE. The mail that tells of a voicemail message: who called, when, how long. Without the audio: the centre has no key."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from zoneinfo import ZoneInfo

from appliance.text import Lang, text

CALLER_CHARS_MAX = 64


def compose(
    body: dict[str, object],
    site: dict[str, str],
    recipients: list[str],
    sender: str,
    link: str,
    language: Lang,
) -> EmailMessage:
    """body: the event of the message. site: id, name, time_zone. link: URL or "". Raises ValueError for a body that is none."""
    left = datetime.fromisoformat(str(body["left_utc"])).astimezone(ZoneInfo(site["time_zone"]))
    number = _plain(body.get("caller")) or text("voicemail.mail.withheld", language)
    name = _plain(body.get("caller_name"))
    caller = f"{name} ({number})" if name and name != number else number
    values = {
        "caller": caller,
        "box": _plain(body["box"]),
        "site": _plain(site["name"]),
        "left": left.strftime("%Y-%m-%d %H:%M"),
        "seconds": int(str(body.get("duration_s", 0))),
        "recording": _plain(body["recording"]),
    }
    mail = EmailMessage()
    mail["Subject"] = text("voicemail.mail.subject", language, **values)
    mail["From"] = sender
    mail["To"] = [Address(addr_spec=one) for one in recipients]
    mail["Message-ID"] = f"<{values['recording']}.{site['id']}@kyusai.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    lines = text("voicemail.mail.body", language, **values)
    if link:
        lines += "\n\n" + text("voicemail.mail.link", language, link=link)
    mail.set_content(lines + "\n")
    return mail


def _plain(value: object) -> str:
    """One line of what may be shown: a caller chose it."""
    return "".join(one for one in str(value or "") if one.isprintable())[:CALLER_CHARS_MAX].strip()
