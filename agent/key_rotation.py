"""A new key for the box, while the old one still opens the centre: offered, taken, and only then put in place.

    key.next.pem made ─► offered under the old key ─► centre takes both ─► the old key is kept in key.earlier.pem
       ─► key.next.pem becomes key.pem ─► first token by it: the old key is worth nothing any more

Killed anywhere, the same is begun again with the same new key; at every moment the key in place opens the centre.

A centre that was restored from a backup of before knows an earlier key alone. That one opens it (`agent.cloud_client`), and the
key in place is offered again under it: with the first token by the key in place the earlier one is worth nothing here either.
"""

import asyncio
from pathlib import Path
from typing import Protocol

from agent.earlier_keys import keep_earlier
from agent.identity import Identity, load, load_or_make, put_in_place
from cloudsync.wire import box_key_signing_bytes, to_base64


class KeyDesk(Protocol):
    """The centre, as far as the box's key goes."""

    async def offer_key(self, public_key: str, signature: str) -> None:
        """Make a key known that this box will use; raises the errors of `cloud_errors`."""
        ...

    def forget_token(self) -> None:
        """The next request gets a new token, by the key that is then in place."""
        ...


def next_key(key: Path) -> Path:
    """Where the key lies that is not in use yet."""
    return key.with_name("key.next.pem")


async def rotate(desk: KeyDesk, box_id: str, key: Path) -> Identity:
    """Bring a new key into use; gives it. Raises what `desk` raises, and IdentityError; nothing is lost then."""
    new = await asyncio.to_thread(load_or_make, next_key(key))
    await _offer(desk, box_id, new)
    await asyncio.to_thread(keep_earlier, key)
    await asyncio.to_thread(put_in_place, next_key(key), key)
    desk.forget_token()
    return new


async def offer_again(desk: KeyDesk, box_id: str, key: Path) -> None:
    """Make the key in place known to a centre that an earlier one has opened. Raises what `desk` raises, and IdentityError."""
    await _offer(desk, box_id, await asyncio.to_thread(load, key))
    desk.forget_token()


async def _offer(desk: KeyDesk, box_id: str, new: Identity) -> None:
    await desk.offer_key(new.public_key, to_base64(new.sign(box_key_signing_bytes(box_id, new.public_key))))
