#!/usr/bin/env python3
"""What may happen to a packet on its way, and what may not: somebody between us and a Linux kernel changes TTL and traffic
class, which AH does not cover, a source address and single bits, which must not pass, and sends packets a second time. And
headers with options, of which AH covers some and not others (RFC 4302 3.3.3.1).

    ipsec_path_test.py kernel     with a second kernel in our place: the proof of the test
"""
import json
import pathlib
import re
import subprocess
import sys
import time

from guest import Guest
from ipsec_cells import AH, ESP, SHAPES, Cell, bundles, in_udp
from ipsec_rig import (KERNEL, OTHER, PORT, ask, complaints, list_for, local_ranges, prepare_guest,
                       serve, start)
from lab import Lab, Sekisho

OPTIONS_PORT = PORT + 1
SIZES = "0,1,7,8,64,500,1400,1473,2000"
# RFC 4302 A1: covered are router alert and stream identifier, not covered record route and timestamp.
IPV4_OPTIONS = {"router alert": "94040000", "stream identifier": "88040001", "record route": "0707040000000000",
                "timestamp": "440c050000000000" + "00000000", "two of each": "9404000088040001" + "0707040000000000"}
# RFC 4302 A2: the third bit of an option's type says that it may change on the way.
IPV6_HEADERS = {"router alert": ["hop=0000050200000100"], "hop-by-hop option that stays": ["hop=00001e0411223344"],
                "hop-by-hop option that may change": ["hop=00003e0411223344"],
                "destination option": ["dst=00001e0411223344"],
                "both headers": ["hop=00003e0411223344", "dst=00001e0411223344"]}


class OurGateway:
    def __init__(self, lab, mid, cells):
        self.host = lab.host("ga")
        lab.link(self.host, "wan", mid, "left", (OTHER.outer[4] + "/24", OTHER.outer[6] + "/64"))
        # Who listens to packets in the middle wants whole checksums and no packets of many.
        self.host.run("ethtool", "-K", "wan", "tx", "off", "gso", "off", "tso", "off", check=False)
        self.host.route(f"198.{KERNEL.host4}.0.0/16", "via", KERNEL.outer[4])
        self.host.route(f"{KERNEL.host6}::/112", "via", KERNEL.outer[6])
        local_ranges(self.host, OTHER, cells)
        secrets = {}
        for cell in cells:
            secrets.update(cell.secrets(OTHER, KERNEL))
        config = "gateway ga.example\n" + "".join(
            c.manual(OTHER, KERNEL, "" if c.esn else "replay-window 64") for c in cells)
        self.sekisho = Sekisho(self.host, config, secrets).start(30)

    def drops(self):
        told = json.loads(self.sekisho.command("drops", "--json").stdout)
        return {d["reason"]: d["count"] for d in told["drops"]}

    def replays(self):
        return self.drops().get("replayed", 0)

    def refused(self):
        return sum(n for reason, n in self.drops().items() if reason not in ("no-policy", "too-big"))


class KernelGateway:
    def __init__(self, lab, mid, cells):
        near = lab.host("near")
        self.host = Guest(lab, near, "other", [("br0", [OTHER.outer[4] + "/24", OTHER.outer[6] + "/64"])])
        lab.link(mid, "left", near, "br0.mid")
        prepare_guest(self.host, OTHER, [KERNEL])
        self.host.batch("".join(c.kernel(OTHER, KERNEL) for c in cells))
        start(self.host, "encap", 4500)

    def replays(self):
        return statistics(self.host, "XfrmInStateSeqError")

    def refused(self):
        return statistics(self.host)


def statistics(guest, *names):
    """Packets that the kernel of the guest did not take. A late one counts, which is none of an attack, so none is late."""
    told = dict(line.split() for line in guest.sh("cat /proc/net/xfrm_stat").stdout.splitlines())
    return sum(int(n) for name, n in told.items() if name in names or (not names and name.startswith("XfrmIn")))


