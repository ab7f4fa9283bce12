#!/usr/bin/env python3
"""Native ESP between two Sekishos while what lies between them changes: neighbours, routes, the link itself, its MTU; with
the ring that a socket filter fills, without the right to it, and with rules of the administrator in its way."""
import re
import time

from lab import KEY, Flow, Lab, Sekisho

CONFIG = """gateway {me}.example.jp
{more}
lan 10.{ours}.0.0/16
lan fd0{ours}::/64
site peer {{
  peer {peer}
  identity any
  network 10.{theirs}.0.0/16
  network fd0{theirs}::/64
  key @k
  encapsulate never
}}
"""

class Net:
    """Two gateways with two wires between them, a bridge in each; what the tunnel goes between lies behind either."""

    def __init__(self, lab):
        self.a, self.ga, self.w1, self.w2, self.gb, self.b = (lab.host(n) for n in ("a", "ga", "w1", "w2", "gb", "b"))
        for number, wire in ((1, self.w1), (2, self.w2)):
            for host, last in ((self.ga, 1), (self.gb, 2)):
                lab.link(host, f"wan{number}", wire, f"to-{host.name}",
                         (f"192.0.{number}.{last}/24", f"2001:db8:{number}::{last}/64"))
            wire.ip("link", "add", "br0", "type", "bridge")
            for end in ("to-ga", "to-gb"):
                wire.ip("link", "set", end, "master", "br0")
            wire.ip("link", "set", "br0", "up")
        lab.link(self.a, "eth0", self.ga, "lan", ("10.1.0.2/16", "fd01::2/64"), ("10.1.0.1/16", "fd01::1/64"))
        lab.link(self.b, "eth0", self.gb, "lan", ("10.2.0.2/16", "fd02::2/64"), ("10.2.0.1/16", "fd02::1/64"))
        for host, number in ((self.a, 1), (self.b, 2)):
            host.route("default", "via", f"10.{number}.0.1")
            host.route("default6", "via", f"fd0{number}::1")
        # The tunnel's own addresses, which stay when the way changes.
        for host, last in ((self.ga, 1), (self.gb, 2)):
            host.address("lo", f"203.0.113.{last}/32", f"2001:db8:f::{last}/128")
        self.lead(1)

    def lead(self, number, only=None):
        """Both ways through one of the wires."""
        for host, mine, other in ((self.ga, 1, 2), (self.gb, 2, 1)):
            if only in (None, host):
                host.route(f"203.0.113.{other}/32", "via", f"192.0.{number}.{other}", "src", f"203.0.113.{mine}")
                host.route(f"2001:db8:f::{other}/128", "via", f"2001:db8:{number}::{other}", "src",
                           f"2001:db8:f::{mine}")


def gateways(net, six, more="", name="g", prefix=()):
    say = "2001:db8:f::{}" if six else "203.0.113.{}"
    made = []
    for host, me, ours, theirs in ((net.ga, "one", 1, 2), (net.gb, "two", 2, 1)):
        gateway = Sekisho(host, CONFIG.format(me=me, ours=ours, theirs=theirs, peer=say.format(theirs), more=more),
                          {"k": KEY}, name=f"{name}{ours}")
        if prefix:
            wrap(gateway, prefix)
        made.append(gateway.start())
    return made


def wrap(gateway, prefix):
    """Started through another program, which takes rights away."""
    plain = gateway.host.start
    gateway.host.start = lambda *words, **more: plain(*prefix, *words, **more)
    begin = gateway.start

    def start(*words):
        try:
            return begin(*words)
        finally:
            gateway.host.start = plain

    gateway.start = start


def part_of(gateway, name):
    parts = gateway.status().get("offload", {}).get("parts", [])
    return next((p for p in parts if p["name"] == name), {})


def up(lab, name, one, two):
    good = one.wait_up("peer", 20) and two.wait_up("peer", 20)
    lab.check(f"{name}: up", good, "" if good else one.explain("peer") + one.log()[-800:])
    children = one.site("peer").get("children", [])
    lab.check(f"{name}: native", children and not any(c["encapsulated"] for c in children), children)


def flow_through(lab, net, name, change, least_lost=0, most_lost=0):
    """A flow in each direction, and something happens in the middle."""
    with Flow(net.a, net.b, "10.2.0.2", rate=1000) as there, Flow(net.b, net.a, "10.1.0.2", rate=1000, port=10) as back:
        time.sleep(1)
        change()
        time.sleep(1.5)
    for way, flow in (("there", there), ("back", back)):
        lab.check(f"{name}, {way}: {'what must be lost and no more' if most_lost else 'nothing is lost'}",
                  flow.sent > 1000 and flow.doubled == 0 and least_lost <= flow.lost <= most_lost, flow.told())


