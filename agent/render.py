"""Writes what the box's daemons read from box.toml. What they read from the site document is `config_store`'s."""

import os
from pathlib import Path

from agent import certificate
from agent.audio_place import make_folders
from agent.config_store import write_durably
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import render as freeswitch
from appliance.kamailio import render as kamailio
from appliance.layout import Layout
from appliance.media import rtpengine
from appliance.owner import own_name

PRIVATE_MODE = 0o640
"""These files name folders and addresses: no secret, and nobody else's business."""


def environment_file(layout: Layout) -> Path:
    """What kyusai-kamailio.service reads beside its configuration: sizes that only the command line can set."""
    return layout.kamailio_dir / "kamailio.env"


def environment(box: Box) -> str:
    """Text of the environment file."""
    return f"SHARED_MEMORY_MB={box.sip.shared_memory_mb}\nPACKAGE_MEMORY_MB={kamailio.PACKAGE_MEMORY_MB}\n"


def _check_certificate(box: Box) -> None:
    """Raises `KyusaiError` "render.tls_unreadable": Kamailio does not start at all when it cannot read its certificate."""
    for path in filter(None, (box.sip.tls_certificate, box.sip.tls_key)):
        if box.sip.lan_tls_port and not os.access(path, os.R_OK):
            raise KyusaiError(
                "render.tls_unreadable",
                f"{path}, which box.toml names, cannot be read by {own_name()}",
                f"Kamailio would not start with it. Correct the path, or give {own_name()} the right to read the file; "
                "nothing was written.",
                path=path,
                user=own_name(),
            )


def render(box: Box) -> tuple[Path, ...]:
    """Write all files and make all folders; returns the files. Raises `KyusaiError` "agent.render", "render.tls_unreadable".

    Files are replaced one by one, each in one step: run it before the daemons start. Blocks on disk.
    """
    layout = Layout.of(box)
    _check_certificate(box)
    try:
        make_folders(box)
        kamailio.write(box, layout)
        freeswitch.write(box, layout)
        if box.sip.lan_tls_port and not box.sip.tls_certificate:
            certificate.ensure(
                *kamailio.tls_files(box, layout), tuple(dict.fromkeys((box.sip.lan, box.sip.wan)))
            )
        write_durably(environment_file(layout), environment(box).encode(), PRIVATE_MODE)
        write_durably(layout.rtpengine_conf, rtpengine.configuration(box, layout).encode(), PRIVATE_MODE)
    except OSError as error:
        detail = f"{error.strerror}: {error.filename}" if error.filename else os.strerror(error.errno or 0)
        raise KyusaiError(
            "agent.render",
            f"the daemons' configuration cannot be written: {detail}",
            "Run it as the user that owns the state folder (kyusai), or as root: it then acts as that user.",
            detail=detail,
        ) from error
    files = (
        layout.kamailio_cfg,
        environment_file(layout),
        layout.kemi_entry,
        layout.kamailio_tls_cfg,
        layout.rtpengine_conf,
        layout.freeswitch_xml,
    )
    return tuple(path for path in files if path.exists())
