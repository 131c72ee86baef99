"""Where things lie on a box: pure path functions from its two folders. Opens nothing.

`state_dir` survives a restart; `run_dir` holds sockets and process ids and may be a tmpfs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.box import Box


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one box. A folder's property ends in `_dir`; any other property is a file, link or socket."""

    state_dir: Path
    run_dir: Path

    @classmethod
    def of(cls, box: "Box") -> "Layout":
        """The layout that `box` declares."""
        return cls(box.state_dir, box.run_dir)

    # identity: who the box is to the centre

    @property
    def identity_dir(self) -> Path:
        """Folder (0700) of the box's own key and what enrolment brought."""
        return self.state_dir / "identity"

    @property
    def key(self) -> Path:
        """The box's Ed25519 private key, PEM, mode 0600."""
        return self.identity_dir / "key.pem"

    @property
    def enrolment(self) -> Path:
        """What enrolment brought: site id, configuration keys, the centre's CA (JSON)."""
        return self.identity_dir / "enrolment.json"

    @property
    def ledger_receipt(self) -> Path:
        """The centre's latest signed word on how many of the site's records it holds (JSON)."""
        return self.identity_dir / "records-receipt.json"

    # configuration: one folder per version, `current` points at the one in use

    @property
    def config_dir(self) -> Path:
        """Folder of all configuration versions."""
        return self.state_dir / "config"

    @property
    def versions_dir(self) -> Path:
        """Folder with one folder per version."""
        return self.config_dir / "versions"

    @property
    def current(self) -> Path:
        """Symbolic link to the version in use; replaced by an atomic rename."""
        return self.config_dir / "current"

    @property
    def lease(self) -> Path:
        """What the box shows the centre next, so that a copy of its disk is noticed."""
        return self.key.with_name("lease")

    @property
    def offered_document(self) -> Path:
        """The last site document that was signed and yet refused."""
        return self.config_dir / "offered.json"

    def version_dir(self, version: int, revision: int = 0) -> Path:
        """Folder of one version, or of one with a revision of the changes made at this box over it."""
        return self.versions_dir / (f"{version}+{revision}" if revision else str(version))

    def document(self, version: int, revision: int = 0) -> Path:
        """The site document of one version, the exact bytes that were signed."""
        return self.version_dir(version, revision) / "document.json"

    def envelope(self, version: int, revision: int = 0) -> Path:
        """The signed envelope that carried the document."""
        return self.version_dir(version, revision) / "envelope.json"

    def overlay(self, version: int, revision: int) -> Path:
        """Changes made at this box, over that version."""
        return self.version_dir(version, revision) / "overlay.json"

    def route_snapshot(self, version: int, revision: int = 0) -> Path:
        """The route snapshot made from one version, changes included."""
        return self.version_dir(version, revision) / "route.sqlite"

    @property
    def current_route_snapshot(self) -> Path:
        """The snapshot that Kamailio's workers read, through `current`."""
        return self.current / "route.sqlite"

    # data that is written while the box runs

    @property
    def journal(self) -> Path:
        """Call journal; Kamailio's timer process is its only writer."""
        return self.state_dir / "journal.sqlite"

    @property
    def bindings(self) -> Path:
        """Registrations (usrloc), flushed by one writer."""
        return self.state_dir / "bindings.sqlite"

    @property
    def lamps(self) -> Path:
        """What telephones have subscribed to; Kamailio's timer process is its only writer."""
        return self.state_dir / "lamps.sqlite"

    @property
    def spool(self) -> Path:
        """What still has to reach the centre."""
        return self.state_dir / "spool.sqlite"

    @property
    def given_up_dir(self) -> Path:
        """Parked records that a person gave up, as they stood in the spool."""
        return self.state_dir / "given-up"

    @property
    def acknowledged(self) -> Path:
        """Copies of records that the centre has acknowledged, for a centre that loses them."""
        return self.state_dir / "acknowledged.sqlite"

    @property
    def audio_dir(self) -> Path:
        """What people say, as it is heard: a folder on an encrypted disk, else a link into memory (`agent.audio_place`)."""
        return self.state_dir / "audio"

    @property
    def memory_audio_dir(self) -> Path:
        """Where that link points: a tmpfs, gone with the power."""
        return self.run_dir / "audio"

    @property
    def capture_dir(self) -> Path:
        """rtpengine's recording folder."""
        return self.audio_dir / "capture"

    @property
    def pcaps_dir(self) -> Path:
        """Captured packets, written by rtpengine."""
        return self.capture_dir / "pcaps"

    @property
    def metadata_dir(self) -> Path:
        """rtpengine's metadata of finished captures."""
        return self.capture_dir / "metadata"

    @property
    def capture_tmp_dir(self) -> Path:
        """rtpengine's metadata of captures that are still open."""
        return self.capture_dir / "tmp"

    @property
    def recordings_dir(self) -> Path:
        """Encrypted recordings that wait for the centre."""
        return self.state_dir / "recordings"

    @property
    def tls_dir(self) -> Path:
        """The box's self-signed SIP certificate, where none was given."""
        return self.state_dir / "tls"

    # rendered for the daemons

    @property
    def kamailio_dir(self) -> Path:
        """Rendered Kamailio files; no other Python beside the KEMI script: the folder becomes sys.path[0]."""
        return self.state_dir / "kamailio"

    @property
    def kamailio_cfg(self) -> Path:
        """Rendered kamailio.cfg."""
        return self.kamailio_dir / "kamailio.cfg"

    @property
    def kamailio_tls_cfg(self) -> Path:
        """Rendered tls.cfg."""
        return self.kamailio_dir / "tls.cfg"

    @property
    def kemi_entry(self) -> Path:
        """The KEMI script that Kamailio loads."""
        return self.kamailio_dir / "kemi_entry.py"

    @property
    def rtpengine_dir(self) -> Path:
        """Rendered rtpengine files."""
        return self.state_dir / "rtpengine"

    @property
    def rtpengine_conf(self) -> Path:
        """Rendered rtpengine.conf."""
        return self.rtpengine_dir / "rtpengine.conf"

    # FreeSWITCH

    @property
    def freeswitch_dir(self) -> Path:
        """FreeSWITCH's own folder: its rendered main file, its password, its databases."""
        return self.state_dir / "freeswitch"

    @property
    def freeswitch_pid(self) -> Path:
        """Written by FreeSWITCH when it starts."""
        return self.run_dir / "freeswitch.pid"

    @property
    def freeswitch_xml(self) -> Path:
        """Rendered main file; includes what the current version's folder says."""
        return self.freeswitch_dir / "freeswitch.xml"

    @property
    def event_socket_password(self) -> Path:
        """Password of FreeSWITCH's event socket, made once for each box; mode 0600."""
        return self.freeswitch_dir / "event-socket.secret"

    @property
    def freeswitch_db_dir(self) -> Path:
        """Databases that FreeSWITCH keeps: what feature codes set, voicemail's list."""
        return self.freeswitch_dir / "db"

    @property
    def freeswitch_log_dir(self) -> Path:
        """Its log, rotated by itself."""
        return self.freeswitch_dir / "log"

    @property
    def media_journal(self) -> Path:
        """What the controller reports of calls in applications; it is the only writer."""
        return self.freeswitch_dir / "media.sqlite"

    @property
    def voicemail_dir(self) -> Path:
        """Messages and greetings, FreeSWITCH's; a folder for each box."""
        return self.audio_dir / "voicemail"

    @property
    def rooms_dir(self) -> Path:
        """Recordings of conference rooms as FreeSWITCH writes them; encrypted and gone soon after their end."""
        return self.audio_dir / "rooms"

    @property
    def prompts_dir(self) -> Path:
        """Audio of prompts, named by what they say; a folder for each language."""
        return self.state_dir / "prompts"

    @property
    def current_freeswitch_dir(self) -> Path:
        """The current version's dialplan and directory, through `current`."""
        return self.current / "freeswitch"

    # run_dir

    @property
    def kamailio_rpc(self) -> Path:
        """Kamailio's JSON-RPC datagram socket."""
        return self.run_dir / "kamailio_rpc.sock"

    @property
    def kamailio_pid(self) -> Path:
        """Kamailio's main process id."""
        return self.run_dir / "kamailio.pid"

    @property
    def agent_socket(self) -> Path:
        """The agent's local HTTP over a Unix socket (GET /status)."""
        return self.run_dir / "agent.sock"

    @property
    def control_socket(self) -> Path:
        """The controller's local HTTP over a Unix socket: calls in applications, and what can be done with them."""
        return self.run_dir / "control.sock"

    def folders(self) -> tuple[Path, ...]:
        """Every folder that has to exist before the daemons start, parents first."""
        return (
            self.state_dir,
            self.run_dir,
            self.identity_dir,
            self.config_dir,
            self.versions_dir,
            self.audio_dir,
            self.capture_dir,
            self.pcaps_dir,
            self.metadata_dir,
            self.capture_tmp_dir,
            self.voicemail_dir,
            self.rooms_dir,
            self.recordings_dir,
            self.tls_dir,
            self.kamailio_dir,
            self.rtpengine_dir,
            self.freeswitch_dir,
            self.freeswitch_db_dir,
            self.freeswitch_log_dir,
            self.prompts_dir,
        )
