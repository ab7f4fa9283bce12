#!/usr/bin/env python3
"""IKEv1 with Libreswan and the ESP and AH of its kernel, in a guest. Each way to agree is a site of ours and a connection of pluto's,
with addresses of their own, once for each role: all of them are there at the same time, in one daemon and one pluto."""
import shlex
import shutil
import sys
import time
from typing import NamedTuple

from certificates_test import Authority
from guest import Guest
from lab import Lab, Sekisho, call, wait_for
from libreswan import Libreswan

OURS = "203.0.113.1"
KEY = "a key of both sides that is long enough for the longest hash"
SITE = """site {name} {{
  peer     {address}
  identity {identity}
  say      ga.example
  {key}
  start    {start}
  verify-rekey off
  {more}
}}
"""
CONN = """conn {name}
  ikev2=no
  left={inside}
  right=203.0.113.1
  leftid=@{identity}
  rightid=@ga.example
  auto=add
  leftupdown=/bin/true
  {more}
"""
TUNNEL = ("network 10.2.{n}.0/24", "leftsubnet=10.2.{n}.0/24\n  rightsubnet=10.1.0.0/16")
TRANSPORT = ("mode transport", "type=transport")
CERTIFICATES = "authby=rsasig\n  leftcert=gb.example\n  leftsendcert=always\n  rightca=%same"


class Way(NamedTuple):
    name: str
    ours: str
    theirs: str
    form: tuple = TUNNEL
    certificates: bool = False
    nat: bool = False


WAYS = [
    Way("AES-256, SHA2-256, MODP-2048, PFS",
        "ike v1 aes256-sha256-modp2048; esp aes256-sha256-modp2048; pfs on; lifetime ike 20s child 20s",
        "ike=aes256-sha2_256;modp2048\n  esp=aes256-sha2_256;modp2048\n  pfs=yes"),
    Way("AES-128, SHA2-512, P-256, AES-GCM, no PFS", "ike v1 aes128-sha512-ecp256; esp aes256gcm16; pfs off",
        "ike=aes128-sha2_512;dh19\n  esp=aes_gcm256\n  pfs=no\n  initial-contact=yes\n  dpddelay=3\n  dpdtimeout=10\n"
        "  dpdaction=restart"),
    Way("3DES, SHA-1, MODP-1536, PFS", "ike v1 3des-sha1-modp1536; esp 3des-sha1-modp1536; legacy 3des sha1 modp1536",
        "ike=3des-sha1;modp1536\n  esp=3des-sha1;modp1536"),
    Way("Aggressive Mode, shared key, P-521, Camellia",
        "ike v1 aggressive aes256-sha512-ecp521; esp camellia256-sha512-modp3072; legacy aggressive",
        "aggressive=yes\n  ike=aes256-sha2_512;dh21\n  esp=camellia256-sha2_512;modp3072"),
    Way("RSA certificates in fragments", "ike v1; fragmentation 576", f"{CERTIFICATES}\n  fragmentation=force", certificates=True),
    Way("RSA certificates in Aggressive Mode", "ike v1 aggressive aes256-sha256-modp2048; esp aes128-sha256-modp2048",
        f"aggressive=yes\n  ike=aes256-sha2_256;modp2048\n  esp=aes128-sha2_256;modp2048\n  {CERTIFICATES}", certificates=True),
    Way("AH", "ike v1; ah sha256", "phase2=ah\n  ah=sha2_256"),
    Way("ESP in transport mode", "ike v1; esp aes256-sha256", "esp=aes256-sha2_256", TRANSPORT),
    Way("AH in transport mode", "ike v1; ah sha512; pfs off", "phase2=ah\n  ah=sha2_512\n  pfs=no", TRANSPORT),
    Way("behind a NAT", "ike v1", "ikelifetime=1m\n  salifetime=1m\n  rekeymargin=45s\n  rekeyfuzz=0%", nat=True),
    Way("behind a NAT, the drafts alone, RSA certificates", "ike v1", f"{CERTIFICATES}\n  nat-ikev1-method=drafts",
        certificates=True, nat=True),
]


