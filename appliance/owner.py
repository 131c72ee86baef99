"""ADAPTER. Whom the files of a box or a centre belong to. The daemons run as a user of their own; what root wrote for them
with mode 0600 they could not read, and a box that was enrolled "as root" would be silent after its next start.
"""

import os
import pwd
from pathlib import Path


def act_as_owner(folder: Path) -> None:
    """As root, become the owner of `folder` for the rest of this process; otherwise do nothing.

    Nothing happens either where the folder is not there yet or belongs to root. Raises `OSError` when the change fails.
    """
    if os.geteuid() != 0:
        return
    try:
        found = folder.stat()
    except FileNotFoundError:
        return
    if found.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(found.st_uid).pw_name, found.st_gid)
    except KeyError:  # a number without a name: no groups beside its own
        os.setgroups([found.st_gid])
    os.setgid(found.st_gid)
    os.setuid(found.st_uid)


def own_name() -> str:
    """Name of the user that this process acts as, or its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
