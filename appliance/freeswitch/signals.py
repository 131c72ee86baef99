"""Signal tones as FreeSWITCH's tone generator writes them: Japan's. Values only; pure."""

RINGING = "%(1000,2000,400,385)"
"""What a caller hears while somebody is called: 1 s on and 2 s off."""

BUSY = "%(500,500,400)"
"""Half a second on and off."""
