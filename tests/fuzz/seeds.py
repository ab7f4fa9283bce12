#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets for packet formats from the recorded conversations and from packets made by hand.

    tests/fuzz/seeds.py    fills tests/fuzz/corpus again; what a run gives is the same every time
"""
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors" / "ike-kat"


def put(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def ipv4(protocol, payload, fragment=0x4000, options=b""):
    head = struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64,
                       protocol, 0, bytes([10, 1, 0, 2]), bytes([10, 2, 0, 9])) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(first, payload):
    source = bytes.fromhex("20010db8000000000000000000000001")
    return struct.pack(">IHBB", 6 << 28 | 0xB8 << 20, len(payload), first, 63) + source + source[:-1] + b"\2" + payload


def tcp(options, flags=2):
    options += b"\0" * (-len(options) % 4)
    return struct.pack(">HHIIBBHHH", 49152, 443, 1, 0, (20 + len(options)) // 4 << 4, flags, 65535, 0, 0) + options


UDP = struct.pack(">HHHH", 40000, 53, 13, 0) + b"hello"
SYN = tcp(bytes.fromhex("020405b40402080a000000010000000001030307"))
ECHO = bytes.fromhex("0800846812340001") + b"ab"
CHAIN = bytes.fromhex(
    "2b00050200000100" "3c02040000000000" + "01" * 8 + "02" * 8 + "2c01010c" + "00" * 12 + "33000001deadbeef"
    "3c04000000000100" "00000001" + "03" * 12 + "0600010400000000")


def packets():
    made = {
        "udp4": ipv4(17, UDP), "syn4": ipv4(6, SYN), "echo4": ipv4(1, ECHO), "fragment4": ipv4(17, UDP * 8, 0x2001),
        "last4": ipv4(17, UDP, 0x0004), "options4": ipv4(6, SYN, options=bytes([7, 11, 4]) + bytes(9)),
        "udp6": ipv6(17, UDP), "syn6": ipv6(6, SYN), "chain6": ipv6(0, CHAIN + SYN),
        "fragment6": ipv6(44, bytes.fromhex("1100000100000001") + UDP[:8] * 3), "none6": ipv6(59, b""),
        "toobig6": ipv6(58, bytes.fromhex("0200000000000514") + ipv6(17, UDP)),
        "unreachable4": ipv4(1, bytes.fromhex("0304000000000578") + ipv4(17, UDP)), "big4": ipv4(17, UDP + bytes(700)),
    }
    for name, data in made.items():
        put("ip", name, data)
        put("icmp", name, data)
    put("icmp", "echo", ECHO)
    for name, data in {"syn": SYN, "ack": tcp(b"\1\1\x08\x0a" + bytes(8), 16), "odd-mss": tcp(b"\1\2\4\5\xb4"),
                       "no-options": tcp(b""), "bad-option": tcp(b"\2\0\0\0"), "udp": UDP}.items():
        put("tcp", name, data)


def esp():
    put("esp", "padded", bytes.fromhex("c0ffee0100000001") + b"payload" + bytes(range(1, 8)) + b"\x07\x04")
    put("esp", "unpadded", bytes.fromhex("c0ffee0100000001") + b"\0\x3b")
    put("esp", "longest", bytes(range(1, 256)) + b"\xff\x04")
    put("natt", "keepalive", b"\xff")
    put("natt", "ike", bytes(4) + b"0123456789")
    put("natt", "esp", bytes.fromhex("c0ffee0100000001") + b"0123456789")
    put("natt", "runt", bytes(4))


def texts():
    words = ["10.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1",
             "64:ff9b::192.0.2.33", "203.0.113.1:500", "[2001:db8::1]:4500", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0",
             "00aBff7E", "Zm9vYmFy", "Zm8=", "remote-adresses", "a\nb\\\x7f"]
    for number, word in enumerate(words):
        put("address_text", f"{number:02}", word.encode())


def payloads(first, chain):
    while first and first != 46 and first != 53:
        following, length = chain[0], struct.unpack(">H", chain[2:4])[0]
        yield first, chain[4:length]
        first, chain = following, chain[length:]


def ikev2():
    seen = set()
    for path in sorted(VECTORS.glob("*ikev2*.json")):
        joined = b""
        for message in json.loads(path.read_text())["messages"]:
            if message["type"] != "ike":
                continue
            raw = bytes.fromhex(message["raw"])
            first, chain = raw[16], raw[28:]
            if "decrypted" in message:
                fragment = message.get("fragment", {"number": 1, "total": 1})
                joined = bytes.fromhex(message["decrypted"]) if fragment["number"] == 1 else (
                    joined + bytes.fromhex(message["decrypted"]))
                first = message["first_payload"] if fragment["number"] == 1 else first_of_message
                first_of_message, chain = first, joined
                if fragment["number"] < fragment["total"]:
                    put("ikev2_message", f"fragment-{path.stem[10:]}-{message['n']:02}", raw)
                    continue
            name = f"{path.stem[10:]}-{message['n']:02}"
            kinds = tuple((kind, len(body)) for kind, body in payloads(first, chain))
            if ("message", kinds) not in seen:
                seen.add(("message", kinds))
                # The inner chain in a clear message: what describes and walks it sees all payloads.
                head = raw[:16] + bytes([first]) + raw[17:24] + struct.pack(">I", 28 + len(chain))
                put("ikev2_message", name, head + chain)
            for number, (kind, body) in enumerate(payloads(first, chain)):
                if (kind, len(body)) in seen or len(body) > 600:
                    continue
                seen.add((kind, len(body)))
                if kind == 33:
                    put("ikev2_sa", f"{name}-{number}", body)
                else:
                    put("ikev2_payloads", f"{name}-{number}-{kind}", bytes([kind]) + body)
    put("ikev2_sa", "two", bytes.fromhex(
        "02000028010304 03c0ffee01 0300000c0100000c800e0100 0300000805000000 000000080300000c"
        "0000002202020002 0300000e01000014006300020707 0000000cf100040180630001".replace(" ", "")))
    put("ikev2_payloads", "ts-mixed", b"\x2c" + bytes.fromhex(
        "03000000 07060010001900190a0100000a01ffff 0a0000076c6162 080000280000ffff"
        "20010db8000000000000000000000000 20010db8ffffffffffffffffffffffff".replace(" ", "")))
    put("ikev2_payloads", "skf", b"\x35" + bytes.fromhex("00010002") + bytes(16))
    put("ikev2_payloads", "delete-two", b"\x2a" + bytes.fromhex("03040002c0ffee01c0ffee02"))


packets()
esp()
texts()
ikev2()
