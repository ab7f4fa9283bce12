#!/usr/bin/env python3
"""Addresses that change under traffic, with strongSwan and its own ESP as the peer, both roles (RFC 4555): another address on
the same line, another line behind a NAT, a NAT that forgets, and back; the same of the peer. Nothing may be made anew, and
what is lost is counted."""
import time

from lab import KEY, Flow, Lab, Sekisho, Strongswan, two_sites, wait_for

CONFIG = """gateway ga.example
lan     10.1.0.0/16
site peer {{
  peer    {peer}
  network 10.2.0.0/16
  key     @peer
  identity gb.example
  dpd     5s
  {more}
}}
"""

MASQUERADE = """table ip nat {
  chain post {
    type nat hook postrouting priority 100;
    oifname out0 masquerade random;
  }
}
"""

# A tenth of a second until we look and two round trips; the rest is for a machine that does other things too.
LOST_MS = 2500


class Bed:
    """ga is Sekisho with a second line behind a NAT; gb is strongSwan."""

    def __init__(self, lab):
        self.lab = lab
        self.a, self.ga, self.wan, self.gb, self.b = two_sites(lab)
        for host in (self.ga, self.gb):
            host.sysctl("net.ipv4.conf.wan.promote_secondaries", 1)
        self.nat = lab.host("nat")
        lab.link(self.ga, "lte", self.nat, "in0", ("192.168.7.2/24",), ("192.168.7.1/24",))
        lab.link(self.nat, "out0", self.wan, "br0.n", ("203.0.113.9/24",))
        self.nat.run("nft", "-f", "-", text_in=MASQUERADE)

    def connect(self, role, peer="203.0.113.2"):
        start = "start now" if role == "initiator" else "start wait"
        self.ours = Sekisho(self.ga, CONFIG.format(peer=peer, more=start), {"peer": KEY}, name=role).start()
        self.peer = Strongswan(self.gb, "%any", "203.0.113.1" if role == "responder" else "%any", "10.2.0.0/16",
                               "10.1.0.0/16", local_id="gb.example", remote_id="ga.example", ike="default",
                               esp="default", mobike="yes", dpd="5s").start()
        if role == "responder":
            self.peer.initiate(check=False)
        self.lab.check(f"{role}: up", self.ours.wait_up("peer"), "" if self.ours.is_up("peer") else
                       self.ours.explain("peer"))
        self.lab.check(f"{role}: traffic", self.a.pings("10.2.0.2") and self.b.pings("10.1.0.2"))
        self.site = self.ours.site("peer")
        self.lab.check(f"{role}: both can move", self.site["ike"]["mobile"], self.site["ike"])

    def end(self):
        self.ours.kill()
        self.peer.kill()

    def spis(self):
        return (self.ours.site("peer").get("ike") or {}).get("spi_i")

    def change(self, name, what, arrived):
        """Under traffic both ways; `arrived` says of our site that it is where it shall be."""
        before, moves = self.spis(), self.ours.site("peer").get("moves", 0)
        with Flow(self.a, self.b, "10.2.0.2", rate=500) as there, Flow(self.b, self.a, "10.1.0.2", rate=500, port=10) as back:
            time.sleep(0.5)
            what()
            good = wait_for(lambda: arrived(self.ours.site("peer")), 12, 0.1)
            time.sleep(1.5)
        site = self.ours.site("peer")
        self.lab.check(f"{name}: moved", good, "" if good else site.get("ike"))
        self.lab.check(f"{name}: it is the same IKE SA", self.spis() == before, f"{before} {self.spis()}")
        self.lab.check(f"{name}: status counts it", site.get("moves", 0) > moves, site.get("moves"))
        for way, flow in (("there", there), ("back", back)):
            self.lab.check(f"{name}, {way}: only what was on its way is lost",
                           flow.longest_gap_ms < LOST_MS and flow.doubled == 0, flow.told())
        self.lab.check(f"{name}: and then nothing", self.a.ping("10.2.0.2", count=10) == 10 and
                       self.b.ping("10.1.0.2", count=10) == 10)


def address(site, side):
    return str((site.get("ike") or {}).get(side, "")).rsplit(":", 1)[0]


def nat_of(site):
    return (site.get("ike") or {}).get("nat", "")


def readdress(host, old, new):
    host.ip("address", "add", f"{new}/24", "dev", "wan")
    host.ip("address", "del", f"{old}/24", "dev", "wan")


def we_move(bed):
    bed.connect("initiator")

    def to_the_other_line():
        bed.ga.ip("link", "set", "wan", "down")
        bed.ga.route("default", "via", "192.168.7.1")

    def forget():
        bed.nat.run("nft", "flush", "ruleset")
        bed.nat.run("conntrack", "-F")
        bed.nat.run("nft", "-f", "-", text_in=MASQUERADE)

    def and_back():
        bed.ga.ip("link", "set", "wan", "up")
        bed.ga.address("wan", "203.0.113.1/24")

    bed.change("our address", lambda: readdress(bed.ga, "203.0.113.1", "203.0.113.11"),
               lambda site: address(site, "local") == "203.0.113.11")
    bed.lab.check("our address: strongSwan knows", "203.0.113.11" in bed.peer.sas(), bed.peer.sas()[:300])
    bed.lab.check("our address: the log says it", "the tunnel moved" in bed.ours.log())
    bed.change("a line behind a NAT", to_the_other_line, lambda site: address(site, "local") == "192.168.7.2" and
               nat_of(site) in ("our side", "both sides"))
    told = bed.peer.sas()
    bed.lab.check("a line behind a NAT: strongSwan knows", "203.0.113.9" in told, told[:300])
    mapping = told.split("203.0.113.9[")[1].split("]")[0] if "203.0.113.9[" in told else ""
    forget()
    good = wait_for(lambda: bed.a.ping("10.2.0.2", seconds=1) and bed.b.ping("10.1.0.2", seconds=1), 15, 0.2)
    now = bed.peer.sas()
    bed.lab.check("the NAT forgets: both ways again, at another port", good and "203.0.113.9[" in now and
                  f"203.0.113.9[{mapping}]" not in now, now[:300])
    bed.change("back to the first line", and_back, lambda site: address(site, "local").startswith("203.0.113.1") and
               nat_of(site) in ("", "the peer's side"))
    bed.end()


def the_peer_moves(bed):
    bed.ga.ip("route", "del", "default")
    bed.ga.ip("-4", "address", "flush", "dev", "wan")
    bed.ga.address("wan", "203.0.113.1/24")
    bed.connect("responder", peer="any")
    bed.change("the caller's address", lambda: readdress(bed.gb, "203.0.113.2", "203.0.113.22"),
               lambda site: address(site, "peer") == "203.0.113.22")
    bed.change("the address of who was called", lambda: readdress(bed.ga, "203.0.113.1", "203.0.113.12"),
               lambda site: address(site, "local") == "203.0.113.12")
    bed.lab.check("the address of who was called: strongSwan knows", wait_for(lambda: "203.0.113.12" in bed.peer.sas(), 5),
                  bed.peer.sas()[:300])
    bed.end()


def main():
    with Lab("mobility") as lab:
        bed = Bed(lab)
        we_move(bed)
        the_peer_moves(bed)


if __name__ == "__main__":
    main()
