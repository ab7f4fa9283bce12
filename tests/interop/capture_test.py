#!/usr/bin/env python3
"""`sekisho capture` as tshark reads it: for every algorithm that tshark knows, with the keys that were written beside the
capture, the packets inside are there again and every ICV is good; dropped packets say why; what goes wrong ends it."""
import re
import signal
import subprocess
import subprocess

from lab import BUILD, KEY, OSAKA, TOKYO, Lab, Sekisho, call, wait_for

CIPHERS = ("null", "des", "3des", "aes128", "aes192", "aes256", "aes128ctr", "aes256ctr")
MACS = ("md5", "sha1", "sha256", "sha384", "sha512")
AEADS = ("aes128gcm8", "aes256gcm8", "aes128gcm12", "aes256gcm12", "aes128gcm16", "aes192gcm16", "aes256gcm16")
PINGS = 3


def suites():
    yield from AEADS
    yield from (f"{cipher}-sha256" for cipher in CIPHERS)
    yield from (f"aes128-{mac}" for mac in MACS if mac != "sha256")


def with_suite(text, suite, encapsulate):
    words = f"  esp {suite}-noesn\n  encapsulate {encapsulate}\n"
    weak = [word for word in suite.split("-") if word in ("null", "des", "3des", "md5", "sha1")]
    return "keep-keys on\n" + text.replace("  key ", (f"  legacy {' '.join(weak)}\n" if weak else "") + words + "  key ")


class Capture:
    """A capture that goes on while the body runs."""

    def __init__(self, gateway, *words, out=None):
        self.process = gateway.host.start(BUILD / "sekisho", "--run", gateway.run_folder, "capture", "osaka", *words, out=out)
        wait_for(lambda: "somebody captures" in gateway.command("log", "osaka").stdout.splitlines()[-1])

    def end(self, seconds=10):
        return self.process.wait(seconds)


def tshark(path, keys=None, fields=(), more=()):
    words = ["tshark", "-r", path, "-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"]
    for line in keys.read_text().splitlines() if keys else ():
        words += ["-o", f"uat:esp_sa:{line}"]
    for field in fields:
        words += ["-e", field]
    return call(*words, *(["-T", "fields"] if fields else ["-V"]), *more).stdout


def one_suite(check, tokyo, osaka, suite, encapsulate):
    for gateway, text in ((tokyo, TOKYO), (osaka, OSAKA)):
        gateway.write(with_suite(text, suite, encapsulate))
        gateway.command("apply")
    tokyo.command("restart", "osaka")
    up = wait_for(lambda: tokyo.is_up("osaka") and tokyo.host.ping("10.2.0.1", source="10.1.0.1") == 1, 15)
    path, keys = tokyo.folder / f"{suite}.pcapng", tokyo.folder / f"{suite}.keys"
    capture = Capture(tokyo, "--both", "-w", path, "--keys", keys, "--count", 4 * PINGS)
    answered = tokyo.host.ping("10.2.0.1", count=PINGS, source="10.1.0.1")
    code = capture.end()
    types = [line.split("\t")[-1] for line in tshark(path, keys, ("frame.interface_name", "icmp.type")).splitlines()
             if " clear" not in line.split("\t")[0]]
    told = tshark(path, keys)
    good, bad = len(re.findall(r"\[correct\]|Good: True", told, re.I)), len(re.findall(r"incorrect|Bad: True", told, re.I))
    private = (path.stat().st_mode | keys.stat().st_mode) & 0o077 == 0
    check(f"{suite}{' in UDP' if encapsulate == 'always' else ''}: tshark decrypts and every ICV is good",
          up and code == 0 and sorted(types) == ["0"] * PINGS + ["8"] * PINGS and bad == 0
          and (good >= 2 * PINGS) and private, f"up {up} {answered} {code} {types} good {good} bad {bad}\n{told[-1500:]}")


