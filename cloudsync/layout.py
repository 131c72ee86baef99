"""Where things lie in the centre's data folder: pure path functions. Opens nothing.

`keys_dir` and `tls_dir` hold secrets (0700, files 0600); nothing below them is ever served over HTTP.
"""

from dataclasses import dataclass
from pathlib import Path

DATA_DIR_DEFAULT = Path("/var/lib/kyusai-centre")
"""Where a centre's data is unless a command says otherwise."""


@dataclass(frozen=True, slots=True)
class CentreLayout:
    """Paths below one data folder."""

    data_dir: Path

    @property
    def database(self) -> Path:
        """The embedded store (SQLite, WAL)."""
        return self.data_dir / "centre.sqlite"

    @property
    def settings(self) -> Path:
        """Where database and recordings are, when they are not here."""
        return self.data_dir / "centre.toml"

    @property
    def in_use(self) -> Path:
        """The lock of everybody who works on this folder."""
        return self.data_dir / "in-use.lock"

    @property
    def parts_dir(self) -> Path:
        """Uploads that are not complete, one folder per site."""
        return self.data_dir / "uploads"

    @property
    def recordings_dir(self) -> Path:
        """Complete, verified, encrypted recordings, one folder per site."""
        return self.data_dir / "recordings"

    @property
    def keys_dir(self) -> Path:
        """Private keys."""
        return self.data_dir / "keys"

    @property
    def config_keys_dir(self) -> Path:
        """Ed25519 keys that sign site documents and receipts."""
        return self.keys_dir / "config"

    def tenant_keys_dir(self, tenant_id: str) -> Path:
        """age identities of one tenant, where the centre made them."""
        return self.keys_dir / "tenants" / tenant_id

    @property
    def tls_dir(self) -> Path:
        """The centre's CA and its server certificate."""
        return self.data_dir / "tls"

    def folders(self) -> tuple[Path, ...]:
        """Every folder that has to exist, parents first."""
        return (
            self.data_dir,
            self.parts_dir,
            self.recordings_dir,
            self.keys_dir,
            self.config_keys_dir,
            self.tls_dir,
        )
