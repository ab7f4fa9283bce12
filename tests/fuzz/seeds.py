#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets for packet formats from the recorded conversations and from packets made by hand.

    tests/fuzz/seeds.py    fills tests/fuzz/corpus again; what a run gives is the same every time
"""
import json
import pathlib
import struct
import zlib

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


def ipv4(protocol, payload, fragment=0x4000, options=b"", sites=(1, 2)):
    head = struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64,
                       protocol, 0, bytes([10, sites[0], 0, 2]), bytes([10, sites[1], 0, 9])) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(first, payload, sites=(0, 0)):
    ends = b"".join(bytes.fromhex("20010db8") + struct.pack(">H", site) + bytes(9) + bytes([host + 1])
                    for host, site in enumerate(sites))
    return struct.pack(">IHBB", 6 << 28 | 0xB8 << 20, len(payload), first, 63) + ends + payload


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
    message = lambda body: (2 + len(body)).to_bytes(2, "big") + body
    ike = message(bytes(4) + b"0123456789")
    esp = message(bytes.fromhex("c0ffee0100000001") + b"0123456789")
    # The first octet says whether a prefix is due, the second how the stream is cut.
    put("tcp_stream", "originator", b"\x01\x07IKETCP" + ike + esp + message(b"\xff") + message(b"") + esp)
    put("tcp_stream", "responder", b"\x00\x01" + ike + esp)
    put("tcp_stream", "zero", b"\x00\x03" + ike + bytes(2) + esp)
    put("tcp_stream", "one", b"\x01\x03IKETCP" + esp + b"\x00\x01")
    put("tcp_stream", "huge", b"\x00\x10" + esp + b"\xff\xff" + bytes(40))
    put("tcp_stream", "http", b"\x01\x05GET / HTTP/1.1\r\n")


def ah():
    head = lambda following, icv: bytes([following, 1 + len(icv) // 4]) + bytes.fromhex("0000c0ffee0100000007") + icv
    last = ipv6(0, b"")[8:24]
    route = bytes([51, 4, 0, 2]) + bytes(4) + last + last[:15] + b"\x09"
    made = {
        "plain4": (5, ipv4(51, head(17, bytes(12)) + UDP)), "plain6": (10, ipv6(51, head(17, bytes(20)) + UDP)),
        "options4": (8, ipv4(51, head(6, bytes(16)) + SYN, options=bytes.fromhex("94040000070704000000000100000000")[:12])),
        "route4": (8, ipv4(51, head(6, bytes(16)) + SYN, options=bytes.fromhex("830b040a0909010a09090200"))),
        "options6": (14, ipv6(0, bytes.fromhex("3c00 0502 0000 0100") + bytes.fromhex("3300 3e04 01020304")
                              + head(6, bytes(12)) + SYN)),
        "route6": (20, ipv6(43, route + head(6, bytes(12)) + SYN)),
        "jumbo6": (12, ipv6(0, bytes.fromhex("3300c20400010000") + head(6, bytes(12)) + SYN)),
        "chain6": (10, ipv6(0, CHAIN + SYN)), "fragment4": (5, ipv4(17, UDP * 8, 0x2001)),
    }
    for name, (place, packet) in made.items():
        put("ah", name, bytes([place]) + packet)
    put("ah", "head", b"\0" + head(6, bytes(12)))


def payloads_of_esp():
    put("ipcomp", "deflate", bytes.fromhex("06000002") + b"\x4b\xcb\xcf\x07\0")
    put("ipcomp", "negotiated", bytes.fromhex("0400efff") + bytes(8))
    two = ipv4(17, UDP) + ipv6(17, UDP)
    control = bytes.fromhex("0103000000000064aaaaaeaaaaaccccddeadbeefc0ffee01")
    for name, payload in {"two": bytes(4) + two + bytes(30), "control": control + two, "rest": bytes.fromhex("00000014") +
                          bytes(range(20)) + two, "middle": bytes.fromhex("00000fff") + bytes(40), "cut": bytes(4) + two[:-9],
                          "short": bytes(4) + ipv4(17, UDP) + b"\x60\0\0", "empty": control, "use": b"\3",
                          "bad-block": bytes(4) + b"\x50" + bytes(20)}.items():
        put("aggfrag", name, payload)


def journeys():
    esp = bytes.fromhex("c0ffee0100000001") + bytes(40)
    ah = bytes.fromhex("11040000c0ffee0200000007") + bytes(12)
    mtu = bytes.fromhex("0304000000000514")
    made = {"esp4": ipv4(1, mtu + ipv4(50, esp)[:28]), "ah4": ipv4(1, mtu + ipv4(51, ah + UDP)), "udp4": ipv4(1, mtu + ipv4(17, UDP))}
    mtu = bytes.fromhex("0200000000000500")
    for name, quoted in {"esp6": ipv6(50, esp), "ah6": ipv6(51, ah + UDP), "chain6": ipv6(0, CHAIN + SYN),
                         "options6": ipv6(60, bytes.fromhex("3200010400000000") + esp),
                         "fragment6": ipv6(44, bytes.fromhex("3200000100000001") + esp)}.items():
        made[name] = ipv6(58, mtu + quoted)
    for name, packet in made.items():
        put("icmp_error", name, packet)
    ends = bytes(range(64))
    for name, packet in {"udp4": ipv4(17, UDP), "syn4": ipv4(6, SYN), "syn6": ipv6(6, SYN), "echo6": ipv6(58, ECHO),
                         "sum4": ipv4(17, UDP[:6] + b"\x12\x34" + UDP[8:]), "chain6": ipv6(0, CHAIN + SYN)}.items():
        put("transport_checksum", name, ends + packet)
    for name, packet in {"esp": ipv6(50, esp * 6), "hop": ipv6(0, bytes.fromhex("3200010400000000") + esp * 6),
                         "route": ipv6(43, bytes.fromhex("3c00000000000000 3200010400000000") + esp * 6)}.items():
        put("ipv6_cut", name, struct.pack(">H", 150) + packet)


def captures():
    def option(code, value):
        return struct.pack(">HH", code, len(value)) + value + bytes(-len(value) % 4)

    def block(kind, body):
        return struct.pack(">II", kind, 12 + len(body)) + body + struct.pack(">I", 12 + len(body))

    section = block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1) + option(4, b"sekisho") + bytes(4))
    interface = block(1, struct.pack(">HHI", 101, 0, 96) + option(2, b"outside") + option(9, b"\x09") + bytes(4))
    packet = ipv4(17, UDP)
    packet = struct.pack(">IQII", 0, 1700000000000000000, len(packet), 1500) + packet + bytes(-len(packet) % 4)
    comment = option(1, b"to kyoto, refused")
    for name, data in {
            "empty": section, "packet": section + interface + block(6, packet),
            "comments": section + interface + block(6, packet + option(2, b"\0\0\0\1") + comment * 2 + bytes(4)),
            "two": section + interface * 2 + block(6, packet) + section + interface + block(6, packet + comment + bytes(4)),
            "other-order": section[:8] + b"\x4d\x3c\x2b\x1a" + section[12:], "no-interface": section + block(6, packet)}.items():
        put("pcapng", name, data)


def nest():
    """Orders to the peer of dataplane_nest: SA, how, next header, outer options, length, what is inside."""
    def order(index, how, following, inner, options=0):
        return struct.pack(">BBBBH", index, how, following, options, len(inner)) + inner

    four, six = ipv4(17, UDP, sites=(2, 1)), ipv6(17, UDP, sites=(0x0B, 0x0A))
    inside = {5: (4, four), 6: (41, six), 7: (4, four), 11: (41, six), 13: (41, six), 14: (4, four),
              8: (144, bytes(4) + four + four + bytes(50))}
    for index in range(15):
        following, inner = inside.get(index, (17, UDP))
        made = order(index, 1, following, inner)
        put("dataplane_nest", f"{index:02}-good", made + order(index, 9, following, inner))
        put("dataplane_nest", f"{index:02}-alone", order(index, 3, following, inner) + order(index, 5, following, inner))
        put("dataplane_nest", f"{index:02}-batch", order(index, 33, following, inner) * 3 + order(index, 17, 59, inner, 1))
    put("dataplane_nest", "compressed", order(5, 1, 108, bytes.fromhex("04000002") + zlib.compress(four, wbits=-15)))
    put("dataplane_nest", "mixture", b"".join(order(i, 33, *inside.get(i, (17, UDP))) for i in range(15)) + order(8, 65, 144, b""))


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
    put("ikev2_payloads", "ipcomp", b"\x29" + bytes.fromhex("00004003123402"))
    put("ikev2_payloads", "aggfrag", b"\x29" + bytes.fromhex("0000403a03"))
    put("ikev2_payloads", "rekey-ah", b"\x29" + bytes.fromhex("02044009c0ffee01"))
    put("ikev2_payloads", "delete-ah", b"\x2a" + bytes.fromhex("02040002c0ffee01c0ffee02"))
    put("ikev2_payloads", "delete-two", b"\x2a" + bytes.fromhex("03040002c0ffee01c0ffee02"))


def ikev1():
    seen = set()
    for path in sorted(VECTORS.glob("*ikev1*.json")):
        for message in json.loads(path.read_text())["messages"]:
            if message["type"] != "ike":
                continue
            raw = bytes.fromhex(message["raw"])
            first, chain = raw[16], raw[28:]
            if "decrypted" in message:
                first, chain = message["first_payload"], bytes.fromhex(message["decrypted"])
            kinds = tuple((kind, len(body)) for kind, body in payloads(first, chain))
            if kinds in seen:
                continue
            seen.add(kinds)
            name = f"{path.stem[10:15]}-{message['n']:02}"
            head = raw[:16] + bytes([first]) + raw[17:24] + struct.pack(">I", 28 + len(chain))
            put("ikev1_message", name, head + chain)
            put("ikev1_inner", name, bytes([first]) + chain + bytes(-len(chain) % 16))
    bundle = bytes.fromhex(
        "00000001 00000001 0200002001020402a1a2a3a4 0300000801020000 0000000c0203000080050002"
        "0200001c01030401b1b2b3b4 0000001001030000 8004000180050002 0000001802020401c1c2c3c4 0000000c0103000080050002"
        .replace(" ", ""))
    one = lambda kind, body: bytes([kind, 0, 0]) + (4 + len(body)).to_bytes(2, "big") + body
    put("ikev1_inner", "bundle", one(1, bundle))
    put("ikev1_inner", "life", one(1, bytes.fromhex(
        "00000001 00000001 0000002c00010001 0000002401010000 80010007800e0100800200048004000e80030001"
        "800b0001000c000400015180".replace(" ", ""))))
    for kind, body in {5: "0711000a0a0100010a010009", 130: "", 131: "01000000c0000201", 132: "000702010102",
                       14: "0300000170040000" "f0010001" "7004000e0a010000ffff0000000000000000",
                       12: "0000000101100001" + "11" * 16, 11: "00000001010060008 00b0001800c0e10".replace(" ", ""),
                       6: "0430", 13: "4048b7d56ebce88525e7de7f00d6c2d3c0000000"}.items():
        put("ikev1_inner", f"payload-{kind}", one(kind, bytes.fromhex(body)))


def conversation():
    """The messages of one recorded conversation: clear ones raw, the others as (exchange, flags, first, chain)."""
    for path in sorted(VECTORS.glob("*ikev2*.json")):
        for message in json.loads(path.read_text())["messages"]:
            if message["type"] == "ike" and "fragment" not in message:
                yield path.stem[10:], message


def machines():
    kinds = {34: 6, 35: 4, 36: 0, 37: 2}
    seen = set()
    for name, message in conversation():
        raw = bytes.fromhex(message["raw"])
        label = f"{name[:10]}-{message['n']:02}"
        if "decrypted" not in message:
            if "psk" in name:
                continue
            for wanted in (0, 1):
                put("ikev2_gate", f"{label}-{wanted}", bytes([wanted]) + raw)
            for how in (0x08, 0x1A, 0x31, 0x3C, 0x35):
                put("ikev2_stranger", f"{label}-{how:02x}", bytes([how]) + raw)
            continue
        chain = bytes.fromhex(message["decrypted"])
        shape = (message["first_payload"], raw[18], len(chain))
        if shape in seen or len(chain) > 900:
            continue
        seen.add(shape)
        response = 1 if message["flags"] & 0x20 else 0
        kind = kinds[raw[18]] | response
        cbc = 8 if "aes128" in name else 0
        if response and raw[18] == 36:
            # Asked for by an order before: 96 rekeys the IKE SA, 97 the child.
            for ordered in (96, 97):
                put("ikev2_authentic", f"answer-{label}-{ordered}", bytes([4 + cbc, ordered, 0x80, 0x80, kind,
                    message["first_payload"]]) + struct.pack(">H", len(chain)) + chain)
        for stage in (2, 3, 4):
            if (raw[18] == 35) != (stage < 4):
                continue
            for side in (0, 0x80) if stage == 4 else (0x80 if response else 0,):
                put("ikev2_authentic", f"forge-{label}-{stage}-{side >> 7}", bytes([stage + cbc, side, 0x80, kind,
                    message["first_payload"]]) + struct.pack(">H", len(chain)) + chain)
    # RFC 9370: both are up after six datagrams; a rekeying (96 the IKE SA, 97 the child), some of it delivered, and then
    # what is under way changed, or a key exchange of a series forged.
    link = struct.pack(">BBHBBH", 34, 0, 16, 0, 0, 16441) + bytes(8)
    value = struct.pack(">BBHHH", 0, 0, 8 + 64, 19, 0) + bytes(range(64))
    for ordered in (96, 97):
        for delivered in range(4):
            before = bytes([128 + 6, ordered]) + bytes([112]) * delivered
            put("ikev2_authentic", f"series-{ordered}-{delivered}", before + bytes([112]) * 12)
            put("ikev2_authentic", f"series-changed-{ordered}-{delivered}", before + bytes([48, 1, 0, 9, 1]) + bytes([112]) * 8)
            put("ikev2_authentic", f"series-forged-{ordered}-{delivered}", before + bytes([0, 0x80, 12, 41]) +
                struct.pack(">H", len(link + value)) + link + value + bytes([112]) * 8)
    init = bytes.fromhex(next(conversation())[1]["raw"])
    put("ikev2_gate", "version", b"\0" + init[:17] + b"\x30" + init[18:])
    put("ikev2_gate", "unknown-spi", b"\0" + bytes(range(1, 17)) + bytes.fromhex("2e202508000000010000001c"))
    put("ikev2_stranger", "informational", b"\x3c" + init[:16] + bytes.fromhex("2e202508000000020000004c") + bytes(48))
    put("ikev2_stranger", "auth-response", b"\x33" + init[:16] + bytes.fromhex("2e202320000000010000004c") + bytes(48))
    events = {
        "plain": [0, 85, 85], "nat": [1, 85, 91, 96, 85], "cookies": [2, 85], "held": [8, 45, 0, 0, 173, 0, 0, 0, 85],
        "rekeys": [16, 85, 42, 0, 170, 0, 85, 43, 0, 171, 0, 85, 44, 2, 85],
        "crossing": [0, 85, 42, 0, 170, 0, 1, 1, 1, 0, 85, 43, 0, 171, 0, 1, 1, 85],
        "lost": [0, 2, 0, 70, 11, 85, 2, 0, 70, 12, 3, 0, 3, 0, 85], "closed": [0, 85, 90, 85, 92, 85],
        "children": [16, 85, 40, 0, 44, 2, 85, 45, 0, 40, 1, 172, 1, 85, 70, 15, 70, 15],
        "damaged": [0, 4, 0, 0, 30, 1, 4, 0, 0, 99, 255, 85], "dead": [0, 85, 46, 0, 2, 0, 70, 15, 2, 0, 70, 15, 2, 0],
        "transport": [32, 85, 43, 0, 171, 0, 85, 85], "transport-nat": [33, 85, 43, 0, 85, 171, 0, 85, 91, 96, 85],
        "ah": [64, 85, 43, 0, 171, 0, 85, 45, 0, 85], "ah-nat": [65, 85, 44, 0, 85],
        "notifies": [128, 85, 43, 0, 171, 0, 85, 43, 1, 85], "transport-ah": [224, 85, 43, 0, 85, 171, 0, 85],
        "probe": [0, 85, 93, 5, 220, 85, 221, 4, 0, 2, 0, 70, 11, 85],
        "packets": [0, 94, 129, 94, 130, 85, 222, 131, 85, 94, 129, 85, 43, 0, 43, 1, 85],
    }
    for name, steps in events.items():
        put("ikev2_events", name, bytes(steps))
    for name, steps in {"auth": [2, 48, 1, 0, 40, 1], "response": [3, 48, 1, 0, 60, 2], "proposal": [2, 48, 2, 0, 70, 1, 0, 90, 4],
                        "child-rekey": [4, 97, 48, 1, 0, 8, 1, 48, 1, 0, 9, 2], "ike-rekey": [4, 96, 48, 1, 0, 20, 1, 48],
                        "both": [4, 96, 224, 48, 0, 48, 0, 48, 0, 48, 0], "again": [4, 98, 48, 0, 99, 48, 0],
                        "notifies": [34, 48, 1, 0, 40, 1], "notifies-answer": [35, 48, 1, 0, 60, 2],
                        "notifies-rekey": [100, 97, 48, 1, 0, 8, 1, 48, 1, 0, 9, 2], "ah": [20, 97, 48, 1, 0, 8, 1, 48, 0]}.items():
        put("ikev2_authentic", f"change-{name}", bytes(steps))


def machines_v1():
    run, jump, packet, change, give = b"\x50", lambda n: bytes([70, n]), b"\x7c\xfc", b"\x68", lambda n: bytes([n])
    every = [0, 3, 4, 18, 22, 32, 65, 130]

    def order(kind, side=0, choice=0):
        return bytes([42 + kind | side << 7, choice])   # 42 is the first of the seven

    rekey, rekey_child, start, end_child, ask, close, reboot = range(7)
    for how in every:
        put("st_ikev1", f"life-{how:03}", bytes([how]) + run + packet + b"".join(
            order(kind, side) + run + jump(12) for kind in range(5) for side in (0, 1)) + packet)
        put("st_ikev1", f"collide-{how:03}", bytes([how]) + run + b"".join(
            order(kind, 0) + order(kind, 1) + give(1) + b"\7" + give(3) + b"\0" + run + jump(11) for kind in range(6)))
        put("st_ikev1", f"reboot-{how:03}", bytes([how]) + run + order(reboot, 1) + jump(15) + run + order(reboot, 0) + order(5))
        put("st_ikev1", f"liar-{how:03}", bytes([how]) + b"".join(
            change + bytes([n % 3]) + bytes([0, 9 * n, 1] * (n % 3)) + b"\x80"[:n % 3] for n in range(12)))
        put("st_ikev1", f"late-{how:03}", bytes([how | 8]) + b"".join(
            bytes([62 | side << 7, 0x20 + n]) + give(0) + b"\0" for n in range(12) for side in (0, 1)))
        put("st_ikev1", f"lost-{how:03}", bytes([how]) + b"".join(
            give(2) + b"\0" + jump(11) + give(0) + b"\0" for _ in range(6)) + run + packet)
    exchanges = {32: 0, 5: 1, 6: 3}
    stages = {2: 0, 4: 0, 32: 1, 5: 1, 6: 1}
    for path in sorted(VECTORS.glob("*ikev1*.json")):
        for message in json.loads(path.read_text())["messages"]:
            if message["type"] != "ike":
                continue
            raw = bytes.fromhex(message["raw"])
            name = f"{path.stem[10:15]}-{message['n']:02}"
            aggressive = 32 if raw[18] == 4 else 0
            fixed = 4 | (8 if raw[8:16] == bytes(8) else 3) | (16 if aggressive else 0)
            for how in (aggressive, 16 | aggressive, 64 | 5, 64 | 16 | 15, 64 | 15 | 32):
                text = b"".join(bytes([fixed, 4]) + struct.pack(">H", len(raw)) + raw for _ in range(2))
                put("ikev1_stranger", f"{name}-{how:02x}", bytes([how]) + text)
            if "decrypted" not in message or raw[18] not in exchanges:
                continue
            chain = bytes.fromhex(message["decrypted"])
            first, chain = chain[0], chain[struct.unpack(">H", chain[2:4])[0]:]
            for side in (0, 0x80):
                put("st_ikev1", f"forge-{name}-{side >> 7}", b"\0" + run + bytes([90 | side, 0x80, exchanges[raw[18]], first])
                    + raw[20:24] + struct.pack(">H", len(chain)) + chain)
    notify = lambda kind, protocol, spi, data: struct.pack(
        ">BBHIBBH", 0, 0, 12 + len(spi) + len(data), 1, protocol, len(spi), kind) + spi + data
    delete = lambda protocol, size, spis: struct.pack(
        ">BBHIBBH", 0, 0, 12 + len(spis), 1, protocol, size, len(spis) // size) + spis
    life = lambda n: bytes.fromhex("80010001 0002 0004".replace(" ", "")) + struct.pack(">I", n)
    said = {"r-u-there": (11, notify(36136, 1, bytes(16), bytes(4))), "ack": (11, notify(36137, 1, bytes(16), bytes(4))),
            "initial-contact": (11, notify(24578, 1, bytes(16), b"")), "life-ike": (11, notify(24576, 1, bytes(16), life(1))),
            "life-child": (11, notify(24576, 3, bytes(4), life(2))), "no-proposal": (11, notify(14, 3, bytes(4), b"")),
            "connected": (11, notify(16384, 3, bytes(4), b"")), "delete-child": (12, delete(3, 4, bytes(4))),
            "delete-ike": (12, delete(1, 16, bytes(32)))}
    for name, (kind, payload) in said.items():
        for side in (0, 0x80):
            one = bytes([90 | side, 0x80, 1, kind]) + b"\1\2\3" + bytes([len(name)]) + struct.pack(">H", len(payload)) + payload
            put("st_ikev1", f"say-{name}-{side >> 7}", b"\0" + run + one + run + packet)

    piece = lambda which, number, length, at=0, wait=0, last=0: struct.pack(
        ">BBBHH", which, number | last << 7, wait, length, at)
    for how in (0, 1, 3):
        three = [piece(0, 1, 40), piece(0, 2, 30, 5), piece(0, 3, 20, 9, 0, 1)]
        put("ike_frag_v1", f"order-{how}", bytes([how]) + b"".join(three) * 2)
        put("ike_frag_v1", f"backwards-{how}", bytes([how]) + b"".join(reversed(three)))
        put("ike_frag_v1", f"late-{how}", bytes([how]) + three[0] + piece(0, 2, 30, 5, 41) + three[2] + three[1])
        put("ike_frag_v1", f"others-{how}", bytes([how]) + three[0] + piece(1, 1, 9) + three[1] + three[2])
        put("ike_frag_v1", f"behind-{how}", bytes([how]) + piece(0, 5, 9) + piece(0, 3, 9, 1, 0, 1) + piece(0, 4, 9, 1, 0, 1))
        put("ike_frag_v1", f"many-{how}", bytes([how]) + b"".join(piece(0, n, 2000, n) for n in range(1, 40)))
        put("ike_frag_v1", f"empty-{how}", bytes([how]) + piece(0, 1, 0) + piece(0, 2, 0, 0, 0, 1) + piece(0, 1, 0, 0, 0, 1))


def choices():
    for path in sorted((HERE / "corpus" / "ikev2_sa").iterdir()):
        for how in (0, 1, 3, 4, 8, 9):
            if how in (1, 4, 8):
                put("proposal_choice", f"{path.name}-{how}", bytes([how]) + path.read_bytes())
    for name, word in {"dns": b"tokyo.example.jp", "at": b"@tokyo", "mail": b"carol@example.jp", "key": b"@#c0ffee", "v4":
                       b"203.0.113.1", "v6": b"2001:db8::1", "keyid": b"keyid:group", "typed": b"\x02tokyo.example.jp.",
                       "typed4": b"\x01\xcb\x00\x71\x01", "dn": b"\x09\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03abc",
                       "odd": b"\x0b\xff\\\n"}.items():
        put("identity", name, word)


def texts_of_configuration():
    put("config", "plain", b"""gateway tokyo.example.jp             # our name
