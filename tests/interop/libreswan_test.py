#!/usr/bin/env python3
"""Libreswan with its kernel's ESP in a guest: the configuration that we export for it, shared keys and certificates, both
roles, rekeying by both sides."""
from guest import Guest
from lab import KEY, Lab, Sekisho, call, wait_for
from libreswan import Libreswan, read_by_its_parser

CONFIG = """gateway ga.example
listen  203.0.113.1
lan     10.1.0.0/16
site peer {{
  peer     203.0.113.2
  identity gb.example
  network  10.2.0.0/16
  {key}
  start    {start}
  like     libreswan
  {more}
}}
"""


class Rig:
    def __init__(self, lab):
        self.lab = lab
        self.a, self.ga, self.wan = (lab.host(n) for n in ("a", "ga", "wan"))
        lab.link(self.ga, "wan", self.wan, "br0.a", ("203.0.113.1/24",))
        lab.link(self.a, "eth0", self.ga, "lan", ("10.1.0.2/16",), ("10.1.0.1/16",))
        self.a.route("default", "via", "10.1.0.1")
        self.guest = Guest(lab, self.wan, "gb", [("br0", ["203.0.113.2/24"])], memory="256M")
        self.guest.sh("ip address add 10.2.0.2/16 dev lo; ip route add 10.1.0.0/16 via 203.0.113.1 src 10.2.0.2")
        self.turn = 0

    def gateway(self, start, key="key @peer", more="", certificates=None):
        self.turn += 1
        ours = Sekisho(self.ga, CONFIG.format(key=key, start=start, more=more), {"peer": KEY}, name=f"gateway{self.turn}")
        return ours

    def export(self, ours, *words):
        return call(ours.build / "sekisho", "-c", ours.config, "export-peer", "peer", "--for", "libreswan", *words).stdout

    def up(self, name, ours, peer, rekeys=False):
        lab = self.lab
        up = ours.wait_up("peer", 40)
        lab.check(f"{name}: up", up, "" if up else ours.explain("peer") + peer.log()[-3000:])
        if not up:
            return
        lab.check(f"{name}: traffic", self.a.pings("10.2.0.2") and self.a.pings("10.2.0.2", size=1400))
        lab.check(f"{name}: traffic begun there", wait_for(
            lambda: self.guest.sh("ping -n -c 1 -W 1 -I 10.2.0.2 10.1.0.2", check=False).returncode == 0, 6))
        if rekeys:
            self.rekeys(name, ours, peer)

    def rekeys(self, name, ours, peer):
        before = ours.site("peer")["children"][0]["spi_in"]
        ours.command("restart", "peer", "--rekey", check=False)
        changed = wait_for(lambda: [c["spi_in"] for c in ours.site("peer").get("children", [])][:1] not in ([before], []), 8)
        self.lab.check(f"{name}: we renew the child", changed and self.a.pings("10.2.0.2"), peer.log()[-1500:])
        before = ours.site("peer")["children"][0]["spi_in"]
        peer.sh("whack --rekey-ipsec --name ga", check=False)
        changed = wait_for(lambda: [c["spi_in"] for c in ours.site("peer").get("children", [])][:1] not in ([before], []), 8)
        self.lab.check(f"{name}: Libreswan renews the child", changed and self.a.pings("10.2.0.2"), peer.log()[-1500:])
        before = ours.site("peer")["ike"]["spi_i"]
        peer.sh("whack --rekey-ike --name ga", check=False)
        changed = wait_for(lambda: ours.site("peer").get("ike", {}).get("spi_i") not in (before, None), 8)
        self.lab.check(f"{name}: Libreswan renews the IKE SA", changed and self.a.pings("10.2.0.2"), peer.log()[-1500:])


def shared_key(rig):
    lab = rig.lab
    for role, start in (("initiator", "now"), ("responder", "wait")):
        ours = rig.gateway(start)
        text = rig.export(ours, "--with-secret")
        path = lab.folder / f"exported-{role}.conf"
        path.write_text(text)
        good, words = read_by_its_parser(path)
        lab.check(f"exported, {role}: Libreswan's parser takes it", good, words + text)
        # The secrets stand in a remark, for the file where they belong. What is started is started by hand here.
        secrets = [line[2:] for line in text.splitlines() if " : PSK " in line]
        peer = Libreswan(rig.guest, text.replace("auto=start", "auto=add").replace("auto=ondemand", "auto=add"),
                         "\n".join(secrets) + "\n").start().load("ga")
        ours.start()
        if role == "responder":
            peer.initiate("ga")
        rig.up(f"shared key, we are {role}", ours, peer, rekeys=role == "responder")
        peer.kill()
        ours.stop()


def certificates(rig):
    lab = rig.lab
    first = None
    for role, start in (("initiator", "now"), ("responder", "wait")):
        ours = rig.gateway(start, key="")

        def ca(*words):
            return call(ours.build / "sekisho", "-c", ours.config, "ca", *words).stdout

        if first is None:
            ca("init")
            ca("issue", "ga.example", "203.0.113.1")
            ca("issue", "gb.example", "203.0.113.2")
            bundle = lab.folder / "gb.p12"
            secret = ca("export", "gb.example", "-o", bundle, "--compat").split()[-1]
            first = ours
        else:
            for name in ("ca", "certificates"):
                call("cp", "-a", first.folder / name, ours.folder / name)
        text = rig.export(ours).replace("leftcert=peer", "leftcert=gb.example")
        peer = Libreswan(rig.guest, text.replace("auto=start", "auto=add").replace("auto=ondemand", "auto=add"), "",
                         (bundle, secret), ours.folder / "ca" / "ca.pem").start().load("ga")
        ours.start()
        if role == "responder":
            peer.initiate("ga")
        rig.up(f"certificates, we are {role}", ours, peer)
        peer.kill()
        ours.stop()


def main():
    with Lab("libreswan") as lab:
        rig = Rig(lab)
        shared_key(rig)
        certificates(rig)


if __name__ == "__main__":
    main()
