"""Which FreeSWITCH modules a box loads, and why each. The smallest set: what is not here cannot be attacked. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Module:
    """One module. reason: what would be missing without it."""

    name: str
    reason: str


MODULES = (
    Module("mod_logfile", "writes the log that systemd rotates; the console is nobody's on a box"),
    Module(
        "mod_event_socket", "the controller's and the agent's way in; loopback, with the box's own password"
    ),
    Module("mod_commands", "what the event socket can be asked: status, reloadxml, uuid_*, originate"),
    Module("mod_sofia", "SIP towards Kamailio, the only peer"),
    Module("mod_dialplan_xml", "applications and flows are dialplan: they need no other process"),
    Module("mod_dptools", "answer, playback, play_and_get_digits, record, bridge, transfer, hang up"),
    Module("mod_sndfile", "prompts and recordings as WAV"),
    Module("mod_tone_stream", "ringing, beeps, busy: made, not stored"),
    Module("mod_local_stream", "music on hold that all callers share"),
    Module("mod_opus", "web phones' codec; without it their calls would be transcoded elsewhere or refused"),
    Module("mod_spandsp", "G.722 for wideband telephones, and tone detection"),
    Module("mod_conference", "conference rooms, three-way, supervisors who listen and whisper"),
    Module("mod_voicemail", "voicemail boxes with PIN, greetings and messages"),
    Module("mod_valet_parking", "parking places with return"),
    Module("mod_hash", "bounds on how many do a thing at once: open one box, leave messages"),
    Module("mod_say_en", "numbers, dates and times in English"),
    Module("mod_say_ja", "the same in Japanese"),
)

REFUSED = {
    "mod_xml_curl": "no time-out unless set, no cache: a centre that is away would stop calls; the dialplan is on disk",
    "mod_callcenter": "agents that stay stuck for ever are on record, and it cannot run on two nodes",
    "mod_json_cdr": "frees queued records unsaved at shutdown; call records come from Kamailio's journal",
    "mod_xml_rpc": "another way in, with a web server of its own",
    "mod_lua": "flows are data and compile to dialplan; a script could do anything",
    "mod_python3": "the same, and it would bring an interpreter into the call path",
    "mod_verto": "web phones speak SIP over WebSocket with Kamailio",
    "mod_enum": "looks numbers up in the DNS, which may be dead for hours",
    "mod_shout": "reads streams from the network",
    "mod_db": "writes without sync; what a restart must not forget is in files of ours (`by_hand`) or with Kamailio",
    "mod_native_file": "prompts are WAV, which FreeSWITCH plays without it",
    "mod_loopback": "no leg stays inside FreeSWITCH: all go through Kamailio, which decides and writes down",
}
"""Modules that others load, and why a box does not. A test sees to it that none of them slips in."""
