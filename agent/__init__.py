"""The daemon beside the call path: link evidence, configuration, spool and upload, telemetry."""
