#!/usr/bin/env python3
"""Every algorithm of ESP and AH that a Linux kernel has, in transport and tunnel mode, over IPv4 and IPv6 and one inside the
other, with extended sequence numbers and without: a guest with that kernel on one side, on the other the daemon with manual
keys, or plane_probe for the ciphers of counter mode. Datagrams of all interesting sizes go there and back, and every octet
is compared.

    ipsec_matrix_test.py [WORD...]     only the cells whose names contain one of the words (tunnel+gcm: both parts)
"""
import sys
import time

from guest import Guest
from ipsec_cells import COUNTER_SUITES, MANUAL_SUITES, cells_of
from ipsec_rig import (KERNEL, OTHER, PORT, PROBE, ask, complaints, connect, local_ranges, peer_routes, prepare_guest, serve,
                       start_probe, tell_results, unused_sas)
from lab import Lab, Sekisho, wait_for


def with_manual_keys(lab, gateway, guest, cells):
    began = time.monotonic()
    secrets = {}
    for cell in cells:
        secrets.update(cell.secrets(OTHER, KERNEL))
    config = "gateway ga.example\n" + "".join(c.manual(OTHER, KERNEL) for c in cells)
    sekisho = Sekisho(gateway, config, secrets).start(60)
    guest.batch("".join(c.kernel(KERNEL, OTHER) for c in cells), seconds=120)
    lab.check(f"{len(cells)} manual blocks at once", sekisho.process.poll() is None)
    print(f"prepared in {time.monotonic() - began:.1f} s", flush=True)
    began = time.monotonic()
    results = ask(gateway, cells, OTHER, KERNEL)
    tell_results(lab, "manual keys", cells, results)
    print(f"{len(cells)} cells in {time.monotonic() - began:.1f} s")
    print(sekisho.command("drops", check=False).stdout)
    sekisho.stop()


def with_the_probe(lab, gateway, guest, cells):
    began = time.monotonic()
    probe = start_probe(gateway, cells, PROBE, KERNEL)
    peer_routes(gateway, cells, PROBE, KERNEL)
    guest.batch("".join(c.kernel(KERNEL, PROBE) for c in cells), seconds=120)
    print(f"prepared in {time.monotonic() - began:.1f} s", flush=True)
    began = time.monotonic()
    results = ask(gateway, cells, PROBE, KERNEL)
    tell_results(lab, "counter mode", cells, results)
    print(f"{len(cells)} cells in {time.monotonic() - began:.1f} s")
    probe.terminate()
    probe.wait(10)
    told = [line for line in probe.output_path.read_text().splitlines() if line.startswith("dropped")]
    print("\n".join(told))


def main():
    manual = cells_of(MANUAL_SUITES)
    counter = cells_of(COUNTER_SUITES, first=len(manual))
    words = sys.argv[1:]
    if words:
        manual, counter = ([c for c in cells if any(all(part in c.name for part in w.split("+")) for w in words)]
                           for cells in (manual, counter))
    with Lab("matrix") as lab:
        wan, ga, gp = (lab.host(n) for n in ("wan", "ga", "gp"))
        guest = Guest(lab, wan, "kernel", [("br0", [KERNEL.outer[4] + "/24", KERNEL.outer[6] + "/64"])])
        for host, side in ((ga, OTHER), (gp, PROBE)):
            connect(lab, host, wan, side, KERNEL)
        prepare_guest(guest, KERNEL, [OTHER, PROBE])
        serve(guest)
        for run, host, cells in ((with_manual_keys, ga, manual), (with_the_probe, gp, counter)):
            if cells:
                local_ranges(host, OTHER if host is ga else PROBE, cells)
                run(lab, host, guest, cells)
        wrong = complaints(guest)
        lab.check("whatever the guest received was what had been sent", not wrong, wrong[:3])
        unused = unused_sas(guest)
        lab.check("every SA of the guest has carried packets", not unused, unused[:3])


if __name__ == "__main__":
    main()
