#!/usr/bin/env python3
"""What partners are told and what is known about them: the exported configuration of the other side in strongSwan and in
another of ours, presets, a child for each pair of networks, and who the peer looks like."""
import json
import sys
import time

from lab import KEY, Lab, Sekisho, Strongswan, call, two_sites

CONFIG = """gateway ga.example
listen  203.0.113.1
lan     10.1.0.0/16 10.5.0.0/16
site peer {{
  peer     203.0.113.2
  identity gb.example
  network  10.2.0.0/16
  key      @peer
  start    wait
  {more}
}}
"""


PPK = "4pI8Wq7mYy0kq5TtMZ3fQ1dUu9sXcB2eNnRr6vHhJjA="


class Exported(Strongswan):
    """strongSwan with a configuration that we wrote."""

    def __init__(self, text, *given, **more):
        super().__init__(*given, **more)
        self.text = text

    def write(self):
        super().write()
        (self.folder / "swanctl.conf").write_text(self.text)


def export(lab, ours, product, *words):
    return call(ours.build / "sekisho", "-c", ours.config, "export-peer", "peer", "--for", product, *words).stdout


def to_strongswan(lab, hosts, more, children):
    a, ga, _, gb, b = hosts
    ours = Sekisho(ga, CONFIG.format(more="ppk @ppk id osaka.2026\n  " + more), {"peer": KEY, "ppk": PPK}, name=f"for-{children}")
    quiet = export(lab, ours, "strongswan")
    lab.check("no key is exported without its word", all(
        key not in quiet and key.encode().hex() not in quiet for key in (KEY, PPK)) and "secret" in quiet)
    text = export(lab, ours, "strongswan", "--with-secret")
    lab.check("the key is exported with its word", KEY.encode().hex() in text and PPK.encode().hex() in text)
    ours.start()
    peer = Exported(text, gb, "203.0.113.2", "203.0.113.1", "", "", extra="send_vendor_id = yes")
    peer.start()
    up = ours.wait_up("peer")
    lab.check(f"strongSwan comes up with what was exported ({more})", up, "" if up else ours.explain("peer") + text + peer.log()[-2000:])
    if children > 1:
        # Those that are not begun yet come with their first packet.
        b.ping("10.1.0.2")
        ga.address("lan", "10.5.0.1/16")
        b.ping("10.5.0.1")
    lab.check("traffic both ways", a.pings("10.2.0.2") and b.pings("10.1.0.2"))
    site = ours.site("peer")
    kept = len(site.get("children", []))
    lab.check(f"{children} pairs of SAs", kept == children, kept)
    lab.check("the PPK is used", site["ike"]["ppk"] == {"id": "osaka.2026", "used": True, "in_ike": False}, site["ike"]["ppk"])
    lab.check("nothing is narrowed", not any(c["narrowed"] for c in site.get("children", [])))
    told = ours.command("status", "peer", check=False).stdout
    lab.check("the peer looks like strongSwan", site.get("ike", {}).get("looks_like") == "strongSwan" and
              "looks like strongSwan" in told, told)
    lab.check("explain says what the preset gave", "like strongswan" not in more or
              "like strongswan (strongSwan)" in ours.explain("peer"), ours.explain("peer"))
    peer.kill()
    ours.kill()


