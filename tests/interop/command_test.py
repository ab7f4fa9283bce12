#!/usr/bin/env python3
"""The command as a person and a script meet it: every verb, good words and wrong ones, as text and as JSON."""
import json
import os
import re
import subprocess

from lab import BUILD, KEY, OSAKA, TOKYO, Lab, Sekisho, call, wait_for

COMMAND = BUILD / "sekisho"
def pair(lab):
    tokyo, osaka = lab.host("tokyo"), lab.host("osaka")
    lab.link(tokyo, "wan", osaka, "wan")
    tokyo.address("wan", "203.0.113.1/24")
    osaka.address("wan", "203.0.113.2/24")
    return tokyo, osaka


def json_holds(check, gateway):
    """With --json everything is one JSON value of version 1 on the standard output, failures too."""
    cases = [("status", 0), ("status osaka", 0), ("status nowhere", 1), ("explain", 0), ("explain osaka", 0),
             ("explain nowhere", 1), ("explain SEK-A012", 0), ("check", 0), ("check /nowhere", 1), ("apply", 0),
             ("apply --dry-run", 0), ("up osaka", 0), ("up nowhere", 1), ("up", 2), ("show config", 0),
             ("show config --all", 0), ("show nothing", 2), ("sas", 0), ("sas nowhere", 1), ("drops", 0), ("drops -v", 0), ("log", 0),
             ("log nowhere", 1), ("trace osaka", 0), ("trace nowhere", 1), ("version", 0), ("help", 0),
             ("help peer", 0), ("help nowhere", 1), ("fmt /nowhere", 1), ("dance", 2), ("status --dance", 2),
             ("secret fingerprint nowhere", 1), ("secret dance a", 2), ("secret new ../a", 2),
             ("restart osaka --rekey", 0), ("trace osaka --last 3", 0), ("trace --last 3", 0), ("trace osaka --last 0", 2),
             ("users", 2), ("users dance", 2), ("users list --state /nowhere", 0), ("users check --state /nowhere", 0),
             ("export-peer", 2), ("export-peer osaka", 2), ("export-peer osaka --for toaster", 2), ("check --probe", 2)]
    wrong = []
    for words, code in cases:
        done = gateway.command(*words.split(), "--json", check=False)
        try:
            good = json.loads(done.stdout)["version"] == 1 and done.returncode == code and not done.stderr
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            wrong.append((words, done.returncode, done.stdout[:60], done.stderr[:60]))
    check(f"--json is JSON of version 1 for all of {len(cases)} calls", not wrong, str(wrong))
    done = call(COMMAND, "--run", "/nowhere", "status", "--json", check=False)
    check("also when no daemon answers", done.returncode == 3 and json.loads(done.stdout)["exit"] == 3, done.stdout)


def text_holds(check, gateway):
    told = gateway.command("status").stdout
    check("status is a table that names site, state and algorithms",
          re.search(r"^SITES +STATE +SINCE +IN +OUT +CRYPTO\nosaka +up +\d+ s +\d+ k?B +\d+ k?B +AES-256-GCM, X25519\+ML-KEM$",
                    told, re.MULTILINE), told)
    check("no line of it is longer than 80 columns", max(map(len, told.splitlines())) <= 80, told)
    check("no colours where no terminal is", "\033" not in told)
    detail = gateway.command("status", "osaka", "-v").stdout
    check("one site in detail", all(word in detail for word in ("IKEv2", "rekey", "SPI", "MTU", "10.2.0.0/16")), detail)
    wrong = gateway.command("status", "osako", check=False)
    check("a name that is nearly right is asked back", "did you mean 'osaka'" in wrong.stderr and not wrong.stdout)
    age = lambda: [float(a) for a in re.findall(r"([\d.]+) s ago", gateway.command("log").stdout)]
    check("log lines grow older", wait_for(lambda: age() and max(age()) >= 1, 5), str(age()))
    everything = gateway.folder / "everything.conf"
    everything.write_text(gateway.command("show", "config", "--all").stdout)
    done = gateway.command("check", everything, check=False)
    check("what show prints is a configuration", done.returncode == 0, done.stderr)


def drops_hold(check, gateway, host):
    """A packet that nobody wants is counted, told by `drops`, and logged."""
    host.address("lo", "10.1.0.1/32")
    gateway.command("down", "osaka")
    host.ping("10.2.0.1", source="10.1.0.1")
    told = wait_for(lambda: (d := gateway.command("drops").stdout) and "osaka out 10.1.0.1 > 10.2.0.1 icmp" in d and d, 5)
    check("drops shows the latest example of a reason with its site", told, gateway.command("drops").stdout)
    examples = json.loads(gateway.command("drops", "--json").stdout)["drops"]
    latest = next(d["latest"] for d in examples if d["reason"] == "no-sa")
    check("and as JSON", latest and latest["site"] == "osaka" and latest["inside"].startswith("10.1.0.1 > 10.2.0.1 icmp")
          and latest["inbound"] is False, str(latest))
    check("the log has it", "dropped no-sa: out 10.1.0.1 > 10.2.0.1" in gateway.command("log").stdout)
    gateway.command("up", "osaka")
    check("up again after the drops", gateway.wait_up("osaka"))