class Turn:
    """One way in one role, and where it is."""

    def __init__(self, number, way, initiator):
        self.n, self.way, self.initiator = number, way, initiator
        self.site = f"w{number}"
        self.name = f"{way.name}, we are {'initiator' if initiator else 'responder'}"
        self.outside = f"203.0.113.{10 + number}"
        self.inside = f"192.168.7.{10 + number}" if way.nat else self.outside
        self.tunnel = way.form is TUNNEL
        self.there = f"10.2.{number}.2" if self.tunnel else self.outside
        self.identity = "gb.example" if way.certificates else f"w{number}.example"

    def ours(self):
        key = "certificate own.pem key own.key\n  trust authorities.pem" if self.way.certificates else "key @peer"
        return SITE.format(name=self.site, address=self.outside, identity=self.identity, key=key, start="on-traffic" if self.initiator else "wait",
                           more="\n  ".join([*self.way.ours.split("; "), self.way.form[0].format(n=self.n)]))

    def theirs(self):
        more = self.way.form[1].format(n=self.n)
        # By itself it offers SHA-1 alone.
        esp = "" if "esp=" in self.way.theirs or "phase2=" in self.way.theirs else "esp=aes256-sha2_256"
        auth = "" if self.way.certificates else "authby=secret"
        return CONN.format(name=self.site, inside=self.inside, identity=self.identity,
                           more="\n  ".join(word for word in (auth, more, esp, self.way.theirs) if word))


class Rig:
    def __init__(self, lab, wanted):
        self.lab = lab
        ways = [way for way in WAYS if wanted in way.name]
        self.turns = [Turn(2 * i + role, way, role == 0) for i, way in enumerate(ways) for role in range(2)]
        self.a, self.ga, self.wan = (lab.host(n) for n in ("a", "ga", "wan"))
        lab.link(self.ga, "wan", self.wan, "br0.a", (f"{OURS}/24",))
        lab.link(self.a, "eth0", self.ga, "lan", ("10.1.0.2/16",), ("10.1.0.1/16",))
        self.a.route("default", "via", "10.1.0.1")
        outside = [f"{t.outside}/24" for t in self.turns if not t.way.nat]
        behind = [f"{t.inside}/24" for t in self.turns if t.way.nat]
        self.guest = Guest(lab, self.wan, "gb", [("br0", ["203.0.113.2/24", *outside]), ("br1", ["192.168.7.2/24", *behind])],
                           memory="256M")
        self.guest.sh("\n".join([
            *(f"ip address add 10.2.{t.n}.2/32 dev lo" for t in self.turns if t.tunnel),
            f"ip route add 10.1.0.0/16 via {OURS}",
            "ip rule add from 192.168.7.0/24 table 7; ip route add default via 192.168.7.1 table 7"]))
        self.nat()
        self.write()

    def nat(self):
        """One address outside for each one behind it, with other ports."""
        self.wan.ip("address", "add", "192.168.7.1/24", "dev", "br1")
        rules = ["table ip nat {", "chain there { type nat hook postrouting priority 100;"]
        here = ["chain here { type nat hook prerouting priority -100;"]
        for t in self.turns:
            if t.way.nat:
                self.wan.ip("address", "add", f"{t.outside}/24", "dev", "br0")
                rules.append(f"ip saddr {t.inside} udp sport 500 snat to {t.outside}:{20500 + t.n}")
                rules.append(f"ip saddr {t.inside} udp sport 4500 snat to {t.outside}:{24500 + t.n}")
                here.append(f"ip daddr {t.outside} udp dport {{ 500, 4500 }} dnat to {t.inside}")
        self.wan.run("nft", "-f", "-", text_in="\n".join([*rules, "}", *here, "}", "}"]))

    def write(self):
        authority = Authority(self.lab.folder / "ca", "Root", "rsa")
        san = [("ga.example", "ga.example"), ("gb.example", "gb.example")]
        (own, own_key), (gb, gb_key) = (authority.issue(name, (other,), "rsa") for name, other in san)
        self.p12 = self.lab.folder / "gb.p12"
        call("openssl", "pkcs12", "-export", "-in", gb, "-inkey", gb_key, "-certfile", authority.file, "-name", "gb.example",
             "-out", self.p12, "-passout", "pass:wonder")
        config = "gateway ga.example\nlan     10.1.0.0/16\n" + "".join(t.ours() for t in self.turns)
        self.ours = Sekisho(self.ga, config, {"peer": KEY})
        for source, name in ((own, "own.pem"), (own_key, "own.key"), (authority.file, "authorities.pem")):
            shutil.copyfile(source, self.ours.folder / name)
        (self.ours.folder / "own.key").chmod(0o600)
        conf = "config setup\n  ikev1-policy=accept\n  uniqueids=no\n" + "".join(t.theirs() for t in self.turns)
        self.peer = Libreswan(self.guest, conf, f'@ga.example %any : PSK "{KEY}"\n', (self.p12, "wonder"), authority.file)

    def start(self):
        self.ours.start()
        self.peer.start()
        self.begin(self.turns)

    def begin(self, turns):
        """One after the other: a guest on a busy machine is slow."""
        for turn in turns:
            if turn.initiator:
                self.ours.command("up", turn.site, check=False)
            else:
                self.peer.sh(f"whack --name {turn.site} --initiate --asynchronous", check=False)
            wait_for(lambda t=turn: t.site in self.up(), 20, 0.05)

    def up(self):
        return {s["name"] for s in self.ours.status().get("sites", []) if s["state"] == "up"}

    def answered(self, questions, seconds=10):
        """Of (name, where it is asked, words of ping) the names that were answered, some time: all ask at once."""
        left, good = list(questions), set()
        end = time.monotonic() + seconds
        while left and time.monotonic() < end:
            for place in {place for _, place, _ in left}:
                lines = [f"{{ ping -n -q -c 1 -W 2 {words} >/dev/null 2>&1 && echo {name}; }} &" for name, p, words in left if p is place]
                good |= set(place.run("sh", "-c", "\n".join([*lines, "wait"]), check=False).stdout.split())
            left = [question for question in left if question[0] not in good]
        return good


