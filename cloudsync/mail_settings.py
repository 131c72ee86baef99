"""How the centre sends mail: `mail.toml` in the data folder. Without it no mail is sent. The file may hold a password: 0600."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from appliance.errors import KyusaiError

FILE = "mail.toml"
PASSWORD_VARIABLE = "KYUSAI_CENTRE_MAIL_PASSWORD"  # noqa: S105 - a name

TLS = ("starttls", "tls", "none")
"""starttls: begins in the clear and must be encrypted before anything is sent; tls: from the first byte; none: a relay on this
machine."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")

_NAMES = {"host", "port", "tls", "user", "password", "sender", "link", "ca_file"}


@dataclass(frozen=True, slots=True)
class MailSettings:
    """sender: address that mails come from. link: where a recording can be heard, with {site} and {recording}, or "".
    ca_file: authority of a server of the company's own, "" for those that the system trusts."""

    host: str
    port: int
    tls: str
    sender: str
    user: str = ""
    password: str = ""
    link: str = ""
    ca_file: str = ""


def load(folder: Path, environment: Mapping[str, str] = os.environ) -> MailSettings | None:
    """The settings, None where there are none. Blocks on disk. Raises KyusaiError `mail.bad_settings`."""
    path = folder / FILE
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _bad(path, str(error)) from error
    return _checked(path, table | _from(environment))


def _from(environment: Mapping[str, str]) -> dict[str, Any]:
    password = environment.get(PASSWORD_VARIABLE)
    return {"password": password} if password else {}


def _checked(path: Path, table: dict[str, Any]) -> MailSettings:
    unknown = sorted(set(table) - _NAMES)
    if unknown:
        raise _bad(path, f"{unknown[0]} is not known; known are {', '.join(sorted(_NAMES))}")
    tls = table.get("tls", TLS[0])
    port = table.get("port", 465 if tls == "tls" else 587)
    if tls not in TLS:
        raise _bad(path, f"tls is {tls!r}; allowed are {', '.join(TLS)}")
    if type(port) is not int or not 1 <= port <= 65535:
        raise _bad(path, f"port is {port!r}; 1 to 65535 are allowed")
    texts = {name: table.get(name, "") for name in _NAMES - {"port", "tls"}}
    wrong = [name for name, value in texts.items() if not isinstance(value, str) or not value.isprintable()]
    if wrong:
        raise _bad(path, f"{sorted(wrong)[0]} must be text of one line")
    if not texts["host"]:
        raise _bad(path, "host is missing")
    if "@" not in parseaddr(texts["sender"])[1]:
        raise _bad(path, f"sender is {texts['sender']!r}, not an address")
    if tls == "none" and texts["host"] not in LOOPBACK:
        raise _bad(path, f"tls is none and {texts['host']} is another machine: anybody could read along")
    return MailSettings(port=port, tls=tls, **texts)


def _bad(path: Path, reason: str) -> KyusaiError:
    return KyusaiError(
        "mail.bad_settings",
        f"{path}: {reason}",
        'Write host = "smtp.example.com", tls = "starttls", sender = "pbx@example.com", and user and password if the '
        "server asks for them; or remove the file.",
        path=path,
        reason=reason,
    )