def orders_hold(check, gateway):
    gateway.command("down", "osaka")
    told = wait_for(lambda: (d := gateway.command("status", check=False)).returncode == 4 and d)
    check("a site that was taken down makes status end with 4", told)
    check("and says so without a next try",
          told and "was taken down by order" in told.stdout and "next" not in told.stdout, told and told.stdout)
    gateway.command("up", "osaka")
    check("up brings it back", gateway.wait_up("osaka"))
    with open("/dev/full", "w") as full:
        done = subprocess.run([COMMAND, "--run", gateway.run_folder, "status"], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=20, check=False)
    check("an output that cannot be written is a failure", done.returncode == 1 and "disk full" in done.stderr)
    many = TOKYO + "".join(f"site s{i} {{ peer 192.0.2.1; network 172.16.{i}.0/24; key @osaka; start wait }}\n"
                            for i in range(250))
    gateway.write(many)
    told = gateway.command("apply", "--dry-run").stdout
    check("a long plan is cut with a word about it", "... and 50 more" in told, told[-200:])


def secrets_hold(check, folder):
    config = folder / "alone.conf"
    config.write_text(TOKYO)
    made = call(COMMAND, "-c", config, "secret", "new", "osaka")
    path = folder / "secrets" / "osaka"
    check("a new key is 256 bits on one line, for its owner alone",
          re.fullmatch(r"[A-Za-z0-9+/]{43}=\n", made.stdout) and path.stat().st_mode & 0o777 == 0o600, made.stderr)
    again = call(COMMAND, "-c", config, "secret", "new", "osaka", check=False)
    check("it is not overwritten by another new one", again.returncode == 1 and path.read_text() == made.stdout)
    call(COMMAND, "-c", config, "secret", "set", "tokyo", text_in=made.stdout)
    prints = [call(COMMAND, "-c", config, "secret", "fingerprint", name).stdout for name in ("osaka", "tokyo")]
    check("the same key has the same fingerprint", prints[0] == prints[1] and len(prints[0]) == 8, str(prints))
    path.chmod(0o644)
    done = call(COMMAND, "-c", config, "check", check=False)
    check("a key that others can read is refused with the remedy", done.returncode == 1 and "chmod 600" in done.stderr)


def full_disk_holds(check, folder):
    disk = folder / "tiny"
    disk.mkdir()
    call("mount", "-t", "tmpfs", "-o", "size=16k", "none", disk)
    try:
        config = disk / "sekisho.conf"
        config.write_text(TOKYO.replace("\n  ", "\n      "))
        before = config.read_text()
        try:
            (disk / "fill").write_bytes(bytes(65536))
        except OSError:
            pass
        done = call(COMMAND, "fmt", config, check=False)
        check("fmt on a full disk changes nothing", done.returncode == 1 and config.read_text() == before, done.stderr)
        done = call(COMMAND, "-c", config, "secret", "new", "osaka", check=False)
        left = list((disk / "secrets").glob("*")) if (disk / "secrets").exists() else []
        check("secret new on a full disk prints no key and leaves no file",
              done.returncode == 1 and not done.stdout and not left and "No space" in done.stderr, done.stderr)
    finally:
        call("umount", disk)


def starts_hold(check, host, gateway):
    def start(*words):
        return host.run(BUILD / "sekishod", "--foreground", *words, check=False, seconds=10)

    config = gateway.config
    config.write_text(TOKYO)
    done = start("-c", config, "--run", gateway.run_folder, "--state", gateway.folder / "s2")
    check("a second daemon on the same directory ends and names the first",
          done.returncode == 1 and f"process {gateway.process.pid}" in done.stderr, done.stderr)
    other = gateway.folder / "other.conf"
    other.write_text("device other0\n" + TOKYO)
    done = start("-c", other, "--run", gateway.folder / "r2", "--state", gateway.folder / "s2")
    check("a port that is taken is told with its owner",
          done.returncode == 1 and "UDP port 500 is taken by sekishod" in done.stderr, done.stderr)
    done = start("-c", other, "--dance")
    check("a wrong option is told with the right ones", done.returncode == 2 and "usage:" in done.stderr)
    check("the daemon that runs is not disturbed by any of this", gateway.wait_up("osaka"))


def main():
    os.environ.pop("SEKISHO_SOCKET", None)
    with Lab("cmd") as lab:
        here, there = pair(lab)
        tokyo = Sekisho(here, TOKYO, {"osaka": KEY}).start()
        Sekisho(there, OSAKA, {"tokyo": KEY}).start()

        def check(what, good, told=""):
            return lab.check(what, good, "" if good else told)

        check("the tunnel is up", tokyo.wait_up("osaka"))
        text_holds(check, tokyo)
        json_holds(check, tokyo)
        check("it is up after all these questions", tokyo.wait_up("osaka"))
        orders_hold(check, tokyo)
        drops_hold(check, tokyo, here)
        starts_hold(check, here, tokyo)
        secrets_hold(check, lab.folder)
        full_disk_holds(check, lab.folder)


main()
