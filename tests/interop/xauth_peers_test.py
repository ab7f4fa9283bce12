#!/usr/bin/env python3
"""XAUTH, hybrid authentication and mode-config with other people's programs: vpnc and strongSwan log in to us, and we log in to
strongSwan; pull and push. Every session carries traffic."""
import re
import shutil
import sys
import time

from certificates_test import Authority
from lab import CHILD_CONF, SWANCTL_CONF, Flow, Lab, Sekisho, call, two_sites, wait_for
from vpnc import Vpnc
from xauth import WEAK, XauthStrongswan, rounds

GROUP = "a key for all of the group, long enough"
PASSWORD = "wonder"
BLOCK = """remote-access {name} {{
  via        xauth{hybrid}
  {proof}
  addresses  10.99.{n}.0/24
  dns        10.1.0.53 corp.example
  banner     "For staff only."
  settings   {settings}
  max-sessions off
  {more}
}}
"""
CERTIFICATE = "certificate own.pem key own.key\n  trust authorities.pem"
# name of the block, number of its pool, hybrid, how both prove themselves, more
BLOCKS = [
    ("cisco", 1, "", "group-name group1\n  key @group\n  legacy aggressive sha1 md5 modp1024", ""),
    ("shared", 2, "", "group-name shared.example\n  key @group\n  legacy aggressive", ""),
    ("signed", 3, "", "group-name gb.example\n  " + CERTIFICATE, ""),
    ("hybrid", 4, " hybrid", "group-name visitors.example\n  " + CERTIFICATE, ""),
]


def people(settings):
    return "gateway ga.example\nlan     10.1.0.0/16 10.5.0.0/16\n" + "".join(
        BLOCK.format(name=name, n=n, hybrid=hybrid, proof=proof, settings=settings, more=more)
        for name, n, hybrid, proof, more in BLOCKS)


class Many(XauthStrongswan):
    """One charon with a connection for each way in."""

    def __init__(self, host, local, remote):
        super().__init__(host, local, remote, "dynamic", "10.1.0.0/16", "")
        self.connections, self.more = [], ""

    def connection(self, name, kind, lines, server=False, child=None, **given):
        local_auth, remote_auth, more = rounds(kind, server)
        child = {"local_ts": "dynamic", "remote_ts": "10.1.0.0/16", **(child or {})}
        self.connections.append(({**self.settings, "connection": name, "local_auth": local_auth, "remote_auth": remote_auth,
                                  "ppk": f"{lines}\n {more}", **given}, {name: child}))

    def write(self):
        super().write()
        told = []
        for settings, children in self.connections:
            inner = "".join(CHILD_CONF.format(**{**settings, "name": child, **more}) for child, more in children.items())
            told.append(SWANCTL_CONF.format(**{**settings, "children": inner}))
        (self.folder / "swanctl.conf").write_text("\n".join([*told, self.more]))


class Bed:
    """ga is Sekisho with two networks behind it; gb is strongSwan, and a NAT for b, where vpnc is."""

    def __init__(self, lab):
        self.lab = lab
        self.a, self.ga, self.wan, self.gb, self.b = two_sites(lab)
        self.ga.address("lan", "10.5.0.1/16")
        self.a.address("eth0", "10.5.0.2/16")
        self.gb.run("nft", "-f", "-", text_in="table ip nat {\nchain out { type nat hook postrouting priority 100; "
                    "ip saddr 10.2.0.0/16 ip daddr 203.0.113.1 masquerade\n}\n}")
        authority = Authority(lab.folder / "ca", "Root", "rsa")
        self.authority = authority.file
        self.certificates = {name: authority.issue(name, (name,), "rsa") for name in ("ga.example", "gb.example")}

    def ours(self, config, name):
        made = Sekisho(self.ga, config, {"group": GROUP, "password": PASSWORD, "wrong": "another password"}, name=name)
        certificate, key = self.certificates["ga.example"]
        for source, target in ((certificate, "own.pem"), (key, "own.key"), (self.authority, "authorities.pem")):
            shutil.copyfile(source, made.folder / target)
        (made.folder / "own.key").chmod(0o600)
        return made

    def theirs(self):
        made = Many(self.gb, "203.0.113.2", "203.0.113.1")
        made.write()
        certificate, key = self.certificates["gb.example"]
        for source, target in ((certificate, "x509/own.pem"), (key, "private/own.key"), (self.authority, "x509ca/ca.pem")):
            shutil.copyfile(source, made.folder / target)
        return made


def sessions(ours, block):
    return [s for s in ours.status().get("sessions", []) if s["access"] == block and s["up"]]


