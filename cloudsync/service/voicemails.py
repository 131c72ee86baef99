"""Messages by e-mail: an event of a box becomes work that waits in the store, and the work a mail. Tried again until it is sent.

A mail may be sent twice when a process dies between the server's yes and the note of it: its Message-ID is the same.
"""

import json
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import quote

from sqlalchemy import Connection

from appliance.text import Lang
from cloudsync import mail_settings
from cloudsync.mail_settings import MailSettings
from cloudsync.merge import Sound
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import configs, jobs
from cloudsync.store.jobs import Job
from cloudsync.voicemail_mail import compose
from cloudsync.wire import VOICEMAIL_EVENT, canonical_json

KIND = "voicemail.mail"
MARK = f'"event":"{VOICEMAIL_EVENT}"'
"""As it stands in canonical JSON."""

SMTP_TIMEOUT_S = 30.0
SUBJECT_BYTES_MAX = 2_000


def notice(connection: Connection, centre: Centre, who: BoxIdentity, item: Sound) -> None:
    """Let the mail about a message wait. What it is to say is kept with it."""
    body = json.loads(item.body)
    if body.get("event") != VOICEMAIL_EVENT or len(item.body) > SUBJECT_BYTES_MAX:
        return
    jobs.add(connection, KIND, who.site_id, [canonical_json(body)], centre.clock().timestamp())


def send(centre: Centre, job: Job) -> None:
    """Send one mail; nothing where nobody wants it. Blocks on the network. Raises what smtplib raises, `mail.bad_settings`."""
    settings = mail_settings.load(centre.layout.data_dir)
    if settings is None:
        return
    with centre.database.read() as connection:
        envelope = configs.newest(connection, job.site_id)
    body = json.loads(job.subject)
    document = json.loads(envelope.document) if envelope else {}
    box = next((one for one in document.get("mailboxes", ()) if one.get("number") == body.get("box")), None)
    recipients = list(box.get("email", ())) if box else []
    if box is None or not recipients:
        return
    recording = quote(str(body.get("recording", "")), safe="")
    link = settings.link.format(site=job.site_id, recording=recording) if settings.link else ""
    try:
        language: Lang = "en" if box.get("language") == "en" else "ja"
        mail = compose(body, document["site"], recipients, settings.sender, link, language)
    except (KeyError, ValueError):
        return  # a body that no box of ours sends
    deliver(settings, mail)


def deliver(settings: MailSettings, mail: EmailMessage) -> None:
    """Hand a mail to the server, encrypted and its name checked unless it is on this machine. Raises what smtplib raises."""
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.host, settings.port, timeout=SMTP_TIMEOUT_S, context=context
        )
    else:
        server = smtplib.SMTP(settings.host, settings.port, timeout=SMTP_TIMEOUT_S)
    with server:
        if settings.tls == "starttls":
            server.starttls(context=context)
        if settings.user:
            server.login(settings.user, settings.password)
        server.send_message(mail)
