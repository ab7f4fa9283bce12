#!/usr/bin/env python3
"""IKEv1 with strongSwan and its own userspace ESP in a namespace (always UDP-encapsulated): Main Mode with a shared key in both
roles, rekeys of both phases by both sides under traffic, and what `explain` says when the two do not agree."""
import shutil
import time

from lab import Flow, Lab, Sekisho, Strongswan, two_sites, wait_for

CONFIG = """gateway ga.example
lan     10.1.0.0/16
site peer {{
  peer    203.0.113.2
  network 10.2.0.0/16
  key     @peer
  say     203.0.113.1
  {more}
}}
"""
KEY = "a long and random key of both sides"


class Pair:
    """ga is Sekisho, gb is strongSwan."""

    def __init__(self, hosts, more, key=KEY, **given):
        self.a, self.ga, self.wan, self.gb, self.b = hosts
        self.ours = Sekisho(self.ga, CONFIG.format(more=more), {"peer": key})
        self.peer = Strongswan(self.gb, "203.0.113.2", "203.0.113.1", "10.2.0.0/16", "10.1.0.0/16",
                               **{"version": "1", "key": KEY, **given})

    def __enter__(self):
        self.peer.start()
        self.ours.start()
        return self

    def __exit__(self, *unused):
        for program in (self.ours, self.peer):
            if program.process and program.process.poll() is None:
                program.kill()
            shutil.rmtree(program.folder, ignore_errors=True)


SUITES = [
    # ours ike, ours esp, theirs ike, theirs esp
    ("aes128-sha256-modp2048", "aes128-sha256-modp2048", "aes128-sha256-modp2048", "aes128-sha256-modp2048"),
    ("aes256-sha512-ecp521", "aes256gcm16-ecp521", "aes256-sha512-ecp521", "aes256gcm16-ecp521"),
    ("3des-md5-modp1024\n  legacy 3des md5 modp1024", "3des-md5-modp1024", "3des-md5-modp1024", "3des-md5-modp1024"),
]


def suites(lab, hosts):
    for ike, esp, their_ike, their_esp in SUITES:
        for role in ("initiator", "responder"):
            name = f"suite {their_ike} / {their_esp}, we are {role}"
            start = "start now" if role == "initiator" else "start wait"
            with Pair(hosts, f"ike v1 {ike}\n  esp {esp}\n  {start}", ike=their_ike, esp=their_esp) as pair:
                if role == "responder":
                    pair.peer.initiate(check=False)
                good = pair.ours.wait_up("peer", 10)
                good = lab.check(f"{name}: up", good, "" if good else pair.ours.explain("peer"))
                if good:
                    lab.check(f"{name}: traffic both ways", pair.a.pings("10.2.0.2") and
                              pair.b.ping("10.1.0.2", size=1300))


def rekeys(lab, hosts):
    """Both phases are renewed by both sides while packets go both ways; then either side dies and comes back."""
    with Pair(hosts, "ike v1 aes128-sha256-modp2048\n  esp aes128-sha256-modp2048", esp="aes128-sha256-modp2048",
              dpd="3s") as pair:
        up = pair.ours.wait_up("peer")
        lab.check("rekeys: up", up, "" if up else pair.ours.explain("peer"))
        with Flow(pair.a, pair.b, "10.2.0.2") as there, Flow(pair.b, pair.a, "10.1.0.2") as back:
            for _ in range(2):
                time.sleep(0.5)
                pair.peer.rekey_child()
                time.sleep(0.5)
                pair.peer.rekey_ike()
                time.sleep(0.5)
                pair.ours.command("restart", "peer", "--rekey", check=False)
            time.sleep(1)
        lab.check("rekeys by both sides lose nothing, outbound", there.lost == 0, there.told())
        lab.check("rekeys by both sides lose nothing, inbound", back.lost == 0, back.told())
        calls = pair.ours.log().split("is ready")[-1].count("IKE SA established")
        lab.check("and the tunnel stays one", calls == 1, calls)
        lab.check("one child is left", wait_for(lambda: len(
            pair.ours.site("peer").get("children", [])) == 1, 15), pair.ours.site("peer").get("children", []))
        pair.peer.kill()
        time.sleep(0.5)
        pair.peer.start()
        lab.check("peer killed with -9 and started: traffic back by itself", pair.a.pings("10.2.0.2", 60))
        pair.ours.kill()
        pair.ours.start()
        lab.check("we are killed with -9 and started: traffic back by itself", pair.a.pings("10.2.0.2", 20))


MISMATCHES = [
    # name, our lines, their settings, our code and words in each role
    ("another key", "ike v1", {"key": "another key than ours, and long"}, "A029", "A028"),
    ("no common cipher", "ike v1 aes256-sha256-modp2048", {"ike": "aes128-sha1-modp1024"}, "O001", "O001"),
    ("the peer calls with IKEv1 a site of IKEv2", "ike v2", {}, None, "O015"),
]


def mismatches(lab, hosts):
    for name, more, theirs, *codes in MISMATCHES:
        for role, code in zip(("initiator", "responder"), codes):
            if code is None:
                continue
            start = "start now" if role == "initiator" else "start wait"
            with Pair(hosts, f"{more}\n  {start}", **theirs) as pair:
                if role == "responder":
                    pair.peer.initiate(check=False)
                told = ""

                def explained():
                    nonlocal told
                    told = pair.ours.explain("peer")
                    return f"SEK-{code}" in told
                good = wait_for(explained, 12, 0.3)
                lab.check(f"explain, {name}, we are {role}", good, "" if good else told)


def main():
    with Lab("ikev1") as lab:
        hosts = two_sites(lab)
        suites(lab, hosts)
        rekeys(lab, hosts)
        mismatches(lab, hosts)


if __name__ == "__main__":
    main()
