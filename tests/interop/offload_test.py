#!/usr/bin/env python3
"""Offloads between two gateways: a system that does them wrong (spoil.c) is found at the start or given up on the way,
and nothing is lost; every mixture of the two sides carries the same bytes; rekeys and a path that gets narrower in the
middle of super-packets.

    offload_test.py [spoiled|mixtures|changes...]
"""
import os
import sys
import threading
import time

import payload_test
from lab import BUILD, KEY, OSAKA, TOKYO, Lab, Sekisho, two_sites, wait_for

SPOIL = BUILD / "tests" / "interop" / "libspoil.so"
PARTS = ("tun-tcp", "tun-udp", "udp-segmentation", "udp-gro")


def snmp(host, protocol):
    lines = [line.split() for line in host.run("cat", "/proc/net/snmp").stdout.splitlines()
             if line.startswith(protocol + ":")]
    return dict(zip(lines[0][1:], map(int, lines[1][1:])))


class Pair:
    """Two gateways with a word about offloads each."""
    count = 0

    def __init__(self, hosts, words=("all", "all"), spoil=("", "")):
        Pair.count += 1
        self.a, self.ga, self.wan, self.gb, self.b = hosts
        self.sides = []
        for host, text, name, word, how in ((self.ga, TOKYO, "osaka", words[0], spoil[0]),
                                            (self.gb, OSAKA, "tokyo", words[1], spoil[1])):
            text = f"offload {word}\n" + text.replace("  key ", "  encapsulate always\n  key ")
            environment = {"LD_PRELOAD": str(SPOIL), "SPOIL": how} if how else None
            self.sides.append(Sekisho(host, text, {name: KEY}, name=f"o{Pair.count}").start(environment=environment))

    def up(self):
        return self.sides[0].wait_up("osaka") and self.sides[1].wait_up("tokyo")

    def reasons(self, side):
        return {p["name"]: p["reason"] for p in self.sides[side].status().get("offload", {}).get("parts", ())}

    def dropped(self):
        """At full queues: the device's, which is short, and those of sockets."""
        count = 0
        for gateway in (self.ga, self.gb):
            count += int(gateway.run("cat", "/sys/class/net/sekisho0/statistics/tx_dropped").stdout)
        for host in (self.a, self.ga, self.gb, self.b):
            count += snmp(host, "Udp")["RcvbufErrors"]
        return count

    def stop(self):
        return [side.stop() for side in self.sides] == [0, 0]


def carry(lab, pair, name, megabytes, datagrams=300, tcp_only=False):
    """Hashed TCP both ways and datagrams in one piece; what both sides lost at their borders."""
    payload_test.BYTES = (megabytes << 20) // 2 // payload_test.FLOWS
    payload_test.DATAGRAMS = datagrams
    payload = payload_test.Payload(lab, pair.a, pair.b, name, f"o{Pair.count}-{time.monotonic_ns()}")
    udp = ((pair.a, pair.b, "10.2.0.2", 1200, 1100), (pair.b, pair.a, "10.1.0.2", 1200, 900))
    before = pair.dropped()
    rate = payload.check(lab.check, "10.2.0.2", () if tcp_only else udp, lambda: pair.dropped() - before)
    return rate, [payload_test.refused(side) for side in pair.sides]


def retransmissions(host):
    told = snmp(host, "Tcp")
    return told["RetransSegs"], told["OutSegs"]


def sent_again(hosts, traffic):
    """The segments of TCP that both hosts sent again while the traffic ran, and all that they sent."""
    before = [retransmissions(host) for host in (hosts[0], hosts[4])]
    traffic()
    after = [retransmissions(host) for host in (hosts[0], hosts[4])]
    return tuple(sum(a[part] - b[part] for a, b in zip(after, before)) for part in (0, 1))


def log_of(host):
    path = host.lab.folder / f"{host.name}-sekishod.log"
    return path.read_text(errors="replace") if path.exists() else ""


