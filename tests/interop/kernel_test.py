#!/usr/bin/env python3
"""strongSwan with the ESP of a real Linux kernel, in a User-Mode Linux guest: native ESP (protocol 50) and UDP
encapsulation, both roles, IPv4 and IPv6, the usual suites, rekeys under traffic."""
import pathlib
import re
import time

from guest import Guest
from lab import KEY, Lab, Sekisho, Sniffer, Strongswan
from strongswan_test import CONFIG

SUITES = [
    ("aes256gcm16-sha384-ecp384", "aes256gcm16", "aes256gcm16-prfsha384-ecp384", "aes256gcm16"),
    ("aes128-sha256-modp2048", "aes128-sha256", "aes128-sha256-modp2048", "aes128-sha256"),
    ("chacha20poly1305-sha256-x25519", "chacha20poly1305", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305"),
    ("aes256-sha384-ecp256", "aes256-sha384", "aes256-sha384-ecp256", "aes256-sha384"),
    ("aes256-sha512-modp3072", "aes256-sha512", "aes256-sha512-modp3072", "aes256-sha512"),
    ("aes128-aesxcbc-x25519", "aes128-aesxcbc", "aes128-aesxcbc-x25519", "aes128-aesxcbc"),
    ("aes128-aescmac-x25519", "aes128ctr-sha256", "aes128-aescmac-x25519", "aes128ctr-sha256"),
    ("aes128gcm16-sha256-x25519", "aes128gcm16-esn", "aes128gcm16-prfsha256-x25519", "aes128gcm16-esn"),
    ("aes128gcm16-sha256-x25519", "aes128-sha256-esn", "aes128gcm16-prfsha256-x25519", "aes128-sha256-esn"),
]


class Rig:
    def __init__(self, lab):
        self.lab = lab
        self.a, self.ga, self.wan = (lab.host(n) for n in ("a", "ga", "wan"))
        lab.link(self.ga, "wan", self.wan, "br0.a", ("203.0.113.1/24", "2001:db8:f::1/64"))
        lab.link(self.a, "eth0", self.ga, "lan", ("10.1.0.2/16", "fd01::2/64"), ("10.1.0.1/16", "fd01::1/64"))
        self.a.route("default", "via", "10.1.0.1")
        self.a.route("default6", "via", "fd01::1")
        self.guest = Guest(lab, self.wan, "gb", [("br0", ["203.0.113.2/24", "2001:db8:f::2/64"])])
        self.guest.sh("ip address add 10.2.0.2/16 dev lo; ip address add fd02::2/64 dev lo; "
                      "ip route add 10.1.0.0/16 via 203.0.113.1 src 10.2.0.2; "
                      "ip -6 route add fd01::/64 via 2001:db8:f::1 src fd02::2")
        self.wan.address("br0", "203.0.113.8/24")
        self.turn = 0
        self.peer = None

    def run(self, name, role, ours, theirs, encapsulate, six=False, during=None):
        lab = self.lab
        self.turn += 1
        addresses = ("2001:db8:f::1", "2001:db8:f::2") if six else ("203.0.113.1", "203.0.113.2")
        more = (f"ike {ours[0]}\n  esp {ours[1]}\n  encapsulate {encapsulate}\n  "
                f"start {'now' if role == 'initiator' else 'wait'}")
        gateway = Sekisho(self.ga, CONFIG.format(peer=addresses[1], say=addresses[0], identity=addresses[1], more=more),
                          {"peer": KEY}, name=f"gateway{self.turn}")
        peer = self.charon(addresses, theirs)
        gateway.start()
        if role == "responder":
            peer.initiate(check=False)
        up = gateway.wait_up("peer", 20)
        lab.check(f"{name}: up", up, "" if up else gateway.explain("peer"))
        if up:
            child = gateway.site("peer")["children"][0]
            lab.check(f"{name}: {'UDP' if child['encapsulated'] else 'native ESP'}",
                      child["encapsulated"] == (encapsulate == "always"))
            if encapsulate == "auto":
                told = gateway.command("trace", "peer", check=False).stdout
                good = bool(re.search(r"\bV\b", told)) == (role == "initiator")
                lab.check(f"{name}: a Vendor ID is sent in requests only", good, "" if good else told[:400])
            lab.check(f"{name}: IPv4 inside", self.a.pings("10.2.0.2"))
            lab.check(f"{name}: IPv6 inside", self.a.pings("fd02::2"))
            lab.check(f"{name}: sizes", all(self.a.pings("10.2.0.2", size=s, seconds=3)
                                            for s in (0, 500, 1300, 1400, 1472, 4000)))
            if during:
                during(name, gateway, peer)
        gateway.kill()
        peer.swanctl("--terminate", "--ike", "peer", "--force", "--timeout", "5", check=False)

    def charon(self, addresses, theirs):
        """One for all: the guest's processor needs seconds to start it. It gets a new connection each time."""
        if self.peer is None:
            self.peer = Strongswan(self.guest, addresses[1], addresses[0], "10.2.0.0/16,fd02::/64", "10.1.0.0/16,fd01::/64",
                                   kernel_esp=True, asked_at=(self.wan, "203.0.113.2"), ike=theirs[0],
                                   esp=theirs[1]).start()
        else:
            self.peer.settings.update(local=addresses[1], remote=addresses[0], local_id=addresses[1], remote_id=addresses[0],
                                      ike=theirs[0], esp=theirs[1])
            self.peer.reload()
        return self.peer

    def rekeys(self, name, gateway, peer):
        """The packets that arrive decrypted are counted by the guest's packet filter: its one slow processor may keep a
        program from reading them in time, which is nobody's loss."""
        self.guest.sh("iptables-legacy -F INPUT; iptables-legacy -A INPUT -p udp --dport 9 -j DROP")
        self.wan.ip("link", "set", "gb0", "txqueuelen", 20000)
        program = pathlib.Path(__file__).resolve().parent / "flow.py"
        stop = self.lab.folder / f"stop-{time.monotonic_ns()}"
        with Sniffer(self.wan, "br0", "net 10.0.0.0/8 or net fd00::/8") as clear:
            sending = self.a.start("python3", program, "send", "10.2.0.2", "9", "1000", "64", stop)
            for _ in range(2):
                time.sleep(1)
                peer.rekey_child()
                time.sleep(1)
                peer.rekey_ike()
                time.sleep(1)
                gateway.command("restart", "peer", "--rekey", check=False)
            time.sleep(1.5)
            stop.write_text("")
            sending.wait(10)
            time.sleep(2)
        sent = int(stop.read_text())
        seen = int(self.guest.sh("iptables-legacy -nvxL INPUT | awk '/dpt:9/ {print $1}'").stdout or 0)
        told = self.guest.sh("grep -v ' 0$' /proc/net/xfrm_stat; ip -s link show vec0 | tail -6", check=False).stdout
        self.lab.check(f"{name}: rekeys by both sides under 1,000 packets/s lose nothing", seen == sent,
                       f"{sent} sent, {sent - seen} lost" + ("" if seen == sent else f"; {told}"))
        self.lab.check(f"{name}: nothing in clear", not clear.seen, clear.seen[:2])


def main():
    with Lab("kernel") as lab:
        rig = Rig(lab)
        for index, (ike, esp, their_ike, their_esp) in enumerate(SUITES):
            role = "initiator" if index % 2 == 0 else "responder"
            rig.run(f"{esp}, native, we are {role}", role, (ike, esp), (their_ike, their_esp), "never",
                    during=rig.rekeys if index in (0, 1) else None)
        first = SUITES[0]
        for role in ("initiator", "responder"):
            rig.run(f"{first[1]}, in UDP, we are {role}", role, first[:2], first[2:], "always")
            rig.run(f"{first[1]}, native over IPv6, we are {role}", role, first[:2], first[2:], "never", six=True)
            rig.run(f"{first[1]}, as it comes, we are {role}", role, first[:2], first[2:], "auto")


if __name__ == "__main__":
    main()
