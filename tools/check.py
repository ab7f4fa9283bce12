#!/usr/bin/env python3
"""Runs every test and says at the end `N passed, N failed`.

    tools/check.py                 everything, as `make check` does
    tools/check.py --only PATTERN  the steps whose names contain PATTERN
    tools/check.py --list          the names of the steps

A step is a program. Programs made with cmocka report their cases, scripts under tests/ print a line `ok WHAT` or
`FAIL WHAT` for each; any other step counts as one. A step that cannot run has failed.
"""
import argparse
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
PRINT = threading.Lock()


# Programs and the cases in them that have threads.
WITH_THREADS = [
    ("base_test", "*two_threads*"),
    ("dataplane_test", "*under_threads*"),
    ("dataplane_test", "*workers*"),
    ("src/sekishod/sekishod_test", "*two_threads*"),
]


# Tests with real programs that need both processors: they saturate a tunnel, count what a flood lost, or run a kernel in
# User-Mode Linux, which takes long when it has to wait. The others mostly wait for timers and run beside each other.
DEMANDING = {"flood_test", "ipsec_matrix_test", "ipsec_path_test", "kernel_test", "kernels_test",
             "libreswan_test", "native_test", "offload_test", "payload_test", "strongswan_modes_test", "workers_test"}


class Step:
    def __init__(self, name, command, seconds=600, environment=None, alone=False, counted=None):
        self.name = name
        self.command = [str(word) for word in command]
        self.seconds = seconds
        self.environment = environment or {}
        self.alone = alone
        self.counted = counted


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
        process = subprocess.Popen(step.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
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
    return passed, failed


def steps_of_all():
    release = ROOT / "build"
    sanitized = flavour("build-asan", "clang", ["-Db_sanitize=address,undefined", "-Db_lundef=false",
                                                "-Dhardened=false"])
    racing = flavour("build-tsan", "clang", ["-Db_sanitize=thread", "-Db_lundef=false", "-Dhardened=false"])
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
    tests.append(Step("counts: instructions, copies, allocations", ["python3", "tests/counts/check"], 120,
                      {"SEKISHO_BUILD": str(release)}))
    tests.append(Step("constant time: ML-KEM under valgrind", ["python3", "tests/constant_time/check"], 120))
    tests.append(Step("ML-KEM beside OpenSSL 3.5's", ["python3", "tests/openssl35/check"], 120))
    lint = [Step("linter", ["sh", "tools/lint"], 1200)]
    interop = [Step(f"interop {script.stem}", ["python3", script], 900, alone=script.stem in DEMANDING)
               for script in sorted((ROOT / "tests" / "interop").glob("*_test.py"))]
    # The daemon itself, with its threads, under the sanitizers. (It cannot be traced, so leaks are not looked for here.)
    interop += [Step(f"interop demo, {folder.name}", ["python3", "tests/interop/demo.py"], 900,
                     {**checked, "SEKISHO_BUILD": str(folder)}, alone=True)
                for folder, checked in ((release, {}), (racing, races),
                                        (sanitized, {**options, "ASAN_OPTIONS": "detect_leaks=0"}))]
    interop.append(Step("interop workers, build-tsan", ["python3", "tests/interop/workers_test.py", "short"], 900,
                        {**races, "SEKISHO_BUILD": str(racing), "SEKISHO_PAYLOAD_MB": "3"}, alone=True))
    interop.append(Step("interop demo, OpenSSL alone", ["python3", "tests/interop/demo.py"], 300,
                        {"SEKISHO_OPTIONS": "--crypto openssl"}, alone=True))
    return [quick, build, tests, lint, interop]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    passed = failed = 0
    for group in steps_of_all():
        group = [step for step in group if arguments.only in step.name]
        if arguments.list:
            for step in group:
                print(step.name)
            continue
        alone = [step for step in group if step.alone]
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            results = list(pool.map(run, [step for step in group if not step.alone]))
        results += [run(step) for step in alone]
        passed += sum(p for p, _ in results)
        failed += sum(f for _, f in results)
    if not arguments.list:
        print(f"{passed} passed, {failed} failed")
    return 1 if failed or (passed == 0 and not arguments.list) else 0


if __name__ == "__main__":
    sys.exit(main())
