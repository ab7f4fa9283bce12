#!/usr/bin/env python3
"""The daemon as a process: how it starts, what it says when it cannot, what it keeps, what it leaves behind."""
import os
import pathlib
import socket
import subprocess
import time

from lab import BUILD, KEY, Lab, Sekisho, call, wait_for

CONFIG = """gateway ga.example
lan     10.1.0.0/16
site peer {
  peer    203.0.113.2
  network 10.2.0.0/16 10.3.0.0/24
  key     @peer
  start   wait
}
"""


def run_once(host, gateway, *options, seconds=10):
    """The daemon in the foreground until it ends; its exit status and what it said."""
    done = host.run(BUILD / "sekishod", "-c", gateway.config, "--run", gateway.run_folder, "--state",
                    gateway.folder / "state", *options, check=False, seconds=seconds)
    return done.returncode, done.stdout + done.stderr


def threads(pid, field):
    return {line.split()[1] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for line in (task / "status").read_text().splitlines() if line.startswith(field + ":")}


def priorities(pid):
    """The nice values of its threads, in order."""
    return sorted(int((task / "stat").read_text().rpartition(")")[2].split()[16])
                  for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def priority_of_session(pid):
    """Of its session among others, where the system shares the processors so; else what it should be."""
    path = pathlib.Path(f"/proc/{pid}/autogroup")
    told = path.read_text().split() if path.exists() else []
    return int(told[-1]) if told else -10


def starting(lab, host):
    check = lab.check
    gateway = Sekisho(host, CONFIG, {"peer": KEY})
    status, told = run_once(host, gateway, "--check")
    check("--check of a good configuration is 0 and opens nothing", status == 0 and not gateway.run_folder.exists(), told)
    gateway.write(CONFIG.replace("10.2.0.0/16", "10.2.0.0/61"))
    status, told = run_once(host, gateway, "--check")
    check("--check of a bad one is 1 and says where", status == 1 and ":5:" in told, told)
    status, told = run_once(host, gateway, "--foreground")
    check("and so is a start with it", status == 1 and ":5:" in told)
    gateway.write(CONFIG)
    (gateway.folder / "secrets" / "peer").chmod(0o644)
    status, told = run_once(host, gateway, "--check")
    check("a secret that others can read is refused with what to do", status == 1 and "chmod 600" in told, told)
    (gateway.folder / "secrets" / "peer").chmod(0o600)
    status, told = run_once(host, gateway, "--frobnicate")
    check("an unknown option is 2", status == 2 and "--frobnicate" in told)
    with socket_in(host, 500):
        status, told = run_once(host, gateway, "--foreground")
        check("a taken port names its owner", status == 1 and "UDP port 500 is taken by python3" in told, told)
    host.sysctl("net.ipv4.ip_forward", 0)
    gateway.start()
    host.sysctl("net.ipv4.ip_forward", 1)
    check("without forwarding it says so", wait_for(lambda: "ip_forward" in gateway.log(), 3), gateway.log()[-300:])
    told = priorities(gateway.process.pid)
    check("its threads come before common ones, but for those that calculate", told[:3] == [-10] * 3 and told[-1] == 0, told)
    told = priority_of_session(gateway.process.pid)
    check("and its session comes before others", told == -10, told)
    check("one ready line on standard output", gateway.log().count(" is ready: ga.example, 1 site, device sekisho0") == 1)
    second = Sekisho(host, CONFIG, {"peer": KEY}, name="second")
    second.run_folder = gateway.run_folder
    status, told = run_once(host, second, "--foreground")
    check("a second daemon on one directory is told of the first",
          status == 1 and f"process {gateway.process.pid}" in told, told)
    second.run_folder = second.folder / "run"
    status, told = run_once(host, second, "--foreground")
    check("with a directory of its own it is told of the device", status == 1 and "sekisho0" in told, told)
    return gateway


class socket_in:
    """A UDP port that another program holds in the host's namespace."""

    def __init__(self, host, port):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", host.space, "/usr/bin/python3", "-c",
             f"import socket,sys; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', {port})); "
             "print('bound', flush=True); sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.wait()


def running(lab, host, gateway):
    check = lab.check
    pid = gateway.process.pid
    # NET_BIND_SERVICE, NET_ADMIN, NET_RAW: bits 10, 12, 13
    check("every thread has three capabilities", threads(pid, "CapEff") == {"0000000000003400"}, threads(pid, "CapEff"))
    check("no thread can get more", threads(pid, "CapBnd") == {"0000000000000000"} and threads(pid, "NoNewPrivs") == {"1"})
    check("system calls that it never makes are refused to all", threads(pid, "Seccomp") == {"2"})
    check("no core dump", "Max core file size        0                    0" in
          pathlib.Path(f"/proc/{pid}/limits").read_text())
    mode = (gateway.run_folder / "control.sock").stat().st_mode & 0o777
    check("the control socket is root's alone", mode == 0o600, oct(mode))
    resident = int(next(line.split()[1] for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                        if line.startswith("VmRSS")))
    check("it is small when idle", resident < 16 * 1024, f"{resident} KiB")
    before = cpu_ticks(pid)
    time.sleep(2)
    check("and does next to nothing", cpu_ticks(pid) - before <= 2, cpu_ticks(pid) - before)
    check("routes to all networks", all(net in host.ip("route").stdout for net in ("10.2.0.0/16", "10.3.0.0/24")))
    # garbage on the control socket
    for data in (b"\xff" * 8, b"\0\0\0\5abc", b"\0\0\0\2{}", b"\0\0\0\0"):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(gateway.run_folder / "control.sock"))
            s.sendall(data)
            s.settimeout(0.3)
            try:
                s.recv(1000)
            except TimeoutError:
                pass
    check("garbage on the control socket does no harm", gateway.command("status", check=False).returncode in (0, 4))
    # SIGHUP with a bad and a good configuration
    gateway.write(CONFIG.replace("10.3.0.0/24", "10.3.0.0/99"))
    gateway.reload()
    check("SIGHUP with a bad configuration changes nothing", wait_for(lambda: "10.3.0.0/99" in gateway.log(), 3)
          and "10.3.0.0/24" in host.ip("route").stdout)
    gateway.write(CONFIG.replace(" 10.3.0.0/24", " 10.4.0.0/24").replace("lan ", "device other0\nlan "))
    gateway.reload()
    check("SIGHUP with a good one applies it", wait_for(lambda: "10.4.0.0/24" in host.ip("route").stdout, 3)
          and "10.3.0.0/24" not in host.ip("route").stdout)
    check("and says what takes a restart", wait_for(lambda: "after a restart" in gateway.log(), 3))
    gateway.write(CONFIG)
    # an address of ours comes and goes
    host.ip("address", "add", "10.1.0.1/16", "dev", "lo")
    host.ip("address", "del", "10.1.0.1/16", "dev", "lo")
    check("a change of addresses is survived", gateway.command("status", check=False).returncode in (0, 4))


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def unheard(lab, host):
    """Nobody reads what the daemon says any more."""
    gateway = Sekisho(host, CONFIG, {"peer": KEY}, name="unheard")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        ["ip", "netns", "exec", host.space, BUILD / "sekishod", "-c", gateway.config, "--run", gateway.run_folder,
         "--state", gateway.folder / "state", "--foreground"], stdout=writer, stderr=writer)
    os.close(writer)
    told = b""
    while b"is ready" not in told:
        more = os.read(reader, 1000)
        told += more
        if not more:
            break
    lab.check("a daemon whose output is read", b"is ready" in told)
    os.close(reader)
    gateway.process = process
    process.send_signal(1)
    time.sleep(0.3)
    lab.check("goes on when nobody reads it any more", process.poll() is None
              and gateway.command("status", check=False).returncode in (0, 4))
    process.terminate()
    lab.check("and ends like any other", process.wait(5) == 0)


