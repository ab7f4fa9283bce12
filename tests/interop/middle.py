#!/usr/bin/env python3
"""Somebody on the path: carries frames between two interfaces and does to IPsec packets what he is told, a line at a time.

    middle.py LEFT RIGHT

    pass                 nothing
    ttl N                another TTL or hop limit, as any router would
    tos N                another traffic class
    source ADDRESS       another source address
    flip                 one bit of each, of packet n the one n behind the IP header's start
    double               each a second time, behind the next one
    drop N               the next N are lost

`left` or `right` before it: only for packets that come from there. Each line is answered with the number of IPsec packets
that were changed since the line before.
"""
import ipaddress
import select
import socket
import sys

ETH_P_ALL = 3
ETHER_BYTES = 14
ESP, AH, UDP = 50, 51, 17


def sum_of(octets):
    total = sum(int.from_bytes(octets[i:i + 2], "big") for i in range(0, len(octets), 2))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Packet:
    """What of a frame can be changed; IPv4 checksums are made right again."""

    def __init__(self, frame):
        self.frame = bytearray(frame)
        kind = int.from_bytes(frame[12:14], "big")
        self.version = {0x0800: 4, 0x86dd: 6}.get(kind, 0)
        self.protocol = None
        at = ETHER_BYTES
        if self.version == 4:
            self.head = (frame[at] & 15) * 4
            self.protocol = frame[at + 9]
            self.length = int.from_bytes(frame[at + 2:at + 4], "big")
        elif self.version == 6:
            self.head, following = 40, frame[at + 6]
            while following in (0, 43, 44, 60):
                more = 8 if following == 44 else (frame[at + self.head + 1] + 1) * 8
                following = frame[at + self.head]
                self.head += more
            self.protocol = following
            self.length = 40 + int.from_bytes(frame[at + 4:at + 6], "big")

    def is_ipsec(self):
        at = ETHER_BYTES + (self.head if self.protocol is not None else 0)
        return self.protocol in (ESP, AH) or (
            self.protocol == UDP and 4500 in (int.from_bytes(self.frame[at:at + 2], "big"),
                                              int.from_bytes(self.frame[at + 2:at + 4], "big")))

    def finish(self):
        if self.version == 4:
            at = ETHER_BYTES
            self.frame[at + 10:at + 12] = b"\0\0"
            self.frame[at + 10:at + 12] = sum_of(self.frame[at:at + self.head]).to_bytes(2, "big")

    def set_ttl(self, value):
        self.frame[ETHER_BYTES + (8 if self.version == 4 else 7)] = value

    def set_tos(self, value):
        at = ETHER_BYTES
        if self.version == 4:
            self.frame[at + 1] = value
        else:
            self.frame[at] = self.frame[at] & 0xf0 | value >> 4
            self.frame[at + 1] = self.frame[at + 1] & 0x0f | (value & 15) << 4

    def set_source(self, address):
        octets = ipaddress.ip_address(address).packed
        at = ETHER_BYTES + (12 if self.version == 4 else 8)
        self.frame[at:at + len(octets)] = octets

    def flip(self, number):
        behind = self.length - self.head
        self.frame[ETHER_BYTES + self.head + number % behind] ^= 1 << number % 8


class Middle:
    def __init__(self, interfaces):
        self.ends = []
        for interface in interfaces:
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            end.bind((interface, ETH_P_ALL))
            # PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC
            end.setsockopt(263, 1, socket.if_nametoindex(interface).to_bytes(4, "little") + b"\1\0\0\0" + bytes(8))
            self.ends.append(end)
        self.what, self.side, self.changed, self.number, self.late = ["pass"], None, 0, 0, None

    def change(self, frame):
        """The frames to send on instead of this one."""
        packet = Packet(frame)
        if self.what[0] == "pass" or not packet.version or not packet.is_ipsec():
            return [frame]
        if self.what[0] == "drop" and self.changed >= int(self.what[1]):
            return [frame]
        self.changed += 1
        if self.what[0] == "drop":
            return []
        if self.what[0] == "double":
            late, self.late = self.late, frame
            return [frame] + ([late] if late else [])
        if self.what[0] == "flip":
            packet.flip(self.number)
            self.number += 1
        else:
            {"ttl": lambda v: packet.set_ttl(int(v)), "tos": lambda v: packet.set_tos(int(v)),
             "source": packet.set_source}[self.what[0]](self.what[1])
            packet.finish()
        return [bytes(packet.frame)]

    def obey(self, line):
        words = line.split()
        print(self.changed, flush=True)
        self.side = {"left": 0, "right": 1}.get(words[0])
        self.what = words[1:] if self.side is not None else words
        self.changed, self.late = 0, None

    def carry(self):
        while True:
            for ready in select.select([*self.ends, sys.stdin], [], [])[0]:
                if ready is sys.stdin:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self.obey(line)
                    continue
                frame, address = ready.recvfrom(65536)
                if address[2] == socket.PACKET_OUTGOING:
                    continue
                side = self.ends.index(ready)
                frames = self.change(frame) if self.side in (None, side) else [frame]
                for one in frames:
                    try:
                        self.ends[1 - side].send(one)
                    except OSError:
                        pass


if __name__ == "__main__":
    middle = Middle(sys.argv[1:3])
    print("ready", flush=True)
    middle.carry()
