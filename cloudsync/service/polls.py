"""What boxes ask and tell about versions, many at a time: the newest document of each site, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloudsync.refusals import Refused
from cloudsync.service.access import BoxIdentity, identify_within
from cloudsync.service.centre import Centre
from cloudsync.store import audit, boxes, configs
from cloudsync.store.boxes import Configured
from cloudsync.wire import Envelope


@dataclass(frozen=True, slots=True)
class Ask:
    """A box wants the newest document above `have`. token: who it is was known before, and may have changed since."""

    token: str
    have: int


def documents(centre: Centre, asks: Sequence[Ask]) -> list[Envelope | Refused | None]:
    """The newest document of each, None where there is none above what it has, in the order asked; Refused as
    `access.identify` raises it. Signed by the key that signs now."""
    newest_id = centre.keys.newest_id  # asked once: it looks into the folder of the keys
    with centre.database.look() as connection:
        known = identify_within(connection, [ask.token for ask in asks], centre.now_utc())
        site_ids = {who.site_id for who in known if isinstance(who, BoxIdentity)}
        found = configs.newest_of(connection, site_ids) if site_ids else {}
    current = {
        site_id: envelope if envelope.key_id == newest_id else centre.keys.renewed(envelope)
        for site_id, envelope in found.items()
    }
    return [
        who if isinstance(who, Refused) else _above(current.get(who.site_id), ask.have)
        for who, ask in zip(known, asks, strict=True)
    ]


def _above(envelope: Envelope | None, have: int) -> Envelope | None:
    return envelope if envelope is not None and envelope.version > have else None


def report_all(centre: Centre, told: Sequence[tuple[BoxIdentity, Configured]]) -> list[None]:
    """Keep what became of versions on boxes."""
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        boxes.configured_all(connection, [one for _, one in told], now_utc)
        audit.add_all(
            connection,
            now_utc,
            [
                (f"box:{who.box_id}", f"config.{one.state}", who.site_id, {"version": one.version})
                for who, one in told
            ],
        )
    return [None] * len(told)