# A device takes UDP in one piece since Linux 6.2.
HAS_USO = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 2)
OFFLOADS = {"all": (True,) * 5, "tun": (True, True, False, False, False), "udp": (False, False, True, True, True),
            "off": (False,) * 5}


def offloads(lab, host):
    """The word, the option that wins, and what status says."""
    for word, expected in OFFLOADS.items():
        for options in ((), ("--offload", "off")):
            gateway = Sekisho(host, CONFIG.replace("site peer", f"offload {word}\nsite peer"), {"peer": KEY},
                              name=f"offload-{word}{len(options)}", options=options).start()
            told = gateway.status().get("offload", {})
            wanted = expected if not options else (False,) * 5
            lab.check(f"offload {word} {' '.join(options)}: status tells what is in use",
                      [(p["in_use"], p["reason"] == "not wanted") for p in told.get("parts", ())]
                      == [(want and (HAS_USO or n != 1), not want) for n, want in enumerate(wanted)], told)
            lab.check(f"offload {word} {' '.join(options)}: in words too",
                      f"offload: {told.get('text')}\n" in gateway.command("status", check=False).stdout)
            if word == "tun" and not options:
                gateway.write(CONFIG)
                gateway.reload()
                lab.check("another 'offload' waits for a restart, and status says so", wait_for(
                    lambda: "'offload' take effect after a restart" in str(gateway.status().get("problems")), 5))
            gateway.stop()