def spoiled(lab, hosts):
    check = lab.check
    for name, spoil, side, part, word in (
            ("device that refuses super-packets", "tun", 1, "tun-tcp", "refused"),
            ("system that joins wrongly", "join later", 1, "udp-gro", "never proved authentic"),
            ("system that joins wrongly from the start", "join", 1, "udp-gro", "the test at the start")):
        read = hosts[3 if side else 1]
        before = len(log_of(read))
        pair = Pair(hosts, spoil=("", spoil) if side else (spoil, ""))
        check(f"{name}: up", pair.up())
        if "later" in spoil:
            # Until it is sure, what comes joined is lost; TCP sends it again.
            carry(lab, pair, f"{name}, as long as it is not known", 16, tcp_only=True)
        _, lost = carry(lab, pair, name, 16)
        reasons = pair.reasons(side)
        check(f"{name}: is left out, and nothing else",
              [p for p in PARTS if reasons[p]] == [part] and word in reasons[part], reasons)
        told = log_of(read)[before:]
        check(f"{name}: the log says so once", told.count(f"without {part}:") == 1, told[-500:])
        check(f"{name}: and so does the status for people",
              f"  without {part}: " in pair.sides[side].command("status", check=False).stdout)
        if "join" not in spoil:
            check(f"{name}: nothing is lost", lost == [{}, {}], lost)
        check(f"{name}: both end", pair.stop())
    name = "device that cannot cut"
    pair = Pair(hosts, spoil=("segment", ""))
    check(f"{name}: up", pair.up())
    _, lost = carry(lab, pair, name, 16)
    told = pair.sides[0].status()["offload"]
    check(f"{name}: the way to the peer is told", told["singly_to"] == ["203.0.113.2"], told)
    check(f"{name}: in the status for people too", "udp-segmentation to 203.0.113.2" in
          pair.sides[0].command("status", check=False).stdout)
    check(f"{name}: nothing is lost", lost == [{}, {}], lost)
    pair.stop()


def mixtures(lab, hosts, megabytes=int(os.environ.get("SEKISHO_PAYLOAD_MB", "32"))):
    for one in ("all", "tun", "udp", "off"):
        for other in ("all", "tun", "udp", "off"):
            name = f"offload {one} to {other}"
            pair = Pair(hosts, (one, other))
            lab.check(f"{name}: up", pair.up())
            lost = []
            told = [sent_again(hosts, lambda: lost.extend(carry(lab, pair, name, megabytes)[1]))]
            lab.check(f"{name}: nothing refused, forged or malformed", lost == [{}, {}], lost)
            # When the machine stops a while, a queue overflows and TCP sends hundreds of segments again, once. What an
            # offload spoils is spoiled every time.
            while told[-1][0] >= told[-1][1] / 50 + 20 and len(told) < 3:
                told.append(sent_again(hosts, lambda: carry(lab, pair, name, megabytes, tcp_only=True)))
            lab.check(f"{name}: hardly a segment is sent again", told[-1][0] < told[-1][1] / 50 + 20,
                      ", ".join(f"{again} of {sent}" for again, sent in told))
            pair.stop()


def narrow(hosts, mtu):
    for host, interface in ((hosts[2], "br0.a"), (hosts[2], "br0.b"), (hosts[1], "wan"), (hosts[3], "wan")):
        host.ip("link", "set", interface, "mtu", mtu)


def changes(lab, hosts, megabytes=int(os.environ.get("SEKISHO_PAYLOAD_MB", "512"))):
    """Under full load: keys, and the width of the link."""
    pair = Pair(hosts)
    lab.check("changes: up", pair.up())
    changed = []

    def during():
        for number in range(4):
            time.sleep(0.5)
            changed.append(pair.sides[number % 2].command("restart", ("osaka", "tokyo")[number % 2], "--rekey",
                                                          check=False).returncode)
            narrow(hosts, (1300, 1500, 1400, 1500)[number])

    thread = threading.Thread(target=during)
    thread.start()
    rate, lost = carry(lab, pair, "keys and the width of the link change under load", megabytes, 2500)
    thread.join()
    for told in lost:
        # What was on its way when the link got narrower did not fit any more.
        told.pop("send-failed", None)
    lab.check("changes: four rekeys by both sides", changed == [0] * 4, changed)
    lab.check("changes: nothing forged, malformed or without an SA", lost == [{}, {}], lost)
    reasons = [pair.reasons(side) for side in (0, 1)]
    lab.check("changes: no offload was given up", all(not r for told in reasons for r in told.values()), reasons)
    lab.check("changes: after a rekey everything goes on", wait_for(lambda: pair.a.ping("10.2.0.2"), 5))
    pair.stop()


def main():
    wanted = sys.argv[1:] or ["spoiled", "mixtures", "changes"]
    began = time.monotonic()
    with Lab("offload") as lab:
        hosts = two_sites(lab)
        for name in wanted:
            {"spoiled": spoiled, "mixtures": mixtures, "changes": changes}[name](lab, hosts)
        lab.check(f"{time.monotonic() - began:.0f} s", True)


if __name__ == "__main__":
    main()
