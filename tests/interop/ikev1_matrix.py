"""IKEv1 with strongSwan in every way that both have: modes of phase 1, proofs, algorithms, PFS, roles. All of them are up at
the same time, between one gateway of ours and one charon with an address for each, through a path that drops IP fragments."""
import pathlib
import re

from certificates_test import Authority
from charon import Charon
from ipsec_rig import batch
from lab import BUILD, KEY, Sekisho, call, wait_for

OURS = "172.20.0.1"
ECHO = 7
OCTETS = 20000
ECHOES = pathlib.Path(__file__).resolve().parent / "echoes.py"
AUTHORITY = "lan 10.1.0.0/16\nsite x {\n  peer 192.0.2.1\n  network 10.2.0.0/16\n}\n"
# Everything begins at once and from one address.
EXTRA = "dos_protection = no\n  i_dont_care_about_security_and_use_aggressive_mode_psk = yes"

# name, ike and esp, group of PFS, what of it is weak
SUITES = [
    ("aes128", "aes128-sha256-modp2048", "aes128-sha256", "modp2048", ""),
    ("aes256", "aes256-sha512-ecp521", "aes256-sha512", "ecp521", ""),
    ("camellia", "camellia192-sha384-ecp256", "camellia256-sha384", "ecp384", ""),
    ("3des", "3des-sha1-modp1024", "3des-sha1", "modp1024", "3des sha1 modp1024"),
    ("des", "des-md5-modp768", "des-md5", "modp768", "des md5 modp768"),
]
# name, kind and size of the keys, whether our own authority makes the certificates
PROOFS = [("psk", None, None, False), ("rsa", "rsa", 3072, False), ("p256", "ecdsa", 256, False), ("p384", "ecdsa", 384, True),
          ("p521", "ecdsa", 521, False)]
MODES = ("main", "aggressive")
ROLES = ("initiator", "responder")


class Cell:
    def __init__(self, number, mode, proof, suite, pfs, role):
        self.number, self.mode, self.proof, self.pfs, self.role = number, mode, proof, pfs, role
        self.suite, self.ike, self.esp, self.group, self.weak = suite
        self.name = f"{mode}-{proof}-{self.suite}-{'pfs' if pfs else 'no-pfs'}-{role}"
        self.address = f"172.20.{1 + number // 200}.{1 + number % 200}"
        self.ours, self.theirs = f"10.1.{number}.0/24", f"10.2.{number}.0/24"
        self.our_host, self.their_host = f"10.1.{number}.2", f"10.2.{number}.2"
        self.their_gateway = f"10.2.{number}.1"

    def esp_of(self):
        return f"{self.esp}-{self.group}" if self.pfs else self.esp

    def site(self):
        legacy = self.weak + (" aggressive" if self.mode == "aggressive" and self.proof == "psk" else "")
        proof = "key @peer" if self.proof == "psk" else \
            f"certificate {self.proof}.pem key {self.proof}.key\n  trust {self.proof}-authority.pem"
        name = self.address if self.proof == "psk" else f"gb-{self.proof}.example"
        say = OURS if self.proof == "psk" else f"ga-{self.proof}.example"
        return f"""site {self.name} {{
  peer {self.address}
  lan {self.ours}
  network {self.theirs}
  {proof}
  identity {name}
  say {say}
  ike v1 {self.mode} {self.ike}
  esp {self.esp_of()}
  pfs {'on' if self.pfs else 'off'}
  {f'legacy {legacy}' if legacy else ''}
  start {'now' if self.role == 'initiator' else 'wait'}
  verify-rekey off
}}
"""

    def connect(self, charon):
        given = {"local": self.address, "remote": OURS, "ike": self.ike, "aggressive": "yes" if self.mode == "aggressive" else "no"}
        if self.proof == "psk":
            given |= {"local_id": self.address, "remote_id": OURS}
        else:
            given |= {"local_id": f"gb-{self.proof}.example", "remote_id": f"ga-{self.proof}.example",
                      "local_auth": f"auth = pubkey\n      certs = gb-{self.proof}.pem", "remote_auth": "auth = pubkey"}
        charon.connection(self.name, {self.name: {
            "local_ts": self.theirs, "remote_ts": self.ours, "esp": self.esp_of(),
            "start": "none" if self.role == "initiator" else "start"}}, **given)


def cells():
    out = []
    for mode in MODES:
        for proof, *_ in PROOFS:
            for suite in SUITES:
                for pfs in (True, False):
                    for role in ROLES:
                        out.append(Cell(len(out), mode, proof, suite, pfs, role))
    return out


BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n.*?-----END \1-----\n", re.S)


