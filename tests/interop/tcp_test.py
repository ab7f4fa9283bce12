#!/usr/bin/env python3
"""Two Sekishos through a firewall that drops all but TCP (RFC 9329): falling back, ESP, connections that break, port 443, strangers."""
import json
import socket
import sys
import time

from lab import KEY, OSAKA, TOKYO, Flow, Lab, Sekisho, Sniffer, two_sites, wait_for

FIREWALL = """table bridge firewall {
  chain forward {
    type filter hook forward priority 0
    ip protocol { udp, esp } drop
  }
}
"""
# Local senders are told that the connection is reset, once each.
RESET = """table inet breaker {
  chain output {
    type filter hook output priority 0
    tcp dport { 443, 4500 } counter reject with tcp reset
  }
}
"""


def nft(host, text):
    host.run("nft", "-f", "-", text_in=text)


def same_sas(gateway, name):
    site = gateway.site(name)
    return site.get("ike", {}).get("spi_i"), sorted(c["spi_in"] for c in site.get("children", []))


def carried_by_tcp(gateway, name):
    site = gateway.site(name)
    return site.get("ike", {}).get("transport") == "tcp" and site["children"] and all(c["tcp"] for c in site["children"])


def is_over(peer, seconds=2.0):
    peer.settimeout(seconds)
    try:
        return peer.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def strangers():
    """What becomes of those who are no IKE, in their order."""
    told = []
    for bytes_sent in (b"GET / HTTP/1.1\r\n\r\n", b"IKETCP\0\0", b"IKETCP\0\1", b"IKETCP\xff\xff", b"\x16\x03\x01\x02\0"):
        with socket.create_connection(("203.0.113.2", 4500)) as peer:
            peer.sendall(bytes_sent)
            told.append(is_over(peer))
    crowd = [socket.create_connection(("203.0.113.2", 4500)) for _ in range(40)]
    told.append(sum(is_over(peer, 0.05) for peer in crowd))
    return told


def main():
    with Lab("tcp") as lab:
        a, ga, wan, gb, b = two_sites(lab)
        nft(wan, FIREWALL)
        auto = TOKYO.replace("  key ", "  transport auto\n  key ")
        listening = OSAKA.replace("lan ", "tcp-port 4500 443\nlan ", 1).replace("  key ", "  start wait\n  key ")
        osaka = Sekisho(gb, listening, {"tokyo": KEY}).start()
        with Sniffer(wan, "br0", "tcp port 4500 and greater 60 or net 10.0.0.0/8") as seen:
            began = time.monotonic()
            tokyo = Sekisho(ga, auto, {"osaka": KEY}).start()
            up = tokyo.wait_up("osaka", 12)
            took = time.monotonic() - began
            lab.check("UDP is silent: up over TCP", up and osaka.wait_up("tokyo", 3), tokyo.explain("osaka") if not up else "")
            lab.check("after 4 seconds, not later than 6", 4 <= took <= 6, f"{took:.1f} s")
            lab.check("both say so", carried_by_tcp(tokyo, "osaka") and carried_by_tcp(osaka, "tokyo"), "")
            lab.check("status for people says so", " in TCP" in tokyo.command("status", "-v").stdout
                      and "tcp: ports 4500 443" in osaka.command("status").stdout)
            sizes = [0, 100, 1400, 1472]
            good = [size for size in sizes if a.ping("10.2.0.2", size=size, seconds=3, forbid_fragments=True)]
            lab.check("packets of up to 1500 octets pass uncut", good == sizes, good)
            lab.check("and larger ones in pieces", a.pings("10.2.0.2", size=8000) and b.pings("10.1.0.2", size=3000))
        lab.check("nothing in clear", not [line for line in seen.seen if " 10." in line], "")

        before = same_sas(tokyo, "osaka"), same_sas(osaka, "tokyo")
        for who, gateway in (("who opened it", ga), ("the other side", gb)):
            connections = tokyo.status()["tcp"]["opened"]
            with Flow(a, b, "10.2.0.2", rate=200) as flow:
                time.sleep(0.5)
                nft(gateway, RESET if gateway is ga else RESET.replace("dport", "sport"))
                time.sleep(0.5)
                gateway.run("nft", "delete", "table", "inet", "breaker")
                again = wait_for(lambda: tokyo.status()["tcp"]["opened"] > connections and a.ping("10.2.0.2", seconds=1), 8)
            lab.check(f"a connection reset at {who} is replaced, and traffic goes on", again, flow.told())
            lab.check(f"reset at {who}: with the same SAs on both sides",
                      before == (same_sas(tokyo, "osaka"), same_sas(osaka, "tokyo")))
            lab.check(f"reset at {who}: back again", b.pings("10.1.0.2", seconds=3))

        # The connection that was replaced may still be open, until its other end is heard of, and has a place among those
        # of its address.
        left = osaka.status()["tcp"]["strangers"]
        told = ga.run("python3", __file__, "strangers").stdout.strip()
        out = json.loads(told.replace("True", "true").replace("False", "false"))
        lab.check("strangers are out at the wrong octet, and 16 of an address may wait",
                  left <= 1 and out[:5] == [True] * 5 and 24 <= out[5] <= 24 + left, (left, told))
        refused = osaka.status()["tcp"]["refused"]
        lab.check("each is counted by its reason",
                  refused.get("not-ike") == 2 and refused.get("bad-length") == 2 and refused.get("too-long") == 1
                  and refused.get("address") == out[5], refused)
        lab.check("the log tells of them", "connections were refused or closed by us" in osaka.log())
        lab.check("the tunnel did not notice", a.ping("10.2.0.2", count=5) == 5
                  and before == (same_sas(tokyo, "osaka"), same_sas(osaka, "tokyo")))

        tokyo.write(auto.replace("transport auto", "transport tcp 443"))
        tokyo.reload()
        lab.check("port 443", wait_for(lambda: tokyo.site("osaka").get("ike", {}).get("peer", "").endswith(":443")
                                       and a.ping("10.2.0.2", seconds=1), 8), tokyo.site("osaka").get("ike"))
        lab.check("the connection before is closed", wait_for(lambda: osaka.status()["tcp"]["connections"] == 1, 25))
        osaka.stop()
        lab.check("a peer that is gone is told", wait_for(lambda: "SEK-R008" in tokyo.explain("osaka")
                                                          or tokyo.site("osaka").get("state") != "up", 10))
        tokyo.stop()


if __name__ == "__main__":
    if sys.argv[1:] == ["strangers"]:
        print(strangers())
    else:
        main()
