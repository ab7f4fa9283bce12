#!/usr/bin/env python3
"""strongSwan with its own userspace ESP in a namespace (always UDP-encapsulated): both roles, suites, groups, NAT, rekeys
under traffic, crash and return, and what `explain` says when the two do not agree."""
import time

from lab import KEY, Flow, Lab, Sekisho, Sniffer, Strongswan, two_sites, wait_for

CONFIG = """gateway ga.example
lan     10.1.0.0/16 fd01::/64
site peer {{
  peer    {peer}
  network 10.2.0.0/16 fd02::/64
  per-worker-sas 4
  key     @peer
  say     {say}
  identity {identity}
  {more}
}}
"""


class Pair:
    """ga is Sekisho, gb is strongSwan."""

    def __init__(self, lab, more="", six=False, hosts=None, start=True, key=KEY, say=None, identity=None, **given):
        self.a, self.ga, self.wan, self.gb, self.b = hosts or two_sites(lab)
        ours, theirs = ("2001:db8:f::1", "2001:db8:f::2") if six else ("203.0.113.1", "203.0.113.2")
        self.ours = Sekisho(self.ga, CONFIG.format(peer=theirs, say=say or ours, identity=identity or theirs, more=more),
                            {"peer": key})
        self.peer = Strongswan(self.gb, theirs, ours, "10.2.0.0/16,fd02::/64", "10.1.0.0/16,fd01::/64", **given)
        self.start = start

    def __enter__(self):
        self.peer.start()
        if self.start:
            self.ours.start()
        return self

    def __exit__(self, *unused):
        if self.ours.process and self.ours.process.poll() is None:
            self.ours.kill()
        if self.peer.process and self.peer.process.poll() is None:
            self.peer.kill()
        import shutil
        for folder in (self.ours.folder, self.peer.folder):
            shutil.rmtree(folder, ignore_errors=True)


SUITES = [
    # ours ike, ours esp, theirs ike, theirs esp
    ("aes256gcm16-sha384-x25519", "aes256gcm16-x25519", "aes256gcm16-prfsha384-x25519", "aes256gcm16-x25519"),
    ("aes128-sha256-modp2048", "aes128-sha256-modp2048", "aes128-sha256-modp2048", "aes128-sha256-modp2048"),
    ("chacha20poly1305-sha256-ecp256", "chacha20poly1305-ecp256", "chacha20poly1305-prfsha256-ecp256",
     "chacha20poly1305-ecp256"),
    ("aes256-sha512-ecp384", "aes256-sha512", "aes256-sha512-ecp384", "aes256-sha512"),
    ("aes128ctr-sha384-modp3072", "aes128ctr-sha384", "aes128ctr-sha384-modp3072", "aes128ctr-sha384"),
    ("aes128ccm16-sha256-ecp521", "aes128ccm16", "aes128ccm16-prfsha256-ecp521", "aes128ccm16"),
    ("aes128gcm8-sha256-x448", "aes128gcm8", "aes128gcm8-prfsha256-x448", "aes128gcm8"),
    ("aes128-aesxcbc-brainpool256", "aes128-aesxcbc", "aes128-aesxcbc-ecp256bp", "aes128-aesxcbc"),
    ("aes128-aescmac-modp4096", "aes128gcm12", "aes128-aescmac-modp4096", "aes128gcm12"),
]


def suites(lab, hosts):
    for ike, esp, their_ike, their_esp in SUITES:
        for role in ("initiator", "responder"):
            name = f"suite {ike} / {esp}, we are {role}"
            start = "start now" if role == "initiator" else "start wait"
            with Pair(lab, f"ike {ike}\n  esp {esp}\n  {start}", hosts=hosts, ike=their_ike, esp=their_esp) as pair:
                if role == "responder":
                    pair.peer.initiate(check=False)
                good = pair.ours.wait_up("peer", 10)
                good = lab.check(f"{name}: up", good, "" if good else pair.ours.explain("peer"))
                if good:
                    lab.check(f"{name}: traffic both ways", pair.a.pings("10.2.0.2") and
                              pair.b.ping("10.1.0.2", size=1300))


