"""What FreeSWITCH reads of the box itself: modules, SIP profile, event socket, limits. Pure.

Everything is on loopback. Kamailio is the only SIP peer: the profile takes calls from its address alone, asks nobody for a
password (there is nobody else), keeps no registrations and answers no subscriptions. What the site document says is
included from `config/current`, so that a switch of versions and a `reloadxml` are all that a change needs.
"""

from dataclasses import dataclass

from appliance.freeswitch import names, voicemail_xml
from appliance.freeswitch.modules import MODULES
from appliance.freeswitch.xml import Element, Global, Include, document, element, param

SESSIONS_MAX = 400
"""Legs at once: 200 calls in applications, each with a leg to somebody. Beyond, new calls get 503 and Kamailio goes on."""

SESSIONS_PER_SECOND_MAX = 60
"""New legs in a second: what two cores take without the audio of others suffering."""

LOG_ROLLOVER_BYTES = 5 * 1024 * 1024
LOG_FILES = 3
"""A FreeSWITCH whose database was damaged has been seen to write 12 GB of log in an hour: 20 MB is all it gets."""

CODECS = "OPUS,G722,PCMU,PCMA"
"""In the order in which an offer is met; the caller's order decides."""

ENTERED, LEFT = "%(150,50,660);%(150,0,880)", "%(150,50,880);%(150,0,660)"
"""Two short tones up when somebody enters a room, down when he leaves: nobody listens unheard."""

ROOM_RECORD_KEY, ROOM_STOP_KEY = "*1", "*2"
"""In a room that may be recorded by key."""

LOOPBACK = ("127.0.0.0/8", "::1/128")
"""Who may speak to the event socket at all: programs on this machine, and they need the password."""

HOLD_MUSIC = "local_stream://moh"


@dataclass(frozen=True, slots=True)
class Settings:
    """One box's FreeSWITCH. address: loopback, of all its sockets. kamailio_port: Kamailio's socket at the same address.
    rtp_min, rtp_max: ports. password: of the event socket. site: folder with the site document's part. prompts: folder of
    audio; voicemail: folder of messages; rooms: of recordings of conference rooms. clerk_port: the agent's, at the
    same address. by_hand: file of schedules set by hand."""

    address: str
    sip_port: int
    kamailio_port: int
    esl_port: int
    rtp_min: int
    rtp_max: int
    password: str
    site: str
    prompts: str
    voicemail: str = ""
    rooms: str = ""
    clerk_port: int = 8022
    by_hand: str = ""

    @property
    def kamailio(self) -> str:
        """Kamailio's socket for applications."""
        return f"{self.address}:{self.kamailio_port}"


def main_file(settings: Settings) -> str:
    """Text of freeswitch.xml."""
    return document(
        (
            Global(names.KAMAILIO, settings.kamailio),
            Global(names.CLERK, f"{settings.address}:{settings.clerk_port}"),
            Include(f"{settings.site}/globals.xml"),
            element(
                "section",
                *_configurations(settings),
                Include(f"{settings.site}/configuration.xml"),
                name="configuration",
            ),
            element(
                "section",
                Include(f"{settings.site}/dialplan.xml"),
                *([Include(settings.by_hand)] if settings.by_hand else []),
                name="dialplan",
            ),
            element("section", Include(f"{settings.site}/directory.xml"), name="directory"),
            Include(f"{settings.site}/languages.xml"),
        )
    )


def _configurations(settings: Settings) -> list[Element]:
    return [
        configuration("switch.conf", _switch(settings)),
        configuration(
            "modules.conf", element("modules", *(element("load", module=one.name) for one in MODULES))
        ),
        configuration("event_socket.conf", _event_socket(settings)),
        configuration("logfile.conf", *_logfile()),
        configuration("acl.conf", _acl(settings)),
        configuration("sofia.conf", *_sofia(settings)),
        configuration("local_stream.conf", _music(settings)),
        configuration("conference.conf", *_conference(settings)),
        configuration("spandsp.conf", element("modem-settings", param("total-modems", 0))),
        configuration("hash.conf", element("remotes")),
        configuration("voicemail.conf", *voicemail_xml.settings(settings.voicemail)),
        configuration("opus.conf", element("settings", param("use-vbr", 1), param("complexity", 5))),
    ]


def configuration(name: str, *children: Element) -> Element:
    """One of FreeSWITCH's configuration files."""
    return element("configuration", *children, name=name, description="rendered; changes made here are lost")


def _switch(settings: Settings) -> Element:
    return element(
        "settings",
        param("max-sessions", SESSIONS_MAX),
        param("sessions-per-second", SESSIONS_PER_SECOND_MAX),
        param("rtp-start-port", settings.rtp_min),
        param("rtp-end-port", settings.rtp_max),
        param("loglevel", "warning"),
        param("colorize-console", "false"),
        # "${function(...)}" in the arguments of applications would run commands of the switch: nothing needs it, and a
        # caller's name that found its way into an argument could use it.
        param("api-expansion", "false"),
        param("dump-cores", "no"),
        param("mailer-app", "/bin/false"),
        param("core-db-name", "core"),
        # Registrations, channels and calls in a database that no restart needs: memory.
        param("auto-clear-sql", "true"),
        param("switchname", "kyusai"),
        param("threaded-system-exec", "false"),
    )


