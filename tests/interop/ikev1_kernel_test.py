#!/usr/bin/env python3
"""IKEv1 with strongSwan and the ESP and AH of a Linux kernel, in one guest: without UDP, in tunnel and transport mode, both
roles; and through a NAT in front of either side. All at the same time; then keys are renewed by both sides."""
import shutil

from charon import Charon
from guest import IPSEC, Guest
from ikev1_matrix import ECHO, ECHOES, EXTRA, OCTETS
from lab import KEY, Lab, Sekisho, Sniffer, wait_for

OURS, THEIRS, NAT, ASKS = "203.0.113.1", "203.0.113.2", "203.0.113.9", "203.0.113.8"
# All that a shared key needs: a guest takes long to load what charon has else.
PLUGINS = "random nonce aes sha1 sha2 hmac kdf gmp kernel-netlink socket-default vici"
IKE = "aes128-sha256-modp2048"
L2TP = 1701
UDP_ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], %d))
while True:
    data, where = s.recvfrom(65536)
    s.sendto(data, where)
""" % L2TP
UDP_ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], %d))
s.settimeout(1)
good = 0
for size in (1, 100, 1000, 1300):
    for _ in range(5):
        s.sendto(bytes(range(256)) * 6 if size == 1300 else b"x" * size, (sys.argv[2], %d))
        try:
            good += s.recv(65536)[:1] in (b"x", b"\\0")
            break
        except TimeoutError:
            pass
print("good", good)
""" % (L2TP, L2TP)

# name, transport mode, protocol, algorithms
WAYS = [
    ("ESP in tunnel mode", False, "esp", "aes128-sha256"),
    ("AES-GCM in tunnel mode", False, "esp", "aes256gcm16"),
    ("AH in tunnel mode", False, "ah", "sha256"),
    ("ESP in transport mode", True, "esp", "aes256-sha512"),
    ("AH in transport mode", True, "ah", "sha512"),
]
# The same, with what IKEv1 does not say: our words, strongSwan's.
MORE = [
    ("HMAC-SHA2-256 cut to 96 bits", False, "esp", "aes128-sha256", "truncate sha2-96", "sha256_96 = yes"),
]


class Way:
    """One tunnel between an address of ours and one of the guest's."""

    def __init__(self, number, name, transport, protocol, algorithms, role, theirs=None, seen=None, key="peer", extra="",
                 port=None, more=""):
        self.number, self.name, self.transport, self.protocol, self.algorithms = number, name, transport, protocol, algorithms
        self.role, self.key, self.extra, self.port, self.more = role, key, extra, port, more
        self.short = f"w{number}"
        self.theirs = theirs or f"203.0.113.{100 + number}"
        self.seen = seen or self.theirs  # by us
        self.our_host = OURS if transport else f"10.1.{number}.1"
        self.their_host = self.seen if transport else f"10.2.{number}.2"

    def told(self):
        return f"{self.name}, we are {self.role}"

    def site(self):
        shape = "mode transport" if self.transport else f"lan 10.1.{self.number}.0/24\n  network 10.2.{self.number}.0/24"
        if self.port:
            shape += f"\n  only udp {self.port} both"
        return f"""site {self.short} {{
  peer {self.seen}
  {shape}
  key @{self.key}
  identity {self.short}.theirs.example
  say {self.short}.ours.example
  ike v1 {IKE}
  {self.protocol} {self.algorithms}
  pfs off
  start {'now' if self.role == 'initiator' else 'wait'}
  {self.extra}
}}
"""

    def connect(self, charon, remote, secret):
        port = f"[udp/{self.port}]" if self.port else ""
        ends = ("dynamic" + port, "dynamic" + port) if self.transport else (f"10.2.{self.number}.0/24", f"10.1.{self.number}.0/24")
        charon.connection(self.short, {self.short: {
            "local_ts": ends[0], "remote_ts": ends[1], "mode": "transport" if self.transport else "tunnel",
            "start": "none" if self.role == "initiator" else "start", "protocol": self.protocol, "esp": self.algorithms,
            "more": self.more}},
            local=self.theirs, remote=remote, ike=IKE, key=secret)


