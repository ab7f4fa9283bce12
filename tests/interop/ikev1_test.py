#!/usr/bin/env python3
"""IKEv1 with strongSwan and its own userspace ESP (always in UDP), in beds beside each other: everything that both have, in
both roles (ikev1_matrix.py); what `explain` says where they do not agree (ikev1_failures.py); a peer that falls silent,
deletes, dies; and keys of both phases that are renewed by both sides under traffic."""
import concurrent.futures
import datetime
import re
import time

from certificates_test import Authority
from charon import Charon
from ikev1_failures import failures
from ikev1_matrix import ECHO, ECHOES, EXTRA, OURS, Bed, Certificates, cells, matrix
from lab import KEY, Flow, Lab, Sekisho, Sniffer, wait_for

# Which ways have both phases renewed under traffic.
RENEWED = ("main-psk-aes128-pfs-initiator", "aggressive-rsa-aes256-no-pfs-responder")
SUITES = {"aes128": "AES-128-CBC, HMAC-SHA2-256", "aes256": "AES-256-CBC, HMAC-SHA2-512", "3des": "3DES, HMAC-SHA1", "des": "DES, HMAC-MD5"}


def agreed(lab, given, sites):
    """Status shows what was written in the configuration: cipher, PFS, who began, and what is weak."""
    wrong = []
    for cell in given:
        site = sites.get(cell.name, {})
        ike, child = site.get("ike", {}), (site.get("children") or [{}])[0]
        suite = SUITES.get(cell.suite)
        good = (ike.get("version") == 1 and ike.get("initiator") is (cell.role == "initiator") and
                child.get("suite", "").count(",") == 1 + cell.pfs and
                site.get("weak") is (bool(cell.weak) or cell.mode == "aggressive" and cell.proof == "psk") and
                (not suite or ike.get("suite", "").startswith(suite) and child["suite"].startswith(suite)))
        if not good:
            wrong.append((cell.name, ike.get("suite"), child.get("suite"), site.get("weak")))
    lab.check("matrix: status shows of all what was agreed", not wrong and len(given) > 100, wrong[:5] or "")


def fragments(lab, bed, charon):
    """Certificates with what is between are longer than a packet, and the path swallows pieces of packets."""
    dropped = [int(n) for n in re.findall(r"counter packets (\d+)", bed.gb.run("nft", "list", "ruleset").stdout)]
    log = charon.log()
    came = len(re.findall(r"received fragment #\d, reassembled", log))
    sent = len(re.findall(r"splitting IKE message", log))
    lab.check("matrix: messages with certificates went in fragments of IKE, both ways", came >= 100 and sent >= 100, (came, sent))
    lab.check("matrix: and none in fragments of IP", dropped == [0, 0], dropped)
    lab.check("matrix: which do not pass", not bed.ga.ping("172.20.255.254", size=2000, seconds=1) and
              bed.ga.ping("172.20.255.254", size=1400))


def everything(lab):
    given = cells()
    certificates = Certificates(lab.folder / "certificates")
    bed, ours, charon, sites = matrix(lab, given, certificates)
    agreed(lab, given, sites)
    fragments(lab, bed, charon)
    return bed, ours, charon, {c.name: c for c in given}


def renewals(lab, bed, ours, charon, cell):
    """Both phases are renewed by both sides while packets go both ways."""
    lab.check(f"renewals, {cell.name}: up", wait_for(lambda: ours.is_up(cell.name), 10))
    since = len(ours.log())
    bed.a.route(cell.theirs, "via", "10.1.255.1", "src", cell.our_host)
    bed.b.route(cell.ours, "via", "10.2.255.1", "src", cell.their_host)
    with Flow(bed.a, bed.b, cell.their_host) as there, Flow(bed.b, bed.a, cell.our_host, port=10) as back:
        for _ in range(2):
            time.sleep(0.4)
            charon.swanctl("--rekey", "--child", cell.name, check=False)
            time.sleep(0.4)
            charon.swanctl("--rekey", "--ike", cell.name, check=False)
            time.sleep(0.4)
            ours.command("restart", cell.name, "--rekey", check=False)
        time.sleep(0.6)
    for way, flow in (("outbound", there), ("inbound", back)):
        lab.check(f"renewals, {cell.name}: by both sides lose nothing, {way}", flow.sent > 1500 and flow.lost == 0, flow.told())
    site = ours.site(cell.name)
    lab.check(f"renewals, {cell.name}: keys were renewed", site.get("rekeys", 0) >= 4, site.get("rekeys"))
    calls = [line for line in ours.log()[since:].splitlines() if cell.name in line and "IKE SA established" in line]
    lab.check(f"renewals, {cell.name}: and the tunnel stayed one", not calls and "not up" not in ours.log()[since:], calls)
    lab.check(f"renewals, {cell.name}: one child is left", wait_for(
        lambda: len(ours.site(cell.name).get("children", [])) == 1, 15), ours.site(cell.name).get("children", []))


