"""Mails about voicemail messages, with a real SMTP server: encrypted, with a password, again after a failure, not twice."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from agent import certificate
from appliance.errors import KyusaiError
from cloudsync import mail_settings, wire
from cloudsync.service import voicemails, work
from cloudsync.service.centre import Centre
from cloudsync.service.sites import add_site
from cloudsync.store import configs, jobs
from tests.helpers.centre_box import opened
from tests.helpers.centre_contents import WHO, send

HOST = "127.0.0.1"
BODY = {
    "event": "voicemail",
    "box": "202",
    "caller": "0312345678",
    "caller_name": "山田\r\nBcc: all@example.com",
    "recording": "vm-1",
    "left_utc": "2026-11-21T06:05:00Z",
    "duration_s": 12,
}


class Inbox:
    """What arrived. refuse: how many mails are turned away first."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.encrypted: list[bool] = []
        self.refuse = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuse:
            self.refuse -= 1
            return "451 later"
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.encrypted.append(session.ssl is not None)
        return "250 OK"


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    certificate.ensure(tmp_path / "mail.pem", tmp_path / "mail.key", (HOST,))
    return tmp_path / "mail.pem"


@pytest.fixture
def inbox(tls: Path) -> Iterator[tuple[Inbox, int]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls, tls.with_suffix(".key"))
    found = Inbox()

    def known(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"pbx", b"secret"))

    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    server = Controller(
        found,
        hostname=HOST,
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=known,
        auth_required=True,
    )
    server.start()
    try:
        yield found, port
    finally:
        server.stop()


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    with opened(tmp_path / "data") as found:
        add_site(found, WHO.site_id, "Tokyo branch", "acme", (), "admin:test")
        yield found


def publish(centre: Centre, email: list[str]) -> None:
    site = {"id": WHO.site_id, "name": "Tokyo branch", "time_zone": "Asia/Tokyo"}
    document = wire.canonical_json(
        {"site": site, "mailboxes": [{"number": "202", "language": "en", "email": email}]}
    )
    with centre.database.write() as connection:
        configs.add(connection, WHO.site_id, wire.Envelope(document, 1, "k", "s"), centre.now_utc())


def settle(centre: Centre, on: int, authority: Path, **changes: Any) -> None:
    values = {"host": HOST, "port": on, "sender": "pbx@example.com", "user": "pbx", "password": "secret"}
    values |= {"ca_file": str(authority), "link": "https://pbx.example.com/{site}/{recording}"} | changes
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    (centre.layout.data_dir / mail_settings.FILE).write_text("\n".join(lines))


def tell(centre: Centre) -> None:
    """As a box does: the event among records."""
    record = wire.chain_record(
        wire.GENESIS_HASH,
        seq=1,
        record_id="event-1",
        kind=wire.RecordKind.EVENT,
        priority=1,
        created_utc="2026-11-21T06:05:01.000Z",
        boot_id="boot-1",
        body=BODY,
    )
    send(centre, [record])


def waits(centre: Centre) -> int:
    with centre.database.read() as connection:
        return jobs.waiting(connection).get(voicemails.KIND, 0)


def test_a_message_is_told_by_an_encrypted_mail_and_a_caller_s_name_adds_no_header(
    centre: Centre, inbox: tuple[Inbox, int], tls: Path
) -> None:
    publish(centre, ["sato@example.com"])
    settle(centre, inbox[1], tls)
    tell(centre)
    assert work.step(centre, "w")
    (mail,) = inbox[0].mails
    assert (mail["To"], mail["From"], mail["Bcc"]) == ("sato@example.com", "pbx@example.com", None)
    assert "0312345678" in mail["Subject"]
    said = mail.get_content()
    for part in ("2026-11-21 15:05", "12 s", "vm-1", f"https://pbx.example.com/{WHO.site_id}/vm-1"):
        assert part in said
    assert inbox[0].encrypted == [True]
    assert waits(centre) == 0


def test_a_mail_that_the_server_does_not_take_waits_and_is_sent_later(
    centre: Centre, inbox: tuple[Inbox, int], tls: Path
) -> None:
    publish(centre, ["sato@example.com"])
    settle(centre, inbox[1], tls)
    tell(centre)
    inbox[0].refuse = 1
    assert work.step(centre, "w")
    assert (len(inbox[0].mails), waits(centre)) == (0, 1)
    assert not work.step(centre, "w")
    later = replace(centre, clock=lambda: centre.clock() + timedelta(seconds=work.RETRY_FIRST_S + 1))
    assert work.step(later, "w")
    assert (len(inbox[0].mails), waits(centre)) == (1, 0)


def test_a_server_whose_certificate_nobody_knows_gets_nothing(
    centre: Centre, inbox: tuple[Inbox, int], tls: Path
) -> None:
    publish(centre, ["sato@example.com"])
    settle(centre, inbox[1], tls, ca_file="")
    tell(centre)
    assert work.step(centre, "w")
    assert (len(inbox[0].mails), waits(centre)) == (0, 1)


@pytest.mark.parametrize("email", [[], None])
def test_where_nobody_wants_mail_none_is_sent(
    centre: Centre, inbox: tuple[Inbox, int], tls: Path, email: list[str] | None
) -> None:
    if email is not None:
        publish(centre, email)
    settle(centre, inbox[1], tls)
    tell(centre)
    assert work.step(centre, "w")
    assert (len(inbox[0].mails), waits(centre)) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tls": "none", "host": "192.0.2.1"}, "another machine"),
        ({"tls": "ssl"}, "starttls"),
        ({"port": 0}, "65535"),
        ({"sender": "pbx"}, "not an address"),
        ({"colour": "red"}, "colour is not known"),
    ],
    ids=["clear", "tls", "port", "sender", "unknown"],
)
def test_settings_that_cannot_be_right_are_told(
    centre: Centre, tls: Path, changes: dict[str, Any], said: str
) -> None:
    settle(centre, 25, tls, **changes)
    with pytest.raises(KyusaiError, match=said):
        mail_settings.load(centre.layout.data_dir)