def ways():
    out = []
    for way in WAYS:
        for role in ("initiator", "responder"):
            out.append(Way(len(out), *way, role, extra="encapsulate never"))
    for *way, ours, theirs in MORE:
        for role in ("initiator", "responder"):
            out.append(Way(len(out), *way, role, extra=f"encapsulate never\n  {ours}", more=theirs))
    return out


def behind_nat(first):
    """The guest is behind the NAT: two of them, each with a network, and one who speaks L2TP."""
    tunnel = (False, "esp", "aes128-sha256", "responder")
    return [
        Way(first, "a peer behind a NAT", *tunnel, theirs="10.9.0.2", seen=NAT, key="one"),
        Way(first + 1, "another one behind the same NAT", *tunnel, theirs="10.9.0.3", seen=NAT, key="two"),
        Way(first + 2, "L2TP behind the same NAT, in transport mode", True, "esp", "aes128-sha256", "responder",
            theirs="10.9.0.4", seen=NAT, key="three", port=L2TP),
    ]


def us_behind_nat(first):
    return [
        Way(first, "we behind a NAT", False, "esp", "aes128-sha256", "initiator", theirs="203.0.113.3"),
        Way(first + 1, "we behind a NAT, L2TP in transport mode", True, "esp", "aes128-sha256", "initiator", theirs="203.0.113.4",
            port=L2TP),
    ]


SECRETS = {"peer": KEY, "one": "the first of two keys behind a NAT", "two": "the second key, which is another one",
           "three": "and the third one is for L2TP"}


class Bed:
    def __init__(self, lab):
        self.lab = lab
        self.ga, self.gc, self.nat, self.wan = (lab.host(name) for name in ("ga", "gc", "nat", "wan"))
        lab.link(self.ga, "wan", self.wan, "br0.a", (OURS + "/24",))
        lab.link(self.nat, "out", self.wan, "br0.n", (NAT + "/24",))
        lab.link(self.nat, "in", self.wan, "br1.n", ("10.9.0.1/24",))
        lab.link(self.gc, "wan", self.wan, "br1.c", ("10.9.0.9/24",))
        self.gc.route("default", "via", "10.9.0.1")
        self.nat.run("nft", "-f", "-", text_in="""table ip nat {
  chain out { type nat hook postrouting priority 100; oifname "out" masquerade; }
}
""")
        self.direct = ways()
        self.hidden = behind_nat(len(self.direct))
        self.ourselves = us_behind_nat(len(self.direct) + len(self.hidden))
        self.all = self.direct + self.hidden + self.ourselves
        outside = [w.theirs for w in self.direct + self.ourselves]
        inside = [w.theirs for w in self.hidden]
        self.guest = Guest(lab, self.wan, "kernel", [("br0", [THEIRS + "/24", *(a + "/32" for a in outside)]),
                                                     ("br1", [a + "/24" for a in inside])])
        shutil.copy2(ECHOES, self.guest.share() / "echoes.py")
        for name, text in (("udp-echo.py", UDP_ECHO), ("udp-ask.py", UDP_ASK)):
            (self.guest.share() / name).write_text(text)
            (lab.folder / name).write_text(text)
        self.guest.load(IPSEC)
        lines = ["ip -batch - <<'end'",
                 "route add default via 10.9.0.1 table 100", "route add 10.1.0.0/16 via 203.0.113.1"]
        lines += [f"rule add from {a} lookup 100" for a in inside]
        lines += [f"address add {w.their_host}/32 dev lo" for w in self.all if not w.transport]
        lines.append("end")
        for program in (f"echoes.py serve {ECHO}", *(f"udp-echo.py {w.theirs}" for w in self.ourselves if w.port)):
            lines.append(f"setsid /usr/bin/python3 -I -S /rig/{program} >/dev/null 2>&1 </dev/null &")
        self.guest.sh("\n".join(lines))
        for way in self.all:
            if not way.transport:
                host = self.gc if way in self.ourselves else self.ga
                host.ip("address", "add", way.our_host + "/32", "dev", "lo")

    def start(self):
        self.wan.address("br0", ASKS + "/24")
        self.charon = Charon(self.guest, THEIRS, OURS, kernel_esp=True, asked_at=(self.wan, THEIRS), routes="no", version="1",
                             unique="never", extra=EXTRA)
        self.charon.plugins = PLUGINS
        for way in self.all:
            way.connect(self.charon, NAT if way in self.ourselves else OURS, SECRETS[way.key])
        self.charon.start()
        self.ours = Sekisho(self.ga, "gateway ga.example\n" + "".join(w.site() for w in self.direct + self.hidden), SECRETS)
        self.behind = Sekisho(self.gc, "gateway gc.example\n" + "".join(w.site() for w in self.ourselves), SECRETS)
        self.ours.start()
        self.behind.start()

    def rekey_there(self, ways):
        for way in ways:
            self.charon.rekey_child(way.short)

    def gateway_of(self, way):
        return self.behind if way in self.ourselves else self.ours

    def sites(self):
        return {s["name"]: s for g in (self.ours, self.behind) for s in g.status().get("sites", [])}

    def pass_tcp(self):
        """Names of those that carry TCP."""
        good = set()
        for host, gateway in ((self.ga, self.ours), (self.gc, self.behind)):
            asked = [w for w in self.all if self.gateway_of(w) is gateway and not w.port]
            source = {w: w.our_host for w in asked}
            told = host.run("python3", ECHOES, "ask", ECHO, OCTETS, 12, check=False,
                            text_in="".join(f"{w.short} {source[w]} {w.their_host}\n" for w in asked)).stdout
            good |= {line.split()[1] for line in told.splitlines() if line.startswith("ok ")}
        return good

    def pass_l2tp(self):
        """The client asks: the guest behind the NAT, or we."""
        good = set()
        for way in self.all:
            if way in self.hidden and way.port:
                told = self.guest.sh(f"/usr/bin/python3 -I -S /rig/udp-ask.py {way.theirs} {OURS}", check=False).stdout
            elif way.port:
                told = self.gc.run("python3", self.lab.folder / "udp-ask.py", "10.9.0.9", way.seen, check=False).stdout
            else:
                continue
            if "good 4" in told:
                good.add(way.short)
        return good


