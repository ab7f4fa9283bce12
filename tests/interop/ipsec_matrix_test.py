#!/usr/bin/env python3
"""Every algorithm of ESP and AH that a Linux kernel has, in transport and tunnel mode, over IPv4 and IPv6 and one inside the
other, with extended sequence numbers and without: a guest with that kernel on one side, on the other the daemon with manual
keys, or plane_probe for what such keys must not or cannot have: ciphers of counter mode, IPComp, a tunnel of AH around one
of ESP. Datagrams of all interesting sizes go there and back, and every octet is compared.

    ipsec_matrix_test.py [WORD...]     only the cells whose names contain one of the words (tunnel+gcm: both parts)
"""
import sys
import threading
import time

from guest import Guest
from ipsec_cells import COUNTER_SUITES, MANUAL_SUITES, aligned_cells, bundles, cells_of, compressed, iterated
from ipsec_rig import (KERNEL, OTHER, PORT, PROBE, ask, complaints, connect, local_ranges, peer_routes, prepare_guest, serve,
                       start_probe, tell_results, unused_sas)
from lab import Lab, Sekisho

DULL_PORT = PORT + 1


def chosen(cells, words):
    return [c for c in cells if not words or any(all(part in c.name for part in w.split("+")) for w in words)]


def start_daemon(gateway, cells):
    secrets = {}
    for cell in cells:
        secrets.update(cell.secrets(OTHER, KERNEL))
    local_ranges(gateway, OTHER, cells)
    config = "gateway ga.example\n" + "".join(c.manual(OTHER, KERNEL) for c in cells)
    return Sekisho(gateway, config, secrets).start(60)


def end_probe(probe):
    probe.terminate()
    probe.wait(10)
    print("\n".join(line for line in probe.output_path.read_text().splitlines() if line.startswith("dropped")))


def try_cells(lab, what, host, side, cells, **given):
    began = time.monotonic()
    if cells:
        tell_results(lab, what, cells, ask(host, cells, side, KERNEL, **given))
        print(f"{len(cells)} cells in {time.monotonic() - began:.1f} s", flush=True)


def main():
    words = sys.argv[1:]
    manual = cells_of(MANUAL_SUITES)
    manual += aligned_cells(len(manual))
    manual += bundles(len(manual))
    counter = cells_of(COUNTER_SUITES, first=len(manual))
    ways = []
    for kind in (iterated, compressed):
        ways += kind(len(manual) + len(counter) + len(ways))
    manual, counter, ways = (chosen(cells, words) for cells in (manual, counter, ways))
    began = time.monotonic()
    with Lab("matrix") as lab:
        wan, ga, gp = (lab.host(n) for n in ("wan", "ga", "gp"))
        guest = Guest(lab, wan, "kernel", [("br0", [KERNEL.outer[4] + "/24", KERNEL.outer[6] + "/64"])])
        for host, side in ((ga, OTHER), (gp, PROBE)):
            connect(lab, host, wan, side, KERNEL)
        prepare_guest(guest, KERNEL, [OTHER, PROBE])
        serve(guest)
        serve(guest, DULL_PORT, "dull")
        lines = [c.kernel(KERNEL, OTHER) for c in manual] + [c.kernel(KERNEL, PROBE) for c in counter + ways]
        told = threading.Thread(target=guest.batch, args=("".join(lines), 120))
        told.start()
        sekisho = start_daemon(ga, manual)
        lab.check(f"{len(manual)} manual blocks at once", sekisho.process.poll() is None)
        local_ranges(gp, PROBE, counter + ways)
        probe = start_probe(gp, counter + ways, PROBE, KERNEL)
        peer_routes(gp, counter + ways, PROBE, KERNEL)
        told.join()
        print(f"prepared in {time.monotonic() - began:.1f} s", flush=True)
        try_cells(lab, "manual keys", ga, OTHER, manual)
        print(sekisho.command("drops", check=False).stdout)
        sekisho.stop()
        try_cells(lab, "counter mode", gp, PROBE, counter)
        # What can be compressed, to cells that do so.
        try_cells(lab, "one in another", gp, PROBE, ways, port=DULL_PORT, options=("dull",))
        end_probe(probe)
        for port in (PORT, DULL_PORT):
            wrong = complaints(guest, port)
            lab.check(f"whatever came to port {port} of the guest was what had been sent", not wrong, wrong[:3])
        unused = unused_sas(guest)
        lab.check("every SA of the guest has carried packets", not unused, unused[:3])


if __name__ == "__main__":
    main()
