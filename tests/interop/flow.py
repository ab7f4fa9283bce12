#!/usr/bin/env python3
"""Numbered datagrams at a steady rate, and what became of them. Used by lab.Flow.

    flow.py send ADDRESS PORT RATE SIZE STOP_FILE     until STOP_FILE exists; then writes there how many were sent
    flow.py receive ADDRESS PORT REPORT               until SIGTERM; then writes the report
"""
import json
import pathlib
import signal
import socket
import sys
import time


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(address, port, rate, size, stop):
    outgoing = socket.socket(family_of(address), socket.SOCK_DGRAM)
    outgoing.connect((address, port))
    stop = pathlib.Path(stop)
    began, sent, looked = time.monotonic(), 0, 0.0
    together = max(1, int(rate / 50))  # who was not let run for long does not send at once what was due: it fills buffers
    while True:
        now = time.monotonic()
        if now - looked > 0.02:
            looked = now
            if stop.exists():
                break
        due = int((now - began) * rate)
        if due - sent > together:
            began += (due - sent - together) / rate
            due = sent + together
        while sent < due:
            try:
                outgoing.send(sent.to_bytes(8, "big") + bytes(size - 8))
            except OSError:
                pass  # refused for the moment: it counts as sent, and so as lost
            sent += 1
        time.sleep(0.5 / rate)
    stop.write_text(str(sent))


def receive(address, port, report):
    incoming = socket.socket(family_of(address), socket.SOCK_DGRAM)
    incoming.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    incoming.bind((address, port))
    incoming.settimeout(0.1)
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    seen, doubled, last, gap = set(), 0, None, 0.0
    pathlib.Path(report).with_suffix(".ready").write_text("")
    while not over:
        try:
            packet = incoming.recv(65536)
        except TimeoutError:
            continue
        now = time.monotonic()
        number = int.from_bytes(packet[:8], "big")
        doubled += number in seen
        seen.add(number)
        if last is not None:
            gap = max(gap, now - last)
        last = now
    pathlib.Path(report).write_text(
        json.dumps({"received": len(seen), "doubled": doubled, "longest_gap_ms": gap * 1000}))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
    else:
        receive(sys.argv[2], int(sys.argv[3]), sys.argv[4])