def new_hardware_address(net, last):
    """As when another machine takes the addresses over: it says so."""
    net.gb.sysctl("net.ipv4.conf.wan1.arp_notify", 1)
    net.gb.sysctl("net.ipv6.conf.wan1.ndisc_notify", 1)
    net.gb.ip("link", "set", "wan1", "address", f"02:00:00:00:77:{last:02x}")


def link_down_and_up(net):
    net.ga.ip("link", "set", "wan1", "down")
    time.sleep(0.3)
    net.ga.ip("link", "set", "wan1", "up")
    net.ga.address("wan1", "2001:db8:1::1/64")  # the kernel takes them away with the link
    net.lead(1, only=net.ga)


def changes(lab, net, six):
    name = "IPv6 outside" if six else "IPv4 outside"
    one, two = gateways(net, six, name=f"c{6 if six else 4}")
    up(lab, name, one, two)
    for gateway in (one, two):
        part = part_of(gateway, "esp-ring")
        lab.check(f"{name}: {gateway.host.name} uses the ring", part.get("in_use"), part)
    text = one.command("status").stdout
    lab.check(f"{name}: status says so", "ESP ring" in text, text[:400])
    lab.check(f"{name}: sizes", all(net.a.pings("10.2.0.2", size=s, seconds=3) for s in (0, 500, 1300, 1472, 4000)))
    lab.check(f"{name}: IPv6 inside", net.a.pings("fd02::2"))
    flow_through(lab, net, f"{name}: nothing happens", lambda: None)
    flow_through(lab, net, f"{name}: another route", lambda: net.lead(2))
    flow_through(lab, net, f"{name}: and back", lambda: net.lead(1))
    flow_through(lab, net, f"{name}: another neighbour", lambda: new_hardware_address(net, 6 if six else 4), 0, 100)
    flow_through(lab, net, f"{name}: the link goes and comes", lambda: link_down_and_up(net), 200, 1500)
    net.w1.ip("link", "set", "to-ga", "up")
    lab.check(f"{name}: passes after it", net.a.pings("10.2.0.2", seconds=10))

    def narrow():
        for host in (net.ga, net.gb):
            host.ip("link", "set", "wan1", "mtu", 1400)

    flow_through(lab, net, f"{name}: a smaller MTU", narrow)
    lab.check(f"{name}: large packets pass it", all(net.a.pings("10.2.0.2", size=s, seconds=10) for s in (1300, 1472)))
    for host in (net.ga, net.gb):
        host.ip("link", "set", "wan1", "mtu", 1500)
    for host in (net.ga, net.gb):
        host.run("nft", "add table inet admin; add chain inet admin in { type filter hook input priority 0; }; "
                        "add rule inet admin in meta l4proto esp drop")
    lab.check(f"{name}: rules of the administrator hold", net.a.ping("10.2.0.2", count=3, seconds=1) == 0)
    for host in (net.ga, net.gb):
        host.run("nft", "delete table inet admin")
    lab.check(f"{name}: passes without them", net.a.pings("10.2.0.2", seconds=10))
    for gateway in (one, two):
        gateway.stop()


def without(lab, net, name, more="", prefix=(), reason=""):
    one, two = gateways(net, False, more, name="w" + re.sub(r"\W", "", name), prefix=prefix)
    up(lab, name, one, two)
    part = part_of(one, "esp-ring")
    lab.check(f"{name}: no ring, and why", part.get("in_use") is False and reason in part.get("reason", ""), part)
    flow_through(lab, net, name, lambda: None)
    lab.check(f"{name}: sizes", all(net.a.pings("10.2.0.2", size=s, seconds=3) for s in (0, 1300, 4000)))
    for gateway in (one, two):
        gateway.stop()


def main():
    with Lab("native") as lab:
        net = Net(lab)
        for six in (False, True):
            changes(lab, net, six)
        without(lab, net, "without the right", prefix=("setpriv", "--bounding-set", "-bpf,-sys_admin", "--inh-caps",
                                                       "-bpf,-sys_admin"), reason="CAP_BPF")
        without(lab, net, "switched off", more="offload tun", reason="not wanted")


if __name__ == "__main__":
    main()