def invalid_ke(lab, hosts):
    for role in ("initiator", "responder"):
        start = "start now" if role == "initiator" else "start wait"
        with Pair(lab, f"ike aes128gcm16-sha256-x25519-modp2048\n  {start}", hosts=hosts,
                  ike="aes128gcm16-prfsha256-modp2048" if role == "initiator"
                  else "aes128gcm16-prfsha256-ecp256-modp2048,aes128gcm16-prfsha256-ecp256-x25519", esp="aes128gcm16") as pair:
            if role == "responder":
                pair.peer.initiate(check=False)
            up = pair.ours.wait_up("peer")
            lab.check(f"an INVALID_KE round, we are {role}: up", up, "" if up else pair.ours.explain("peer"))
            lab.check(f"an INVALID_KE round, we are {role}: traffic", pair.a.pings("10.2.0.2"))


def defaults(lab, hosts):
    """Our defaults with strongSwan's defaults; IPv6; several networks in one child; DPD; rekeys of both sides."""
    for six in (False, True):
        with Pair(lab, six=six, hosts=hosts, ike="default", esp="default") as pair:
            name = f"defaults over IPv{6 if six else 4}"
            up = pair.ours.wait_up("peer")
            lab.check(f"{name}: up", up, "" if up else pair.ours.explain("peer"))
            told = pair.ours.command("status", check=False).stdout
            lab.check(f"{name}: status says that it is not post-quantum", "NOT post-quantum" in told, told)
            lab.check(f"{name}: ESP in UDP, as the peer claims a NAT", up and pair.ours.site("peer")["children"][0]["encapsulated"]
                      and pair.ours.site("peer")["ike"]["nat"] != "")
            lab.check(f"{name}: IPv4 inside", pair.a.pings("10.2.0.2"))
            lab.check(f"{name}: IPv6 inside", pair.a.pings("fd02::2"))
            with Sniffer(pair.wan, "br0", "net 10.0.0.0/8 or net fd00::/8") as clear:
                with Flow(pair.a, pair.b, "10.2.0.2") as there, Flow(pair.b, pair.a, "10.1.0.2") as back:
                    for _ in range(3):
                        time.sleep(0.5)
                        pair.peer.rekey_child()
                        time.sleep(0.5)
                        pair.peer.rekey_ike()
                        time.sleep(0.5)
                        pair.ours.command("restart", "peer", "--rekey", check=False)
                    time.sleep(1)
                lab.check(f"{name}: rekeys by both sides lose nothing, outbound", there.lost == 0, there.told())
                lab.check(f"{name}: rekeys by both sides lose nothing, inbound", back.lost == 0, back.told())
                calls = pair.ours.log().split("is ready")[-1].count("IKE SA established")
                lab.check(f"{name}: and neither side calls the other anew", calls == 1, calls)
                lab.check(f"{name}: the peer reads all that we say", "integrity check failed" not in pair.peer.log())
                lab.check(f"{name}: one child is left", wait_for(lambda: len(
                    pair.ours.site("peer").get("children", [])) == 1, 40), len(pair.ours.site("peer").get("children", [])))
            lab.check(f"{name}: nothing in clear", not clear.seen, clear.seen[:2])
            if six:
                continue
            pair.peer.kill()
            time.sleep(0.5)
            began = time.monotonic()
            pair.peer.start()
            lab.check("peer killed with -9 and started: traffic back by itself", pair.a.pings("10.2.0.2", 60),
                      f"{time.monotonic() - began:.1f} s after its start")
            pair.ours.kill()
            began = time.monotonic()
            pair.ours.start()
            lab.check("we are killed with -9 and started: traffic back by itself", pair.a.pings("10.2.0.2", 20),
                      f"{time.monotonic() - began:.1f} s after our start")
            lab.check("a stop of the peer is noticed", pair.peer.terminate().returncode == 0 and
                      wait_for(lambda: not pair.ours.is_up("peer") or pair.a.pings("10.2.0.2", 5), 5))
            lab.check("and the site comes back", pair.a.pings("10.2.0.2", 20))