def drops_hold(check, gateway):
    """What a site does not let pass is in its capture of clear text, with the reason."""
    path = gateway.folder / "drops.pcapng"
    gateway.command("down", "osaka")
    capture = Capture(gateway, "--plain", "-w", path, "--seconds", "2")
    gateway.host.ping("10.2.0.1", source="10.1.0.1")
    code = capture.end()
    told = tshark(path, None, ("frame.comment", "ip.dst", "icmp.type"))
    check("a capture shows what was dropped and why", code == 0 and re.search(r"dropped no-sa: .*\t10\.2\.0\.1\t8", told), told)
    gateway.command("up", "osaka")
    check("it is up again", gateway.wait_up("osaka"))


def ends_hold(check, gateway):
    wrong = gateway.command("capture", "osako", "-w", gateway.folder / "x", check=False)
    check("a site that is not there is told", wrong.returncode == 1 and "did you mean 'osaka'" in wrong.stderr, wrong.stderr)
    wrong = gateway.command("capture", "osaka", check=False)
    check("a file must be named", wrong.returncode == 2 and "-w FILE" in wrong.stderr, wrong.stderr)
    wrong = gateway.command("capture", "osaka", "-w", "-", "--count", "none", check=False)
    check("a number must be one", wrong.returncode == 2 and "--count" in wrong.stderr, wrong.stderr)
    capture = Capture(gateway, "-w", gateway.folder / "one")
    wrong = gateway.command("capture", "osaka", "-w", gateway.folder / "two", check=False)
    check("one capture at a time", wrong.returncode == 1 and "another capture" in wrong.stderr, wrong.stderr)
    gateway.host.ping("10.2.0.1", source="10.1.0.1")
    capture.process.send_signal(signal.SIGINT)
    code = capture.end()
    told = capture.process.output_path.read_text()
    check("an interrupt ends it with the figures", code == 0 and re.search(r"^[2-9] packets captured", told, re.M), told)
    full = Capture(gateway, "-w", "/dev/full", "--seconds", "5")
    gateway.host.ping("10.2.0.1", source="10.1.0.1")
    code = full.end()
    told = full.process.output_path.read_text()
    check("a full disk ends it with a sentence", code == 1 and "No space left" in told, told)
    piped = subprocess.run(["sh", "-c", f"{BUILD / 'sekisho'} --run {gateway.run_folder} capture osaka -w - --seconds 1 | "
                            "head -c 4 | od -An -tx1"], capture_output=True, text=True, timeout=20, check=False)
    check("it can be written to a pipe, and the end of that ends it", piped.stdout.split() == ["0a", "0d", "0d", "0a"]
          , piped.stdout + piped.stderr)
    log = gateway.command("log", "osaka").stdout
    check("the log has who began and that it ended", "captures its packets as they are" in log and "has ended" in log, log)
    gateway.write(TOKYO)
    gateway.command("apply")
    wrong = gateway.command("capture", "osaka", "-w", gateway.folder / "x", "--keys", gateway.folder / "k", check=False)
    check("without kept keys the way to them is told", wrong.returncode == 1 and "keep-keys on" in wrong.stderr, wrong.stderr)
    done = call(BUILD / "sekisho", "check", gateway.folder / "keeps.conf", check=False) if (
        gateway.folder / "keeps.conf").write_text("keep-keys on\n" + TOKYO) else None
    check("check warns of kept keys", "whoever may use the control socket" in done.stdout + done.stderr, done.stderr)


def main():
    with Lab("capture") as lab:
        here, there = lab.host("tokyo"), lab.host("osaka")
        lab.link(here, "wan", there, "wan")
        for host, outer, inner in ((here, "203.0.113.1/24", "10.1.0.1/32"), (there, "203.0.113.2/24", "10.2.0.1/32")):
            host.address("wan", outer)
            host.address("lo", inner)
        tokyo = Sekisho(here, TOKYO, {"osaka": KEY}).start()
        osaka = Sekisho(there, OSAKA, {"tokyo": KEY}).start()

        def check(what, good, told=""):
            return lab.check(what, good, "" if good else told)

        check("the tunnel is up", tokyo.wait_up("osaka"))
        for number, suite in enumerate(suites()):
            one_suite(check, tokyo, osaka, suite, "always" if number % 2 else "never")
        drops_hold(check, tokyo)
        ends_hold(check, tokyo)


main()
