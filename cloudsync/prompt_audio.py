"""ADAPTER. A person's audio file as a prompt: read and converted by a process of its own (`prompt_worker`). Decides nothing.

The file is opened here and handed over open, so its name reaches no program and no shell.
"""

import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import KyusaiError
from appliance.problems import shown
from cloudsync import prompt_rules as rules

WAV_BYTES_PER_S = 32_000
WAV_HEAD_BYTES = 44
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1"}


@dataclass(frozen=True, slots=True)
class PromptAudio:
    """A prompt as boxes get it: WAV, 16 kHz, one channel, 16 bits."""

    wav: bytes

    @property
    def sha256(self) -> str:
        """Its name."""
        return hashlib.sha256(self.wav).hexdigest()

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (len(self.wav) - WAV_HEAD_BYTES) / WAV_BYTES_PER_S


def convert(path: Path) -> PromptAudio:
    """Check and convert a file. Blocks for a second or two, for `rules.WORK_S` at most. Raises OSError for a file that cannot
    be opened, `KyusaiError` `prompt.…` for one that is no prompt."""
    name = shown(path.name)
    # A pipe would be waited for, a device never end.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as source:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            raise rules.not_audio(name)
        if told.st_size > rules.FILE_BYTES_MAX:
            raise rules.too_large(name, told.st_size)
        head = os.pread(descriptor, rules.WAV_HEAD_BYTES, 0)
        container = rules.container(head[:16])
        if not container:
            raise rules.not_audio(name)
        cut_off = rules.wav_cut_off(head, told.st_size) if container == "wav" else None
        if cut_off:
            raise rules.truncated(name, *cut_off)
        return _converted(source.fileno(), container, name)


def _converted(descriptor: int, container: str, name: str) -> PromptAudio:
    words = [sys.executable, "-P", "-m", "cloudsync.prompt_worker", container]
    environment = {**_ENVIRONMENT, **{key: os.environ[key] for key in ("PATH",) if key in os.environ}}
    try:
        done = subprocess.run(
            words,
            stdin=descriptor,
            capture_output=True,
            timeout=rules.WORK_S + 5,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise rules.too_costly(name) from None
    if done.returncode == 0 and done.stdout.startswith(b"RIFF"):
        return PromptAudio(done.stdout)
    raise _fault(done.returncode, done.stderr, name)


_FAULTS: dict[str, Callable[..., KyusaiError]] = {
    "wrong_length": rules.wrong_length,
    "wrong_rate": rules.wrong_rate,
    "truncated": rules.truncated,
    "silent": rules.silent,
    "too_costly": rules.too_costly,
}


def _fault(code: int, said: bytes, name: str) -> KyusaiError:
    """A process that ended itself says why; one that was ended by its limits, or by a fault in what it reads with, does not."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        told = json.loads(said.strip().rpartition(b"\n")[2])
        if make := _FAULTS.get(str(told.pop("fault"))):
            return make(name, **told)
        return rules.not_audio(name)
    if code == 1 and b"ModuleNotFoundError" in said:
        return KyusaiError(
            "prompt.no_reader",
            "the packages that read audio are not installed here",
            "Install them: pip install 'kyusai[centre]'",
        )
    return rules.too_costly(name)