def cisco_client(bed, ours):
    """vpnc behind a NAT."""
    lab = bed.lab
    client = Vpnc(bed.b, "203.0.113.1", "group1", GROUP, "alice", PASSWORD).start()
    told = client.wait_up()
    lab.check("vpnc: logs in", told, client.log()[-1500:] + ours.log()[-1500:])
    given = {word: value for word, value in told.items() if word.startswith(("CISCO", "INTERNAL"))}
    lab.check("vpnc: has an address of the pool", told.get("INTERNAL_IP4_ADDRESS", "").startswith("10.99.1."), given)
    lab.check("vpnc: is told DNS and domain",
              (told.get("INTERNAL_IP4_DNS"), told.get("CISCO_DEF_DOMAIN")) == ("10.1.0.53", "corp.example"), given)
    lab.check("vpnc: is shown the banner", "For staff only." in told.get("CISCO_BANNER", ""), given)
    lab.check("vpnc: is told what is behind us", [(told.get(f"CISCO_SPLIT_INC_{n}_ADDR"), told.get(f"CISCO_SPLIT_INC_{n}_MASKLEN"))
                                                  for n in range(3)] == [("10.1.0.0", "16"), ("10.5.0.0", "16"), (None, None)], given)
    lab.check("vpnc: traffic", bed.b.pings("10.1.0.2") and bed.b.pings("10.1.0.2", size=1200))
    lab.check("vpnc: its one SA, for everything, reaches the second network too", bed.b.pings("10.5.0.2"), ours.command("drops").stdout)
    lab.check("vpnc: traffic begun here", bed.a.pings(told.get("INTERNAL_IP4_ADDRESS", "10.99.1.1")))
    bed.b.route("192.0.2.0/24", "dev", "vpnc0")
    bed.b.ping("192.0.2.1", seconds=1)
    lab.check("vpnc: it may propose everything, but not go everywhere", wait_for(
        lambda: re.search(r"selector-mismatch .*\n.*10\.99\.1\.1 > 192\.0\.2\.1 ", ours.command("drops").stdout), 5),
              ours.command("drops").stdout)
    lab.check("vpnc: status says who is there", [s["user"] for s in sessions(ours, "cisco")] == ["alice"], ours.status().get("sessions"))
    client.stop()
    lab.check("vpnc: says good-bye", wait_for(lambda: not sessions(ours, "cisco"), 5), ours.status().get("sessions"))
    client = Vpnc(bed.b, "203.0.113.1", "group1", GROUP, "alice", "wrong", name="wrong").start()
    lab.check("vpnc, a wrong password: is refused", client.wait_over() not in (None, 0) and not client.told(), client.log())
    lab.check("vpnc, a wrong password: it is told here", wait_for(lambda: "SEK-A034" in ours.log(), 5), ours.log()[-800:])


WAYS_IN = [("PSK, Main Mode", "psk", "no", "shared.example", 2), ("PSK, Aggressive Mode", "psk", "yes", "shared.example", 2),
           ("RSA", "rsa", "no", "gb.example", 3), ("hybrid", "hybrid", "no", "visitors.example", 4)]

EVERYTHING = 0  # who proposes 0.0.0.0/0


def others_log_in(bed, ours):
    """strongSwan is the client: it asks for its settings, or waits for them."""
    lab = bed.lab
    peer = bed.theirs()
    peer.settings["extra"] = WEAK + "\n  install_virtual_ip = yes"
    for n, (_, kind, aggressive, identity, _) in enumerate(WAYS_IN):
        for way, pull in (("pull", "yes"), ("push", "no")):
            # A few ask for everything, as telephones do.
            peer.connection(f"{way}{n}", kind, f"vips = 0.0.0.0\n pull = {pull}", aggressive=aggressive, local_id=identity,
                            remote_id="ga.example", key=GROUP, child={"remote_ts": "0.0.0.0/0"} if n == EVERYTHING else {})
    peer.start()
    for way, word in (("pull", "asked"), ("push", "pushed")):
        ours.write(people(word))
        ours.command("apply", check=False)
        for n, (name, _, _, _, pool) in enumerate(WAYS_IN):
            done = peer.initiate(f"{way}{n}", check=False)
            good = lab.check(f"strongSwan is the client, {name}, {way}: traffic", bed.gb.pings("10.1.0.2", 6),
                             done.stdout[-1500:] + ours.log()[-1500:])
            if good:
                seen = [s for s in ours.status()["sessions"] if s["up"]]
                lab.check(f"strongSwan is the client, {name}, {way}: one session of its pool", len(seen) == 1 and
                          seen[0]["address"].startswith(f"10.99.{pool}."), seen)
            if good and way == "pull" and n == 0:
                before = seen[0]["address"]
                logins = ours.log().count("login of alice: accepted")
                with Flow(bed.gb, bed.a, "10.1.0.2", rate=200) as flow:
                    peer.swanctl("--rekey", "--ike", f"{way}{n}", check=False)
                    lab.check("phase 1 is renewed in a session: he logs in again", wait_for(
                        lambda: ours.log().count("login of alice: accepted") > logins, 5), peer.log()[-1500:])
                    peer.swanctl("--rekey", "--child", f"{way}{n}", check=False)
                    lab.check("its child is renewed", wait_for(
                        lambda: len(set(re.findall(f"CHILD_SA {way}{n}.* established with SPIs (.*)_i", peer.log()))) > 1, 5), peer.log()[-1500:])
                    time.sleep(1)
                lab.check("and nothing is lost", flow.received > 100 and flow.lost == 0, flow.told())
                lab.check("and the address stays", [s["address"] for s in ours.status()["sessions"] if s["up"]] == [before],
                          ours.status()["sessions"])
            if good and n == EVERYTHING:
                lab.check(f"strongSwan is the client, {name}, {way}, everything is proposed: the second network", bed.gb.pings("10.5.0.2", 6),
                          ours.command("drops").stdout)
            peer.swanctl("--terminate", "--ike", f"{way}{n}", "--timeout", "5", check=False)
            wait_for(lambda: not ours.status()["sessions"], 5)
    peer.kill()
    shutil.rmtree(peer.folder)