def to_ourselves(lab, hosts):
    a, ga, _, gb, b = hosts
    ours = Sekisho(ga, CONFIG.format(more="like sekisho\n  ike aes128gcm16-prfsha256-ecp256\n  lifetime child 20m\n  ppk @ppk"),
                   {"peer": KEY, "ppk": PPK}, name="exporting")
    text = export(lab, ours, "sekisho", "--with-secret")
    lab.check("the keys stand in remarks", f"# {KEY}" in text and f"# {PPK}" in text)
    theirs = Sekisho(gb, text, {"ga": KEY, "ga-ppk": PPK}, name="exported")
    lab.check("what was exported is good", theirs_is_good(theirs), text)
    ours.start()
    theirs.start()
    up = ours.wait_up("peer") and theirs.wait_up("ga")
    lab.check("two of ours come up with what was exported", up, text + ours.explain("peer") + theirs.explain("ga"))
    lab.check("traffic of two of ours", a.pings("10.2.0.2") and b.pings("10.1.0.2"))
    lab.check("what was said is used", "AES-128-GCM" in ours.site("peer").get("ike", {}).get("suite", ""))
    lab.check("with the PPK", theirs.site("ga").get("ike", {}).get("ppk") == {"id": "ppk", "used": True, "in_ike": True})
    lab.check("ours looks like ours", theirs.site("ga").get("ike", {}).get("looks_like") == "Sekisho")
    shown = ours.command("show", "config", "--all").stdout
    lab.check("what came from the preset is marked", any(
        line.split()[:1] == ["children"] and line.endswith("# like sekisho") for line in shown.splitlines()), shown)
    kept = json.loads(ours.command("trace", "peer", "--last", "5", "--json").stdout)["entries"]
    first = next((e for e in kept if e["kind"] == "connect" and e["good"]), {})
    lab.check("the negotiation is kept with what was agreed and its messages", first.get("site") == "peer" and
              "AES-128-GCM" in first.get("words", "") and len(first.get("messages", [])) >= 4 and
              first.get("looks_like") == "Sekisho", kept)
    told = ours.command("trace", "--last", "3").stdout
    lab.check("and told in words", "connect from 203.0.113.2" in told and "ok: AES-128-GCM" in told, told)
    lab.check("a wrong number is refused", ours.command("trace", "peer", "--last", "0", check=False).returncode == 2)
    lab.check("what was said is not", not any(
        line.split()[:1] == ["ike"] and "# like" in line for line in shown.splitlines()))
    ours.kill()
    # Killed, it would leave its guard, as a gateway that crashed is to: what comes from 10.1.0.0/16 by another device than its own
    # is dropped, and so is what strongSwan decrypts on the same host afterwards.
    theirs.stop()


def theirs_is_good(gateway):
    return call(gateway.build / "sekisho", "check", gateway.config, check=False).returncode == 0


def to_others(lab, hosts):
    """Products that are not here: what must stand in their words."""
    ours = Sekisho(hosts[1], CONFIG.format(more="children per-pair\n  lifetime ike 8h child 30m"), {"peer": KEY}, name="others")
    must = {
        "cisco-ios": ("crypto ikev2 proposal ga", " pre-shared-key", "permit ip 10.2.0.0 0.0.255.255 10.1.0.0 0.0.255.255",
                      "set security-association lifetime seconds 1800"),
        "cisco-asa": ("tunnel-group 203.0.113.1 type ipsec-l2l", "permit ip 10.2.0.0 255.255.0.0 10.5.0.0 255.255.0.0"),
        "fortigate": ("set remote-gw 203.0.113.1", "set keylife 28800", "set dst-subnet 10.5.0.0/16"),
        "mikrotik": ("/ip ipsec peer add name=ga address=203.0.113.1 exchange-mode=ike2", "dst-address=10.1.0.0/16"),
        "opnsense": ("remote_addrs = 203.0.113.1", "/usr/local/etc/swanctl/conf.d/ga.conf"),
        "libreswan": ("conn ga-1-2", "rightsubnet=10.5.0.0/16", "ikev2=insist"),
    }
    for product, words in must.items():
        text = export(lab, ours, product, "--with-secret")
        missing = [w for w in words if w not in text]
        lab.check(f"{product} gets its words", not missing, f"{missing}\n{text}")
        lab.check(f"{product} gets the key only when told", KEY in text or KEY.encode().hex() in text)
        quiet = export(lab, ours, product)
        lab.check(f"{product} gets no key else", KEY not in quiet and KEY.encode().hex() not in quiet)
    both = CONFIG.format(more="children per-pair").replace("10.5.0.0/16", "2001:db8:a::/48").replace(
        "10.2.0.0/16", "10.2.0.0/16 2001:db8:b::/48")
    two = Sekisho(hosts[1], both, {"peer": KEY}, name="families")
    for product, line in (("cisco-ios", "ipv6 access-list of their own"),
                          ("cisco-asa", "permit ip 2001:db8:b::/48 2001:db8:a::/48"),
                          ("fortigate", "set dst-subnet6 2001:db8:a::/48"), ("libreswan", "conn ga-2-2"),
                          ("mikrotik", "src-address=2001:db8:b::/48 dst-address=2001:db8:a::/48")):
        text = export(lab, two, product)
        mixed = [x for x in text.splitlines() if "10." in x and "2001:" in x and "edit" not in x]
        lab.check(f"{product}: networks of one family make a pair", line in text and not mixed, text)
    ours.write(CONFIG.format(more="ppk @ppk"))
    done = call(ours.build / "sekisho", "-c", ours.config, "export-peer", "peer", "--for", "fortigate", check=False)
    lab.check("a PPK that is required is not left out", done.returncode == 1 and "requires a PPK" in done.stderr, done.stderr)
    done = call(ours.build / "sekisho", "-c", ours.config, "export-peer", "peer", "--for", "toaster", check=False)
    lab.check("an unknown product is told with those that are known", done.returncode == 2 and "strongswan" in done.stderr)


