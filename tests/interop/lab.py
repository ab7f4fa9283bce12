"""A laboratory of network namespaces for tests with real programs: namespaces, links, gateways, peers, flows.

    with Lab("name") as lab:
        a = lab.host("a"); ...
        lab.check("ping crosses the tunnel", a.ping("10.2.0.2"))

Everything made here is gone when the `with` ends, however it ends. A check prints a line `ok WHAT` or `FAIL WHAT`; the
program ends with status 1 when one failed or when none ran.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("SEKISHO_BUILD", ROOT / "build"))
KEY = "rig-Zg9mB2vQ7xL4tK1pW8sY3nD6"


def call(*words, check=True, seconds=60, text_in=None):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=seconds, input=text_in)
    if check and done.returncode != 0:
        raise RuntimeError(f"{shlex.join(str(w) for w in words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def wait_for(condition, seconds=10.0, every=0.05):
    """The first true value of condition(), or its last value when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)


class Host:
    """A network namespace."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.space = f"{lab.prefix}-{name}"
        call("ip", "netns", "add", self.space)
        lab.spaces.append(self.space)
        self.ip("link", "set", "lo", "up")
        self.sysctl("net.ipv4.ip_forward", 1)
        self.sysctl("net.ipv6.conf.all.forwarding", 1)
        for scope in ("all", "default"):
            self.sysctl(f"net.ipv6.conf.{scope}.accept_dad", 0)
            self.sysctl(f"net.ipv4.conf.{scope}.rp_filter", 0)

    def ip(self, *words, check=True):
        return call("ip", "-n", self.space, *words, check=check)

    def sysctl(self, name, value):
        self.run("sysctl", "-qw", f"{name}={value}")

    def run(self, *words, check=True, seconds=60, text_in=None):
        return call("ip", "netns", "exec", self.space, *words, check=check, seconds=seconds, text_in=text_in)

    def start(self, *words, out=None, environment=None):
        """A program that goes on; its output goes to the file `out` of the lab's folder."""
        path = self.lab.folder / (out or f"{self.name}-{len(self.lab.processes)}.out")
        with open(path, "ab") as file:
            process = subprocess.Popen(["ip", "netns", "exec", self.space, *[str(w) for w in words]],
                                       stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                       start_new_session=True, env={**os.environ, **(environment or {})})
        process.output_path = path
        self.lab.processes.append(process)
        return process

    def address(self, interface, *addresses):
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            self.ip("address", "add", address, "dev", interface, *extra)

    def route(self, *words):
        self.ip("-6" if ":" in words[0] or words[0] == "default6" else "-4", "route", "replace",
                *("default" if w == "default6" else w for w in words))

    def ping(self, address, count=1, seconds=2, size=None, source=None, forbid_fragments=False):
        """How many of `count` pings were answered, one after the other. (A ping of several does not wait for `seconds`: when
        the last was sent it waits for one more interval, and whatever a busy machine gives it later counts as lost.)"""
        words = ["ping", "-n", "-q", "-c", 1, "-W", seconds]
        if size is not None:
            words += ["-s", size]
        if source is not None:
            words += ["-I", source]
        if forbid_fragments:
            words += ["-M", "do"]
        one = shlex.join(str(word) for word in [*words, address])
        told = self.run("sh", "-c", f"for turn in $(seq {count}); do {one} >/dev/null 2>&1 && echo answered; done", check=False,
                        seconds=seconds * count + 10).stdout
        return told.count("answered")

    def pings(self, address, seconds=10, **options):
        """True as soon as one ping is answered."""
        return bool(wait_for(lambda: self.ping(address, seconds=1, **options), seconds, 0.1))


