#!/usr/bin/env python3
"""What arrives is what was sent: hashed TCP both ways at once and hashed datagrams of all sizes, through each way of
handing packets to the system (offloads on and off, narrow and wide links, with and without UDP around ESP)."""
import json
import os
import signal
import statistics
import subprocess
import sys
import time

from lab import KEY, OSAKA, ROOT, TOKYO, Flow, Lab, Sekisho, Sniffer, two_sites, wait_for

PROGRAM = str(ROOT / "tests" / "interop" / "payload.py")
FLOWS = 4
# Of each flow and direction; SEKISHO_PAYLOAD_MB makes it more.
BYTES = int(os.environ.get("SEKISHO_PAYLOAD_MB", "24")) << 20
DATAGRAMS, DATAGRAM_RATE = 1500, 1000
ROUTED = 0  # IPv4, with a router in the middle

# name, encapsulate, outer family, MTU of the link outside, options of the daemon, ethtool on the outer links
VARIANTS = (
    ("UDP, 1500", "always", 4, 1500, (), ()),
    ("UDP, 1500, offload off", "always", 4, 1500, ("--offload", "off"), ()),
    ("ESP, 1500", "never", 4, 1500, (), ()),
    ("UDP over IPv6, 1400", "always", 6, 1400, (), ()),
    ("ESP, 1400, offload off", "never", 4, 1400, ("--offload", "off"), ()),
    ("UDP, 9000", "always", 4, 9000, (), ()),
    ("UDP, card without offloads", "always", 4, 1500, (), ("tx", "off", "gso", "off", "tso", "off", "gro", "off")),
    ("UDP, card that cannot cut", "always", 4, 1400, (), ("tx-udp-segmentation", "off")),
    ("UDP, 1400 behind a router", "always", ROUTED, 1500, (), ()),
    ("ESP, 1400 behind a router", "never", ROUTED, 1500, (), ()),
)


def texts(encapsulate, outer):
    tokyo = TOKYO.replace("10.1.0.0/16", "10.1.0.0/16 fd01::/64").replace("10.2.0.0/16", "10.2.0.0/16 fd02::/64")
    osaka = OSAKA.replace("10.1.0.0/16", "10.1.0.0/16 fd01::/64").replace("10.2.0.0/16", "10.2.0.0/16 fd02::/64")
    if outer == 6:
        tokyo = tokyo.replace("203.0.113.2", "2001:db8:f::2")
        osaka = osaka.replace("203.0.113.1", "2001:db8:f::1")
    if outer == ROUTED:
        tokyo = tokyo.replace("203.0.113.2", "198.51.100.2")
    return [text.replace("  key ", f"  encapsulate {encapsulate}\n  key ") for text in (tokyo, osaka)]


def link(ga, wan, gb, mtu, ethtool):
    for host, interface in ((ga, "wan"), (gb, "wan"), (wan, "a"), (wan, "b")):
        host.ip("link", "set", interface if host is not wan else f"br0.{interface}", "mtu", mtu)
    if ethtool:
        for host in (ga, gb):
            host.run("ethtool", "-K", "wan", *ethtool)


def put_router_between(ga, wan, gb):
    """Only beyond the router the way gets narrow, so that ICMP must tell of it."""
    wan.ip("link", "set", "br0.b", "nomaster")
    if "198.51.100.254" in wan.ip("address", "show", "dev", "br0.b").stdout:
        wan.ip("link", "set", "br0.b", "mtu", "1400")
        gb.ip("link", "set", "wan", "mtu", "1400")
        return
    wan.address("br0", "203.0.113.254/24")
    wan.address("br0.b", "198.51.100.254/24")
    gb.ip("address", "add", "198.51.100.2/24", "dev", "wan")
    gb.ip("address", "del", "203.0.113.2/24", "dev", "wan")
    ga.route("198.51.100.0/24", "via", "203.0.113.254")
    gb.route("203.0.113.0/24", "via", "198.51.100.254")
    for host, interface in ((wan, "br0.b"), (gb, "wan")):
        host.ip("link", "set", interface, "mtu", "1400")


