#!/usr/bin/env python3
"""strongSwan with the IPsec of a real Linux kernel, in a guest: transport mode, AH, extended numbers, compression,
padding, NULL encryption, classes of service, a VTI; both roles, with a new child under traffic each. What is to be
protected is, and nothing else.

One charon has a connection for each way and role, told apart by the identities; each has a gateway of ours."""
import re
import shlex
import struct
import time
from typing import NamedTuple

from charon import Charon
from guest import Guest
from lab import KEY, Lab, Sekisho, wait_for

CONFIG = """gateway ga.example
site peer {{
  peer     {peer}
  key      @peer
  say      {name}.ours.example
  identity {name}.theirs.example
  encapsulate never
  start    {start}
  {more}
}}
"""
MAIL = """
import socket
door = socket.create_server(("", 25))
while True:
    guest, _ = door.accept()
    guest.sendall(b"220 hello\\r\\n")
    guest.close()
"""
OURS, THEIRS, ASKS = "203.0.113.1", "203.0.113.2", "203.0.113.8"
OUR_HOST, THEIR_HOST = "10.1.0.1", "10.2.0.2"
TUNNEL = "lan 10.1.0.0/16\n  network 10.2.0.0/16\n  "
TRANSPORT = "mode transport\n  "
CBC = {"esp": "aes128-sha256"}
TELEPHONES = 46
PROTOCOLS = {"icmp": 1, "tcp": 6, "esp": 50, "ah": 51}


def sizes(ask, protocol):
    return ask.sizes() and len(ask.outside(protocol, 10)) >= 10


def compressed(ask, protocol):
    """What ping sends repeats itself every 256 octets, so that of 1,300 few are left."""
    return ask.sizes() and ask.ping(1300) and ask.last(protocol, lambda p: p.length < 700)


def padded(ask, protocol):
    return ask.sizes() and ask.ping(20) and ask.last(protocol, lambda p: p.length > 1300)


def class_copied(ask, protocol):
    return ask.ping() and ask.last(protocol, lambda p: p.dscp == TELEPHONES)


def class_hidden(ask, protocol):
    return ask.ping() and ask.last(protocol, lambda p: p.dscp == 0)


# name, our lines, strongSwan's child, in a tunnel, what is looked at
WAYS = [
    ("ESP in transport mode", TRANSPORT + "esp aes128-sha256", CBC, False, sizes),
    ("ESP in transport mode, ESN", TRANSPORT + "esp aes128gcm16-esn", {"esp": "aes128gcm16-esn"}, False, sizes),
    ("ESP in tunnel mode, ESN", TUNNEL + "esp aes256-sha512-esn", {"esp": "aes256-sha512-esn"}, True, sizes),
    ("AH in transport mode", TRANSPORT + "ah sha256", {"protocol": "ah", "esp": "sha256"}, False, sizes),
    ("AH in transport mode, ESN", TRANSPORT + "ah sha512-esn", {"protocol": "ah", "esp": "sha512-esn"}, False, sizes),
    ("AH in tunnel mode", TUNNEL + "ah sha512", {"protocol": "ah", "esp": "sha512"}, True, sizes),
    ("AH in tunnel mode, ESN", TUNNEL + "ah sha384-esn", {"protocol": "ah", "esp": "sha384-esn"}, True, sizes),
    ("NULL encryption", TUNNEL + "legacy null\n  esp null-sha256", {"esp": "null-sha256"}, True, sizes),
    ("IPComp in tunnel mode", TUNNEL + "compress on\n  esp aes128-sha256", {**CBC, "more": "ipcomp = yes"}, True,
     compressed),
    ("IPComp in transport mode", TRANSPORT + "compress on\n  esp aes128-sha256", {**CBC, "more": "ipcomp = yes"}, False,
     compressed),
    ("padding to the MTU by both", TUNNEL + "tfc pad mtu\n  esp aes128gcm16",
     {"esp": "aes128gcm16", "more": "tfc_padding = mtu"}, True, padded),
    ("the class of service copied", TUNNEL + "esp aes128-sha256", {**CBC, "more": "copy_dscp = yes"}, True,
     class_copied),
    ("the class of service hidden", TUNNEL + "dscp clear\n  esp aes128-sha256", {**CBC, "more": "copy_dscp = no"}, True,
     class_hidden),
    ("a VTI", TUNNEL + "esp aes128-sha256",
     {**CBC, "more": "mark_in = 42\n mark_out = 42", "local_ts": "0.0.0.0/0", "remote_ts": "0.0.0.0/0"}, True, sizes),
]
ONLY_MAIL = ("only TCP 25 of both, in transport mode", TRANSPORT + "only tcp 25 both\n  esp aes128-sha256",
             {**CBC, "local_ts": "dynamic[tcp/25]", "remote_ts": "dynamic[tcp]"}, False, None)


