"""The box of a lab: its settings, rendered by the product itself, and its programs, each started, killed and started again."""

import asyncio
import json
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from agent import certificate
from appliance import box as box_settings
from appliance import site, snapshot
from appliance.box import Audio
from appliance.kamailio import render as kamailio_render
from appliance.layout import Layout
from tests.lab.addresses import CENTRE_PORT, Addresses
from tests.lab.freeswitch import FreeSwitch
from tests.lab.kamailio import Kamailio, Rpc, RtpEngine
from tests.lab.link import Ports
from tests.lab.processes import WAIT_S, Process, wait_until

ROOT = Path(__file__).resolve().parents[2]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs on every Linux
REBOOT = ROOT / "tests" / "lab" / "reboot"
BOX_ID = "tokyo-1-a"
NG_PORT, METRICS_PORT = 2223, 9469
COMMAND_TIMEOUT_S = 60.0
"""Python starts and reads everything: a second, and twenty on a machine that has much else to do."""

SETTINGS = """\
[box]
id = "{id}"
state_dir = "{state}"
run_dir = "{run}"
audio = "{audio}"
[centre]
url = "https://{a.centre_seen_by_box}:{centre_port}"
[sip]
lan = "{a.box_lan}"
wan = "{a.box_wan}"
wan_advertise = "{a.box_seen_by_cloud}:5060"
children = 2
shared_memory_mb = 128
tls_certificate = "{certificate}"
tls_key = "{key}"
[rtp]
lan = "{a.box_lan}"
wan = "{a.box_wan}"
wan_advertise = "{a.box_seen_by_cloud}"
port_min = {port_min}
port_max = {port_max}
ng = "{a.box_lan}:{ng_port}"
[agent]
listen = "{a.box_lan}:{metrics_port}"
"""


FREESWITCH = """\
[freeswitch]
address = "{a.freeswitch}"
"""


class CommandFailed(RuntimeError):
    """A command of the product ended with an error."""


