#!/usr/bin/env python3
"""Paths with a narrow link behind a router, which says so. Between two Sekishos."""
import re

from lab import KEY, Lab, Sekisho, wait_for
from sites_test import NoExit

TOKYO = """gateway tokyo.example.jp
lan     10.1.0.0/16 fd01::/64
site osaka {
  peer    PEER
  network 10.2.0.0/16 fd02::/64
  EXTRA
  key     @osaka
}
"""
OSAKA = """gateway osaka.example.jp
lan     10.2.0.0/16 fd02::/64
site tokyo {
  peer    PEER
  network 10.1.0.0/16 fd01::/64
  EXTRA
  key     @tokyo
}
"""

# name, words of the site, outer family
WAYS = [
    ("ESP in UDP over IPv4", "encapsulate always", 4),
    ("ESP over IPv4", "encapsulate never", 4),
    ("ESP in UDP over IPv6", "encapsulate always", 6),
    ("ESP over IPv6", "encapsulate never", 6),
    ("AH over IPv4", "ah", 4),
    ("AH over IPv6", "ah", 6),
]


def narrow(lab, extra, family, mtu=1400):
    """a - ga = router = gb - b; the link behind the router carries `mtu` octets."""
    a, ga, router, gb, b = (lab.host(name) for name in ("a", "ga", "r", "gb", "b"))
    lab.link(ga, "wan", router, "to-ga", ("203.0.113.1/24", "2001:db8:a::1/64"), ("203.0.113.254/24", "2001:db8:a::fe/64"))
    lab.link(gb, "wan", router, "to-gb", ("198.51.100.2/24", "2001:db8:b::2/64"),
             ("198.51.100.254/24", "2001:db8:b::fe/64"))
    lab.link(a, "eth0", ga, "lan", ("10.1.0.2/16", "fd01::2/64"), ("10.1.0.1/16", "fd01::1/64"))
    lab.link(b, "eth0", gb, "lan", ("10.2.0.2/16", "fd02::2/64"), ("10.2.0.1/16", "fd02::1/64"))
    router.ip("link", "set", "to-gb", "mtu", mtu)
    gb.ip("link", "set", "wan", "mtu", mtu)
    for host, ipv4, ipv6 in ((a, "10.1.0.1", "fd01::1"), (b, "10.2.0.1", "fd02::1"),
                             (ga, "203.0.113.254", "2001:db8:a::fe"), (gb, "198.51.100.254", "2001:db8:b::fe")):
        host.route("default", "via", ipv4)
        host.route("default6", "via", ipv6)
    peers = ("198.51.100.2", "203.0.113.1") if family == 4 else ("2001:db8:b::2", "2001:db8:a::1")
    extra += "\n  mtu-probe off"
    tokyo = Sekisho(ga, TOKYO.replace("PEER", peers[0]).replace("EXTRA", extra), {"osaka": KEY}).start()
    osaka = Sekisho(gb, OSAKA.replace("PEER", peers[1]).replace("EXTRA", extra), {"tokyo": KEY}).start()
    return a, ga, router, gb, b, tokyo, osaka


def told(host, address, size):
    """What a packet that may not be cut brings back."""
    done = host.run("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", size, address, check=False)
    return done.stdout + done.stderr


def child(gateway, site):
    return (gateway.site(site).get("children") or [{}])[0]


def too_big(gateway):
    return gateway.status().get("gateway", {}).get("too_big", {})


def router_tells(lab, check):
    for name, extra, family in WAYS:
        with NoExit(lab, "tells") as inner:
            a, ga, router, gb, b, tokyo, osaka = narrow(inner, extra, family)
            check(f"{name}: up", tokyo.wait_up("osaka") and osaka.wait_up("tokyo"), tokyo.explain("osaka")[-300:])
            a.pings("10.2.0.2")
            before = child(tokyo, "osaka")
            told(a, "10.2.0.2", before.get("inner_mtu", 1400) - 28)
            learnt = wait_for(lambda: child(tokyo, "osaka").get("outer_mtu") == 1400, 5)
            check(f"{name}: the router's MTU is believed", learnt, (child(tokyo, "osaka"), too_big(tokyo)))
            check(f"{name}: and counted", too_big(tokyo).get("believed") == 1, too_big(tokyo))
            now = child(tokyo, "osaka").get("inner_mtu", 0)
            answer = told(a, "10.2.0.2", 1472)
            check(f"{name}: the sender is told what fits inside", re.search(rf"mtu ?=? ?{now}\b", answer), answer[-200:])
            check(f"{name}: what fits passes, one octet more does not", a.ping(
                "10.2.0.2", size=now - 28, forbid_fragments=True) == 1 and not a.ping(
                "10.2.0.2", size=now - 27, forbid_fragments=True, seconds=1))
            check(f"{name}: with fragments all sizes pass", all(a.pings("10.2.0.2", size=size, seconds=3)
                                                               for size in (1300, 1400, 1472, 4000)))


def main():
    with Lab("mtu") as lab:
        lab.inner_count = 0
        router_tells(lab, lab.check)


if __name__ == "__main__":
    main()
