"""The box's media applications: what FreeSWITCH is told, and what is done with it while it runs."""
