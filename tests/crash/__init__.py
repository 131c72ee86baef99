"""The crash harness: a box's sync and a centre, killed at every point where either writes or sends, on disks that forget
whatever was not synced. `bin/test crash` runs it; `docs/crash-tests.md` says what it shows and how that is known.
"""