LIFE = """gateway ga.example
site peer {{
  peer 172.20.5.1
  lan 10.1.0.0/24
  network 10.2.0.0/24
  key @peer
  identity 172.20.5.1
  say {ours}
  ike v1 aes128-sha256-modp2048
  esp aes128-sha256-modp2048
  dpd 3s
}}
"""


class Life:
    """One tunnel whose ends live and die."""
    address, their_gateway, our_host, their_host = "172.20.5.1", "10.2.0.1", "10.1.0.2", "10.2.0.2"

    def __init__(self, lab, tag):
        self.lab, self.bed = lab, Bed(lab, tag)
        self.bed.addresses([self])
        self.ours = Sekisho(self.bed.ga, LIFE.format(ours=OURS), {"peer": KEY})
        self.charon = Charon(self.bed.gb, self.address, OURS, version="1", extra=EXTRA, dpd="3s")
        self.charon.connection("peer", {"net": {"local_ts": "10.2.0.0/24", "remote_ts": "10.1.0.0/24",
                                                "esp": "aes128-sha256-modp2048"}}, local_id=self.address, remote_id=OURS)
        self.bed.b.start("python3", ECHOES, "serve", ECHO, out=f"{tag}echoes.out")
        self.charon.start()
        self.ours.start()
        self.check("up", self.ours.wait_up("peer"))

    def check(self, what, good, told=""):
        return self.lab.check(f"life: {what}", good, told)

    def passes(self, seconds=10):
        """TCP, until it does."""
        return "ok x" in self.bed.a.run("python3", ECHOES, "ask", ECHO, 3000, seconds, check=False,
                                        text_in=f"x {self.our_host} {self.their_host}\n").stdout

    def mute(self, on):
        """What the peer sends is lost, and what is sent to it."""
        self.bed.gb.run("nft", "-f", "-", text_in="""table inet mute {
  chain in { type filter hook prerouting priority -440; iifname "wan" drop; }
  chain out { type filter hook postrouting priority 440; oifname "wan" drop; }
}
""" if on else "delete table inet mute\n")

    def established(self):
        return self.ours.log().count("IKE SA established")


def silence(lab):
    """RFC 3706: a silent peer is asked, called anew beside what there is, and traffic is back as soon as he is."""
    life = Life(lab, "s")
    life.check("traffic", life.passes())
    time.sleep(1)
    with Sniffer(life.bed.ga, "wan", f"udp dst port 4500 and dst host {life.address} and udp[8:4] = 0") as asked:
        life.mute(True)
        began = datetime.datetime.now()
        time.sleep(8.5)
    times = [(datetime.datetime.strptime(line.split()[0], "%H:%M:%S.%f").replace(began.year, began.month, began.day) - began)
             .total_seconds() for line in asked.seen]
    waits = [later - earlier for earlier, later in zip(times, times[1:])]
    life.check("a peer that is silent for 3 s is asked, and again after 0.5, 1 and 2 s", len(times) >= 4 and 0 < times[0] < 6 and
               all(0.5 * wait < waited < 1.7 * wait for wait, waited in zip((0.5, 1, 2), waits)), times)
    life.mute(False)
    life.check("it answers again: traffic is back", life.passes(10))
    life.mute(True)
    life.passes(8)
    life.mute(False)
    began = time.monotonic()
    life.check("silent under traffic and back: traffic is restored", life.passes(30), f"{time.monotonic() - began:.1f} s")


def ends(lab):
    """Deletes of either side, and either side killed."""
    life = Life(lab, "e")
    life.check("traffic before", life.passes())
    life.charon.swanctl("--terminate", "--child", "net", "--timeout", "5", check=False)
    life.check("the peer deletes the child: traffic is back by itself", life.passes(10))
    before = life.established()
    life.charon.swanctl("--terminate", "--ike", "peer", "--timeout", "5", check=False)
    life.check("the peer deletes everything: called again, traffic is back", life.passes(10) and life.established() > before)
    life.ours.command("down", "peer")
    left = wait_for(lambda: "peer: #" not in life.charon.sas(), 5)
    life.check("we delete everything: the peer has nothing left", left, life.charon.sas())
    life.ours.command("up", "peer")
    life.check("and up again: traffic", life.passes(10))
    life.charon.kill()
    time.sleep(0.3)
    life.charon.start()
    life.check("the peer is killed with -9 and started: traffic is back by itself", life.passes(60))
    life.ours.kill()
    life.ours.start()
    life.check("we are killed with -9 and started: traffic is back by itself", life.passes(20))


def main():
    with Lab("ikev1") as lab, concurrent.futures.ThreadPoolExecutor(4) as pool:
        beds = [pool.submit(everything, lab), pool.submit(failures, lab, Authority), pool.submit(silence, lab), pool.submit(ends, lab)]
        bed, ours, charon, named = beds[0].result()
        for other in beds[1:]:
            other.result()
        for name in RENEWED:
            renewals(lab, bed, ours, charon, named[name])


if __name__ == "__main__":
    main()