def several_children(lab, hosts):
    """The peer keeps one child for each network (as Cisco, Check Point and Fortinet do)."""
    a, ga, wan, gb, b = hosts
    b.address("eth0", "10.3.0.2/16")
    gb.address("lan", "10.3.0.1/16")  # its kernel-libipsec wants an address of its own in each network
    with Pair(lab, "network 10.3.0.0/16\n  start wait", hosts=hosts, ike="default", esp="default") as pair:
        pair.peer.children = {"net": {"local_ts": "10.2.0.0/16", "remote_ts": "10.1.0.0/16"},
                              "other": {"local_ts": "10.3.0.0/16", "remote_ts": "10.1.0.0/16"}}
        pair.peer.reload()
        pair.peer.initiate("net", check=False)
        pair.peer.initiate("other", check=False)
        lab.check("our defaults answer a peer that knows no ML-KEM", pair.ours.site("peer").get("ike", {}).get(
            "post_quantum_missing"), pair.ours.site("peer").get("ike"))
        lab.check("a child for each network: both carry traffic", a.pings("10.2.0.2") and a.pings("10.3.0.2")
                  and b.pings("10.1.0.2") and b.ping("10.1.0.2", source="10.3.0.2"))
        lab.check("a child for each network: two children in one IKE SA",
                  len(pair.ours.site("peer").get("children", [])) == 2, len(pair.ours.site("peer").get("children", [])))
        with Flow(a, b, "10.2.0.2") as one, Flow(a, b, "10.3.0.2", port=10) as two:
            for child in ("net", "other", "net"):
                time.sleep(0.7)
                pair.peer.rekey_child(child)
            pair.peer.rekey_ike()
            time.sleep(1)
        lab.check("a child for each network: rekeys lose nothing", one.lost == 0 and two.lost == 0,
                  f"{one.told()}; {two.told()}")


def narrowed(lab, hosts):
    a, ga, wan, gb, b = hosts
    for role in ("initiator", "responder"):
        with Pair(lab, f"start {'now' if role == 'initiator' else 'wait'}", hosts=hosts, ike="default", esp="default") as pair:
            pair.peer.children = {"net": {"local_ts": "10.2.0.0/24", "remote_ts": "10.1.0.0/24"}}
            pair.peer.reload()
            pair.peer.initiate(check=False) if role == "responder" else pair.ours.command("restart", "peer", check=False)
            lab.check(f"narrowed by the peer, we are {role}: traffic inside", a.pings("10.2.0.2"))
            children = pair.ours.site("peer").get("children", [{}])
            lab.check(f"narrowed by the peer, we are {role}: shown", children and children[0].get("remote") == ["10.2.0.0/24"],
                      children and children[0].get("remote"))


def ports(lab, hosts):
    """Only TCP to port 5001 behind the peer goes through the tunnel; nothing else leaves."""
    a, ga, wan, gb, b = hosts
    with Pair(lab, "only tcp 5001", hosts=hosts, ike="default", esp="default") as pair:
        pair.peer.children = {"net": {"local_ts": "10.2.0.0/16[tcp/5001]", "remote_ts": "10.1.0.0/16[tcp]"}}
        pair.peer.reload()
        pair.ours.command("restart", "peer", check=False)
        up = pair.ours.wait_up("peer")
        lab.check("only tcp 5001: up", up, "" if up else pair.ours.explain("peer"))
        server = b.start("python3", "-c", "import socket; s = socket.create_server(('10.2.0.2', 5001)); "
                         "c = s.accept()[0]; c.sendall(c.recv(100)); c.close()")
        time.sleep(0.5)
        told = a.run("python3", "-c", "import socket; c = socket.create_connection(('10.2.0.2', 5001), 5); "
                     "c.sendall(b'hello'); print(c.recv(100))", check=False).stdout
        lab.check("only tcp 5001: TCP to it passes", "hello" in told, told)
        lab.check("only tcp 5001: a ping does not", not a.ping("10.2.0.2"))
        server.wait(10)


MASQUERADE = """table ip nat {
  chain post {
    type nat hook postrouting priority 100;
    oifname out0 masquerade random;
  }
}
"""


