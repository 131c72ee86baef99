"""The lab: a cloud, a centre, one box, gateways and real phones on loopback, joined by a link that can fail.

The demo, the tests and the benchmarks all use this one lab. ``tests.lab.lab.Lab`` wires the parts together;
each part also works by itself. Nothing here listens outside 127.0.0.0/8.
"""
