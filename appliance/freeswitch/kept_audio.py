"""How much audio a file of FreeSWITCH's really holds. A full disk cuts a file short and leaves its header as it was. Adapter.

FreeSWITCH takes such a file for a whole one (`switch_ivr_record_file_event` ends at a failed write as at a key, and the last
two to four seconds are only written when the file is closed, which nobody checks).
"""

import wave
from pathlib import Path

from appliance.freeswitch.voicemail_store import Message


def held_ms(path: Path) -> int | None:
    """Milliseconds of audio, as the header and the file's size both allow; 0 for a file that is no WAV (yet), None for none.

    Blocks on disk. Raises OSError.
    """
    try:
        with wave.open(str(path), "rb") as heard:
            frame_bytes = heard.getsampwidth() * heard.getnchannels()
            frames = min(heard.getnframes(), path.stat().st_size // frame_bytes)
            return frames * 1000 // heard.getframerate()
    except FileNotFoundError:
        return None
    except (wave.Error, EOFError, ZeroDivisionError):
        return 0


def is_whole(message: Message) -> bool:
    """Whether a message's file holds as many seconds as FreeSWITCH noted. Blocks on disk. Raises OSError."""
    return (held_ms(message.path) or 0) >= message.seconds * 1000
