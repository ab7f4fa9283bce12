#!/usr/bin/env python3
"""A second Linux kernel as a peer: User-Mode Linux, booted as a process, with interfaces in a namespace of the lab.

The guest sees the files of this machine under a writable layer that is forgotten at the end, so every program installed
here runs in it, on a kernel that has ESP, AH and the rest. A folder is shared with it: Guest.share() here, /rig there.

    guest.py run FOLDER MEMORY TAP...    (internal) opens the TAPs in the namespace it is called in and runs the kernel
"""
import fcntl
import hashlib
import os
import pathlib
import shlex
import signal
import struct
import subprocess
import sys
import time

KERNEL = "/usr/bin/linux.uml"
MODULES = "/usr/lib/uml/modules"
HERE = pathlib.Path(__file__).resolve().parent
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
BELL_FD, FIRST_TAP_FD = 30, 31
# ESP and AH with AES, in CBC and GCM, and the SHA-2 hashes; what their sequence numbers and IVs come from.
IPSEC = "xfrm_user esp4 ah4 authenc echainiv seqiv cbc ctr gcm ghash-generic hmac sha512_generic drbg jitterentropy_rng ansi_cprng"


class Guest:
    """A guest with one interface a bridge of `host`: nics is a list of (bridge, [addresses])."""

    def __init__(self, lab, host, name, nics, gateway=None, memory="224M"):
        self.lab, self.host, self.name = lab, host, name
        self.folder = lab.folder / f"guest-{name}"
        (self.folder / "share" / "jobs").mkdir(parents=True)
        self.jobs = 0
        taps = []
        for index, (bridge, _) in enumerate(nics):
            tap = f"{name}{index}"
            host.ip("tuntap", "add", tap, "mode", "tap")
            if host.ip("link", "show", bridge, check=False).returncode != 0:
                host.ip("link", "add", bridge, "type", "bridge", "mcast_snooping", 0)
                host.ip("link", "set", bridge, "up")
            host.ip("link", "set", tap, "master", bridge, "up")
            taps.append(tap)
        lines = [f"hostname {name}"]
        for index, (_, addresses) in enumerate(nics):
            for address in addresses:
                lines.append(f"ip address add {address} dev vec{index}" + (" nodad" if ":" in address else ""))
            lines.append(f"ip link set vec{index} up")
        if gateway:
            lines.append(f"ip route add default via {gateway}")
        (self.folder / "share" / "boot.sh").write_text("\n".join(lines) + "\n")
        os.mkfifo(self.folder / "bell")
        self.bell = os.open(self.folder / "bell", os.O_RDWR)
        with open(self.folder / "console.log", "wb") as console:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", host.space, "unshare", "--pid", "--fork", "--kill-child=KILL",
                 "python3", str(HERE / "guest.py"), "run", str(self.folder), memory, *taps],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, start_new_session=True)
        lab.guests.append(self)
        end = time.monotonic() + 60
        while not (self.folder / "share" / "ready").exists():
            if self.process.poll() is not None or time.monotonic() > end:
                told = (self.folder / "console.log").read_text(errors="replace")
                raise RuntimeError(f"the guest {name} did not boot: {told[-1500:]}")
            time.sleep(0.02)

    def share(self):
        return self.folder / "share"

    def sh(self, script, check=True, seconds=60):
        """Runs a bash script in the guest."""
        self.jobs += 1
        place = self.share() / "jobs" / str(self.jobs)
        place.mkdir()
        (place / "script").write_text(script)
        os.write(self.bell, f"{self.jobs} {seconds}\n".encode())
        end = time.monotonic() + seconds + 10
        while True:
            try:
                status = (place / "status").read_text()
                if status.endswith("\n"):
                    break
            except FileNotFoundError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"the guest {self.name} died")
            if time.monotonic() > end:
                raise RuntimeError(f"the guest {self.name} does not answer")
            time.sleep(0.01)

        def told(name):
            return (place / name).read_text(errors="replace") if (place / name).exists() else ""
        done = subprocess.CompletedProcess(script, int(status), told("out"), told("err"))
        if check and done.returncode != 0:
            raise RuntimeError(f"in the guest {self.name}: {script}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def run(self, *words, check=True, seconds=60):
        return self.sh(shlex.join(str(w) for w in words), check=check, seconds=seconds)

    def load(self, modules):
        """All that its kernel will need. It asks modprobe for each name of an algorithm else, dozens of times, and whoever
        negotiates waits up to ten seconds meanwhile."""
        self.sh(f"modprobe -a {modules}; echo >/proc/sys/kernel/modprobe")

    def batch(self, lines, seconds=60):
        """Lines for one `ip -batch`."""
        path = self.share() / "batch"
        path.write_text(lines)
        return self.sh("ip -batch /rig/batch", seconds=seconds)

    def down(self):
        if self.process.poll() is None:
            # The whole PID namespace of the kernel dies with `unshare`.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.bell)


def open_tap(name):
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def run(folder, memory, taps):
    folder = pathlib.Path(folder)
    words = [
        "linux.uml", f"mem={memory}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "noreboot",
        "panic=-1", f"init={HERE}/guest-init", f"uml_dir={folder}", f"umid={folder.name}",
        "initcall_blacklist=raid6_select_algo", "pty.legacy_count=0", "con=null", "con0=null,fd:1", "ssl=null",
        f"ssl0=fd:{BELL_FD},null", f"sekisho_share={folder}/share",
    ]
    bell = os.open(folder / "bell", os.O_RDWR)
    moved = [(fcntl.fcntl(bell, fcntl.F_DUPFD, 100), BELL_FD)]
    for index, tap in enumerate(taps):
        moved.append((fcntl.fcntl(open_tap(tap), fcntl.F_DUPFD, 100), FIRST_TAP_FD + index))
        mac = "02:" + ":".join(hashlib.sha256(f"{folder}{tap}".encode()).hexdigest()[i:i + 2] for i in range(0, 10, 2))
        # vec=0: one frame a read and no virtio header, so every frame of the guest has its checksums complete.
        words.append(f"vec{index}:transport=fd,fd={FIRST_TAP_FD + index},vec=0,mac={mac}")
    for source, target in moved:
        os.dup2(source, target, inheritable=True)
    # The kernel must not be the first process of the namespace: a panic could not end it.
    kernel = subprocess.Popen(words, executable=KERNEL, env={"PATH": os.defpath}, close_fds=False)
    sys.exit(kernel.wait())


if __name__ == "__main__":
    if sys.argv[1:2] != ["run"]:
        sys.exit(__doc__)
    run(sys.argv[2], sys.argv[3], sys.argv[4:])
