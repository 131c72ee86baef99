"""A call's recording as its flow steers it: stopped for a card number, and going on afterwards. Adapter: rtpengine, disk.

Only what is being recorded is stopped, and only what was stopped goes on: a flow never begins a recording that policy did not
want. What is being recorded is told by rtpengine's file of the open capture, which bears the Call-ID in its name.
"""

from pathlib import Path
from urllib.parse import quote

from agent.recording_switch import RecordingSwitch, What

PLAIN = "!$&'()*+,;=:@"
"""What rtpengine does not percent-encode in file names beside letters, digits and - _ . ~ is nothing of these in any version
read (10.5, 11.5): both forms are looked for."""


class FlowRecording:
    """One box's. open_captures: rtpengine's folder for metadata of captures under way."""

    def __init__(self, switch: RecordingSwitch, open_captures: Path) -> None:
        self._switch = switch
        self._open = open_captures

    def pause(self, call_id: str) -> None:
        """Stop it, where there is one. Blocks for up to two seconds. Raises `KyusaiError` when that cannot be known."""
        if self.is_recorded(call_id):
            self._switch.order(call_id, What.PAUSE)

    def resume(self, call_id: str) -> None:
        """Go on, where it was stopped. Blocks, raises as `pause`."""
        self._switch.order(call_id, What.RESUME)

    def is_recorded(self, call_id: str) -> bool:
        """Whether a capture is under way. Raises OSError: a folder that cannot be read says nothing."""
        names = {quote(call_id, safe=""), quote(call_id, safe=PLAIN)}
        return any(name in path.name for path in self._open.iterdir() for name in names)