async def kyusai(*words: str | Path, env: dict[str, str] | None = None) -> str:
    """Run the command ``kyusai`` and return its standard output. Raises ``CommandFailed`` with what it said."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kyusai_cli",
        *map(str, words),
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_TIMEOUT_S):
        out, err = await child.communicate()
    if child.returncode != 0:
        raise CommandFailed(
            f"kyusai {' '.join(map(str, words))}: exit {child.returncode}\n{err.decode()}{out.decode()}"
        )
    return out.decode()


class Box:
    """One box. Its programs: ``rtpengine``, ``kamailio``, ``agent``, ``media`` (see ``programs``)."""

    def __init__(
        self,
        addresses: Addresses,
        folder: Path,
        ports: Ports | None = None,
        *,
        freeswitch: bool = False,
        audio: Audio = Audio.DISK,
    ) -> None:
        """Writes box.toml. Nothing is started or rendered yet. audio: on a machine whose disk is in the clear, as most are that
        run tests, AUTO puts it into memory; the run folder is on a tmpfs then, as it is on a box."""
        a, ports = addresses, ports or Ports()
        self.addresses = a
        self.folder = folder
        self.toml = folder / "box.toml"
        tls = (folder / "sip.pem", folder / "sip.key")
        certificate.ensure(*tls, (a.box_lan,))
        run = folder / "box" / "run"
        if audio is not Audio.DISK:
            run = SHARED_MEMORY / f"kyusai-lab-{folder.name}"
            shutil.rmtree(run, ignore_errors=True)  # of a lab that crashed
        text = SETTINGS.format(
            a=a,
            id=BOX_ID,
            state=folder / "box" / "state",
            run=run,
            audio=audio,
            centre_port=CENTRE_PORT,
            port_min=ports.box_rtp.start,
            port_max=ports.box_rtp.stop - 1,
            ng_port=NG_PORT,
            metrics_port=METRICS_PORT,
            certificate=tls[0],
            key=tls[1],
        )
        self.toml.write_text(text + (FREESWITCH.format(a=a) if freeswitch else ""))
        self.settings = box_settings.load(self.toml)
        self.layout = Layout.of(self.settings)
        ng = f"{a.box_lan}:{NG_PORT}"
        self.rtpengine = RtpEngine(
            "box-rtpengine", folder, ng, ["--config-file", str(self.layout.rtpengine_conf), "--log-level=6"]
        )
        command = kamailio_render.command(self.settings, self.layout)
        self._boot = folder / "boot"
        self.kamailio = Kamailio(
            "box-kamailio",
            command,
            folder,
            self.layout.kamailio_rpc,
            env={"PYTHONPATH": str(REBOOT), "KYUSAI_LAB_BOOT": str(self._boot)},
        )
        self.freeswitch = FreeSwitch(self.settings, self.layout, folder) if freeswitch else None
        self.agent = self._own_process("agent", "--hold-s", "1", "--hold-cap-s", "10")
        self.media = self._own_process("media")
        self.control = self._own_process("control")

    @property
    def rpc(self) -> Rpc:
        """Kamailio's RPC."""
        return self.kamailio.rpc

    @property
    def metrics_url(self) -> str:
        """Where the agent serves its metrics."""
        return f"http://{self.addresses.box_lan}:{METRICS_PORT}/metrics"

    def programs(self) -> dict[str, Process]:
        """Every program's process by name."""
        return {
            "rtpengine": self.rtpengine.process,
            "kamailio": self.kamailio.process,
            **({"freeswitch": self.freeswitch.process} if self.freeswitch else {}),
            "agent": self.agent,
            "media": self.media,
            **({"control": self.control} if self.freeswitch else {}),
        }

    async def render(self) -> None:
        """Have the product write what its daemons read."""
        await kyusai("render", "--box", self.toml)

    def publish(self, document: dict[str, Any]) -> None:
        """Put a site document into use without a centre, as the agent would after it has checked one."""
        text = json.dumps(document, ensure_ascii=False)
        parsed = site.loads(text)
        version = int(document["version"])
        self.layout.version_dir(version).mkdir(parents=True, exist_ok=True)
        self.layout.document(version).write_text(text)
        snapshot.write(parsed, self.layout.route_snapshot(version))
        if self.freeswitch is not None:
            self.freeswitch.lay_down(parsed.media, self.layout.version_dir(version))
        fresh = self.layout.current.with_name("current.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("versions") / str(version))
        fresh.replace(self.layout.current)

    async def start(self, *names: str) -> None:
        """Start programs by name; Kamailio and rtpengine when none is named."""
        media = ("freeswitch",) if self.freeswitch else ()
        for name in names or ("rtpengine", "kamailio", *media):
            if name == "freeswitch" and self.freeswitch is not None:
                await self.freeswitch.start()
            elif name == "rtpengine":
                await self.rtpengine.start()
            elif name == "kamailio":
                await self.kamailio.start()
            else:
                process = self.programs()[name]
                await process.start()
                if name == "agent":
                    await process.wait(self.layout.agent_socket.exists, "its status socket", 15)
                elif name == "control":
                    await process.wait(self.layout.control_socket.exists, "its socket", 15)

    def remove(self) -> None:
        """Remove what lies outside the lab's folder."""
        if self.layout.run_dir.is_relative_to(SHARED_MEMORY):
            shutil.rmtree(self.layout.run_dir, ignore_errors=True)

    async def kill(self, name: str) -> None:
        """SIGKILL one program with all that belongs to it."""
        await self.programs()[name].kill()
        if name == "agent":
            self.layout.agent_socket.unlink(missing_ok=True)
        elif name == "control":
            self.layout.control_socket.unlink(missing_ok=True)

    async def cut_power(self) -> None:
        """SIGKILL everything at once. What the machine keeps in memory is gone: its run folder, and the boot itself (the
        programs' next start finds another boot id and a clock that begins anew)."""
        await asyncio.gather(*(self.kill(name) for name in self.programs()))
        shutil.rmtree(self.layout.run_dir)
        self._boot.write_text(f"{uuid.uuid4()} {time.clock_gettime_ns(time.CLOCK_BOOTTIME)}")
        self.layout.run_dir.mkdir()

    async def stop(self, *names: str) -> None:
        """End programs in order, all of them when none is named; the agent last, so that it sees the last calls."""
        for name in names or ("kamailio", "freeswitch", "rtpengine", "media", "control", "agent"):
            if name in self.programs():
                await self.programs()[name].stop()

    async def status(self) -> dict[str, Any]:
        """What ``kyusai status --json`` says."""
        answer: dict[str, Any] = json.loads(await kyusai("status", "--json", "--box", self.toml))
        return answer

    async def link_state(self, upstream: str = "cloud") -> str:
        """What Kamailio holds of an upstream; empty when nobody has said anything for five seconds."""
        try:
            answer = await self.rpc.call("htable.get", "link", upstream)
        except RuntimeError:
            return ""
        return str(answer["item"]["value"])

    async def set_link_state(self, state: str, upstream: str = "cloud") -> float:
        """Say in the agent's place how an upstream is (holds for five seconds); returns the moment."""
        await self.rpc.call("htable.sets", "link", upstream, state)
        return time.monotonic()

    async def wait_link_state(self, state: str, upstream: str = "cloud", timeout_s: float = WAIT_S) -> float:
        """Wait until Kamailio holds ``state``; returns the moment (monotonic seconds)."""

        async def reached() -> bool:
            return await self.link_state(upstream) == state

        await wait_until(reached, f"link {upstream} {state}", timeout_s)
        return time.monotonic()

    def _own_process(self, *words: str) -> Process:
        argv = [sys.executable, "-m", "kyusai_cli", words[0], "--box", str(self.toml), *words[1:]]
        env = {"PYTHONPATH": f"{REBOOT}:{ROOT}", "KYUSAI_LAB_BOOT": str(self._boot)}
        return Process(f"box-{words[0]}", argv, self.folder, env=env)