def guard(host):
    return host.run("nft", "list", "ruleset", check=False).stdout


def ending(lab, host, gateway):
    check = lab.check
    check("clear text from behind the peer is refused by the packet filter",
          wait_for(lambda: "ip saddr 10.2.0.0/16 ip daddr 10.1.0.0/16" in guard(host), 3), guard(host))
    gateway.kill()
    check("after kill -9 device and routes are gone", "sekisho0" not in host.ip("link").stdout + host.ip("route").stdout)
    (gateway.run_folder / "control.sock").touch()
    (gateway.run_folder / "control.sock").unlink()
    gateway.start()
    check("and it starts again", gateway.command("status", check=False).returncode in (0, 4))
    check("what the killed one left in the packet filter is replaced",
          wait_for(lambda: guard(host).count("ip saddr 10.2.0.0/16") == 1, 3), guard(host))
    gateway.write(CONFIG.replace("site peer", "guard off\nsite peer"))
    gateway.process.send_signal(1)
    check("'guard off' takes it away", wait_for(lambda: "sekisho" not in guard(host), 3), guard(host))
    gateway.write(CONFIG)
    gateway.process.send_signal(1)
    check("and without the word it is there", wait_for(lambda: "sekisho" in guard(host), 3), guard(host))
    began = time.monotonic()
    check("SIGTERM ends it with 0", gateway.stop() == 0, f"{time.monotonic() - began:.2f} s")
    check("and leaves neither device nor route nor socket", "sekisho0" not in host.ip("link").stdout + host.ip("route").stdout
          and not (gateway.run_folder / "control.sock").exists())
    check("nor a packet filter", "sekisho" not in guard(host), guard(host))
    # in the background
    status, told = run_once(host, gateway)
    pid = int((gateway.run_folder / "sekishod.pid").read_text())
    check("in the background the caller goes on when it is ready", status == 0 and "is ready" in told
          and gateway.command("status", check=False).returncode in (0, 4), told)
    os.kill(pid, 15)
    check("and it ends like any other", wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 5))
    gateway.write("nonsense\n")
    status, told = run_once(host, gateway)
    check("in the background a failure is the caller's", status == 1 and "nonsense" in told, told)


def notified(lab, host, gateway):
    """The service manager's side of sd_notify."""
    path = str(lab.folder / "notify")
    gateway.write(CONFIG)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(5)
        process = host.start(BUILD / "sekishod", "-c", gateway.config, "--run", gateway.run_folder, "--state",
                             gateway.folder / "state", "--foreground", environment={"NOTIFY_SOCKET": path})
        lab.check("READY is told to the service manager", b"READY=1" in s.recv(1000))
        process.send_signal(1)
        lab.check("and a reload", b"RELOADING=1\nMONOTONIC_USEC=" in s.recv(1000) and b"READY=1" in s.recv(1000))
        process.terminate()
        lab.check("and the end", b"STOPPING=1" in s.recv(1000) and process.wait(5) == 0)


def main():
    with Lab("daemon") as lab:
        host, other = lab.host("d"), lab.host("o")
        lab.link(host, "wan", other, "wan", ("203.0.113.1/24",), ("203.0.113.2/24",))
        gateway = starting(lab, host)
        running(lab, host, gateway)
        ending(lab, host, gateway)
        notified(lab, host, gateway)
        unheard(lab, host)
        offloads(lab, host)


if __name__ == "__main__":
    main()
