"""CORE: rtpengine's configuration file from what the box declares. Third-party defaults that matter are written out."""

from appliance.addresses import endpoint
from appliance.box import Box
from appliance.layout import Layout

MEDIA_TIMEOUT_S = 60
"""No packet from either side for this long ends the call at rtpengine: 60 s spares a phone with silence suppression."""

SILENT_TIMEOUT_S = 3600
"""A call on hold may be silent for an hour."""

DELETE_DELAY_S = 2
"""After the call's end packets under way still find their port; then the capture is finished and can be converted."""

LEARNING = "heuristic"
"""Where a side's audio is sent: to the address of its SDP when anything has come from there, and to another one only when
nothing has (a side behind NAT). By default rtpengine would follow whoever sends, such as a telephone whose call ended with
rtpengine's last crash and whose port a new call was given."""

EXPEDITED_FORWARDING_TOS = 184
"""DSCP 46, EF, in the upper six bits (RFC 3246): voice."""


def keys_address(box: Box) -> tuple[str, int]:
    """Where rtpengine tells of keys that are pressed in calls: the port above its control port."""
    ng = endpoint(box.rtp.ng)
    return ng.host, ng.port + 1


def configuration(box: Box, layout: Layout) -> str:
    """Text of rtpengine.conf: user space only, both networks, capture of single calls, control on loopback."""
    wan = f"{box.rtp.wan}!{box.rtp.wan_advertise}" if box.rtp.wan_advertise else box.rtp.wan
    media = f";media/{box.freeswitch.address}" if box.freeswitch.address else ""
    host, port = keys_address(box)
    return f"""[rtpengine]
table = -1
interface = lan/{box.rtp.lan};wan/{wan}{media}
listen-ng = {box.rtp.ng}
dtmf-log-dest = {f"[{host}]" if ":" in host else host}:{port}
port-min = {box.rtp.port_min}
port-max = {box.rtp.port_max}
timeout = {MEDIA_TIMEOUT_S}
silent-timeout = {SILENT_TIMEOUT_S}
delete-delay = {DELETE_DELAY_S}
endpoint-learning = {LEARNING}
tos = {EXPEDITED_FORWARDING_TOS}
recording-method = pcap
recording-format = eth
recording-dir = {layout.capture_dir}
pidfile = {layout.run_dir}/rtpengine.pid
log-level = 5
num-threads = 2
"""