def all_ways(rig):
    lab, ours = rig.lab, rig.ours
    sites = rig.up()
    up = [t for t in rig.turns if t.site in sites]
    there, back = (rig.answered(q) for q in (
        [(t.site, rig.a if t.tunnel else rig.ga, f"-s 1400 {t.there}") for t in up],
        [(t.site, rig.guest, f"-I {t.there} 10.1.0.2" if t.tunnel else f"-I {t.there} {OURS}") for t in up]))
    for turn in rig.turns:
        name = turn.site
        lab.check(f"{turn.name}: up", turn in up, "" if turn in up else ours.explain(name) + grep(rig.peer.log(), name))
        lab.check(f"{turn.name}: traffic", name in there)
        lab.check(f"{turn.name}: traffic begun there", name in back)


def reboots(rig):
    """Either side forgets everything. Libreswan says INITIAL-CONTACT, or our silence and a question bring the tunnel back; we begin
    anew with the traffic, or Libreswan's question of liveness stays without an answer."""
    lab, ours = rig.lab, rig.ours
    dpd = [of(rig, "SHA2-512, P-256", role) for role in (True, False)]
    turns = [*dpd, of(rig, "drafts alone", True)]

    def again(name):
        good = rig.answered([(t.site, rig.a, t.there) for t in turns], 60)
        for t in turns:
            lab.check(f"{t.name}: {name}: traffic again", t.site in good, ours.explain(t.site) + grep(rig.peer.log(), t.site))
        left = [t.name for t in turns if t.site in good and not wait_for(lambda t=t: len(ours.site(t.site)["children"]) == 1, 10)]
        lab.check(f"{name}: one SA is left of each", not left, left)

    rig.peer.kill()
    rig.peer.start()
    rig.begin(dpd[1:])
    again("Libreswan is killed and comes back")
    ours.kill()
    ours.start()
    again("we are killed and come back")


def of(rig, way, initiator):
    return next(t for t in rig.turns if way in t.way.name and t.initiator == initiator)


