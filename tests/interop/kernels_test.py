#!/usr/bin/env python3
"""The yardstick itself: two Linux kernels, each a guest, with the commands that ipsec_matrix_test.py gives to one of them. A
cell that fails here is a mistake in how the kernel is told, not in what is tested with it."""
import time

from guest import Guest
from ipsec_cells import COUNTER_SUITES, MANUAL_SUITES, bundles, cells_of, compressed, in_udp, iterated
from ipsec_rig import KERNEL, OTHER, PORT, ask, complaints, prepare_guest, serve, start, tell_results, unused_sas
from lab import Lab


def main():
    with Lab("kernels") as lab:
        wan = lab.host("wan")
        guests = []
        for name, here, there in (("one", OTHER, KERNEL), ("two", KERNEL, OTHER)):
            guest = Guest(lab, wan, name, [("br0", [here.outer[4] + "/24", here.outer[6] + "/64"])])
            prepare_guest(guest, here, [there])
            guests.append((guest, here, there))
        every = cells_of(MANUAL_SUITES + COUNTER_SUITES)
        # Of the twelve cells of a suite one, and of the next suite the next.
        cells = [c for i, c in enumerate(every) if i % 12 == i // 12 % 12]
        plain = len(cells)
        for ways in (bundles, iterated, in_udp, compressed):
            cells += ways(len(every) + len(cells) - plain)
        began = time.monotonic()
        for guest, here, there in guests:
            guest.batch("".join(c.kernel(here, there) for c in cells))
            start(guest, "encap", 4500)
        # What can be compressed, to cells that do so.
        serve(guests[1][0], PORT, "dull")
        results = ask(guests[0][0], cells, OTHER, KERNEL, options=("dull",))
        tell_results(lab, "kernel to kernel", cells, results)
        wrong = complaints(guests[1][0])
        lab.check("whatever was received was what had been sent", not wrong, wrong[:3])
        for guest, _, _ in guests:
            unused = unused_sas(guest)
            lab.check(f"every SA of guest {guest.name} has carried packets", not unused, unused[:3])
        print(f"{len(cells)} cells in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
