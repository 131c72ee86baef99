"""Paths and limits of the protocol: each number with its unit in the name and its reason beside it."""

PATH_CA = "/v1/ca"
"""GET: the centre's CA certificate in PEM. No access token needed."""

PATH_ENROL = "/v1/enrol"

PATH_ENROLMENT = "/v1/enrolment"

PATH_TOKEN_CHALLENGE = "/v1/token/challenge"  # noqa: S105 - a path

PATH_TOKEN = "/v1/token"  # noqa: S105 - a path

PATH_KEY = "/v1/key"
"""POST: a key that the box will use from now on."""

PATH_CONFIG = "/v1/config"

PATH_CONFIG_STATUS = "/v1/config/status"

PATH_RECORDS = "/v1/records"

PATH_LEDGER = "/v1/ledger"
PATH_LEDGER_MISSING = "/v1/ledger/missing"
"""GET: the centre's signed word on how much of the site's sequence it holds."""

PATH_RECORDINGS = "/v1/recordings"

PATH_PROMPTS = "/v1/prompts"

PATH_LISTEN = "/v1/listen"
"""GET, for a listener and not for boxes: the audio of a recording."""

PATH_HEARTBEAT = "/v1/heartbeat"

BATCH_RECORDS_MAX = 500
"""Records in one POST:
the centre commits them as one transaction, whose fsync is then spread over 500 rows.
"""

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""A batch after decompression: 500 records of 16 KiB. More is a mistake or a decompression bomb."""

BATCH_GZIP_BYTES_MAX = 2 * 1024 * 1024
"""A batch as sent, whatever its coding: CDRs shrink to a sixth or less (1,270 bytes to 190 were measured)."""

CODING_GZIP = "gzip"
"""Content-Encoding of a batch that every centre takes."""

CODING_ZSTD = "zstd"
"""Content-Encoding (RFC 8878) that a centre takes when its last answer on PATH_RECORDS named it in `Accept-Encoding`
(RFC 7694); a box begins with gzip, and goes back to it on 415."""

PREFER_SHORT = "return=minimal"
"""`Prefer` header (RFC 7240) of a box that understands a short answer to a batch, see `short_answer`."""

RECORD_BYTES_MAX = 64 * 1024
"""The canonical JSON of one record's body: a CDR has about 1 KiB, statistics of a day below 32 KiB."""

JSON_BYTES_MAX = 256 * 1024
"""Any other JSON request body (heartbeat, enrolment, configuration status)."""

DOCUMENT_BYTES_MAX = 32 * 1024 * 1024
"""A site document: 20,000 extensions of 500 bytes are 10 MB; the same limit as `appliance.site` has."""

LONG_POLL_MAX_S = 50
"""The longest that the centre holds a configuration poll:
below the 60 s after which proxies and NATs cut in.
"""

TOKEN_LIFE_S = 3600
"""An access token lives an hour; revocation does not wait for its end, it is looked up with each request."""

NONCE_LIFE_S = 60
"""A challenge must be answered within this time: one slow round trip with retransmissions."""

HEARTBEAT_INTERVAL_S = 10
"""How often a box that is well reports.

Two missed ones and a late one make it silent, see `SILENT_AFTER_S`.
"""

SILENT_AFTER_S = 35
"""A box is shown as silent when nothing came for three and a half intervals."""

UPLOAD_PIECE_BYTES = 1024 * 1024
"""What a box sends in one PATCH by choice: lost work at a broken link stays below a second at 20 Mbit/s."""

UPLOAD_PIECE_BYTES_MAX = 16 * 1024 * 1024
"""What the centre takes in one PATCH."""

PIECE_BYTES = 256 * 1024
"""What a box sends in one PUT by choice. A piece counts wholly or not at all: eight of these on their way at once are
there within the minute at 300 kbit/s, and at 20 Mbit/s they leave no gaps between them (measured)."""

PROMPT_PIECE_BYTES = 256 * 1024
"""Of a prompt in one answer: half a minute on a line of 64 kbit/s; what came is kept when the line breaks."""

PROMPT_BYTES_MAX = 20 * 1024 * 1024
"""Ten minutes at 16 kHz and 16 bits, and a header."""

PIECE_BYTES_MAX = 4 * 1024 * 1024
"""What the centre takes in one PUT: it is held in memory until its hash is checked."""

PIECE_BYTES_MIN = 4 * 1024
"""Every piece but the last one of a recording has at least so many: a piece is a file at the centre."""

PIECE_DIGEST_HEADER = "Content-Digest"
"""RFC 9530, `sha-256=:<base64>:`: a piece that arrived damaged is refused before it counts."""

RECORDING_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""One recording: 24 hours of stereo G.711 are 1.4 GB before compression."""

ENROLMENT_CODE_CHARACTERS = 16
"""Characters of the secret part of a code, 5 bits each: 80 bits cannot be guessed within its life of days."""

CA_FINGERPRINT_CHARACTERS = 32
"""Hex digits of the CA's SHA-256 within the enrolment text:
128 bits, so nobody can make a second CA that fits.
"""

PROBLEMS_MAX = 200
"""Problems of a configuration that a box reports at most."""

GENESIS_HASH = "0" * 64
"""`prev_hash` of a site's first record (seq 1)."""
