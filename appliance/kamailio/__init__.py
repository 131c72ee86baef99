"""The box's SIP router. Standard library only: Kamailio embeds the system's Python."""
