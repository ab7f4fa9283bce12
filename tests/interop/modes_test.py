#!/usr/bin/env python3
"""Two Sekishos in transport mode: one port is protected and the rest is clear; and paths that swallow big packets."""
import re

from lab import KEY, Lab, Sekisho, Sniffer, two_sites, wait_for
from sites_test import NoExit

PORT = 8025
SERVER = f"""
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", {PORT})); s.listen(5)
while True:
    c, _ = s.accept()
    data = b""
    while len(data) < 220000:
        more = c.recv(65536)
        if not more: break
        data += more
    c.sendall(str(len(data)).encode()); c.close()
"""
CLIENT = """
import socket, sys
s = socket.create_connection((sys.argv[1], {port}), 5); s.settimeout(10)
s.sendall(b"clear words" * 20000); s.shutdown(socket.SHUT_WR); print(s.recv(100).decode())
"""


def site(name, peer, words):
    return (f"gateway {name}.example.jp\nsite peer {{\n  peer {peer}\n  identity any\n  key @k\n"
            f"  mode transport\n  {words}\n}}\n")


def talk(host, peer, port=PORT):
    done = host.run("python3", "-c", CLIENT.format(port=port), peer, check=False, seconds=30)
    return done.stdout.strip()


def transport(lab, check, words, name):
    with NoExit(lab, name) as inner:
        _, ga, wan, gb, _ = two_sites(inner)
        one = Sekisho(ga, site("one", "203.0.113.2", words), {"k": KEY}).start()
        for host in (ga, gb):
            host.start("python3", "-c", SERVER)
        clear_port = f"tcp port {PORT}"
        with Sniffer(wan, "br0", clear_port) as clear:
            check(f"{name}: while it is down nothing gets out", talk(ga, "203.0.113.2") == "")
            two = Sekisho(gb, site("two", "203.0.113.1", words), {"k": KEY}).start()
            check(f"{name}: up", one.wait_up("peer") and two.wait_up("peer"), one.log()[-1500:])
            wait_for(lambda: len(one.site("peer").get("children", [])) == 2, 10)
            check(f"{name}: one calls", talk(ga, "203.0.113.2") == "220000", talk(ga, "203.0.113.2"))
            check(f"{name}: two calls", talk(gb, "203.0.113.1") == "220000", talk(gb, "203.0.113.1"))
        check(f"{name}: nothing of it in clear", not clear.seen, clear.seen[:3])
        with Sniffer(wan, "br0", "icmp") as pings:
            check(f"{name}: other traffic passes", ga.ping("203.0.113.2", count=3) == 3)
        check(f"{name}: in clear", len(pings.seen) >= 6, pings.seen[:3])
        children = one.site("peer").get("children", [])
        check(f"{name}: status says so", children and all(c["mode"] == "transport" for c in children), children)
        check(f"{name}: each way has carried something",
              len(children) == 2 and all(c["in_bytes"] > 0 and c["out_bytes"] > 0 for c in children), children)
        two.stop()
        with Sniffer(wan, "br0", clear_port) as clear:
            check(f"{name}: the other one went: nothing gets out", talk(ga, "203.0.113.2") == "")
        check(f"{name}: nothing in clear then", not clear.seen, clear.seen[:3])
        one.stop()
        rules = ga.ip("rule").stdout
        check(f"{name}: no rule is left", "5200" not in rules, rules)
        check(f"{name}: then it is clear", talk(ga, "203.0.113.2") == "220000")


def black_hole(lab, check):
    """The wire between swallows frames beyond 1,400 octets, and nobody says so."""
    text = ("gateway {0}.example.jp\nlan 10.{1}.0.0/16\nsite peer {{\n  peer 203.0.113.{2}\n  identity any\n"
            "  network 10.{2}.0.0/16\n  key @k\n}}\n")
    with NoExit(lab, "hole") as inner:
        a, ga, wan, gb, b = two_sites(inner)
        for end in ("br0.a", "br0.b"):
            wan.ip("link", "set", end, "mtu", 1400)
        one = Sekisho(ga, text.format("one", 1, 2), {"k": KEY}).start()
        two = Sekisho(gb, text.format("two", 2, 1), {"k": KEY}).start()
        check("hole: up", one.wait_up("peer") and two.wait_up("peer"), one.explain("peer"))

        def found(gateway):
            children = gateway.site("peer").get("children", [])
            return children and children[0]["mtu_source"] == "probe" and children[0]

        for gateway in (one, two):
            child = wait_for(lambda: found(gateway), 40, 0.5)
            check(f"hole: {gateway.host.name} finds the MTU", child and 1390 <= child["outer_mtu"] <= 1400,
                  gateway.site("peer").get("children", []))
        done = a.run("ping", "-n", "-q", "-c", "3", "-W", "2", "-M", "dont", "-s", "1400", "10.2.0.2", check=False)
        check("hole: packets larger than that pass", "3 received" in done.stdout, done.stdout)
        told = one.command("status", "peer", "-v").stdout
        check("hole: and it is shown", re.search(r"MTU +outer 13\d\d \(probe\)|MTU +outer 1400 \(probe\)", told), told)
        check("hole: the tunnel stayed", "not up any more" not in one.log() + two.log(), one.log()[-800:])


def main():
    with Lab("modes") as lab:
        lab.inner_count = 0
        for words, name in ((f"only tcp {PORT} both; encapsulate never", "native"),
                            (f"only tcp {PORT} both", "in UDP"),
                            (f"only tcp {PORT} both; ah; compress on", "AH")):
            transport(lab, lab.check, words, name)
        black_hole(lab, lab.check)


if __name__ == "__main__":
    main()