SITE = """site {name} {{
  peer     {peer}
  identity gb.example
  say      {say}
  network  10.2.{n}.0/24
  ike      v1{mode} aes256-sha256-modp2048
  login    {user} @{password}{hybrid}
  address  {address}
  pfs      off
  {more}
}}
"""
WAYS_OUT = [("PSK, Main Mode", "psk", ""), ("PSK, Aggressive Mode", "psk", " aggressive"), ("RSA", "rsa", ""), ("hybrid", "hybrid", "")]
PROOFS = {"psk": "key @group", "rsa": CERTIFICATE, "hybrid": CERTIFICATE}


def we_log_in(bed):
    """strongSwan is the server of all of them at once. With RSA and hybrid it tells connections apart by its own address only."""
    lab = bed.lab
    peer = bed.theirs()
    config, turns = "gateway ga.example\nlan 10.1.0.0/16\n", []
    bed.gb.address("wan", "203.0.113.3/24")
    for way, pull, address, at in (("pull", "yes", "ask", "203.0.113.2"), ("push", "no", "take", "203.0.113.3")):
        for name, kind, mode in WAYS_OUT:
            n = len(turns) + 1
            turns.append((f"site{n}", f"strongSwan is the server, {name}, {way}", n))
            more = PROOFS[kind] + ("\n  legacy aggressive" if mode else "")
            say = "ga.example" if kind == "rsa" else f"site{n}.example"
            config += SITE.format(name=f"site{n}", peer=at, say=say, n=n, mode=mode, user=f"user{n}", password="password",
                                  hybrid=" hybrid" if kind == "hybrid" else "", address=address, more=more)
            peer.connection(f"site{n}", kind, f"pools = clients\n pull = {pull}", server=True, local=at, aggressive="yes" if mode else "no",
                            local_id="gb.example", remote_id=say, key=GROUP,
                            child={"local_ts": f"10.2.{n}.0/24", "remote_ts": "dynamic"})
            peer.settings["secrets"] += f'xauth-user{n} {{\n id = user{n}\n secret = "{PASSWORD}"\n}}\n'
            bed.b.address("eth0", f"10.2.{n}.2/24")
            bed.gb.address("lan", f"10.2.{n}.1/24")
    config += SITE.format(name="wrong", peer="203.0.113.2", say="wrong.example", n=99, mode=" aggressive", user="alice",
                          password="wrong", hybrid="", address="ask", more="key @group\n  legacy aggressive")
    peer.connection("wrong", "psk", "pools = clients", server=True, aggressive="yes", local_id="gb.example", remote_id="wrong.example",
                    key=GROUP, child={"local_ts": "10.2.99.0/24", "remote_ts": "dynamic"})
    peer.more = "pools {\n clients {\n addrs = 10.99.0.0/24\n dns = 10.2.0.53\n }\n}\n"
    peer.start()
    ours = bed.ours(config, "client").start()
    for site, name, n in turns:
        up = ours.wait_up(site, 12)
        lab.check(f"{name}: up", up, "" if up else ours.explain(site) + peer.log()[-2500:])
        given = (ours.site(site).get("given") or {}) if up else {}
        lab.check(f"{name}: an address and a name server", given.get("address", "").startswith("10.99.0.") and
                  given.get("dns") == ["10.2.0.53"], given)
        lab.check(f"{name}: traffic", up and bed.ga.pings(f"10.2.{n}.2", source=given.get("address")))
    lab.check("a wrong password of ours is told", wait_for(lambda: "SEK-A036" in ours.explain("wrong"), 10), ours.explain("wrong"))
    ours.stop()
    peer.kill()


def main():
    with Lab("xauth") as lab:
        bed = Bed(lab)
        if "client" not in sys.argv[1:]:
            ours = bed.ours(people("asked"), "server").start()
            call(ours.build / "sekisho", "--run", ours.run_folder, "--state", ours.folder / "state", "-c", ours.config, "users", "add",
                 "alice", text_in=PASSWORD + "\n")
            cisco_client(bed, ours)
            others_log_in(bed, ours)
            ours.stop()
        we_log_in(bed)


if __name__ == "__main__":
    main()
