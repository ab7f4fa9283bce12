#!/usr/bin/env python3
"""Cutting and joining beside the kernel's own: every piece of thousands of random super-packets, octet for octet.

    super_test.py [ROUNDS [SEED...]]
"""
import subprocess
import sys

from lab import BUILD, Lab

ROUNDS, SEEDS = 3000, (1, 2)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with Lab("super") as lab:
        for seed in sys.argv[2:] or SEEDS:
            done = subprocess.run([BUILD / "tests/interop/super_probe", str(rounds), str(seed)], capture_output=True,
                                  text=True, timeout=3000)
            for line in done.stdout.splitlines():
                word, _, what = line.partition(" ")
                if word in ("ok", "FAIL"):
                    lab.check(f"seed {seed}: {what}", word == "ok")
                else:
                    print(line)
            lab.check(f"seed {seed}: the probe ran to its end", done.returncode in (0, 1), done.stderr)


if __name__ == "__main__":
    main()