def behind_nat(lab):
    """We are behind a masquerading router that changes ports."""
    a, ga, nat, wan, gb, b = (lab.host(n) for n in ("na", "nga", "nnat", "nwan", "ngb", "nb"))
    lab.link(ga, "wan", nat, "in0", ("192.168.7.2/24",), ("192.168.7.1/24",))
    lab.link(nat, "out0", wan, "br0.n", ("203.0.113.9/24",))
    lab.link(gb, "wan", wan, "br0.b", ("203.0.113.2/24",))
    lab.link(a, "eth0", ga, "lan", ("10.1.0.2/16",), ("10.1.0.1/16",))
    lab.link(b, "eth0", gb, "lan", ("10.2.0.2/16",), ("10.2.0.1/16",))
    a.route("default", "via", "10.1.0.1")
    b.route("default", "via", "10.2.0.1")
    ga.route("default", "via", "192.168.7.1")
    nat.run("nft", "-f", "-", text_in=MASQUERADE)
    ours = Sekisho(ga, CONFIG.format(peer="203.0.113.2", say="ga.example", identity="gb.example", more=""), {"peer": KEY})
    peer = Strongswan(gb, "203.0.113.2", "%any", "10.2.0.0/16", "10.1.0.0/16", local_id="gb.example",
                      remote_id="ga.example", ike="default", esp="default").start()
    ours.start()
    lab.check("behind a NAT with changed ports: up", ours.wait_up("peer"), "" if ours.is_up("peer") else ours.explain("peer"))
    lab.check("behind a NAT: traffic", a.pings("10.2.0.2") and b.pings("10.1.0.2"))
    lab.check("behind a NAT: said in status", "nat" in str(ours.site("peer").get("ike", {}).get("nat", "")).lower()
              or ours.site("peer").get("ike", {}).get("nat"))
    nat.run("nft", "flush", "ruleset")
    nat.run("conntrack", "-F")
    nat.run("nft", "-f", "-", text_in=MASQUERADE)
    lab.check("the NAT forgot us: traffic from our side goes on", a.pings("10.2.0.2", 15))
    lab.check("the NAT forgot us: and from the other", b.pings("10.1.0.2", 30))
    peer.kill()
    ours.kill()


MISMATCHES = [
    ("wrong key", {"key": "another-key-altogether-0123456789"}, {}, ["key"], ("A012", "A013")),
    ("no common IKE proposal", {"more": "ike aes256gcm16-sha384-x25519"}, {"ike": "aes128-sha256-modp2048"},
     ["aes256gcm16-prfsha384-x25519"], ("O001", "O001")),
    ("no common ESP proposal", {"more": "esp aes256gcm16"}, {"esp": "aes128-sha256"}, ["aes256gcm16"],
     ("O002", "O002")),
    ("the peer has another identity", {"identity": "somebody.example"}, {}, ["somebody.example"],
     ("A012", "A015")),
    ("the peer expects another identity", {"say": "nobody.example"}, {}, ["nobody.example"], ("A012", "A012")),
    ("ML-KEM is required, which it does not know", {"more": "post-quantum required"}, {}, ["post-quantum"],
     ("O013", "O013")),
    ("selectors that do not meet", {"more": "lan 10.99.0.0/16"}, {}, ["10.99.0.0/16"], ("N001", "N001")),
]


def mismatches(lab, hosts):
    for name, ours, theirs, words, codes in MISMATCHES:
        for role, code in zip(("initiator", "responder"), codes):
            given = dict(ours)
            more = given.pop("more", "") + ("\n  start now" if role == "initiator" else "\n  start wait")
            their = {"ike": "aes256gcm16-prfsha384-x25519,aes128gcm16-prfsha256-x25519,aes128-sha256-modp2048",
                     "esp": "aes256gcm16,aes128-sha256", **theirs}
            with Pair(lab, more, hosts=hosts, **given, **their) as pair:
                if role == "responder":
                    pair.peer.initiate(check=False)
                told = ""

                def explained():
                    nonlocal told
                    told = pair.ours.explain("peer")
                    return f"SEK-{code}" in told and all(word in told for word in words)
                good = wait_for(explained, 8, 0.3)
                lab.check(f"explain, {name}, we are {role}", good and not pair.a.ping("10.2.0.2"), "" if good else told)


PPK = "4pI8Wq7mYy0kq5TtMZ3fQ1dUu9sXcB2eNnRr6vHhJjA="