class Payload:
    """TCP between a and b both ways, datagrams from each to the other, all at once."""

    def __init__(self, lab, a, b, name, count):
        self.lab, self.a, self.b, self.name, self.count = lab, a, b, name, count

    def path(self, what):
        return self.lab.folder / f"payload-{self.count}-{what}.json"

    def ready(self, path):
        if not wait_for(lambda: os.path.exists(str(path) + ".ready"), 10, 0.02):
            raise RuntimeError(f"{path} does not get ready")

    def report(self, path):
        return json.loads(path.read_text()) if path.exists() else {}

    def run(self, tcp_address, udp):
        """`udp`: (sender, receiver, address, longest, segment) each."""
        serving = self.b.start("python3", PROGRAM, "tcp-serve", tcp_address, 5001, FLOWS, self.path("serve"))
        self.ready(self.path("serve"))
        receivers = []
        for number, (_, receiver, address, _, _) in enumerate(udp):
            path = self.path(f"udp{number}")
            receivers.append(receiver.start("python3", PROGRAM, "udp-serve", address, 6000 + number, path))
            self.ready(path)
        senders = [sender.start("python3", PROGRAM, "udp-send", address, 6000 + number, DATAGRAMS, DATAGRAM_RATE,
                                longest, segment)
                   for number, (sender, _, address, longest, segment) in enumerate(udp)]
        sending = self.a.start("python3", PROGRAM, "tcp-send", tcp_address, 5001, FLOWS, BYTES, self.path("send"))
        sending.wait(90)
        serving.wait(30)
        for sender in senders:
            if sender.wait(30) != 0:
                raise RuntimeError(sender.output_path.read_text(errors="replace")[-300:])
        time.sleep(0.3)
        for receiver in receivers:
            receiver.send_signal(signal.SIGTERM)
            receiver.wait(10)
        return self.report(self.path("send")), self.report(self.path("serve")), [
            self.report(self.path(f"udp{n}")) for n in range(len(udp))]

    def check(self, check, tcp_address, udp, counted=lambda: 0):
        """`counted`: how many packets queues on the way said that they dropped."""
        send, serve, datagrams = self.run(tcp_address, udp)
        flows = send.get("flows", []) + serve.get("flows", [])
        total = sum(f["bytes"] for f in flows)
        rate = total * 8 / 1e6 / send["seconds"] if send.get("seconds") else 0
        check(f"{self.name}: {FLOWS} TCP flows, both ways, bytes equal",
              len(flows) == 2 * FLOWS and all(f["good"] for f in flows) and total == 2 * FLOWS * BYTES,
              f"{total >> 20} MiB, {rate:.0f} Mbit/s " + str([f["error"] for f in flows if "error" in f]))
        for number, told in enumerate(datagrams):
            check(f"{self.name}: datagrams {number} equal, none twice, hardly one lost",
                  told and told["bad"] == 0 and told["doubled"] == 0
                  and told["received"] + counted() > DATAGRAMS * 0.9, told)
        return rate


def refused(gateway):
    """Packets that were lost at a border of the daemon."""
    drops = gateway.status().get("drops", [])
    names = ("send-failed", "tun-failed", "forged", "malformed-inner", "malformed-outer", "crypto-failed",
             "bad-padding", "selector-mismatch", "no-buffer")
    if isinstance(drops, dict):
        return {k: v for k, v in drops.items() if k in names and v}
    return {d.get("name", d.get("reason")): d.get("count", d.get("packets")) for d in drops
            if d.get("name", d.get("reason")) in names and d.get("count", d.get("packets"))}


def variant(lab, hosts, number, check, rates):
    name, encapsulate, outer, mtu, options, ethtool = VARIANTS[number]
    a, ga, wan, gb, b = hosts
    link(ga, wan, gb, mtu, ethtool)
    if outer == ROUTED:
        put_router_between(ga, wan, gb)
    text_t, text_o = texts(encapsulate, outer)
    tokyo = Sekisho(ga, text_t, {"osaka": KEY}, name=f"t{number}", options=options).start()
    osaka = Sekisho(gb, text_o, {"tokyo": KEY}, name=f"o{number}", options=options).start()
    if not check(f"{name}: up", tokyo.wait_up("osaka") and osaka.wait_up("tokyo"), tokyo.explain("osaka")):
        return
    inner6 = number % 2 == 1
    there, back = ("fd02::2", "fd01::2") if inner6 else ("10.2.0.2", "10.1.0.2")
    # One flow of datagrams with fragments, one from the gateway itself in super-packets.
    # Half of the super-datagrams are as long as the device allows, half fit any tunnel.
    udp = ((a, b, there, 1200, 1100), (b, a, back, 4000, 900),
           (ga, b, there, 1300, 1400 if number % 4 < 2 and not inner6 else 1200))
    payload = Payload(lab, a, b, name, number)
    if number < 2:
        with Sniffer(ga, "wan", "udp and greater 1600") as outside, Sniffer(ga, "sekisho0", "greater 1600") as inside:
            rate = payload.check(check, there, udp)
        for where, sniffer in (("outside", outside), ("device", inside)):
            check(f"{name}: packets in one piece, {where}: {'none' if options else 'some'}",
                  bool(sniffer.seen) != bool(options), sniffer.seen[:2])
    else:
        rate = payload.check(check, there, udp)
    rates.setdefault("off" if options else "on", []).append(rate)
    lost = refused(tokyo), refused(osaka)
    if outer == ROUTED:
        # What did not fit before the path's MTU was learnt is all that may have been refused.
        for told in lost:
            told.pop("send-failed" if told.get("send-failed", 0) < 300 else "", None)
    check(f"{name}: nothing refused, forged or malformed", lost == ({}, {}), lost)
    check(f"{name}: both end", tokyo.stop() == 0 and osaka.stop() == 0)
    if ethtool:
        for host in (ga, gb):
            host.run("ethtool", "-K", "wan", *("on" if w == "off" else w for w in ethtool), check=False)