lan     10.1.0.0/16

site osaka {
  peer    osaka.example.jp
  network 10.2.0.0/16
  key     @osaka
}
""")
    put("config", "rich", b"""set NET 10.3.0.0/16
gateway "tokyo.example.jp"
listen 203.0.113.1
listen 2001:db8::1
lan 10.1.0.0/16 fd10:1::/64
site kyoto {
  peer 198.51.100.7 kyoto.example.jp port 4500; network $NET 10.4.0.0/24
  key @kyoto; identity @kyoto.example.jp
  ike aes256gcm16-sha384-x25519
  esp aes128gcm16-x25519
  lifetime ike 8h child 30m
  start on-traffic
  encapsulate always
  mtu 1400
  mss 1300
}
site nara { peer any; network 10.5.0.0/24; key @nara; identity any }
""")
    put("config", "policies", b"""gateway g
lan 10.1.0.0/16
bypass udp 53 from 10.1.0.1-10.1.0.9 10.1.2.0/24 to any
discard icmp from any to 10.2.0.0/16 icmp type 8 code 0
bypass tcp from ::/0 port 1000-2000 to any port 25
icmp-errors selectors
guard on
""")
    put("config", "manual", b"""gateway g
manual museum {
  legacy static-keys des md5 sha1
  outer 203.0.113.1 198.51.100.9
  inner 10.1.0.0/16 10.4.0.0/16
  inner 10.1.0.0/16 10.2.0.0/16 to 10.5.0.0/16
  esp out spi 0x1001 cipher des @m-ce auth hmac-md5 @m-ae
  esp in  spi 4098 cipher des @m-cd auth hmac-md5 @m-ad
  ah out spi 0x2001 auth hmac-sha1 @m-ah-out
  ah in spi 0x2002 auth hmac-sha1 @m-ah-in
  esn; replay-window 64; mtu 1400; df copy
}
manual host { legacy static-keys; outer ::1:1 ::1:2; mode transport; encapsulate 4500
  esp out spi 300 cipher aes256 @a auth sha256 @b; esp in spi 301 cipher aes256 @c auth sha256 @d
  only tcp 25; tfc dummy 5s; routes off }