def ppk_of(name, required=True, key=PPK):
    """RFC 8784 for strongSwan: a connection that uses it, and the secret."""
    return {"ppk": f"ppk_id = {name}\n    ppk_required = {'yes' if required else 'no'}",
            "secrets": f'  ppk-{name} {{\n    id-1 = {name}\n    secret = "{key}"\n  }}\n'}


PPKS = [
    # name, ours, strongSwan's, what explain says of us as initiator and as responder
    ("another ID", "ppk @ppk id other", ppk_of("ppk"), ("A027", "A025")),
    ("another PPK", "ppk @ppk", ppk_of("ppk", key="0" * 44), ("A027", "A026")),
    ("another PPK, and both could do without", "ppk @ppk prefer", ppk_of("ppk", False, "0" * 44), ("A027", "A026")),
    ("we require one, the peer has none", "ppk @ppk", {"ppk": "", "secrets": ""}, ("A024", "A024")),
]


def ppks(lab, hosts):
    """Post-quantum preshared keys: both sides use one over rekeyings, do without, or say what does not fit."""
    for role in ("initiator", "responder"):
        start = "start now" if role == "initiator" else "start wait"
        name = f"PPK, we are {role}"
        pair = Pair(lab, f"ppk @ppk\n  {start}", hosts=hosts, **ppk_of("ppk"))
        pair.ours.secret("ppk", PPK)
        with pair:
            base = pair.ours.config.read_text()

            def again(ours, theirs):
                """The same two daemons with other settings."""
                pair.ours.command("down", "peer", check=False)
                pair.peer.settings.update(theirs)
                pair.peer.reload()
                pair.ours.write(base.replace("ppk @ppk\n", ours + "\n"))
                pair.ours.command("apply")
                pair.ours.command("up" if role == "initiator" else "status", "peer", check=False)
                if role == "responder":
                    pair.peer.initiate(check=False)

            if role == "responder":
                pair.peer.initiate(check=False)
            up = pair.ours.wait_up("peer", 10)
            told = pair.ours.command("status", "peer", "-v", check=False).stdout
            lab.check(f"{name}: up, and status says it", up and "ppk, in all keys of the traffic" in told,
                      told if up else pair.ours.explain("peer"))
            with Flow(pair.a, pair.b, "10.2.0.2") as there, Flow(pair.b, pair.a, "10.1.0.2") as back:
                pair.peer.rekey_ike()
                time.sleep(0.3)
                pair.ours.command("restart", "peer", "--rekey", check=False)
                time.sleep(0.3)
                pair.peer.rekey_child()
                time.sleep(0.3)
            lab.check(f"{name}: rekeys by both sides lose nothing", there.lost + back.lost == 0, there.told() + back.told())
            for case, ours, theirs, codes in PPKS:
                code = codes[role == "responder"]
                again(ours, theirs)
                good = wait_for(lambda: f"SEK-{code}" in pair.ours.explain("peer"), 8, 0.1)
                lab.check(f"{name}: {case}", good and not pair.ours.is_up("peer"),
                          "" if good else pair.ours.explain("peer"))
            # Where its connection names one, strongSwan that is called takes no other.
            another = ppk_of("ppk", False) if role == "responder" else {"ppk": "", "secrets": ppk_of("ppk")["secrets"]}
            for case, ours, theirs in (("the peer has none", "ppk @ppk prefer", {"ppk": "", "secrets": ""}),
                                       ("the peer has another", "ppk @ppk id other prefer", another)):
                again(ours, theirs)
                up = pair.ours.wait_up("peer", 10)
                lab.check(f"{name}: {case}, and both do without", up and pair.a.pings("10.2.0.2"),
                          "" if up else pair.ours.explain("peer"))
                lab.check(f"{name}: {case}, and status says it", "NO PPK" in pair.ours.command("status", check=False).stdout)


def main():
    with Lab("strongswan") as lab:
        hosts = two_sites(lab)
        defaults(lab, hosts)
        invalid_ke(lab, hosts)
        several_children(lab, hosts)
        narrowed(lab, hosts)
        ports(lab, hosts)
        suites(lab, hosts)
        mismatches(lab, hosts)
        ppks(lab, hosts)
        behind_nat(lab)


if __name__ == "__main__":
    main()
