#!/usr/bin/env python3
"""One gateway with more than one way to its peer, and what it does when a way dies and works again: two gateways that stand
for one site, in order, two lines of its own, and a name
that leads to another gateway. Traffic flows meanwhile, and what is lost of it is counted."""
import pathlib
import shutil
import time

from lab import KEY, Flow, Lab, Sekisho, wait_for

HERE = """gateway ga.example
lan     10.1.0.0/16
site peer {{
  peer     {peer}
  identity gb.example
  network  10.2.0.0/16
  key      @peer
  dpd      5s
  {more}
}}
"""

THERE = """gateway gb.example
lan     10.2.0.0/16
site ga {
  peer     any
  identity ga.example
  network  10.1.0.0/16
  key      @peer
}
"""


class Bed:
    """Host a behind ga; gb and gc stand side by side before host b."""

    def __init__(self, lab):
        self.lab = lab
        self.a, self.ga, self.wan, self.gb, self.gc, self.b = (lab.host(n) for n in ("a", "ga", "wan", "gb", "gc", "b"))
        lab.link(self.a, "eth0", self.ga, "lan", ("10.1.0.2/16",), ("10.1.0.1/16",))
        self.a.route("default", "via", "10.1.0.1")
        lab.link(self.ga, "wan", self.wan, "br0.a", ("203.0.113.1/24",))
        lab.link(self.gb, "wan", self.wan, "br0.b", ("203.0.113.2/24",))
        lab.link(self.gc, "wan", self.wan, "br0.c", ("203.0.113.3/24",))
        lab.link(self.gb, "lan", self.b, "lan0.b", ("10.2.0.1/16",))
        lab.link(self.gc, "lan", self.b, "lan0.c", ("10.2.0.3/16",))
        self.b.address("lan0", "10.2.0.2/16")
        # The second line; the system itself would send to gb by the first one, whatever the source.
        self.isp = lab.host("isp")
        lab.link(self.ga, "lte", self.isp, "in0", ("198.51.100.1/24",), ("198.51.100.254/24",))
        lab.link(self.isp, "out0", self.wan, "br0.i", ("203.0.113.254/24",))
        self.ga.route("default", "via", "198.51.100.254")
        self.gb.route("198.51.100.0/24", "via", "203.0.113.254")

    def there(self, host, name):
        return Sekisho(host, THERE, {"peer": KEY}, name=name).start()

    def here(self, name, peer, more):
        return Sekisho(self.ga, HERE.format(peer=peer, more=more), {"peer": KEY}, name=name).start()


def two_peers(bed):
    second = bed.there(bed.gc, "peers")
    ours = bed.here("peers", "203.0.113.2 203.0.113.3", "return 10s")
    first = None
    bed.lab.check("peers: up by the second, the first is not there", ours.wait_up("peer", 60) and
                  ours.site("peer")["host_place"] == 2)
    shown = ours.command("status", "peer").stdout
    bed.lab.check("peers: status says which, and that the first is called again",
                  "203.0.113.3, number 2 of 2" in shown and "called again in" in shown)
    first = bed.there(bed.gb, "peers")
    with Flow(bed.a, bed.b, "10.2.0.2", rate=500) as flow:
        back = wait_for(lambda: ours.site("peer").get("host_place") == 1, 45, 0.2)
        bed.lab.check("peers: the first is used again by itself", back)
        gone = wait_for(lambda: not second.is_up("ga"), 6, 0.2)
        time.sleep(0.5)
    bed.lab.check("peers: the second one is left", gone and first.is_up("ga"))
    bed.lab.check("peers: nothing is lost", flow.lost == 0 and flow.doubled == 0 and flow.sent > 500, flow.told())
    bed.lab.check("peers: the log says it", "back at 203.0.113.2, number 1 of the 2 peers" in ours.log())
    for one in (ours, first, second):
        one.kill()


def two_uplinks(bed):
    first = bed.there(bed.gb, "uplinks")
    ours = bed.here("uplinks", "203.0.113.2", "uplink wan lte")

    def uses(name):
        return ours.site("peer").get("uplink") == name

    def changes(name, what, to, seconds, lost_ms):
        with Flow(bed.a, bed.b, "10.2.0.2", rate=500) as flow:
            time.sleep(1)
            what()
            good = wait_for(lambda: uses(to), seconds, 0.1)
            time.sleep(1)
        bed.lab.check(f"uplinks: {name}: by {to}", good, "" if good else ours.site("peer"))
        bed.lab.check(f"uplinks: {name}: what is lost", flow.longest_gap_ms < lost_ms and flow.doubled == 0, flow.told())

    def silent():
        bed.wan.ip("link", "set", "br0.a", "nomaster")

    def gone():
        bed.wan.ip("link", "set", "br0.a", "down")

    def back():
        bed.wan.ip("link", "set", "br0.a", "down")
        bed.wan.ip("link", "set", "br0.a", "master", "br0")
        bed.wan.ip("link", "set", "br0.a", "up")

    bed.lab.check("uplinks: up by the first", ours.wait_up("peer") and uses("wan"))
    spi = ours.site("peer")["ike"]["spi_i"]
    changes("silent", silent, "lte", 15, 10000)
    shown = ours.command("status", "peer").stdout
    bed.lab.check("uplinks: silent: status says why", "lte, number 2 of 2: wan did not work" in shown, shown)
    changes("works again", back, "wan", 8, 300)
    changes("without a carrier", gone, "lte", 5, 1500)
    bed.lab.check("uplinks: without a carrier: status says why", "wan is not there" in ours.site("peer")["uplink_why"])
    bed.lab.check("uplinks: it is the same IKE SA", ours.site("peer")["ike"]["spi_i"] == spi)
    back()
    ours.kill()
    first.kill()


def renamed(bed):
    """A file of the namespace is what the system asks for names."""
    folder = pathlib.Path("/etc/netns") / bed.ga.space
    folder.mkdir(parents=True)
    try:
        hosts = folder / "hosts"
        hosts.write_text("203.0.113.2 gw.example\n")
        first, second = bed.there(bed.gb, "names"), bed.there(bed.gc, "names")
        ours = bed.here("names", "gw.example", "resolve 10s")
        bed.lab.check("names: up at the first address", ours.wait_up("peer") and first.is_up("ga"))
        hosts.write_text("203.0.113.3 gw.example\n")
        with Flow(bed.a, bed.b, "10.2.0.2", rate=200) as flow:
            gone = wait_for(lambda: second.is_up("ga") and not first.is_up("ga"), 30, 0.2)
            time.sleep(0.5)
        bed.lab.check("names: another gateway has the name now: the tunnel goes there", gone)
        bed.lab.check("names: nothing is lost", flow.lost == 0 and flow.doubled == 0 and flow.sent > 500, flow.told())
        for one in (ours, first, second):
            one.kill()
    finally:
        shutil.rmtree(folder)


def main():
    with Lab("uplinks") as lab:
        bed = Bed(lab)
        two_peers(bed)
        two_uplinks(bed)
        renamed(bed)


if __name__ == "__main__":
    main()