def shapes(lab, bed, what):
    """Everything carries, as what was agreed."""
    good = bed.pass_tcp() | bed.pass_l2tp()
    sites = bed.sites()
    failed = lab.failed
    for way in bed.all:
        child = (sites.get(way.short, {}).get("children") or [{}])[0]
        shape = (child.get("protocol"), child.get("mode"), child.get("encapsulated"))
        wanted = (way.protocol.upper(), "transport" if way.transport else "tunnel", way not in bed.direct)
        lab.check(f"{what}: {way.told()}", way.short in good and shape == wanted,
                  "" if way.short in good and shape == wanted else f"{shape} {bed.gateway_of(way).explain(way.short)[:600]}")
    if lab.failed > failed:
        print(*[line for line in bed.charon.log().splitlines() if "[IKE]" in line or "[KNL]" in line][-150:], sep="\n")
    return sites


def main():
    with Lab("ikev1-kernel") as lab:
        bed = Bed(lab)
        bed.ga.start("python3", lab.folder / "udp-echo.py", OURS)
        with Sniffer(bed.wan, "br0", f"tcp port {ECHO} or udp port {L2TP}") as clear:
            bed.start()
            wanted = {w.short for w in bed.all}
            wait_for(lambda: wanted <= {n for n, s in bed.sites().items() if s["state"] == "up"}, 25, 0.5)
            before = shapes(lab, bed, "up")
            bed.rekey_there([w for w in bed.all if w.role == "responder"])
            for way in bed.all:
                bed.gateway_of(way).command("restart", way.short, "--rekey", check=False)
            after = shapes(lab, bed, "keys renewed by both")
        old = [w.told() for w in bed.all if {c["spi_in"] for c in before[w.short]["children"]} &
               {c["spi_in"] for c in after[w.short]["children"] if c["in_use"]}]
        lab.check("all children are new ones", not old, old or "")
        lab.check("nothing was in clear", not clear.seen, clear.seen[:3] or "")


if __name__ == "__main__":
    main()
