"""The centre's HTTP side: FastAPI routes per feature, limits, error answers. Rules are in `cloudsync.service`."""
