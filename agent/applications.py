"""What the agent does for the box's FreeSWITCH: dialplan and prompts of each version, and the word that they have changed."""

import asyncio
import json
from pathlib import Path

from agent.logs import Logger
from agent.prompt_maker import PromptMaker
from agent.version_users import Calls
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import names, prompts_used, render
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from appliance.freeswitch.voicemail_store import Message
from appliance.layout import Layout
from appliance.site import Site

RELOAD = ("reloadxml",)
RESCAN = (("reloadacl",), ("sofia", "profile", names.PROFILE, "rescan"))
"""What makes FreeSWITCH use another main file; addresses and ports alone need a restart. No call ends by it."""

FOLDER = "freeswitch"
"""Of a version: its dialplan and directory."""


class Applications:
    """The box's media applications, as far as configuration goes."""

    def __init__(self, box: Box, layout: Layout, log: Logger) -> None:
        self._box = box
        self._layout = layout
        self._log = log
        self.prompts = PromptMaker(layout.prompts_dir, log)

    @property
    def wanted(self) -> bool:
        """Whether the box has a FreeSWITCH."""
        return bool(self._box.freeswitch.address)

    def lay_down(self, of: Site, folder: Path) -> None:
        """Write a version's part into its folder. Prompts that are not there are made for a few seconds; for what is left then,
        and for what cannot be made, two tones stand in: a box without a synthesiser still answers."""
        if not self.wanted:
            return
        self.prompts.some(prompts_used.of(of.media))
        render.write_site(of.media, folder / FOLDER, self._layout.prompts_dir)

    async def set_global(self, assignment: str) -> str:
        """Set ("name=value") or remove ("name=") a global variable of FreeSWITCH's. Raises `FreeSwitchSilent`."""
        settings = self._box.freeswitch
        address = Address(settings.address, settings.esl_port, render.password(self._layout))
        return await ask(address, "global_setvar", assignment)

    async def delete_message(self, message: Message) -> str:
        """Take a voicemail message out of its box, audio and all. Raises `FreeSwitchSilent`, `KyusaiError`."""
        settings = self._box.freeswitch
        address = Address(settings.address, settings.esl_port, render.password(self._layout))
        return await ask(address, "vm_delete", f"{message.box}@{message.domain}", message.uuid)

    async def calls(self) -> Calls:
        """Ids of the calls that are up; None where FreeSWITCH does not say."""
        if not self.wanted:
            return frozenset()
        settings = self._box.freeswitch
        address = Address(settings.address, settings.esl_port, render.password(self._layout))
        try:
            told = json.loads(await ask(address, "show", "channels", "as", "json"))
            return frozenset(str(row["uuid"]) for row in told.get("rows", ()))
        except (FreeSwitchSilent, ValueError, LookupError, TypeError, AttributeError):
            return None

    async def tell(self, of: Site) -> None:
        """After a switch, and when the agent starts: FreeSWITCH reads its files again, the main file too, which another release
        or box.toml may have changed. Calls that are up go on as they began. One that is not there reads them when it starts.
        Prompts that are still missing are made from now on."""
        if not self.wanted:
            return
        self.prompts.want(prompts_used.of(of.media))
        settings = self._box.freeswitch
        address = Address(settings.address, settings.esl_port, render.password(self._layout))
        try:
            changed = await asyncio.to_thread(self._main_file_changes)
            for order in (RELOAD, *(RESCAN if changed else ())):
                answer = await ask(address, *order)
                if "+OK" not in answer:
                    self._log.error("freeswitch_refused", reason=answer.strip()[:200])
        except FreeSwitchSilent as silent:
            self._log.warning("freeswitch_not_told", about=silent.key, reason=silent.message)
        except (OSError, KyusaiError) as error:
            self._log.error("freeswitch_refused", reason=str(error)[:200])

    def _main_file_changes(self) -> bool:
        """Write the main file; whether it says something else than before. Blocks on disk."""
        before = (
            self._layout.freeswitch_xml.read_text("utf-8") if self._layout.freeswitch_xml.exists() else ""
        )
        render.write(self._box, self._layout)
        return self._layout.freeswitch_xml.read_text("utf-8") != before
