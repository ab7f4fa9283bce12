"""Payload from one host to another, and proof that what arrives is what was sent.

    payload.py tcp-serve ADDRESS PORT COUNT REPORT     takes COUNT connections; sends SEED's bytes back
    payload.py tcp-send ADDRESS PORT COUNT BYTES REPORT
    payload.py udp-serve ADDRESS PORT REPORT           until SIGTERM
    payload.py udp-send ADDRESS PORT COUNT RATE LONGEST SEGMENT
    payload.py flood ADDRESS PORT SECONDS BYTES SEGMENT

Reports are JSON. A datagram carries its number and the hash of the rest.
"""
import errno
import hashlib
import json
import pathlib
import random
import signal
import socket
import struct
import sys
import threading
import time

SOL_UDP, UDP_SEGMENT, SO_SNDBUFFORCE = 17, 103, 32
PIECE = 1 << 20


def block(seed):
    return random.Random(seed).randbytes(PIECE + 4099)


def produce(connection, seed, total, chunk):
    """Bytes that depend on their place; returns their hash."""
    source = memoryview(block(seed))
    told = hashlib.sha256()
    choose = random.Random(seed)
    left = total
    while left > 0:
        at = choose.randrange(4099)
        piece = source[at:at + min(left, chunk if chunk else choose.randrange(1, PIECE))]
        connection.sendall(piece)
        told.update(piece)
        left -= len(piece)
    return told.hexdigest()


def consume(connection, total):
    told = hashlib.sha256()
    got = 0
    room = bytearray(PIECE)
    while got < total:
        count = connection.recv_into(room, min(PIECE, total - got))
        if count == 0:
            break
        told.update(memoryview(room)[:count])
        got += count
    return got, told.hexdigest()


def exactly(connection, count):
    got = b""
    while len(got) < count:
        piece = connection.recv(count - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def both_ways(connection, seed, total, chunk):
    """Sends and receives `total` bytes at the same time, then exchanges the hashes of what was sent."""
    result = {}

    def send():
        result["sent"] = produce(connection, seed, total, chunk)

    thread = threading.Thread(target=send)
    thread.start()
    got, taken = consume(connection, total)
    thread.join()
    connection.sendall(bytes.fromhex(result["sent"]))
    theirs = exactly(connection, 32).hex()
    return {"good": got == total and theirs == taken, "bytes": got}


def listening(address, kind, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    return s


def tcp_serve(address, port, count, report):
    listener = listening(address, socket.SOCK_STREAM, int(port))
    listener.listen(64)
    pathlib.Path(report + ".ready").write_text("")
    results, threads = [], []

    def one(connection):
        try:
            seed, total, chunk = struct.unpack("!QQQ", exactly(connection, 24))
            results.append(both_ways(connection, seed + 1, total, chunk))
        except (OSError, EOFError) as error:
            results.append({"good": False, "bytes": 0, "error": str(error)})

    for _ in range(int(count)):
        connection, _ = listener.accept()
        thread = threading.Thread(target=one, args=(connection,))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    pathlib.Path(report).write_text(json.dumps({"flows": results}))


def tcp_send(address, port, count, total, report):
    results, threads = [], []
    began = time.monotonic()

    def one(seed):
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(60)
            # Half of the flows: without Nagle and in odd chunks, so that segments of all sizes and pushes occur.
            chunk = 0 if seed % 2 else 7001
            if seed % 4 == 0:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect((address, int(port)))
            connection.sendall(struct.pack("!QQQ", seed, int(total), chunk))
            results.append(both_ways(connection, seed, int(total), chunk))
        except (OSError, EOFError) as error:
            results.append({"good": False, "bytes": 0, "error": str(error)})

    for seed in range(int(count)):
        thread = threading.Thread(target=one, args=(seed * 2,) if seed % 3 == 0 else (seed,))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    pathlib.Path(report).write_text(json.dumps({"flows": results, "seconds": seconds}))


def datagram(number, length, choose):
    body = choose.randbytes(max(0, length - 20))
    head = struct.pack("!Q", number)
    return (head + hashlib.sha256(head + body).digest()[:12] + body)[:max(length, 20)]


def udp_serve(address, port, report):
    s = listening(address, socket.SOCK_DGRAM, int(port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.settimeout(0.2)
    seen, bad, doubled, before, disordered = set(), 0, 0, -1, 0
    ends = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
    pathlib.Path(report + ".ready").write_text("")
    while not ends:
        try:
            got = s.recv(65536)
        except (TimeoutError, InterruptedError):
            continue
        if len(got) < 20 or hashlib.sha256(got[:8] + got[20:]).digest()[:12] != got[8:20]:
            bad += 1
            continue
        number = struct.unpack("!Q", got[:8])[0]
        doubled += number in seen
        disordered += number < before
        before = number
        seen.add(number)
    pathlib.Path(report).write_text(json.dumps(
        {"received": len(seen), "bad": bad, "doubled": doubled, "disordered": disordered}))


def send_surely(s, pieces, control=()):
    """A router's word about the path comes back as the next send's error, once."""
    try:
        s.sendmsg(pieces, control)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        s.sendmsg(pieces, control)


def udp_send(address, port, count, rate, longest, segment):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    choose = random.Random(7)
    number, began = 0, time.monotonic()
    segment = int(segment)
    while number < int(count):
        ahead = number / float(rate) - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
        if segment and number % 5 == 0:
            # One piece for the system to cut, the last shorter.
            pieces = [datagram(number + i, segment, choose) for i in range(20)]
            pieces.append(datagram(number + 20, choose.randrange(20, segment), choose))
            send_surely(s, [b"".join(pieces)], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment))])
            number += len(pieces)
        else:
            send_surely(s, [datagram(number, choose.randrange(20, int(longest)), choose)])
            number += 1
    print(json.dumps({"sent": number}))


def flood(address, port, seconds, length, segment):
    """As much as the system takes."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 256 << 20)
    s.connect((address, int(port)))
    control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", int(segment)))] if int(segment) else []
    body = [bytes(int(length))]
    end = time.monotonic() + float(seconds)
    sent = 0
    while time.monotonic() < end:
        for _ in range(16):
            try:
                sent += s.sendmsg(body, control)
            except OSError:
                pass
    print(json.dumps({"bytes": sent}))


if __name__ == "__main__":
    {"tcp-serve": tcp_serve, "tcp-send": tcp_send, "udp-serve": udp_serve, "udp-send": udp_send,
     "flood": flood}[sys.argv[1]](*sys.argv[2:])