def old(lab, hosts):
    """A site that speaks IKEv1: strongSwan comes up with what was exported, with an SA for each pair of networks; other products
    get the words of their older negotiation."""
    a, ga, _, gb, b = hosts
    ours = Sekisho(ga, CONFIG.format(more="ike v1"), {"peer": KEY}, name="old")
    text = export(lab, ours, "strongswan", "--with-secret")
    ours.start()
    peer = Exported(text, gb, "203.0.113.2", "203.0.113.1", "", "", extra="send_vendor_id = yes")
    peer.start()
    up = ours.wait_up("peer")
    lab.check("IKEv1: strongSwan comes up with what was exported", up, "" if up else ours.explain("peer") + text + peer.log()[-2000:])
    ga.address("lan", "10.5.0.1/16")
    lab.check("IKEv1: both pairs carry traffic", a.pings("10.2.0.2", 20) and b.pings("10.1.0.2", 20) and b.pings("10.5.0.1", 20))
    site = ours.site("peer")
    lab.check("IKEv1: an SA for each pair", len(site.get("children", [])) == 2 and site["ike"]["version"] == 1, site)
    lab.check("IKEv1: the peer looks like strongSwan", site["ike"]["looks_like"] == "strongSwan", site["ike"])
    peer.kill()
    ours.kill()
    ga.ip("address", "del", "10.5.0.1/16", "dev", "lan")
    weak = "ike v1 aggressive 3des-sha1-modp1024\n  esp 3des-sha1\n  legacy 3des sha1 modp1024 aggressive"
    must = {
        "cisco-ios": ("crypto isakmp policy 10", "set aggressive-mode password", "crypto map SEKISHO 10 ipsec-isakmp"),
        "cisco-asa": ("crypto ikev1 policy 10", "set ikev1 transform-set ga", "phase1-mode aggressive", " ikev1 pre-shared-key "),
        "fortigate": ("set ike-version 1", "set mode aggressive", "set proposal 3des-sha1"),
        "mikrotik": ("exchange-mode=aggressive", "enc-algorithm=3des"),
        "strongswan": ("version = 1", "aggressive = yes", "proposals = 3des-sha1-modp1024"),
        "libreswan": ("ikev2=no", "aggressive=yes", "# ike: nothing of what this site offers is known there"),
        "sekisho": ("ike v1 aggressive", "legacy aggressive 3des sha1 modp1024"),
    }
    ours.write(CONFIG.format(more=weak))
    for product, words in must.items():
        text = export(lab, ours, product)
        missing = [w for w in words if w not in text]
        lab.check(f"IKEv1: {product} gets its words", not missing, f"{missing}\n{text}" if missing else "")
        lab.check(f"IKEv1: {product} gets nothing of IKEv2", "ikev2 " not in text and "ike2" not in text)
    ours.write(CONFIG.format(more="ike v1 aes256-sha256-ecp256"))
    text = export(lab, ours, "cisco-asa")
    lab.check("IKEv1: what a product cannot is said", "Nothing of what this site offers" in text and "no group above" in text, text)