class Echo:
    """Numbered datagrams, 100 a second, through a tunnel to the guest and back."""

    def __init__(self, rig, turn):
        self.rig, self.turn = rig, turn
        self.stop = rig.lab.folder / f"echo-{turn.site}.stop"

    def __enter__(self):
        self.stop.unlink(missing_ok=True)
        self.rig.guest.sh(f"setsid /usr/bin/python3 -c {shlex.quote(ANSWERS)} {self.turn.there} >/dev/null 2>&1 </dev/null &")
        self.process = self.rig.a.start("python3", "-c", ASKS, self.turn.there, self.stop)
        wait_for(lambda: "begun" in self.process.output_path.read_text(), 30)
        return self

    def __exit__(self, *unused):
        self.stop.write_text("")
        self.process.wait(20)
        self.told = self.process.output_path.read_text().splitlines()[-1]
        self.sent, self.lost = (int(word) for word in self.told.split()[::2])


ANSWERS = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE
s.bind((sys.argv[1], 9))
while True:
    data, who = s.recvfrom(100)
    s.sendto(data, who)
"""
ASKS = """
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.connect((sys.argv[1], 9))
s.settimeout(0.001)
def take():
    try:
        while True:
            seen.add(s.recv(100))
    except OSError:
        pass
seen = set()
while not seen:
    s.send(b"first")
    time.sleep(0.1)
    take()
print("begun", flush=True)
began, sent = time.monotonic(), 0
seen = set()
while not os.path.exists(sys.argv[2]):
    while sent < (time.monotonic() - began) * 100:
        s.send(b"%d" % sent)
        sent += 1
    take()
end = time.monotonic() + 5
while len(seen - {b"first"}) < sent and time.monotonic() < end:
    take()
print(f"{sent} sent, {sent - len(seen - {b'first'})} lost")
"""


def rekeys(rig):
    """Both phases are renewed under traffic, by us and, through a NAT, by Libreswan, whose lifetimes are short; a child by order too."""
    lab, ours = rig.lab, rig.ours
    by_us, by_them = of(rig, "AES-256, SHA2-256", True), of(rig, "behind a NAT", False)

    def changes(was, seconds=45):
        """Whether each (turn, part) of `was` is another one than then."""
        return bool(wait_for(lambda: all(state_of(ours, turn.site)[part] not in (before, None) for (turn, part), before in was.items()),
                             seconds, 0.1))

    def state(*wanted):
        return {(turn, part): state_of(ours, turn.site)[part] for turn, part in wanted}

    with Echo(rig, by_us) as native, Echo(rig, by_them) as through:
        for turn in (by_us, by_them):
            turn.was = state((turn, IKE), (turn, CHILD))
        for turn, whose in ((by_us, "we renew"), (by_them, "Libreswan renews")):
            lab.check(f"{turn.name}: {whose} both phases", changes(turn.was), grep(rig.peer.log(), turn.site))
        was = state((by_us, CHILD))
        ours.command("restart", by_us.site, "--rekey", check=False)
        lab.check("we renew a child by order", changes(was))
        was = state((by_us, CHILD))
        rig.peer.sh(f"whack --initiate --name {by_us.site} --asynchronous", check=False)
        lab.check("Libreswan renews a child by order", changes(was))
    for turn, echo in ((by_us, native), (by_them, through)):
        lab.check(f"{turn.name}: nothing is lost", echo.lost == 0 and echo.sent > 300, echo.told)


IKE, CHILD = 0, 1


def state_of(gateway, name):
    site = gateway.site(name)
    return site.get("ike", {}).get("spi_i"), sorted(c["spi_in"] for c in site.get("children", [])) or None


def grep(log, name):
    return "\n".join([line for line in log.splitlines() if f'"{name}"' in line][-12:])


def main():
    with Lab("ikev1-libreswan") as lab:
        rig = Rig(lab, sys.argv[1] if len(sys.argv) > 1 else "")
        rig.start()
        all_ways(rig)
        rekeys(rig)
        reboots(rig)


if __name__ == "__main__":
    main()