class Certificates:
    """For both sides, of every kind: by strongSwan's pki with an authority between, and by our own authority."""

    def __init__(self, folder):
        self.folder = folder
        root = Authority(folder, "root")
        between = {side: Authority(folder, f"between-{side}", "rsa", parent=root) for side in ("ga", "gb")}
        self.of = {}  # (side, proof): (certificates of the chain, key), each a text
        self.trusted = {}  # proof: a text
        for proof, kind, size, own in PROOFS:
            if own:
                self.make_own(proof)
                continue
            for side in ("ga", "gb") if kind else ():
                file, key = between[side].issue(f"{side}-{proof}", [f"{side}-{proof}.example"], kind, size=size)
                self.of[side, proof] = ([file.read_text(), between[side].file.read_text()], key.read_text())
            self.trusted[proof] = root.file.read_text()

    def make_own(self, proof):
        place = self.folder / "own"
        (place / "secrets").mkdir(parents=True)
        (place / "sekisho.conf").write_text(f"gateway ga-{proof}.example\n" + AUTHORITY)

        def ca(*words):
            return call(BUILD / "sekisho", "-c", place / "sekisho.conf", "ca", *words)

        ca("init")
        for side in ("ga", "gb"):
            ca("issue", f"{side}-{proof}.example", "--key", proof, "-o", place / f"{side}.pem")
            found = [m.group(0) for m in BLOCK.finditer((place / f"{side}.pem").read_text())]
            certificates = [block for block in found if "PRIVATE" not in block]
            self.of[side, proof] = ([certificates[0]], next(block for block in found if "PRIVATE" in block))
        self.trusted[proof] = (place / "ca/ca.pem").read_text()

    def give(self, gateway, charon):
        charon.write()
        for (side, proof), (chain, key) in self.of.items():
            if side == "ga":
                (gateway.folder / f"{proof}.pem").write_text("".join(chain))
                (gateway.folder / f"{proof}-authority.pem").write_text(self.trusted[proof])
                place = gateway.folder / f"{proof}.key"
            else:
                (charon.folder / "x509" / f"gb-{proof}.pem").write_text(chain[0])
                for number, text in enumerate([*chain[1:], self.trusted[proof]]):
                    (charon.folder / "x509ca" / f"{proof}-{number}.pem").write_text(text)
                place = charon.folder / "private" / f"{proof}.key"
            place.write_text(key)
            place.chmod(0o600)


class Bed:
    """host a - our gateway ga - charon's gb - host b."""

    def __init__(self, lab, tag=""):
        self.lab = lab
        self.a, self.ga, self.gb, self.b = (lab.host(tag + name) for name in ("a", "ga", "gb", "b"))
        lab.link(self.ga, "wan", self.gb, "wan", (OURS + "/16",), ("172.20.255.254/16",))
        lab.link(self.a, "eth0", self.ga, "lan", ("10.1.255.2/16",), ("10.1.255.1/16",))
        lab.link(self.b, "eth0", self.gb, "lan", ("10.2.255.2/16",), ("10.2.255.1/16",))
        self.a.route("default", "via", "10.1.255.1")
        self.b.route("default", "via", "10.2.255.1")
        # What comes in pieces never arrives.
        self.gb.run("nft", "-f", "-", text_in="""table inet path {
  chain in { type filter hook prerouting priority -450; ip frag-off & 0x3fff != 0 counter drop; }
  chain out { type filter hook postrouting priority 450; oifname "wan" ip frag-off & 0x3fff != 0 counter drop; }
}
""")

    def addresses(self, cells):
        for host, device, lines in ((self.gb, "wan", [c.address for c in cells]), (self.a, "eth0", [c.our_host for c in cells]),
                                    (self.b, "eth0", [c.their_host for c in cells]),
                                    # charon wants an address of its own in each network.
                                    (self.gb, "lan", [c.their_gateway for c in cells])):
            batch(host, [f"address add {address}/32 dev {device}" for address in lines])


def matrix(lab, cells, certificates):
    bed = Bed(lab, "m")
    bed.addresses(cells)
    ours = Sekisho(bed.ga, "gateway ga.example\n" + "".join(c.site() for c in cells), {"peer": KEY})
    charon = Charon(bed.gb, "172.20.255.254", OURS, version="1", unique="never", extra=EXTRA)
    for cell in cells:
        cell.connect(charon)
    certificates.give(ours, charon)
    bed.b.start("python3", ECHOES, "serve", ECHO, out="echoes.out")
    charon.start()
    ours.start()
    wanted = {c.name for c in cells}

    def up():
        return {s["name"] for s in ours.status().get("sites", []) if s["state"] == "up"} == wanted
    wait_for(up, 25, 0.5)
    told = bed.a.run("python3", ECHOES, "ask", ECHO, OCTETS, 10, check=False,
                     text_in="".join(f"{c.name} {c.our_host} {c.their_host}\n" for c in cells)).stdout
    results = dict(line.split(" ", 2)[1::-1] for line in told.splitlines())
    sites = {s["name"]: s for s in ours.status().get("sites", [])}
    for cell in cells:
        good = results.get(cell.name) == "ok"
        lab.check(f"matrix: {cell.name}", good, "" if good else ours.explain(cell.name)[:400])
    return bed, ours, charon, sites