class Sekisho:
    """A gateway of ours in a namespace."""

    def __init__(self, host, config, secrets=None, name="gateway", options=(), build=BUILD):
        self.host = host
        host.lab.our_spaces.append(host.space)
        self.build = build
        self.folder = host.lab.folder / f"{host.name}-{name}"
        (self.folder / "secrets").mkdir(parents=True)
        self.config = self.folder / "sekisho.conf"
        self.run_folder = self.folder / "run"
        self.write(config)
        for secret, value in (secrets or {}).items():
            self.secret(secret, value)
        self.program = [self.build / "sekishod"]
        self.options = [*options, *os.environ.get("SEKISHO_OPTIONS", "").split()]
        self.process = None

    def write(self, config):
        self.config.write_text(config)

    def secret(self, name, value):
        path = self.folder / "secrets" / name
        path.write_text(value + "\n")
        path.chmod(0o600)

    def start(self, ready_seconds=20, environment=None):
        self.process = self.host.start(
            *self.program, "-c", self.config, "--run", self.run_folder, "--state", self.folder / "state",
            "--foreground", *self.options, out=f"{self.host.name}-sekishod.log", environment=environment)
        if not wait_for(lambda: (self.run_folder / "control.sock").exists() or self.process.poll() is not None,
                        ready_seconds) or self.process.poll() is not None:
            raise RuntimeError(f"sekishod did not start: {self.log()[-2000:]}")
        return self

    def log(self):
        return self.process.output_path.read_text(errors="replace") if self.process else ""

    def kill(self):
        """As a crash: nothing is told to anybody."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        (self.run_folder / "control.sock").unlink(missing_ok=True)

    def stop(self, seconds=10):
        self.process.terminate()
        return self.process.wait(seconds)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def command(self, *words, check=True, seconds=30):
        return call(self.build / "sekisho", "--run", self.run_folder, *words, check=check, seconds=seconds)

    def set_secret(self, name, value):
        """As an administrator does it."""
        return call(self.build / "sekisho", "-c", self.config, "secret", "set", name, check=False, text_in=value + "\n")

    def status(self):
        done = self.command("status", "--json", check=False)
        return json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}

    def site(self, name):
        return next((s for s in self.status().get("sites", []) if s["name"] == name), {})

    def is_up(self, name):
        return self.site(name).get("state") == "up"

    def wait_up(self, name, seconds=15):
        return bool(wait_for(lambda: self.is_up(name), seconds))

    def explain(self, name):
        return self.command("explain", name, check=False).stdout


VICI_PORT = 4502
STRONGSWAN_CONF = """
charon {{
  load = {plugins}
  install_routes = {install_routes}
  install_virtual_ip = no
  retransmit_timeout = 1
  retransmit_tries = 4
  make_before_break = yes
  accept_unencrypted_mainmode_messages = no
  plugins {{
    vici {{ socket = {vici} }}
    kernel-libipsec {{ allow_peer_ts = yes }}
    kernel-netlink {{ fwmark = {not_mark} }}
    socket-default {{ fwmark = {mark} }}
  }}
  {extra}
  filelog {{ main {{ path = {log}
    time_format = %T
    flush_line = yes
    default = 1
    ike = 2
    cfg = 2 }} }}
}}
"""

PLUGINS = ("random nonce openssl pem pkcs1 pkcs8 x509 pubkey revocation constraints kdf hmac xcbc cmac gcm ccm ctr "
           "chapoly aes des sha1 sha2 md5 gmp curve25519 fips-prf {kernel} socket-default updown vici")

SWANCTL_CONF = """
connections {{
  {connection} {{
    version = {version}
    aggressive = {aggressive}
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = {ike}
    encap = {encap}
    fragmentation = {fragmentation}
    mobike = {mobike}
    dpd_delay = {dpd}
    rekey_time = {ike_rekey}
    reauth_time = {reauth}
    childless = {childless}
    over_time = {over}
    keyingtries = {tries}
    rand_time = 0s
    {ppk}
    unique = {unique}
    local {{
      {local_auth}
      id = {local_id}
    }}
    remote {{
      {remote_auth}
      id = {remote_id}
    }}
    children {{
{children}
    }}
  }}
}}
secrets {{
  ike-{connection} {{
    id-1 = {local_id}
    id-2 = {remote_id}
    secret = "{key}"
  }}
{secrets}}}
"""

CHILD_CONF = """      {name} {{
        mode = {mode}
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        {protocol}_proposals = {esp}
        {more}
        rekey_time = {rekey}
        rand_time = 0s
        start_action = {start}
        dpd_action = {dpd_action}
        close_action = none
      }}
