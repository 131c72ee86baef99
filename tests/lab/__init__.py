"""The lab: a cloud, a centre, one box, gateways and real phones on loopback, joined by a link that can fail.

The demo, the tests and the benchmarks all use this one lab. ``lab.Lab`` wires the parts together; each part also works
by itself. Nothing here listens outside 127.0.0.0/8, nothing needs root (but ``Link.carrier_gone``, see ``carrier``).

    async with Lab(Parts(phones=3, agent=True)) as lab:
        one, two = lab.phones["201"], lab.phones["202"]
        call = await one.call("202")                     # INVITE to ESTABLISHED
        await call.wait_hears(two.tone_hz)               # FFT of what arrives
        cut_at = await lab.link.cut("drop")              # or reject, close; half_open(), loss(0.3), delay(200)…
        down_at = await lab.box.wait_link_state("DOWN")
        next_call = await one.call("203")
        print(down_at - cut_at, next_call.post_dial_delay_s)
        await lab.link.restore()
"""
