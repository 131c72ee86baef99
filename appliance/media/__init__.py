"""Recording: what rtpengine captures, turned into audio."""
