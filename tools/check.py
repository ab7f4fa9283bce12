#!/usr/bin/env python3
"""Runs every test and says at the end `N passed, N failed`.

    tools/check.py                 everything, as `make check` does
    tools/check.py --only PATTERN  the steps whose names contain PATTERN
    tools/check.py --list          the names of the steps

A step is a program. Programs made with cmocka report their cases, scripts under tests/ print a line `ok WHAT` or
`FAIL WHAT` for each; any other step counts as one. A step that cannot run has failed.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CMOCKA_PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M)
CMOCKA_FAILED = re.compile(r"^\[  FAILED  \] (\d+) test\(s\), listed below", re.M)
LINE_OK = re.compile(r"^ok ", re.M)
LINE_FAIL = re.compile(r"^FAIL ", re.M)
# What failed, in whichever words a program has for it.
SAYS_FAILED = re.compile(r"^(FAIL |\[  FAILED  \] |\[  ERROR   \] |SUMMARY: |FAILED: |killed: )|: (error|warning|runtime error): ")
FAILED_LINES = 12
PRINT = threading.Lock()


# Programs and the cases in them that have threads.
WITH_THREADS = [
    ("base_test", "*two_threads*"),
    ("dataplane_test", "*under_threads*"),
    ("dataplane_test", "*workers*"),
    ("src/sekishod/sekishod_test", "*two_threads*"),
]


# How much of the machine a step takes, in parts of which there are so many; together they take no more than all.
PARTS = 3 * os.cpu_count() + 1
WAITS = 2  # most of its time for timers, or for a program to start
GUEST = 3  # a kernel in User-Mode Linux beside it
ALL = PARTS  # it saturates a tunnel, or counts what was lost in a short time: it runs when everything else is done
# Needs a processor and no particular time: it runs beside those with real programs, and gives way to them.
PATIENT = 0

# Each step is a session of its own, and Linux shares processors between sessions (autogroup) before it looks at the nice
# values in one: the session's is set too, where there is one.
GIVES_WAY = ["sh", "-c", "{ echo 10 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 5 \"$@\"", "sh"]

SHARES = {"flood_test": ALL, "offload_test": ALL, "payload_test": ALL, "workers_test": ALL, "strongswan_modes_test": GUEST,
          "ipsec_matrix_test": GUEST, "ipsec_path_test": GUEST, "kernel_test": GUEST, "kernels_test": GUEST,
          "libreswan_test": GUEST, "ikev1_libreswan_test": GUEST,
          "ikev1_kernel_test": GUEST}
# What takes longest begins first, so that no other waits for it at the end.
LONGEST = ["ikev1_kernel_test", "ikev1_test", "kernel_test", "resilience_test", "strongswan_test", "native_test",
           "sites_test",
           "certificates_test", "capture_test", "modes_test", "ipsec_matrix_test", "mobility_test", "personas_test"]


Result = collections.namedtuple("Result", "step passed failed lines")


class Step:
    def __init__(self, name, command, seconds=600, environment=None, share=PATIENT):
        self.name = name
        self.command = [str(word) for word in command]
        self.seconds = seconds
        self.environment = environment or {}
        self.share = share


def flavour(name, compiler, options):
    """The folder of a build flavour, configured when it is new."""
    folder = ROOT / name
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(folder), "-Dpkcs11=enabled", *options], cwd=ROOT, check=True,
                       env={**os.environ, "CC": compiler}, stdout=subprocess.DEVNULL)
    return folder


def meson_tests(folder, prefix, suites, environment=None):
    told = subprocess.run(["meson", "introspect", "--tests", str(folder)], capture_output=True, text=True, check=True)
    steps = []
    for test in json.loads(told.stdout):
        suite = [s.split(":")[-1] for s in test["suite"]]
        if not set(suite) & set(suites):
            continue
        steps.append(Step(f"{prefix} {suite[0]} {test['name']}", test["cmd"], test["timeout"],
                          {**test.get("env", {}), **(environment or {})}))
    return steps


def run(step):
    began = time.monotonic()
    environment = {**os.environ, **step.environment}
    try:
        command = [*GIVES_WAY, *step.command] if step.share == PATIENT else step.command
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output = process.communicate(timeout=step.seconds)[0].decode(errors="replace")
            ended = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0].decode(errors="replace")
            output += f"\nkilled: not finished after {step.seconds} s\n"
            ended = -9
    except OSError as error:
        output, ended = f"{error}\n", 127
    passed = sum(int(n) for n in CMOCKA_PASSED.findall(output))
    failed = sum(int(n) for n in CMOCKA_FAILED.findall(output))
    if passed + failed == 0:
        passed, failed = len(LINE_OK.findall(output)), len(LINE_FAIL.findall(output))
    if passed + failed == 0:
        passed, failed = (1, 0) if ended == 0 else (0, 1)
    if ended != 0 and failed == 0:
        failed = 1
    with PRINT:
        word = "ok  " if failed == 0 else "FAIL"
        print(f"{word} {step.name}: {passed} passed, {failed} failed, {time.monotonic() - began:.1f} s", flush=True)
        if failed:
            print("".join("    " + line + "\n" for line in output.splitlines()[-120:]), flush=True)
    return Result(step.name, passed, failed, what_failed(output) if failed else [])


def what_failed(output):
    """The lines that say so, or the last ones where none does."""
    lines = output.splitlines()
    found = [line for line in lines if SAYS_FAILED.search(line)]
    return [line[:400] for line in (found[:FAILED_LINES] or lines[-FAILED_LINES:])]


def steps_of_all():
    release = ROOT / "build"
    # A stack trace needs files and lines alone; without the rest of what a debugger wants they are built a quarter faster.
    lines = ["-Dc_args=-gline-tables-only", "-Db_lundef=false", "-Dhardened=false"]
    sanitized = flavour("build-asan", "clang", ["-Db_sanitize=address,undefined", *lines])
    racing = flavour("build-tsan", "clang", ["-Db_sanitize=thread", *lines])
    quick = [
        Step("who includes whom", ["python3", "tools/check_includes.py"]),
        Step("text", ["python3", "tools/check_text.py"]),
        Step("format", ["sh", "-c", "find src tests -name '*.[ch]' | xargs clang-format --dry-run -Werror"]),
        Step("hardening of the programs", ["python3", "tools/check_hardening.py", release]),
    ]
    build = [
        Step("build: clang, address and undefined behaviour sanitizers", ["ninja", "-C", sanitized], 1500),
        Step("build: clang, thread sanitizer", ["ninja", "-C", racing, "sekishod", "sekisho",
                                                *sorted({program for program, _ in WITH_THREADS})], 1500),
    ]
    tests = meson_tests(release, "gcc", ["unit", "exchange", "sim", "fuzz", "command"])
    # After the release flavour: the same programs under the sanitizers.
    options = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    tests += meson_tests(sanitized, "asan", ["unit", "exchange", "sim", "fuzz", "command"], options)
    races = {"TSAN_OPTIONS": "halt_on_error=1"}
    tests += [Step(f"tsan {program} {pattern}", [racing / program, pattern], 300, races)
              for program, pattern in WITH_THREADS]
    tests.append(Step("counts: instructions, copies, allocations", ["python3", "tests/counts/check"], 500,
                      {"SEKISHO_BUILD": str(release)}))
    tests.append(Step("constant time: ML-KEM and RSA encryption under valgrind", ["python3", "tests/constant_time/check"], 500))
    tests.append(Step("ML-KEM beside OpenSSL 3.5's", ["python3", "tests/openssl35/check"], 500))
    # The linter is the longest of those that can wait, the sanitized programs come next.
    tests.sort(key=lambda step: not step.name.startswith("asan"))
    tests.insert(0, Step("linter", ["sh", "tools/lint"], 1200))
    scripts = sorted((ROOT / "tests" / "interop").glob("*_test.py"),
                     key=lambda script: LONGEST.index(script.stem) if script.stem in LONGEST else len(LONGEST))
    interop = [Step(f"interop {script.stem}", ["python3", script], 900, share=SHARES.get(script.stem, WAITS))
               for script in scripts]
    # The daemon itself, with its threads, under the sanitizers. (It cannot be traced, so leaks are not looked for here.)
    interop += [Step(f"interop demo, {folder.name}", ["python3", "tests/interop/demo.py"], 900,
                     {**checked, "SEKISHO_BUILD": str(folder)}, ALL)
                for folder, checked in ((release, {}), (racing, races),
                                        (sanitized, {**options, "ASAN_OPTIONS": "detect_leaks=0"}))]
    interop.append(Step("interop workers, build-tsan", ["python3", "tests/interop/workers_test.py", "short"], 900,
                        {**races, "SEKISHO_BUILD": str(racing), "SEKISHO_PAYLOAD_MB": "3"}, ALL))
    interop.append(Step("interop demo, OpenSSL alone", ["python3", "tests/interop/demo.py"], 300,
                        {"SEKISHO_OPTIONS": "--crypto openssl"}, ALL))
    return [quick, build, tests + interop]


class Machine:
    """Hands out its parts. A step that does not fit lets smaller ones behind it go first."""

    def __init__(self, steps):
        self.waiting = list(steps)
        self.free = PARTS
        self.changed = threading.Condition()

    def take(self):
        """The next step, when there is room for it; None when none is left."""
        with self.changed:
            while self.waiting:
                for step in self.waiting:
                    if step.share <= self.free:
                        self.waiting.remove(step)
                        self.free -= step.share
                        return step
                self.changed.wait()
            return None

    def work(self):
        results = []
        while step := self.take():
            results.append(run(step))
            with self.changed:
                self.free += step.share
                self.changed.notify_all()
        return results


def run_all(group):
    """Two queues beside each other, of which the patient one gives way; what takes the whole machine waits for both."""
    patient = Machine(step for step in group if step.share == PATIENT)
    shared = Machine(step for step in group if PATIENT < step.share < ALL)
    whole = Machine(step for step in group if step.share == ALL)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() + PARTS) as pool:
        lanes = [pool.submit(patient.work) for _ in range(os.cpu_count())] + [pool.submit(shared.work) for _ in range(PARTS)]
        results = [result for lane in lanes for result in lane.result()]
    return results + whole.work()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    results = []
    for group in steps_of_all():
        group = [step for step in group if arguments.only in step.name]
        if arguments.list:
            for step in group:
                print(step.name)
            continue
        results += run_all(group)
    passed, failed = sum(result.passed for result in results), sum(result.failed for result in results)
    if not arguments.list:
        # Once more at the end, so that nobody has to look for them.
        for result in (one for one in results if one.failed):
            print(f"FAIL {result.step}", *("  " + line for line in result.lines), sep="\n")
        print(f"{passed} passed, {failed} failed")
    return 1 if failed or (passed == 0 and not arguments.list) else 0


if __name__ == "__main__":
    sys.exit(main())