class Middle:
    def __init__(self, lab, host):
        script = pathlib.Path(__file__).resolve().parent / "middle.py"
        self.process = subprocess.Popen(["ip", "netns", "exec", host.space, "python3", str(script), "left", "right"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        lab.processes.append(self.process)
        self.process.stdout.readline()

    def tell(self, line):
        """How many packets were changed since the last time."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def blast(place, cell, sizes, ms=250):
    """All at once; how many were answered, and how many of the answers were wrong."""
    path, seen, program = list_for(place)
    path.write_text(f"{cell.name} {cell.end(OTHER)} {cell.end(KERNEL)} {','.join(str(s) for s in sizes)}\n")
    told = place.run(program, "blast", PORT, seen, ms).stdout
    return tuple(int(n) for n in re.search(r"heard (\d+) wrong (\d+)", told).groups())


def all_pass(results):
    bad = [f"{name}: {told}" for name, (good, told) in results.items() if not good]
    return bool(results) and not bad, bad[:3]


class Path:
    def __init__(self, lab, gateway_kind):
        self.lab = lab
        self.mid, wan = lab.host("mid"), lab.host("wan")
        self.cells = []
        for suite in ((ESP, "aes128", "sha256"), (AH, "", "sha256"), (AH, "", "sha1")):
            for shape in SHAPES:
                self.cells.append(Cell(len(self.cells), *suite, shape, suite[2] == "sha256" and shape[0] == "tunnel"))
        self.plain = list(self.cells)
        self.cells += bundles(len(self.cells))
        self.cells += in_udp(len(self.cells))
        guest = self.guest = Guest(lab, wan, "kernel", [("br0", [KERNEL.outer[4] + "/24", KERNEL.outer[6] + "/64"])])
        prepare_guest(guest, KERNEL, [OTHER])
        guest.batch("".join(c.kernel(KERNEL, OTHER) for c in self.cells))
        start(guest, "encap", 4500)
        serve(guest)
        lab.link(self.mid, "right", wan, "br0.mid")
        self.gateway = gateway_kind(lab, self.mid, self.cells)
        for scope in ("left", "right"):
            self.mid.sysctl(f"net.ipv6.conf.{scope}.disable_ipv6", 1)
        self.middle = Middle(lab, self.mid)

    def ask(self, cells=None, **given):
        return ask(self.gateway.host, cells or self.cells, OTHER, KERNEL, sizes=SIZES, **given)

    def untouched(self):
        for name, (good, told) in self.ask().items():
            self.lab.check(f"untouched: {name}", good, "" if good else told)

    def what_routers_change(self):
        for line, what in (("ttl 7", "another TTL"), ("tos 32", "another traffic class")):
            self.middle.tell(line)
            good, bad = all_pass(self.ask())
            count = self.middle.tell("pass")
            self.lab.check(f"{what} passes, AH as well", good and count > 0, bad or f"{count} packets")

    def another_source(self):
        for cell in (c for c in self.plain if c.protocol == AH and c.mode == "transport" and c.integrity == "sha256"):
            address = {4: "203.0.113.77", 6: "2001:db8:f::77"}[cell.outer_family]
            for side, who in (("left", "the kernel"), ("right", "we")):
                refusals = (lambda: statistics(self.guest)) if side == "left" else self.gateway.refused
                before = refusals()
                self.middle.tell(f"{side} source {address}")
                heard, _ = blast(self.gateway.host, cell, [40] * 20)
                count = self.middle.tell("pass")
                refused = refusals() - before
                self.lab.check(f"{cell.name}: {who} refuse another source address", heard == 0 and count >= 20 and refused >= 20,
                               f"{heard} of {count} passed, {refused} counted")

    def replays(self):
        for side, who in (("left", "the kernel"), ("right", "we")):
            before = self.gateway.replays(), statistics(self.guest, "XfrmInStateSeqError")
            for cell in self.plain:
                self.middle.tell(f"{side} double")
                heard, wrong = blast(self.gateway.host, cell, [40] * 10, 150)
                self.middle.tell("pass")
                if (heard, wrong) != (10, 0):
                    self.lab.check(f"{cell.name}: {who} take each packet once", False, f"{heard} of 10, {wrong} wrong")
            after = self.gateway.replays(), statistics(self.guest, "XfrmInStateSeqError")
            count = after[0] - before[0] if side == "right" else after[1] - before[1]
            self.lab.check(f"{who} refuse what comes a second time and count it", count == 9 * len(self.plain),
                           f"{count} of {9 * len(self.plain)}")

    def flipped_bits(self):
        for cell in self.plain:
            if cell.integrity == "sha1":
                continue
            for side, who in (("left", "the kernel"), ("right", "we")):
                # The kernel does not count a packet of no SA of its own in transport mode or with a length that cannot be.
                counts = side == "right"
                before = self.gateway.refused() if counts else 0
                self.middle.tell(f"{side} flip")
                heard, _ = blast(self.gateway.host, cell, [20] * 130)
                count = self.middle.tell("pass")
                refused = self.gateway.refused() - before if counts else 130
                self.lab.check(f"{cell.name}: no packet with one bit flipped passes, {who} receiving",
                               heard == 0 and count == 130 and refused == 130, f"{heard} of {count} passed, {refused} counted")

    def options(self):
        port = OPTIONS_PORT
        for family, table in ((4, IPV4_OPTIONS), (6, IPV6_HEADERS)):
            cells = [c for c in self.cells if c.inner_family == family]
            for what, words in table.items():
                words = [f"ipv4={words}"] if family == 4 else words
                serve(self.guest, port, *words)
                good, bad = all_pass(self.ask(cells, port=port, options=words))
                self.lab.check(f"IPv{family} with {what}: {len(cells)} ways", good, bad or "")
                port += 1


def main():
    with Lab("path") as lab:
        path = Path(lab, KernelGateway if sys.argv[1:] == ["kernel"] else OurGateway)
        for part in (path.untouched, path.what_routers_change, path.replays, path.another_source, path.flipped_bits, path.options):
            began = time.monotonic()
            part()
            print(f"{part.__name__} took {time.monotonic() - began:.1f} s", flush=True)
        wrong = complaints(path.guest)
        lab.check("whatever the guest received was what had been sent", not wrong, wrong[:3])


if __name__ == "__main__":
    main()
