"""Writes what the box's daemons read from box.toml. What they read from the site document is `config_store`'s."""

import os
from pathlib import Path

from agent.config_store import write_durably
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.kamailio import render as kamailio
from appliance.layout import Layout
from appliance.media import rtpengine

PRIVATE_MODE = 0o640
"""rtpengine's file names folders and addresses: no secret, and nobody else's business."""


def render(box: Box) -> tuple[Path, ...]:
    """Write all files and make all folders; returns the files. Raises `KyusaiError` "agent.render".

    Files are replaced one by one, each in one step: run it before the daemons start. Blocks on disk.
    """
    layout = Layout.of(box)
    try:
        for folder in layout.folders():
            folder.mkdir(parents=True, exist_ok=True)
        kamailio.write(box, layout)
        write_durably(layout.rtpengine_conf, rtpengine.configuration(box, layout).encode(), PRIVATE_MODE)
    except OSError as error:
        detail = f"{error.strerror}: {error.filename}" if error.filename else os.strerror(error.errno or 0)
        raise KyusaiError(
            "agent.render",
            f"the daemons' configuration cannot be written: {detail}",
            "Run it as the user that owns the state folder, or as root.",
            detail=detail,
        ) from error
    files = (layout.kamailio_cfg, layout.kemi_entry, layout.kamailio_tls_cfg, layout.rtpengine_conf)
    return tuple(path for path in files if path.exists())