def probing(lab, hosts):
    """What a peer with odd proposals accepts is found by asking, one message a second."""
    ours = Sekisho(hosts[1], CONFIG.format(more=""), {"peer": KEY}, name="probing")
    peer = Strongswan(hosts[3], "203.0.113.2", "203.0.113.1", "10.2.0.0/16", "10.1.0.0/16",
                      ike="aes192-sha384-modp3072,3des-sha1-modp1024")
    peer.start()
    began = time.monotonic()
    done = hosts[1].run(ours.build / "sekisho", "-c", ours.config, "check", "--site", "peer", "--probe", "--json", check=False)
    took = time.monotonic() - began
    told = json.loads(done.stdout) if done.returncode == 0 else {}
    lab.check("asking finds the ciphers of an odd peer", told.get("ciphers") == "aes192, 3des", done.stdout + done.stderr)
    lab.check("and a group and a hash", "modp3072" in told.get("groups", "") and "sha384" in told.get("hashes", ""), told)
    lab.check("and says what to write", "ike aes192-sha384-modp3072" in told.get("advice", ""), told)
    lab.check("gently: at most 30, one a second", 0 < told.get("messages", 99) <= 30 and took > told.get("messages", 99) - 2,
              f"{told.get('messages')} in {took:.1f} s")
    lab.check("nothing was established", "ESTABLISHED" not in peer.sas())
    peer.kill()
    done = hosts[1].run(ours.build / "sekisho", "-c", ours.config, "check", "--site", "peer", "--probe", check=False)
    lab.check("a silent peer is told", done.returncode == 1 and "does not answer IKEv2" in done.stderr, done.stderr)
    # One that speaks IKEv1 alone.
    ours.write(CONFIG.format(more="ike v1"))
    peer = Strongswan(hosts[3], "203.0.113.2", "203.0.113.1", "10.2.0.0/16", "10.1.0.0/16", version="1",
                      ike="aes128-sha1-modp1536,3des-md5-modp1024", extra="send_vendor_id = yes")
    peer.start()
    done = hosts[1].run(ours.build / "sekisho", "-c", ours.config, "check", "--site", "peer", "--probe", "--json", check=False)
    told = json.loads(done.stdout) if done.returncode == 0 else {}
    lab.check("IKEv1: asking finds the ciphers of an old peer", told.get("ciphers") == "aes128, 3des" and told.get("ike") == "IKEv1",
              done.stdout + done.stderr)
    lab.check("IKEv1: and a group and a hash", told.get("groups") == "modp1536, modp1024" and told.get("hashes") == "sha1, md5", told)
    lab.check("IKEv1: and says what to write, and whom it looks like",
              "ike v1 aes128-sha1-modp1536; and: legacy sha1 modp1536" in told.get("advice", "") and
              told.get("looks_like") == "strongSwan", told)
    lab.check("IKEv1: nothing was established", "ESTABLISHED" not in peer.sas() and told.get("messages", 99) <= 30, told)
    peer.kill()


def main():
    with Lab("personas") as lab:
        hosts = two_sites(lab)
        parts = {"old": lambda: old(lab, hosts), "others": lambda: to_others(lab, hosts),
                 "probing": lambda: probing(lab, hosts),
                 "strongswan": lambda: (to_strongswan(lab, hosts, "like strongswan", 1),
                                        to_strongswan(lab, hosts, "children per-pair", 2)),
                 "ourselves": lambda: to_ourselves(lab, hosts)}
        for name in sys.argv[1:] or parts:
            parts[name]()


if __name__ == "__main__":
    main()
