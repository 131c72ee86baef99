"""`kyusai receipt`: the centre's signed word on a site's records, shown and checked by anybody, on a box or elsewhere."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.command import LANG, AsJson, BoxFile, box_of, told
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.text import text
from cloudsync.wire import (
    ConfigKey,
    WireError,
    from_base64,
    key_id,
    ledger_receipt_from,
    parse_json,
    record_from,
)

GZIP_MAGIC = b"\x1f\x8b"
"""So begins an exported month; a list of records is JSON."""

app = typer.Typer(no_args_is_help=True, help=text("agent.help.receipt", LANG))


@app.command("show", help=text("agent.help.receipt_show", LANG))
def show(box: BoxFile = None) -> None:
    """As JSON: what `verify` takes."""
    with told():
        path = Layout.of(box_of(box)).ledger_receipt
        if not path.exists():
            raise KyusaiError(
                "receipt.none",
                "this box has no receipt yet",
                "It asks for one whenever nothing is left to send; see `kyusai status`.",
            )
        typer.echo(path.read_text("utf-8"))


@app.command("verify", help=text("agent.help.receipt_verify", LANG))
def verify(
    file: Annotated[Path, typer.Argument(help=text("agent.help.receipt_file", LANG))],
    key: Annotated[list[str] | None, typer.Option("--key", help=text("agent.help.receipt_key", LANG))] = None,
    records: Annotated[
        list[Path] | None, typer.Option("--records", help=text("agent.help.receipt_records", LANG))
    ] = None,
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """Exit code 1 when the receipt proves nothing, or the records are not those that it speaks for."""
    from agent import receipts

    with told():
        receipt = _receipt(file)
        wrong = receipts.problem(receipt, _keys(key, box))
        if wrong:
            raise KyusaiError(
                "receipt.unsigned",
                f"{file} is not signed by a key that is known here (it names {receipt.key_id})",
                "Give the centre's public key with --key; `kyusai centre keys` prints it.",
                path=file,
                signer=receipt.key_id,
            )
        if records:
            named = ", ".join(map(str, records))
            fault = receipts.chain_problem(receipt, _records(records, receipt.site_id))
            if fault:
                raise KyusaiError(
                    "receipt.other_records",
                    f"{named} does not hold the records of {file}: {fault}",
                    "Somebody altered them after the centre signed, or the list is not whole.",
                    path=named,
                    receipt=file,
                    detail=fault,
                )
    if as_json:
        told_of = {"site": receipt.site_id, "received": receipt.count, "of": receipt.seq, "utc": receipt.utc}
        told_of |= {"given_up": receipt.given_up, "key_id": receipt.key_id, "complete": receipt.complete}
        typer.echo(json.dumps(told_of))
        return
    figures = {"site": receipt.site_id, "count": receipt.count, "seq": receipt.seq, "utc": receipt.utc}
    typer.echo(text("agent.receipt.good", LANG, **figures))
    if receipt.given_up:
        typer.echo(text("agent.receipt.given_up", LANG, count=receipt.given_up))
    if records:
        typer.echo(text("agent.receipt.records_fit", LANG, seq=receipt.seq))


def _receipt(file: Path) -> Any:
    try:
        return ledger_receipt_from(parse_json(file.read_bytes()))
    except (OSError, WireError) as error:
        raise _unreadable(file, str(error)) from error


def _records(files: list[Path], site_id: str) -> list[Any]:
    """The site's records of lists as `kyusai records --json` prints them, and of exported months, by number; each once."""
    found = {}
    for file in files:
        try:
            for value in _values(file.read_bytes()):
                if value.get("site_id", site_id) == site_id:
                    record = record_from(value)
                    found[record.seq, record.hash] = record
        except (OSError, EOFError, zlib.error, WireError, TypeError, AttributeError) as error:
            raise _unreadable(file, str(error)) from error
    return sorted(found.values(), key=lambda record: record.seq)


def _values(data: bytes) -> list[Any]:
    """The records of a file, decoded. Raises what the formats raise."""
    if not data.startswith(GZIP_MAGIC):
        return list(parse_json(data))
    lines = [parse_json(line) for line in gzip.decompress(data).splitlines()]
    return [line | {"body": parse_json(line["body"].encode())} for line in lines]


def _unreadable(file: Path, detail: str) -> KyusaiError:
    return KyusaiError("receipt.unreadable", f"{file} cannot be read: {detail}", path=file, detail=detail)


def _keys(given: list[str] | None, box: Path | None) -> tuple[ConfigKey, ...]:
    """The keys named, or those that this box was enrolled with."""
    from agent.identity import load_enrolled

    if given:
        try:
            return tuple(ConfigKey(key_id(from_base64(key)), key) for key in given)
        except WireError as error:
            raise KyusaiError("receipt.bad_key", error.message, "A key is 32 bytes in base64.") from error
    enrolled = load_enrolled(Layout.of(box_of(box)).enrolment)
    return enrolled.enrolment.config_keys if enrolled else ()