def starvation(lab, hosts, check):
    """A sender that never pauses on the inside: the wire and the control thread still have their turn."""
    a, ga, wan, gb, b = hosts
    link(ga, wan, gb, 1500, ())
    gb.ip("route", "replace", "blackhole", "10.2.0.77/32")
    text_t, text_o = texts("always", 4)
    text_t = "listen 10.1.0.1 203.0.113.1 2001:db8:f::1\nport 5500 nat 5501\n" + text_t
    text_o = text_o.replace("  key ", "  start wait\n  key ")
    # On one processor it has one thread for both directions; the other processor makes more than it can carry.
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(every)})
    tokyo = Sekisho(ga, text_t, {"osaka": KEY}, name="ts", options=("--crypto", "openssl")).start()
    os.sched_setaffinity(0, every)
    osaka = Sekisho(gb, text_o, {"tokyo": KEY}, name="os").start()
    if not check("flood: up, from addresses and ports of our own",
                 tokyo.wait_up("osaka") and osaka.wait_up("tokyo"), tokyo.log()[-900:] + tokyo.explain("osaka")):
        return
    with Flow(b, a, "10.1.0.2", rate=200) as flow:
        time.sleep(0.3)
        process = ga.start("python3", PROGRAM, "flood", "10.2.0.77", 9, 30, 36000, 300)
        time.sleep(1.5)
        carried = tokyo.status().get("gateway", {}).get("out_packets", 0)
        began = time.monotonic()
        tokyo.command("restart", "osaka", "--rekey", check=False)
        ordered = time.monotonic() - began
        time.sleep(1)
    check("flood: what comes from outside is delivered meanwhile", carried > 10000 and flow.lost < flow.sent / 5,
          f"{carried} packets out, {flow.told()}, an order took {ordered:.1f} s")
    began = time.monotonic()
    try:
        ended = tokyo.stop(4) == 0
    except subprocess.TimeoutExpired:
        ended = False
        tokyo.kill()
    check("flood: the daemon ends when it is told to", ended, f"{time.monotonic() - began:.1f} s")
    process.kill()
    process.wait()
    osaka.stop()


# A device that stays, with 12 octets before each packet as some programs want it, not 10.
OTHER_HEAD = """
import fcntl, struct
device = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(device, 0x400454ca, struct.pack("16sH22x", b"sekisho0", 0x5001))
fcntl.ioctl(device, 0x400454d8, struct.pack("i", 12))
fcntl.ioctl(device, 0x400454d0, 7)
fcntl.ioctl(device, 0x400454cb, 1)
"""


def inherited(lab, hosts, check):
    """Another program made the device and left it in its own form."""
    a, ga, wan, gb, b = hosts
    for choice in ("on", "off"):
        ga.run("python3", "-c", OTHER_HEAD)
        tokyo = Sekisho(ga, TOKYO, {"osaka": KEY}, name=f"ti{choice}", options=("--offload", choice)).start()
        osaka = Sekisho(gb, OSAKA, {"tokyo": KEY}, name=f"oi{choice}").start()
        check(f"inherited device, offload {choice}: up", tokyo.wait_up("osaka"))
        check(f"inherited device, offload {choice}: ping", a.pings("10.2.0.2", 4) and b.pings("10.1.0.2", 4))
        told = ga.run("ethtool", "-k", "sekisho0").stdout
        check(f"inherited device, offload {choice}: told to the system",
              f"tx-tcp-segmentation: {choice}" in told and f"tx-checksum-ip-generic: {choice}" in told)
        tokyo.stop()
        osaka.stop()
        ga.ip("link", "delete", "sekisho0")


def removal(lab, hosts, check):
    """Somebody deletes the device: the daemon says so and ends, so that it is started again."""
    tokyo = Sekisho(hosts[1], TOKYO, {"osaka": KEY}, name="tr").start()
    hosts[1].ip("link", "delete", "sekisho0")
    try:
        status = tokyo.process.wait(3)
    except subprocess.TimeoutExpired:
        status = "still there"
        tokyo.kill()
    check("device deleted: the daemon ends with an error", status == 1, status)
    check("device deleted: and says why", "sekisho0" in tokyo.log().splitlines()[-1], tokyo.log().splitlines()[-1])


def main():
    began = time.monotonic()
    chosen = [int(word) for word in sys.argv[1:]] or range(len(VARIANTS))
    with Lab("payload") as lab:
        hosts = two_sites(lab)
        rates = {}
        with Sniffer(hosts[2], "br0", "net 10.0.0.0/8 or net fd00::/8") as clear:
            for number in chosen:
                if number == len(VARIANTS) - 2 and not sys.argv[1:]:
                    starvation(lab, hosts, lab.check)
                    inherited(lab, hosts, lab.check)
                    removal(lab, hosts, lab.check)
                if number < len(VARIANTS):
                    variant(lab, hosts, number, lab.check, rates)
            if len(VARIANTS) in chosen:
                starvation(lab, hosts, lab.check)
                inherited(lab, hosts, lab.check)
                removal(lab, hosts, lab.check)
        lab.check("nothing in clear", not clear.seen, clear.seen[:3])
        told = {k: f"{statistics.median(v):.0f} Mbit/s" for k, v in rates.items()}
        lab.check(f"{time.monotonic() - began:.0f} s, median rate with offloads", True, told)


if __name__ == "__main__":
    main()
