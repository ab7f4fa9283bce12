#!/usr/bin/env python3
"""strongSwan 6 of Debian 13, both roles: additional key exchanges (RFC 9370) of classical groups, in fragments, with shared keys
and with certificates; rekeys of both sides with IKE_FOLLOWUP_KE; and what is said about a peer that has no ML-KEM, as this one. ML-KEM of ours therefore meets that
of OpenSSL 3.5 in another of ours, which runs with Debian 13's libraries.
"""
import re
import shutil

from certificates_test import Authority
from lab import KEY, Lab, Sekisho, two_sites, wait_for
from trixie import Strongswan6, with_libraries

CONFIG = """gateway ga.example
lan     10.1.0.0/16
site peer {{
  peer     203.0.113.2
  network  10.2.0.0/16
  identity gb.example
  {proof}
  {more}
}}
"""
BY_CERTIFICATE = "certificate own.pem key own.key\n  trust authority.pem"


class Pair:
    """ga is Sekisho, gb is strongSwan 6."""

    def __init__(self, hosts, role, more, authority=None, **given):
        self.a, self.ga, self.wan, self.gb, self.b = hosts
        self.role, self.start = role, "now" if role == "initiator" else "wait"
        more += f"\n  start {self.start}"
        proof = BY_CERTIFICATE if authority else "key @peer"
        self.ours = Sekisho(self.ga, CONFIG.format(proof=proof, more=more), {"peer": KEY})
        if authority:
            given = {"local_auth": "auth = pubkey\n      certs = gb.pem", "remote_auth": "auth = pubkey", **given}
        self.peer = Strongswan6(self.gb, "203.0.113.2", "203.0.113.1", "10.2.0.0/16", "10.1.0.0/16", local_id="gb.example",
                                remote_id="ga.example", **given)
        self.peer.write()
        if authority:
            for name, places in (("ga", (self.ours.folder / "own.pem", self.ours.folder / "own.key")),
                                 ("gb", (self.peer.folder / "x509/gb.pem", self.peer.folder / "private/gb.key"))):
                for made, place in zip((authority.folder / f"{name}.pem", authority.folder / f"{name}.key"), places):
                    shutil.copy(made, place)
            shutil.copy(authority.file, self.ours.folder / "authority.pem")
            shutil.copy(authority.file, self.peer.folder / "x509ca/authority.pem")

    def __enter__(self):
        self.peer.start()
        self.ours.start()
        if self.role == "responder":
            self.peer.initiate(check=False)
        return self

    def __exit__(self, *unused):
        for side in (self.ours, self.peer):
            if side.process and side.process.poll() is None:
                side.kill()
        for folder in (self.ours.folder, self.peer.folder):
            shutil.rmtree(folder, ignore_errors=True)

    def keys(self):
        """SPIs of the IKE SA and of the children."""
        site = self.ours.site("peer")
        return site.get("ike", {}).get("spi_i"), [child["spi_in"] for child in site.get("children", [])]


# name, our lines, their ike and esp proposals, additional key exchanges before IKE_AUTH, with certificates
CASES = [
    ("one more, optional with us", "ike aes256gcm16-sha384-x25519-ke1_ecp384-ke1_none\n  esp aes256gcm16-x25519-ke1_ecp256",
     "aes256gcm16-prfsha384-x25519-ke1_ecp384", "aes256gcm16-x25519-ke1_ecp256", 1, False),
    ("two more in fragments, certificates",
     "ike aes256-sha256-ecp256-ke1_x25519-ke3_modp6144\n  esp aes256gcm16-x25519-ke2_ecp384-ke5_modp2048\n  fragmentation 600",
     "aes256-sha256-ecp256-ke1_x25519-ke3_modp6144", "aes256gcm16-x25519-ke2_ecp384-ke5_modp2048",
     2, True),
]


def additional(lab, hosts, authority):
    for name, ours, ike, esp, count, certified in CASES:
        for role in ("initiator", "responder"):
            what = f"{name}, we are {role}"
            with Pair(hosts, role, ours, authority if certified else None, ike=ike, esp=esp,
                      extra="fragment_size = 600" if certified else "") as pair:
                up = pair.ours.wait_up("peer", 10)
                if not lab.check(f"{what}: up", up, "" if up else pair.ours.explain("peer") + pair.peer.log()[-3000:]):
                    continue
                lab.check(f"{what}: traffic both ways", pair.a.pings("10.2.0.2") and pair.b.pings("10.1.0.2"))
                said = re.findall(r"parsed IKE_INTERMEDIATE (?:request|response) \d+ \[ (.*?) \]", pair.peer.log())
                lab.check(f"{what}: IKE_INTERMEDIATE for each{', some of it in fragments' if certified else ''}",
                          said.count("KE") == count and ("EF(2/2)" in said) is certified, said)
                renewals(lab, pair, what)


def renewals(lab, pair, what):
    for who, renew, of_ike in (("they renew the child", pair.peer.rekey_child, False), ("they renew the IKE SA", pair.peer.rekey_ike, True),
                               ("we renew the child", lambda: pair.ours.command("restart", "peer", "--rekey", check=False), False)):
        before = pair.keys()
        said = pair.peer.log().count("IKE_FOLLOWUP_KE")
        renew()
        changed = wait_for(lambda: pair.keys()[0] != before[0] if of_ike else pair.keys()[1] != before[1], 8)
        lab.check(f"{what}: {who}, with IKE_FOLLOWUP_KE, and traffic goes on", changed and
                  pair.peer.log().count("IKE_FOLLOWUP_KE") > said and pair.a.pings("10.2.0.2") and pair.b.pings("10.1.0.2"),
                  "" if changed else pair.ours.explain("peer") + pair.peer.log()[-3000:])