class Packet(NamedTuple):
    protocol: int
    length: int
    dscp: int


class Tap:
    """All IPv4 packets on an interface, in order, as tcpdump writes them into a file."""

    def __init__(self, host, interface):
        self.path = host.lab.folder / "all.pcap"
        process = host.start("tcpdump", "-n", "-U", "--immediate-mode", "-s", 64, "-w", self.path, "-i", interface,
                             "ip")
        wait_for(lambda: "listening" in process.output_path.read_text(errors="replace"), 10)
        self.at, self.seen = 24, []

    def packets(self):
        """What came since forget()."""
        data = self.path.read_bytes()
        while self.at + 16 <= len(data):
            captured = struct.unpack_from("<I", data, self.at + 8)[0]
            head = self.at + 16 + 14
            if self.at + 16 + captured > len(data):
                break
            self.seen.append(Packet(data[head + 9], struct.unpack_from(">H", data, head + 2)[0], data[head + 1] >> 2))
            self.at += 16 + captured
        return self.seen

    def forget(self):
        time.sleep(0.1)
        self.packets()
        self.seen = []


class Ask:
    """Traffic in one way, and what is seen of it outside."""

    def __init__(self, ga, tap, tunnel):
        self.ga, self.tap = ga, tap
        self.address = THEIR_HOST if tunnel else THEIRS
        self.source = ["-I", OUR_HOST] if tunnel else []

    def words(self, *more):
        return ["ping", "-n", "-q", "-Q", hex(TELEPHONES << 2), "-W", 8, *more, *self.source, self.address]

    def ping(self, size=56):
        return self.ga.run(*self.words("-c", 1, "-s", size), check=False).returncode == 0

    def sizes(self):
        return all(self.ping(size) or self.ping(size) for size in (0, 100, 1300, 1472, 4000))

    def outside(self, protocol, least=0):
        """The packets of a protocol, or nothing when there are not so many."""
        def found():
            return [p for p in self.tap.packets() if p.protocol == PROTOCOLS[protocol]]
        return found() if wait_for(lambda: len(found()) >= least, 3) else []

    def last(self, protocol, true_of):
        """Whether it is true of the last two packets outside: a question and its answer."""
        found = self.outside(protocol, 2)[-2:]
        return len(found) == 2 and all(map(true_of, found))

    def rekey(self, order):
        """How many of 60 pings in a steady stream with a rekey in it were answered. It ends an interval after it sent the last
        one, so of the last ten, long after the rekey, only those are missed that a later one overtook."""
        process = self.ga.start(*(word for word in self.words("-c", 60, "-i", "0.02") if word != "-q"))
        time.sleep(0.3)
        order()
        process.wait(60)
        answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ", process.output_path.read_text())}
        last = max(answered, default=0)
        return len(answered) + (60 - last if last >= 50 else 0)


def spis(gateway):
    return [child.get("spi_in") for child in gateway.site("peer").get("children", [])]


def main():
    with Lab("modes") as lab:
        ga, wan = lab.host("ga"), lab.host("wan")
        lab.link(ga, "wan", wan, "br0.a", (OURS + "/24",))
        ga.ip("address", "add", OUR_HOST + "/32", "dev", "lo")
        guest = Guest(lab, wan, "kernel", [("br0", [THEIRS + "/24"])])
        guest.sh("ip address add 10.2.0.2/16 dev lo; ip route add 10.1.0.0/16 via 203.0.113.1 src 10.2.0.2; "
                 f"setsid /usr/bin/python3 -c {shlex.quote(MAIL)} >/dev/null 2>&1 </dev/null &")
        wan.address("br0", ASKS + "/24")
        charon = Charon(guest, THEIRS, OURS, kernel_esp=True, asked_at=(wan, THEIRS), routes="no")
        turns = []
        for number, way in enumerate([*WAYS, ONLY_MAIL]):
            for role in ("initiator", "responder"):
                turns.append((f"w{number}{role[0]}", role, *way))
                children, given = connection(turns[-1][0], way)
                charon.connection(turns[-1][0], children, **given)
        ga.start("python3", "-c", MAIL)
        tap = Tap(wan, "br0")
        charon.start()
        for turn in turns:
            run(lab, ga, tap, guest, charon, *turn)