def _event_socket(settings: Settings) -> Element:
    return element(
        "settings",
        param("nat-map", "false"),
        param("listen-ip", settings.address),
        param("listen-port", settings.esl_port),
        param("password", settings.password),
        param("apply-inbound-acl", "machine"),
        param("stop-on-bind-error", "true"),
    )


def _logfile() -> tuple[Element, ...]:
    profile = element(
        "profile",
        element("settings", param("rollover", LOG_ROLLOVER_BYTES), param("maximum-rotate", LOG_FILES)),
        element("mappings", element("map", name="all", value="warning,err,crit,alert")),
        name="default",
    )
    return element("settings", param("rotate-on-hup", "true")), element("profiles", profile)


def _acl(settings: Settings) -> Element:
    lists = (("kamailio", f"{settings.address}/32"), ("machine", LOOPBACK[":" in settings.address]))
    return element(
        "network-lists",
        *(
            element("list", element("node", type="allow", cidr=cidr), name=name, default="deny")
            for name, cidr in lists
        ),
    )


def _sofia(settings: Settings) -> tuple[Element, ...]:
    values: tuple[tuple[str, object], ...] = (
        ("sip-ip", settings.address),
        ("sip-port", settings.sip_port),
        ("rtp-ip", settings.address),
        ("context", names.ENTRY),
        ("dialplan", "XML"),
        ("user-agent-string", "kyusai"),
        ("apply-inbound-acl", "kamailio"),
        ("auth-calls", "true"),  # by address alone: see the next line
        ("auth-calls-acl-only", "true"),
        ("accept-blind-reg", "false"),
        ("disable-register", "true"),
        ("disable-naptr", "true"),
        ("disable-srv", "true"),
        ("manage-presence", "false"),
        ("inbound-codec-prefs", CODECS),
        ("outbound-codec-prefs", CODECS),
        ("inbound-codec-negotiation", "generous"),
        ("proxy-refer", "true"),  # the other telephone carries a transfer out
        ("dtmf-type", "rfc2833"),
        ("liberal-dtmf", "true"),  # digits as SIP INFO are taken as well
        ("rfc2833-pt", 101),
        # Without a timer of its own a leg is paced by what arrives: a telephone that sends nothing would hear nothing.
        ("rtp-timer-name", "soft"),
        ("enable-timer", "false"),  # Kamailio watches the dialogs
        ("enable-100rel", "false"),
        ("inbound-late-negotiation", "true"),
        ("pass-callee-id", "false"),
        ("caller-id-type", "pid"),
        ("sip-options-respond-503-on-busy", "true"),
        ("log-auth-failures", "false"),
        ("track-calls", "false"),
        ("max-proceeding", SESSIONS_MAX),
        ("timer-T1X64", 8_000),
        # A call that was announced may come again at once, for a mailbox or to be picked up: for as long as its first INVITE is
        # remembered FreeSWITCH refuses it (482, RFC 3261 section 8.2.2.2). On loopback nothing is on its way for longer.
        ("timer-T4", 1),
    )
    profile = element(
        "profile",
        element("settings", *(param(name, value) for name, value in values)),
        name=names.PROFILE,
    )
    quiet = element("global_settings", param("log-level", 0), param("auto-restart", "false"))
    return quiet, element("profiles", profile)


def _music(settings: Settings) -> Element:
    return element(
        "directory",
        param("rate", 8000),
        param("shuffle", "false"),
        param("channels", 1),
        param("interval", 20),
        param("timer-name", "soft"),
        name="moh",
        path=f"{settings.prompts}/moh",
    )


def _conference(settings: Settings) -> tuple[Element, ...]:
    mute = element(
        "control", action="mute", digits="0"
    )  # no key leaves: many press # behind the code that lets them in
    common = (
        param("domain", settings.address),
        param("rate", 16000),
        param("interval", 20),
        param("energy-level", 100),
        param("moh-sound", HOLD_MUSIC),
        param("comfort-noise", "true"),
        param("max-members", 32),
        param("enter-sound", f"tone_stream://{ENTERED}"),
        param("exit-sound", f"tone_stream://{LEFT}"),
    )
    recorded = f"{settings.rooms}/${{uuid}}.wav"
    default = param("caller-controls", "default")
    profiles = (
        element("profile", *common, default, name="default"),
        element("profile", *common, default, param("auto-record", recorded), name=names.RECORDED_ROOM),
        element("profile", *common, param("caller-controls", "recording"), name=names.RECORDABLE_ROOM),
    )
    by_key = (
        element("control", action="execute_application", digits=key, data=f"{application} {recorded}")
        for key, application in ((ROOM_RECORD_KEY, "record_session"), (ROOM_STOP_KEY, "stop_record_session"))
    )
    groups = (
        element("group", mute, name="default"),
        element("group", mute, *by_key, name="recording"),
    )
    return element("caller-controls", *groups), element("profiles", *profiles)
