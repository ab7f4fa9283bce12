#!/usr/bin/env python3
"""Looks at the built programs: position independent, full RELRO, no executable stack, canaries, fortified calls.

    tools/check_hardening.py BUILD
"""
import pathlib
import subprocess
import sys


def told(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main():
    build = pathlib.Path(sys.argv[1])
    bad = 0
    for program in ("sekishod", "sekisho"):
        path = build / program
        header = told("readelf", "-Wh", path)
        segments = told("readelf", "-Wl", path)
        dynamic = told("readelf", "-Wd", path)
        symbols = told("readelf", "-W", "--dyn-syms", path)
        stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
        checks = {
            "is position independent": "DYN" in header and "PIE" in dynamic,
            "has RELRO": "GNU_RELRO" in segments,
            "binds all symbols at start": "BIND_NOW" in dynamic or "NOW" in dynamic,
            "has no executable stack": bool(stack) and all("RWE" not in line for line in stack),
            "has stack canaries": "__stack_chk_fail" in symbols,
            "has fortified calls": "_chk@" in symbols,
        }
        for what, good in checks.items():
            print(f"{'ok' if good else 'FAIL'} {program} {what}")
            bad += not good
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