def without_ml_kem(lab, hosts):
    """This strongSwan knows additional key exchanges, but not ML-KEM: passed over and shown, or refused and told."""
    theirs = {"ike": "aes256gcm16-prfsha384-x25519-ke1_ecp384-ke1_none", "esp": "aes256gcm16-x25519"}
    for role in ("initiator", "responder"):
        what = f"our defaults, the peer without ML-KEM, we are {role}"
        with Pair(hosts, role, "", **theirs) as pair:
            up = pair.ours.wait_up("peer", 10)
            lab.check(f"{what}: up, and traffic", up and pair.a.pings("10.2.0.2"), "" if up else pair.ours.explain("peer"))
            told = pair.ours.command("status", check=False).stdout
            ike = pair.ours.site("peer").get("ike", {})
            lab.check(f"{what}: status says that it is not post-quantum", "NOT post-quantum" in told and
                      ike.get("post_quantum_missing") and not ike["post_quantum"], told)
            pair.ours.write(CONFIG.format(proof="key @peer", more=f"post-quantum required\n  start {pair.start}"))
            pair.ours.command("apply", check=False)
            pair.ours.command("restart", "peer", check=False)
            if role == "responder":
                pair.peer.terminate()
                pair.peer.initiate(check=False)
            told = wait_for(lambda: "SEK-O013" in pair.ours.explain("peer"), 8) and pair.ours.explain("peer")
            lab.check(f"{what}, but required: refused, with its sentence", told and "post-quantum" in told and
                      not pair.ours.is_up("peer") and not pair.a.ping("10.2.0.2", seconds=1), told or pair.ours.explain("peer"))


OURS = """gateway {name}.example
lan     {lan}
site peer {{
  peer     {peer}
  network  {network}
  identity {other}.example
  key      @peer
  post-quantum required
  {more}
}}
"""
# our lines on both sides, how the suite ends
ML_KEM = [
    ("ike aes256gcm16-sha384-x25519-ke1_mlkem768\n  esp aes256gcm16-x25519-ke1_mlkem512", "X25519 + ML-KEM-768"),
    ("ike aes256gcm16-sha384-mlkem1024\n  esp aes256gcm16-mlkem1024", "ML-KEM-1024"),
]


def ml_kem_of_openssl(lab, hosts):
    a, ga, _, gb, b = hosts
    for starts in ("ga", "gb"):
        sides = []
        for host, lan, peer, network, other in ((ga, "10.1.0.0/16", "203.0.113.2", "10.2.0.0/16", "gb"),
                                                (gb, "10.2.0.0/16", "203.0.113.1", "10.1.0.0/16", "ga")):
            def text(more, host=host, lan=lan, peer=peer, network=network, other=other):
                start = "now" if host.name == starts else "wait"
                return OURS.format(name=host.name, lan=lan, peer=peer, network=network, other=other, more=f"{more}\n  start {start}")
            sides.append((Sekisho(host, text(ML_KEM[0][0]), {"peer": KEY}, name=f"starts-{starts}"), text))
        (one, _), (other, _) = sides
        other.program = with_libraries(other.build / "sekishod")
        other.start()
        one.start()
        engines = [side.status()["crypto"]["engines"][-1] for side in (one, other)]
        lab.check(f"{starts} starts: one has ML-KEM of its own, the other OpenSSL's",
                  engines[0] == "ML-KEM: own" and engines[1].startswith("ML-KEM: openssl 3."), engines)
        for words, suite in ML_KEM:
            if words != ML_KEM[0][0]:
                for side, text in sides:
                    side.write(text(words))
                    side.command("apply", check=False)
                (one if starts == "ga" else other).command("restart", "peer", check=False)
            good = wait_for(lambda: all(side.site("peer").get("ike", {}).get("suite", "").endswith(f" {suite}") and side.is_up("peer")
                                        for side in (one, other)), 10)
            lab.check(f"ML-KEM of ours and OpenSSL's, {starts} starts, {suite}: up, and traffic",
                      good and a.pings("10.2.0.2") and b.pings("10.1.0.2"), "" if good else one.explain("peer"))
            for side, who in ((one, "ours"), (other, "OpenSSL's")):
                before = side.site("peer")["children"][0]["spi_in"]
                side.command("restart", "peer", "--rekey", check=False)
                good = wait_for(lambda: [c["spi_in"] for c in side.site("peer").get("children", [])][:1] not in ([before], []), 8)
                lab.check(f"ML-KEM of ours and OpenSSL's, {starts} starts, {suite}: {who} renews the child", good and
                          a.pings("10.2.0.2") and b.pings("10.1.0.2"))
        other.kill()
        one.kill()


def main():
    with Lab("strongswan6") as lab:
        hosts = two_sites(lab)
        authority = Authority(lab.folder / "authority", "ca")
        for name in ("ga", "gb"):
            authority.issue(name, [f"{name}.example"])
        additional(lab, hosts, authority)
        without_ml_kem(lab, hosts)
        ml_kem_of_openssl(lab, hosts)


if __name__ == "__main__":
    main()