"""


class Strongswan:
    """strongSwan's charon: in a plain namespace with its own userspace ESP, or in a guest with its kernel's ESP.

    `place` runs programs: a Host or a Guest. `asked_at`: (host, an address of the guest): from there it is given its orders, by
    TCP; a program that is started in the guest takes a second or more each time."""
    plugins = PLUGINS

    def __init__(self, place, local, remote, local_ts, remote_ts, kernel_esp=False, asked_at=None, **given):
        self.place = place
        self.kernel_esp = kernel_esp
        self.asked_at = asked_at
        self.folder = place.share() / "strongswan" if kernel_esp else place.lab.folder / f"{place.name}-strongswan"
        self.inside = pathlib.PurePosixPath("/rig/strongswan") if kernel_esp else self.folder
        self.settings = {
            "local": local, "remote": remote, "ike": "aes128-sha256-modp2048", "esp": "aes128-sha256",
            "encap": "no", "fragmentation": "yes", "dpd": "30s", "ike_rekey": "4h", "rekey": "1h", "unique": "replace",
            "local_id": local, "remote_id": remote, "key": KEY, "mode": "tunnel", "start": "none",
            "dpd_action": "none", "extra": "", "mobike": "no", "protocol": "esp",
            "version": "2", "aggressive": "no", "reauth": "0s", "childless": "allow", "over": "60s", "more": "", "connection": "peer",
            "ppk": "", "tries": "1", "secrets": "",
            "routes": "yes", "local_auth": "auth = psk", "remote_auth": "auth = psk", **given}
        self.children = {"net": {"local_ts": local_ts, "remote_ts": remote_ts}}
        self.process = None

    def child(self, name, local_ts, remote_ts, **given):
        self.children[name] = {"local_ts": local_ts, "remote_ts": remote_ts, **given}

    def write(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in ("x509 x509ca x509ocsp x509aa x509ac x509crl pubkey private rsa ecdsa bliss pkcs8 pkcs12".split()):
            (self.folder / part).mkdir(exist_ok=True)
        settings = dict(self.settings)
        settings["children"] = "".join(
            CHILD_CONF.format(**{**settings, "name": name, **child}) for name, child in self.children.items())
        kernel = "kernel-netlink" if self.kernel_esp else "kernel-libipsec kernel-netlink"
        (self.folder / "strongswan.conf").write_text(STRONGSWAN_CONF.format(
            plugins=self.plugins.format(kernel=kernel), vici=self.vici("0.0.0.0"), extra=settings["extra"],
            log="/tmp/charon.log" if self.kernel_esp else self.folder / "charon.log",
            install_routes=settings["routes"], not_mark="" if self.kernel_esp else "!0x52",
            mark="" if self.kernel_esp else "0x52"))
        (self.folder / "swanctl.conf").write_text(SWANCTL_CONF.format(**settings))

    def start(self):
        self.write()
        environment = (f"STRONGSWAN_CONF={self.inside}/strongswan.conf SWANCTL_DIR={self.inside} ")
        if self.kernel_esp:
            self.place.sh(f"{environment} setsid /usr/lib/ipsec/charon "
                          f">/tmp/charon.out 2>&1 </dev/null & echo $! >/tmp/charon.pid")
            # The socket is on the guest's own file system: the shared folder cannot hold one.
        else:
            (self.folder / "vici").unlink(missing_ok=True)
            self.process = self.place.start("unshare", "-m", "sh", "-c", self.begin(environment),
                                            out=f"{self.place.name}-charon.out")
        # A guest on a machine that is busy needs most of a minute to read all of charon for the first time.
        if not wait_for(self.answers, 120 if self.kernel_esp else 20, 0.1):
            raise RuntimeError("charon does not answer")
        self.swanctl("--load-all", "--noprompt")
        return self

    def begin(self, environment):
        return f"mount -t tmpfs tmpfs /run && exec env {environment} /usr/lib/ipsec/charon"

    def vici(self, address=None):
        if self.asked_at:
            return f"tcp://{address or self.asked_at[1]}:{VICI_PORT}"
        return "unix:///tmp/vici" if self.kernel_esp else f"unix://{self.folder}/vici"

    def answers(self):
        return self.swanctl("--stats", check=False).returncode == 0

    def swanctl(self, *words, check=True, seconds=40):
        place, folder = (self.asked_at[0], self.folder) if self.asked_at else (self.place, self.inside)
        line = (f"STRONGSWAN_CONF={folder}/strongswan.conf SWANCTL_DIR={folder} "
                f"swanctl {shlex.join(str(w) for w in words)} --uri {self.vici()}")
        return place.run("sh", "-c", line, check=check, seconds=seconds)

    def reload(self):
        self.write()
        self.swanctl("--load-all", "--noprompt")

    def initiate(self, child="net", check=True):
        return self.swanctl("--initiate", "--child", child, "--timeout", "20", check=check)

    def sas(self):
        return self.swanctl("--list-sas").stdout

    def established(self):
        told = self.swanctl("--list-sas", check=False).stdout
        return "ESTABLISHED" in told and "INSTALLED" in told

    def rekey_child(self, child="net"):
        return self.swanctl("--rekey", "--child", child, check=False)

    def rekey_ike(self):
        return self.swanctl("--rekey", "--ike", "peer", check=False)

    def terminate(self):
        return self.swanctl("--terminate", "--ike", "peer", "--timeout", "10", check=False)

    def kill(self):
        if self.kernel_esp:
            self.place.sh("kill -9 $(pidof charon) $(cat /tmp/charon.pid) 2>/dev/null; "
                          "ip xfrm state flush; ip xfrm policy flush; true")
        else:
            for pid in call("ip", "netns", "pids", self.place.space).stdout.split():
                name = pathlib.Path(f"/proc/{pid}/comm")
                if name.exists() and name.read_text().strip() == "charon":
                    os.kill(int(pid), signal.SIGKILL)
            self.process.wait(5)

    def log(self):
        path = self.folder / "charon.log"
        if self.kernel_esp:
            return self.place.sh("cat /tmp/charon.log", check=False).stdout
        return path.read_text(errors="replace") if path.exists() else ""


class Flow:
    """Numbered datagrams from one host to another at a steady rate; tells what was lost or doubled.

    What a kernel counts as thrown away because a program that is not ours did not read its socket in time (a peer's daemon
    that had no processor) was lost, but not by us: it is `thrown_away`, told, and no part of `lost`."""

    def __init__(self, sender, receiver, address, rate=1000, port=9, size=64):
        self.sender, self.receiver, self.address = sender, receiver, address
        self.rate, self.port, self.size = rate, port, size
        self.folder = receiver.lab.folder
        self.report = self.folder / f"flow-{time.monotonic_ns()}.json"

    def __enter__(self):
        program = str(pathlib.Path(__file__).resolve().parent / "flow.py")
        self.stop_file = self.report.with_suffix(".stop")
        self.receiving = self.receiver.start("python3", program, "receive", self.address, self.port, self.report)
        wait_for(lambda: self.report.with_suffix(".ready").exists(), 10)
        self.others = [space for space in self.receiver.lab.spaces if space not in self.receiver.lab.our_spaces]
        self.full_before = self.full_sockets()
        self.sending = self.sender.start("python3", program, "send", self.address, self.port, self.rate, self.size,
                                         self.stop_file)
        return self

    def __exit__(self, *unused):
        self.stop_file.write_text("")
        self.sending.wait(10)
        time.sleep(0.5)
        self.receiving.send_signal(signal.SIGTERM)
        self.receiving.wait(10)
        told = json.loads(self.report.read_text())
        self.sent = int(self.stop_file.read_text() or 0)
        self.received, self.doubled = told["received"], told["doubled"]
        missing = self.sent - self.received
        self.thrown_away = min(missing, self.full_sockets() - self.full_before)
        self.lost = missing - self.thrown_away
        self.longest_gap_ms = told["longest_gap_ms"]

    def full_sockets(self):
        """Datagrams that found a socket full, in all namespaces without a gateway of ours."""
        full = 0
        for space in self.others:
            counters = call("ip", "netns", "exec", space, "cat", "/proc/net/snmp", "/proc/net/snmp6", check=False).stdout
            names, values = [line.split() for line in counters.splitlines() if line.startswith("Udp:")] or ([], [])
            full += int(dict(zip(names, values)).get("RcvbufErrors", 0))
            full += int((re.findall(r"^Udp6RcvbufErrors\s+(\d+)", counters, re.M) or [0])[0])
        return full

    def told(self):
        return (f"{self.sent} sent, {self.lost} lost, {self.doubled} doubled, longest silence {self.longest_gap_ms:.0f} ms, "
                f"{self.thrown_away} not read by others in time")


class Sniffer:
    """Looks at an interface for clear packets of the inner networks: there must never be one."""

    def __init__(self, host, interface, expression):
        self.host, self.interface, self.expression = host, interface, expression

    def __enter__(self):
        self.process = self.host.start("tcpdump", "-n", "-l", "--immediate-mode", "-i", self.interface,
                                       self.expression, out=f"sniff-{time.monotonic_ns()}.out")
        wait_for(lambda: "listening" in self.process.output_path.read_text(errors="replace"), 10)
        return self

    def __exit__(self, *unused):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        text = self.process.output_path.read_text(errors="replace")
        self.seen = [line for line in text.splitlines() if re.match(r"^\d\d:\d\d:\d\d\.", line)]


class Lab:
    def __init__(self, name):
        self.name = name
        self.prefix = f"sk{os.getpid()}"
        self.spaces, self.our_spaces, self.processes, self.guests = [], [], [], []
        self.passed = self.failed = 0
        self.keep = bool(os.environ.get("SEKISHO_KEEP"))

    def __enter__(self):
        if os.geteuid() != 0:
            sys.exit("needs root: it makes network namespaces")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"sekisho-{self.name}-"))
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(130))
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not issubclass(kind, SystemExit):
            self.check(f"{self.name} ran to its end ({kind.__name__}: {value})", False)
        for guest in self.guests:
            guest.down()
        for process in self.processes:
            if process.poll() is None:
                try:
                    os.killpg(process.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
        time.sleep(0.1)
        for space in self.spaces:
            for pid in call("ip", "netns", "pids", space, check=False).stdout.split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        for process in self.processes:
            process.wait()
        for space in self.spaces:
            call("ip", "netns", "del", space, check=False)
        if (self.failed or self.keep) and not os.environ.get("SEKISHO_DISCARD"):
            for path in sorted(self.folder.glob("*.log")):
                print(f"--- {path.name}, the end", *path.read_text(errors="replace").splitlines()[-25:], sep="\n")
        if self.keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        if kind is None:
            sys.exit(1 if self.failed or not self.passed else 0)
        return False

    def check(self, what, good, told=""):
        print(f"{'ok' if good else 'FAIL'} {what}{': ' + str(told) if told else ''}", flush=True)
        self.passed += bool(good)
        self.failed += not good
        return bool(good)

    def host(self, name):
        return Host(self, name)

    def link(self, a, interface_a, b, interface_b, addresses_a=(), addresses_b=(), mtu=None):
        """A cable between two hosts. An interface `bridge.port` is put into that bridge."""
        call("ip", "-n", a.space, "link", "add", interface_a, "type", "veth", "peer", "name", interface_b, "netns",
             b.space)
        for host, interface, addresses in ((a, interface_a, addresses_a), (b, interface_b, addresses_b)):
            if mtu:
                host.ip("link", "set", interface, "mtu", mtu)
            if "." in interface:
                bridge = interface.split(".")[0]
                if host.ip("link", "show", bridge, check=False).returncode != 0:
                    host.ip("link", "add", bridge, "type", "bridge", "mcast_snooping", 0)
                host.ip("link", "set", bridge, "up")
                host.ip("link", "set", interface, "master", bridge)
            host.ip("link", "set", interface, "up")
            host.address(interface, *addresses)


def two_sites(lab, family=4, inner=4):
    """host a - gateway ga == wan == gateway gb - host b, with their addresses and routes. Returns (a, ga, wan, gb, b)."""
    a, ga, wan, gb, b = (lab.host(name) for name in ("a", "ga", "wan", "gb", "b"))
    lab.link(ga, "wan", wan, "br0.a", ("203.0.113.1/24", "2001:db8:f::1/64"))
    lab.link(gb, "wan", wan, "br0.b", ("203.0.113.2/24", "2001:db8:f::2/64"))
    lab.link(a, "eth0", ga, "lan", ("10.1.0.2/16", "fd01::2/64"), ("10.1.0.1/16", "fd01::1/64"))
    lab.link(b, "eth0", gb, "lan", ("10.2.0.2/16", "fd02::2/64"), ("10.2.0.1/16", "fd02::1/64"))
    a.route("default", "via", "10.1.0.1")
    b.route("default", "via", "10.2.0.1")
    a.route("default6", "via", "fd01::1")
    b.route("default6", "via", "fd02::1")
    return a, ga, wan, gb, b


TOKYO = """gateway tokyo.example.jp
lan     10.1.0.0/16

site osaka {
  peer    203.0.113.2
  network 10.2.0.0/16
  key     @osaka
}
"""

OSAKA = """gateway osaka.example.jp
lan     10.2.0.0/16

site tokyo {
  peer    203.0.113.1
  network 10.1.0.0/16
  key     @tokyo
}
"""