""")
    put("config", "carriage", b"""gateway g
lan 10.1.0.0/16
site a { peer a; network 10.2.0.0/16; key @a; ah sha256; esp aes256gcm16; compress on; each host
  df clear; fragment after; dscp clear; tfc pad mtu dummy 10s; mtu-probe off }
site b { peer 192.0.2.1; key @b; mode transport; only tcp 25; ah }
site c { peer c; network 10.3.0.0/16; key @c; iptfs rate 10Mb/s size 1400 congestion-control }
""")
    put("config", "wrong", b"""gateway a
lan 10.0.0.1/8
site x { peer 1.2.3.4 ; network 10.2.0.0/61 ; key osaka ; ike des ; adresses 1
include conf.d/*.conf
site x { legacy ike des-md5-modp768 } }
""")
    put("config", "include", b"include xconf.d/*.conf\ninclude fuzz.conf\ngateway \"a\\\"b\"\n")
    for path in (HERE / "corpus" / "config").iterdir():
        put("config_format", path.name, path.read_bytes())
    for name, request in {"verb": '{"verb":7}', "words": '{"verb":"status","words":[1]}', "empty": "{}", "array": "[]",
                          "twice": '{"verb":"status","verb":"up"}', "options": '{"options":{"json":true},"words":["a"]}'}.items():
        put("management", name, request.encode())
    for verb in ("status", "explain", "up", "down", "restart", "apply", "check", "sas", "drops", "log", "trace", "show",
                 "version"):
        put("management", verb, json.dumps({"verb": verb, "words": [], "options": {}}).encode())
        put("management", f"{verb}-site", json.dumps({
            "verb": verb, "words": ["right" if verb == "up" else "config"],
            "options": {"verbose": True, "all": True, "dry_run": True, "rekey": True, "after": 3}}).encode())


def tunnels():
    for name, payload in {"udp": (17, UDP), "syn": (6, SYN), "echo": (1, ECHO), "big": (17, UDP + bytes(1480))}.items():
        out4, out6 = ipv4(*payload), ipv6(*payload, sites=(0x0A, 0x0B))
        put("dataplane_outbound", f"{name}4", b"\1" + out4)
        put("dataplane_outbound", f"{name}6", b"\0" + out6)
        put("dataplane_inbound", f"{name}4", b"\1\4" + ipv4(*payload, sites=(2, 1)))
        put("dataplane_inbound", f"{name}6", b"\1\x29" + ipv6(*payload, sites=(0x0B, 0x0A)))
    flow = tcp(bytes.fromhex("0101080a0000000100000002"), 0x18) + bytes(range(256)) * 4
    for name, packet in {"tcp4": ipv4(6, flow), "tcp6": ipv6(6, flow, sites=(0x0A, 0x0B))}.items():
        put("dataplane_super", name, b"\1" + struct.pack(">HHB", 100, len(packet) - len(flow), 16) + packet)
        put("dataplane_super", f"{name}-uneven", b"\1" + struct.pack(">HHB", 333, len(packet) - len(flow), 16) + packet)
        put("dataplane_super", f"{name}-whole", b"\0" + struct.pack(">HHB", 0, len(packet) - len(flow), 16) + packet)
    datagram = struct.pack(">HHHH", 40000, 443, 8 + 1024, 0) + bytes(range(256)) * 4
    put("dataplane_super", "udp4", b"\2" + struct.pack(">HHB", 200, 20, 6) + ipv4(17, datagram))
    put("dataplane_super", "udp6", b"\2" + struct.pack(">HHB", 200, 40, 6) + ipv6(17, datagram, sites=(0x0A, 0x0B)))
    put("dataplane_outbound", "big-may-fragment", b"\1" + ipv4(17, UDP + bytes(1480), 0))
    put("dataplane_outbound", "fragment", b"\1" + ipv4(17, UDP * 8, 0x2001))
    put("dataplane_outbound", "back", b"\3" + ipv4(17, UDP, sites=(2, 1)))
    put("dataplane_outbound", "elsewhere", b"\1" + ipv4(17, UDP, sites=(1, 9)))
    put("dataplane_inbound", "dummy", b"\1\x3b" + bytes(40))
    put("dataplane_inbound", "padding", b"\x09\4" + ipv4(17, UDP, sites=(2, 1)))
    put("dataplane_inbound", "spoofed", b"\1\4" + ipv4(17, UDP, sites=(9, 1)))
    put("dataplane_inbound", "esp", b"\0" + bytes.fromhex("0000010000000001") + bytes(40))
    put("dataplane_inbound", "native", b"\4" + bytes.fromhex("0000010000000001") + bytes(40))
    put("dataplane_inbound", "ike", b"\0" + bytes(4) + bytes(28))
    put("dataplane_inbound", "ike500", b"\2" + bytes(28))
    put("dataplane_inbound", "keepalive", b"\0\xff")


def fragments():
    def packet(bytes_, wait=0):
        return struct.pack(">HB", len(bytes_), wait) + bytes_

    def piece4(at, data, more, options=b""):
        return packet(ipv4(17, data, at // 8 | (0x2000 if more else 0), options))

    def piece6(at, data, more, before=b""):
        return packet(ipv6(0 if before else 44, before + struct.pack(">BBHI", 17, 0, at | more, 0xC0FFEE) + data))

    body, hop = UDP + bytes(range(200)), bytes.fromhex("2c00010400000000")
    for name, piece in {"4": piece4, "6": piece6}.items():
        first, second, last = piece(0, body[:80], 1), piece(80, body[80:160], 1), piece(160, body[160:], 0)
        put("fragments", f"in-order{name}", first + second + last)
        put("fragments", f"backwards{name}", last + second + first)
        put("fragments", f"doubled{name}", first + first + last + last + second + second)
        put("fragments", f"overlap{name}", first + piece(72, body[72:160], 1) + last + second)
        put("fragments", f"two-ends{name}", last + piece(168, body[168:], 0) + first + second)
        put("fragments", f"late{name}", first + second + last[:2] + b"\xf0" + last[3:])
        put("fragments", f"far{name}", first + piece(65440, body[:80], 0) + piece(65504, body[:8], 1))
        put("fragments", f"whole{name}", piece(0, body, 0) + piece(0, body[:8], 1))
    put("fragments", "options4", piece4(0, body[:80], 1, bytes([7, 3, 4, 0])) + piece4(80, body[80:], 0))
    put("fragments", "hop-by-hop6", piece6(80, body[80:], 0) + piece6(0, body[:80], 1, hop))
def reassembly():
    """Payloads of IP-TFS: [step of the sequence number, flags, length, octets] ..."""
    def record(step, payload, flags=0):
        length = struct.pack(">H", len(payload)) if len(payload) > 255 else bytes([len(payload)])
        return bytes([step & 255, flags | (64 if len(payload) > 255 else 0)]) + length + payload

    def payload(offset, blocks, room, control=b""):
        return struct.pack(">BBH", 1 if control else 0, 0, offset) + control + blocks + bytes(room - len(blocks))

    control = struct.pack(">IQII", 1000, 40000 << 42 | 300 << 21 | 12000, 7, 9)
    stream = ipv4(17, UDP * 8) + ipv6(17, UDP * 20) + ipv4(6, SYN) + ipv4(17, UDP)
    for name, room, head in (("small", 40, b""), ("middle", 120, control), ("big", 400, b"")):
        ends, at = [], 0
        for packet in (ipv4(17, UDP * 8), ipv6(17, UDP * 20), ipv4(6, SYN), ipv4(17, UDP)):
            at += len(packet)
            ends.append(at)
        parts = []
        for begin in range(0, len(stream), room):
            offset = 0 if begin == 0 else min([e for e in ends if e >= begin], default=begin) - begin
            parts.append(payload(offset, stream[begin:begin + room], room, head))
        order = b"\0" + b"".join(record(0 if i == 0 else 1, part) for i, part in enumerate(parts))
        put("aggfrag_in", f"{name}-in-order", order)
        put("aggfrag_in", f"{name}-lost", b"\1" + b"".join(
            record(2 if i % 3 == 0 else 1, part, 128) for i, part in enumerate(parts)))
        if len(parts) > 3:
            moved = b"\0" + record(1, parts[1]) + record(-1, parts[0]) + record(3, parts[3]) + record(-1, parts[2])
            put("aggfrag_in", f"{name}-reordered", moved + record(0, parts[2], 128) + record(9, parts[0], 128))
    put("aggfrag_in", "pads", b"\2" + record(0, payload(0, b"", 60)) + record(1, payload(0, ipv4(17, UDP)[:2], 2))
        + record(1, payload(0, b"", 30)) + record(1, payload(31, ipv4(17, UDP)[2:], 60)))
    put("aggfrag_in", "odd", b"\3" + record(0, b"\2\0\0\0") + record(1, b"\1\0\0\0abc") + record(1, payload(900, b"", 20)))


def compressed():
    words = b"the gate is open to those who are known " * 40
    for name, (level, bits, strategy) in {"stored": (0, -15, 0), "fixed": (9, -15, zlib.Z_FIXED), "dynamic": (9, -11, 0),
                                          "huffman": (1, -15, zlib.Z_HUFFMAN_ONLY)}.items():
        stream = zlib.compressobj(level, zlib.DEFLATED, bits, 5, strategy)
        put("deflate", name, bytes([8]) + b"\4\0\0\2" + stream.compress(words) + stream.flush())
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    put("deflate", "bomb", bytes([255]) + b"\4\0\0\2" + stream.compress(bytes(1 << 20)) + stream.flush())
    put("deflate", "plain", bytes([8]) + words)


def element(tag, data):
    """In DER."""
    length = len(data)
    octets = length.to_bytes((length.bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (octets if length < 128 else bytes([128 + len(octets)]) + octets) + data


def signed_data(certificates, lists):
    """PKCS#7 that signs nothing."""
    oid = bytes.fromhex("06092a864886f70d0107")
    body = bytes.fromhex("0201013100") + element(0x30, oid + b"\1") + element(0xa0, certificates)
    body += (element(0xa1, lists) if lists else b"") + bytes.fromhex("3100")
    return element(0x30, oid + b"\2" + element(0xa0, element(0x30, body)))


def certificates():
    def read(name):
        return (HERE.parent / "vectors" / "x509" / name).read_bytes()

    def record(kind, data):
        return struct.pack(">BH", kind, len(data)) + data

    def payload(following, encoding, data):
        return struct.pack(">BBHB", following, 0, 5 + len(data), encoding) + data

    anchor, presented, crl, response, bag = range(5)
    chain = record(anchor, read("root.der")) + record(presented, read("leaf.der")) + record(presented, read("middle.der"))
    put("x509_chain", "good", b"\0" + chain)
    put("x509_chain", "strict", b"\2" + chain)
    put("x509_chain", "listed", b"\2" + chain + record(crl, read("none.crl")))
    put("x509_chain", "revoked", b"\0" + chain + record(crl, read("some.crl")))
    put("x509_chain", "response", b"\2" + chain + record(response, read("good.ocsp")))
    put("x509_chain", "itself", b"\0" + record(anchor, read("leaf.der")) + record(presented, read("leaf.der")))
    put("x509_chain", "pem", b"\0" + record(bag, read("root.pem")) + record(presented, read("middle.der")))
    put("x509_chain", "alone", b"\1" + record(presented, read("root.der")))

    cert, auth_digital, x509, raw, ocsp = 37, 14, 4, 15, 14
    root = struct.pack(">H", len(read("root.der"))) + read("root.der")
    auth = bytes([7]) + bytes.fromhex("300506032b6570") + read("leaf.sig")
    auth = bytes([auth_digital]) + struct.pack(">H", len(auth)) + auth
    both = payload(cert, x509, read("leaf.der")) + payload(0, x509, read("middle.der"))
    for name, flags in (("good", 0), ("strict", 2), ("unknown", 4), ("pattern", 8), ("expected", 16)):
        put("ike_cert", name, bytes([flags]) + root + auth + bytes([cert]) + both)
    put("ike_cert", "response", b"\2" + root + auth + bytes([cert]) + payload(cert, ocsp, read("good.ocsp")) + both)
    put("ike_cert", "raw", b"\0" + root + auth + bytes([cert]) + payload(0, raw, read("leaf.spki")))
    put("ike_cert", "url", b"\0" + root + auth + bytes([cert]) + payload(0, 12, bytes(20) + b"http://a/b"))
    wrapped = signed_data(read("middle.der") + read("leaf.der"), read("none.crl"))
    put("ike_cert", "wrapped", b"\40" + root + bytes([0]) + struct.pack(">H", len(read("leaf.sig"))) + read("leaf.sig") + bytes([0]) + wrapped)
    put("ike_cert", "none", b"\40" + root + bytes([0, 0, 64]) + read("leaf.sig") + bytes([0]) + signed_data(b"", b""))
    put("ike_cert", "old", b"\1" + root + bytes([1, 0, 64]) + read("leaf.sig") + bytes([cert]) + both)


def logins():
    verifier = "$scram$sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$" + "A" * 43 + "="
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    put("users_file", "all", (f"# users\n\nalice staff,admins {verifier}\nbob - - disabled # gone\n"
                              f"carol staff {verifier} totp {secret} digits 8 period 60 hash sha256 address 10.9.0.7\n"
                              f"dave - - hotp {secret} address 2001:db8::7\n").encode())
    put("users_file", "wrong", f"a\nb - -\nb - -\nc x, -\nd - $\ne - - totp x\nf - {verifier} digits 9\n".encode())

    def attribute(kind, value):
        return bytes([kind, len(value) + 2]) + value

    user = (attribute(6, struct.pack(">I", 2)) + attribute(8, bytes([10, 9, 0, 7])) + attribute(9, b"\xff\xff\xff\0")
            + attribute(11, b"staff") + attribute(25, b"class") + attribute(27, struct.pack(">I", 3600))
            + attribute(28, struct.pack(">I", 600)) + attribute(26, struct.pack(">IBB", 311, 28, 6) + bytes([10, 1, 0, 53]))
            + attribute(169, bytes(15) + b"\1") + attribute(18, b"Hello") + attribute(1, b"Alice"))
    put("radius_reply", "accept", b"\0" + user)
    put("radius_reply", "reject", b"\1" + attribute(18, b"no"))
    put("radius_reply", "challenge", b"\2" + attribute(24, b"32769430") + attribute(18, b"Challenge 32769430."))
    put("radius_reply", "packet", b"\4" + struct.pack(">BBH16x", 2, 0, 20 + len(user)) + user)


packets()
fragments()
compressed()
esp()
ah()
payloads_of_esp()
journeys()
captures()
nest()
reassembly()
texts()
ikev1()
ikev2()
machines()
machines_v1()
choices()
texts_of_configuration()
tunnels()
certificates()
logins()
