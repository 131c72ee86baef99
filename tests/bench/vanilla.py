"""FreeSWITCH's own vanilla configuration as the yardstick of applications: the same program in the place of the box's.

A copy of what FreeSWITCH installs (`conf/`), with as little changed as makes it run there: its addresses and ports are the
lab's, STUN and IPv6 are left out (there is no network), the default password is another (the vanilla dialplan makes every
call wait ten seconds otherwise), and one number leads through its contexts `public` and `default` into a menu of its
application `ivr`. Modules that its list names and this machine has not are passed over by FreeSWITCH; that makes vanilla
smaller, never larger.
"""

import re
import secrets
import shutil
from pathlib import Path

from appliance.box import Box
from appliance.freeswitch import render
from appliance.layout import Layout

INTERNAL_PORT, INTERNAL_TLS_PORT, EXTERNAL_TLS_PORT = 5160, 5161, 5181
"""Of its profile for telephones, which nobody calls here."""

MENU = "kyusai_bench"

QUIET_LOG = "warning,err,crit,alert"
"""What the box's own FreeSWITCH logs. Vanilla logs everything down to debug."""


BLIND = '<param name="accept-blind-auth" value="true"/>'
"""The proxy in front has asked for the password; FreeSWITCH would ask again for one that it cannot know."""


class NoVanilla(RuntimeError):
    """There is no vanilla configuration beside the FreeSWITCH on the PATH."""


def installed() -> Path:
    """The folder of the vanilla configuration. Raises `NoVanilla`."""
    found = shutil.which("freeswitch")
    root = Path(found).resolve().parents[1] if found else Path("/nonexistent")
    for folder in (
        root / "conf",
        root / "share" / "freeswitch" / "conf" / "vanilla",
        Path("/usr/share/freeswitch/conf/vanilla"),
    ):
        if (folder / "vars.xml").is_file():
            return folder
    raise NoVanilla(f"no vanilla configuration beside {found or 'freeswitch'}")


def lay_down(box: Box, layout: Layout, folder: Path, number: str, prompt: Path, *, quiet: bool) -> list[str]:
    """Write it into `folder`; returns the command that starts it in the place of the box's FreeSWITCH. number: what Kamailio
    sends to it; prompt: audio of its menu. quiet: log no more than the box's does."""
    conf = folder / "conf"
    shutil.copytree(installed(), conf, symlinks=False)
    settings = box.freeswitch
    (conf / "sip_profiles" / "internal-ipv6.xml").unlink(missing_ok=True)
    (conf / "sip_profiles" / "external-ipv6.xml").unlink(missing_ok=True)
    text = (conf / "vars.xml").read_text()
    text = re.sub(r'cmd="stun-set" data="(\w+)=[^"]*"', rf'cmd="set" data="\1={settings.address}"', text)
    values = {
        "default_password": secrets.token_hex(8),
        "external_sip_port": str(settings.sip_port),
        "internal_sip_port": str(INTERNAL_PORT),
        "internal_tls_port": str(INTERNAL_TLS_PORT),
        "external_tls_port": str(EXTERNAL_TLS_PORT),
    }
    for name, value in values.items():
        text, count = re.subn(rf'(cmd="set" data="{name}=)[^"]*"', rf'\g<1>{value}"', text)
        if count != 1:
            raise NoVanilla(f"vars.xml sets {name} {count} times")
    own = f'<X-PRE-PROCESS cmd="set" data="local_ip_v4={settings.address}"/>'
    (conf / "vars.xml").write_text(text.replace("<include>", f"<include>\n  {own}", 1))
    _edit(
        conf / "autoload_configs" / "event_socket.conf.xml",
        ('value="::"', f'value="{settings.address}"'),
        ('value="ClueCon"', f'value="{render.password(layout)}"'),
    )
    if quiet:
        _edit(
            conf / "autoload_configs" / "switch.conf.xml",
            ('name="loglevel" value="debug"', 'name="loglevel" value="warning"'),
        )
        _edit(
            conf / "autoload_configs" / "logfile.conf.xml",
            ('value="console,debug,info,notice,warning,err,crit,alert"', f'value="{QUIET_LOG}"'),
        )
    _edit(
        conf / "sip_profiles" / "external.xml",
        (
            '<param name="auth-calls" value="false"/>',
            '<param name="auth-calls" value="false"/>\n    ' + BLIND,
        ),
    )
    # FreeSWITCH drops every line that holds <include>: it has to stand alone.
    extension = (
        '<include>\n<extension name="bench"><condition field="destination_number" expression="^{number}$">'
        "{actions}</condition></extension>\n</include>\n"
    )
    arrives = f'<action application="transfer" data="{number} XML default"/>'
    menu = f'<action application="answer"/><action application="ivr" data="{MENU}"/>'
    (conf / "dialplan" / "public" / "00_bench.xml").write_text(
        extension.format(number=number, actions=arrives)
    )
    (conf / "dialplan" / "default" / "00_bench.xml").write_text(extension.format(number=number, actions=menu))
    (conf / "ivr_menus" / "bench.xml").write_text(
        f'<include>\n<menu name="{MENU}" greet-long="{prompt}" greet-short="{prompt}" timeout="5000" max-failures="3"'
        ' max-timeouts="3" digit-len="1"><entry action="menu-exec-app" digits="1" param="hangup"/></menu>\n</include>\n'
    )
    command = ["freeswitch", "-nf", "-nc", "-nonat", "-np", "-conf", str(conf)]
    for option in ("log", "db", "run", "storage", "temp", "certs", "scripts", "recordings", "cache"):
        (folder / option).mkdir()
        command += [f"-{option}", str(folder / option)]
    return command


def _edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        if old not in text:
            raise NoVanilla(f"{path.name} does not say {old!r}")
        text = text.replace(old, new)
    path.write_text(text)