def connection(name, way):
    given = dict(way[2])
    sides = ("10.2.0.0/16", "10.1.0.0/16") if way[3] else ("dynamic", "dynamic")
    child = {"local_ts": given.pop("local_ts", sides[0]), "remote_ts": given.pop("remote_ts", sides[1]),
             "mode": "tunnel" if way[3] else "transport"}
    children = {name: child}
    if way is ONLY_MAIL:
        children[name + "o"] = {**child, "local_ts": "dynamic[tcp]", "remote_ts": "dynamic[tcp/25]"}
    return children, given


def run(lab, ga, tap, guest, charon, short, role, name, more, child, tunnel, look):
    told = f"{name}, we are {role}"
    protocol = child.get("protocol", "esp")
    vti = "mark_in" in child.get("more", "")
    if vti:
        guest.sh("modprobe ip_vti; ip link add vti7 type vti local 203.0.113.2 remote 203.0.113.1 key 42 && "
                 "ip link set vti7 up && sysctl -qw net.ipv4.conf.vti7.disable_policy=1 && "
                 "ip route replace 10.1.0.0/16 dev vti7 src 10.2.0.2")
    start = "now" if role == "initiator" else "wait"
    gateway = Sekisho(ga, CONFIG.format(peer=THEIRS, name=short, start=start, more=more), {"peer": KEY}, name=short)
    gateway.start()
    if role == "responder":
        for name_of_child in charon.children_of(short):
            charon.initiate(name_of_child, check=False)
    up = gateway.wait_up("peer", 20)
    if lab.check(f"{told}: up", up, "" if up else gateway.explain("peer")[:300]):
        tap.forget()
        ask = Ask(ga, tap, tunnel)
        if look:
            good = look(ask, protocol)
            lab.check(f"{told}: traffic as agreed", good, "" if good else tap.packets()[-4:])
            before = spis(gateway)
            answered = ask.rekey(lambda: gateway.command("restart", "peer", "--rekey", check=False)
                                 if role == "initiator" else charon.rekey_child(short))
            lab.check(f"{told}: a new child under traffic, nothing lost", answered == 60 and spis(gateway) != before,
                      f"{answered} of 60")
            clear = ask.outside("icmp")
            lab.check(f"{told}: nothing in clear", not clear, clear[:2] or "")
        else:
            mail(lab, told, ga, guest, ask)
    gateway.stop()
    if vti:
        guest.sh("ip link del vti7; ip route replace 10.1.0.0/16 via 203.0.113.1 src 10.2.0.2")


def call(ga, port):
    line = f"exec 3<>/dev/tcp/{THEIRS}/{port}; head -1 <&3"
    return ga.run("timeout", "3", "bash", "-c", line, check=False).stdout


def mail(lab, told, ga, guest, ask):
    """Both are mail servers."""
    answer = wait_for(lambda: "220" in call(ga, 25), 10)
    clear = ask.outside("tcp")
    lab.check(f"{told}: mail arrives, as ESP and never in clear", answer and ask.outside("esp", 6) and not clear,
              clear[:2] or "")
    ask.tap.forget()
    answer = guest.sh(f"exec 3<>/dev/tcp/{OURS}/25; timeout 5 head -1 <&3", check=False).stdout
    lab.check(f"{told}: mail to us arrives, as ESP and never in clear",
              "220" in answer and ask.outside("esp", 6) and not ask.outside("tcp"))
    ask.tap.forget()
    lab.check(f"{told}: a ping is clear", ask.ping() and ask.outside("icmp", 2) and not ask.outside("esp"))
    call(ga, 9)
    lab.check(f"{told}: another port of TCP is clear", ask.outside("tcp", 2) and not ask.outside("esp"))


if __name__ == "__main__":
    main()
