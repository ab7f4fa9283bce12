"""The gateways that are compared. Each brings a tunnel up between `ga` and `gb` of a Place, and says what it is."""
import pathlib
import re
import shlex
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
from lab import BUILD, KEY, Sekisho, Strongswan, call, wait_for  # noqa: E402

INNER_A, INNER_B = "10.71.1.2", "10.71.2.2"
NET_A, NET_B = "10.71.1.0/24", "10.71.2.0/24"
OUTER_A, OUTER_B = "10.70.0.1", "10.70.0.2"
INNER_MTU = 1420


class Missing(Exception):
    """The peer cannot be measured on this machine."""


class Place:
    """The four namespaces, cabled: host a - gateway ga == gateway gb - host b."""

    def __init__(self, lab):
        self.lab = lab
        self.a, self.ga, self.gb, self.b = (lab.host(name) for name in ("a", "ga", "gb", "b"))
        lab.link(self.ga, "wan", self.gb, "wan", (f"{OUTER_A}/24",), (f"{OUTER_B}/24",))
        lab.link(self.a, "eth0", self.ga, "lan", (f"{INNER_A}/24",), ("10.71.1.1/24",))
        lab.link(self.b, "eth0", self.gb, "lan", (f"{INNER_B}/24",), ("10.71.2.1/24",))
        self.a.route("default", "via", "10.71.1.1")
        self.b.route("default", "via", "10.71.2.1")

    def sides(self):
        """(gateway, its name, the other's name, own and other outer address, own and other network)"""
        return ((self.ga, "a", "b", OUTER_A, OUTER_B, NET_A, NET_B), (self.gb, "b", "a", OUTER_B, OUTER_A, NET_B, NET_A))

    def gateway_pids(self):
        return [int(pid) for host in (self.ga, self.gb)
                for pid in call("ip", "netns", "pids", host.space, check=False).stdout.split()]


def device_up(host, device, network):
    """Waits for a TUN device and sends a network into it."""
    if not wait_for(lambda: host.ip("link", "show", device, check=False).returncode == 0, 15):
        raise RuntimeError("the tunnel's device did not come")
    host.ip("link", "set", device, "up", "mtu", INNER_MTU, "txqueuelen", 1000)
    host.route(network, "dev", device)


def version_of(*words, pattern=r"(\d+\.[\w.]+)"):
    try:
        done = call(*words, check=False, seconds=10)
    except (OSError, RuntimeError):
        return ""
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else ""


class Plain:
    title = "no VPN, kernel routing"
    kind = "limit"

    def __init__(self, path):
        pass

    def version(self):
        return ""

    def start(self, place):
        place.ga.route(NET_B, "via", OUTER_B)
        place.gb.route(NET_A, "via", OUTER_A)


class Ours:
    title = "Sekisho"
    kind = "ours"
    encapsulate = "always"

    def __init__(self, path):
        self.build = pathlib.Path(path) if path else BUILD
        if path:
            self.title += f" in {path}"

    def version(self):
        return version_of(self.build / "sekishod", "--version")

    def start(self, place):
        if not (self.build / "sekishod").exists():
            raise Missing(f"{self.build}/sekishod is not there")
        gateways = []
        for host, me, other, _, peer, mine, theirs in place.sides():
            text = (f"gateway {me}.bench.example\nlan {mine}\n\nsite other {{\n  peer {peer}\n"
                    f"  identity {other}.bench.example\n  network {theirs}\n  key @other\n  esp aes128gcm16\n"
                    f"  encapsulate {self.encapsulate}\n}}\n")
            gateways.append(Sekisho(host, text, {"other": KEY}, build=self.build).start())
        if not all(gateway.wait_up("other", 20) for gateway in gateways):
            raise RuntimeError("the tunnel did not come up")


class OursNative(Ours):
    title = "Sekisho, native ESP"
    encapsulate = "never"


class Swan:
    title = "strongSwan, userspace ESP"
    kind = "other"

    def __init__(self, path):
        pass

    def version(self):
        return version_of("swanctl", "--version")

    def start(self, place):
        if not pathlib.Path("/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so").exists():
            raise Missing("strongSwan's kernel-libipsec plugin is not installed")
        given = {"esp": "aes128gcm16", "ike": "aes128gcm16-prfsha256-x25519", "encap": "yes"}
        ends = (Strongswan(place.ga, OUTER_A, OUTER_B, NET_A, NET_B, **given).start(),
                Strongswan(place.gb, OUTER_B, OUTER_A, NET_B, NET_A, **given).start())
        ends[0].initiate()
        if not wait_for(ends[1].established, 15, 0.2):
            raise RuntimeError("the tunnel did not come up")


class WireguardGo:
    """The program, never the kernel's module: its device is looked at."""

    title = "wireguard-go"
    kind = "other"

    def __init__(self, path):
        self.program = path or "wireguard-go"

    def version(self):
        return version_of(self.program, "--version", pattern=r"(\d+\.\d+\.\d{8})")

    def start(self, place):
        if shutil.which(self.program) is None or shutil.which("wg") is None:
            raise Missing(f"{self.program} or wg (wireguard-tools) is not installed")
        private = {side: call("wg", "genkey").stdout for side in "ab"}
        public = {side: call("wg", "pubkey", text_in=private[side]).stdout.strip() for side in "ab"}
        for host, me, other, _, far, _, theirs in place.sides():
            # Its control socket is named after the device, beside those of everybody on this machine.
            device = f"{place.lab.prefix}w{me}"[-15:]
            key = place.lab.folder / f"wg-{me}.key"
            key.write_text(private[me])
            key.chmod(0o600)
            host.start(self.program, "-f", device, out=f"wireguard-{me}.log", environment={"LOG_LEVEL": "error"})
            socket = pathlib.Path(f"/var/run/wireguard/{device}.sock")
            if not wait_for(socket.exists, 10):
                raise RuntimeError("wireguard-go did not start")
            if "tun" not in host.ip("-d", "link", "show", device).stdout.split("link/none")[1]:
                raise RuntimeError("the device is not a program's: this would measure the kernel")
            host.run("wg", "set", device, "private-key", key, "listen-port", 51820, "peer", public[other],
                     "endpoint", f"{far}:51820", "allowed-ips", "10.71.0.0/16")
            device_up(host, device, theirs)


class Openvpn:
    title = "OpenVPN"
    kind = "other"

    def __init__(self, path):
        self.program = path or "openvpn"

    def version(self):
        return version_of(self.program, "--version")

    def start(self, place):
        if shutil.which(self.program) is None:
            raise Missing("openvpn is not installed")
        prints = {}
        for side in "ab":
            key, cert = place.lab.folder / f"ov{side}.key", place.lab.folder / f"ov{side}.crt"
            call("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                 2, "-subj", f"/CN={side}", "-keyout", key, "-out", cert)
            told = call("openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256").stdout
            prints[side] = told.split("=")[1].strip()
        common = ["--dev", "tunbench", "--dev-type", "tun", "--proto", "udp", "--lport", "1194", "--rport", "1194",
                  "--data-ciphers", "AES-128-GCM", "--cipher", "AES-128-GCM", "--tun-mtu", INNER_MTU, "--mssfix", "0",
                  "--fast-io", "--sndbuf", "1048576", "--rcvbuf", "1048576", "--txqueuelen", "1000", "--verb", "1"]
        if any(pathlib.Path(f"/sys/module/{name}").exists() for name in ("ovpn", "ovpn_dco_v2")):
            common += ["--disable-dco"]
        inner = {"a": ("10.72.0.1", "10.72.0.2"), "b": ("10.72.0.2", "10.72.0.1")}
        role = {"a": ("--tls-server", "--dh", "none"), "b": ("--tls-client",)}
        for host, me, other, local, remote, _, _ in place.sides():
            host.start(self.program, *common, "--local", local, "--remote", remote, "--ifconfig", *inner[me], *role[me],
                       "--cert", place.lab.folder / f"ov{me}.crt", "--key", place.lab.folder / f"ov{me}.key",
                       "--peer-fingerprint", prints[other], out=f"openvpn-{me}.log")
        for host, *_, theirs in place.sides():
            device_up(host, "tunbench", theirs)


class Fastd:
    """Its fastest method on processors of today; it has no AES-GCM."""

    title = "fastd, aes128-ctr+umac"
    kind = "other"
    method = "aes128-ctr+umac"

    def __init__(self, path):
        self.program = path or "fastd"

    def version(self):
        return version_of(self.program, "--version", pattern=r"v?(\d+[\w.]*)")

    def start(self, place):
        if shutil.which(self.program) is None:
            raise Missing("fastd is not installed")
        secret, public = {}, {}
        for side in "ab":
            done = call(self.program, "--generate-key")
            for line in (done.stdout + done.stderr).splitlines():
                word, _, value = line.partition(":")
                if word.strip().lower() == "secret":
                    secret[side] = value.strip()
                elif word.strip().lower() == "public":
                    public[side] = value.strip()
        for host, me, other, local, far, _, _ in place.sides():
            config = place.lab.folder / f"fastd-{me}.conf"
            config.write_text(f'mode tun;\ninterface "tunbench";\nmethod "{self.method}";\nmtu {INNER_MTU};\n'
                              f'log level warn;\nbind {local}:10000;\nsecret "{secret[me]}";\n'
                              f'peer "other" {{ key "{public[other]}"; remote {far}:10000; }}\n')
            config.chmod(0o600)
            host.start(self.program, "--config", config, out=f"fastd-{me}.log")
        for host, *_, theirs in place.sides():
            device_up(host, "tunbench", theirs)


class Vpp:
    """By its path alone: Debian has none. Native ESP over af_packet; it takes frames, no super-packets."""

    title = "VPP, af_packet"
    kind = "other"
    key = "4a506a794f574265564551694d653768"

    def __init__(self, path):
        self.program = path or "vpp"

    def version(self):
        return version_of(self.program, "--version", pattern=r"v(\d+\.\d+)")

    def start(self, place):
        program = shutil.which(self.program)
        if program is None:
            raise Missing("vpp is not there: vpp=/path/to/bin/vpp")
        base = pathlib.Path(program).resolve().parent.parent
        plugins = next((p for tree in (base / "lib", pathlib.Path("/usr/lib"))
                        for p in sorted(tree.glob("**/vpp_plugins"))), None)
        if plugins is None:
            raise Missing(f"vpp's plugins are not under {base}/lib")
        hosts = {"a": place.a, "b": place.b}
        for number, (host, me, _, local, far, _, theirs) in enumerate(place.sides(), 1):
            gate = f"10.71.{number}.1"
            cards = {name: host.run("cat", f"/sys/class/net/{name}/address").stdout.strip() for name in ("lan", "wan")}
            for where, name in ((hosts[me], "eth0"), (host, "lan"), (host, "wan")):
                where.run("ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off", "tx", "off", check=False)
            for name in cards:
                host.ip("address", "flush", "dev", name)
            hosts[me].ip("route", "change", "default", "via", gate, "mtu", 1400)
            lines = [f"create host-interface v2 name {name} hw-addr {card} cksum-gso-disable" for name, card in cards.items()]
            lines += [f"set interface state host-{name} up" for name in cards]
            lines += [f"set interface ip address host-lan {gate}/24", f"set interface ip address host-wan {local}/24",
                      f"ipsec sa add 10 spi {1000 + number} esp crypto-alg aes-gcm-128 crypto-key {self.key} "
                      f"tunnel src {local} dst {far}",
                      f"ipsec sa add 20 spi {1003 - number} esp crypto-alg aes-gcm-128 crypto-key {self.key} "
                      f"tunnel src {far} dst {local} inbound",
                      "ipsec itf create", "ipsec tunnel protect ipsec0 sa-in 20 sa-out 10",
                      "set interface state ipsec0 up", "set interface unnumbered ipsec0 use host-wan",
                      f"set interface mtu packet {INNER_MTU} ipsec0", f"ip route add {theirs} via ipsec0"]
            folder = place.lab.folder / f"vpp-{me}"
            folder.mkdir()
            (folder / "cli").write_text("\n".join(lines) + "\n")
            (folder / "conf").write_text(
                f"unix {{ nodaemon nobanner cli-listen {folder}/cli.sock exec {folder}/cli log {folder}/log "
                f"runtime-dir {folder} }}\napi-segment {{ prefix {place.lab.prefix}{me} }}\n"
                f"memory {{ main-heap-size 512M }}\nbuffers {{ buffers-per-numa 32768 }}\n"
                f"statseg {{ socket-name {folder}/stat.sock }}\n"
                f"plugins {{ path {plugins}:{plugins.parent}/vpp_crypto_engines }}\n")
            host.start(program, "-c", folder / "conf", out=f"vpp-{me}.log",
                       environment={"LD_LIBRARY_PATH": str(plugins.parent)})


class Floor:
    """forwarder.c: the least that a gateway in a program can do on this machine."""

    title = "the floor"
    kind = "limit"
    words = ("gcm",)

    def __init__(self, path):
        self.command = None
        if path:
            self.command = path
            self.title = f"probe {pathlib.Path(shlex.split(path)[0]).name}"

    def version(self):
        return ""

    def start(self, place):
        for host, me, _, local, far, _, theirs in place.sides():
            if self.command is None:
                program = BUILD / "tests" / "bench" / "forwarder"
                if not program.exists():
                    raise Missing(f"{program} is not there: make")
                words = [program, "tunbench", local, far, *self.words]
            else:
                words = [word.format(device="tunbench", local=local, peer=far) for word in shlex.split(self.command)]
            host.start(*words, out=f"forwarder-{me}.log")
            device_up(host, "tunbench", theirs)


class FloorTwo(Floor):
    title = "the floor, two threads"
    words = ("gcm", "2")


class FloorClear(Floor):
    title = "the floor, no crypto"
    words = ("clear",)


KINDS = {"sekisho": Ours, "sekisho-esp": OursNative, "wireguard-go": WireguardGo, "strongswan": Swan, "openvpn": Openvpn,
         "fastd": Fastd, "vpp": Vpp, "plain": Plain, "floor": Floor, "floor-two": FloorTwo, "floor-clear": FloorClear,
         "probe": Floor}
USUAL = ["plain", "floor-clear", "floor", "sekisho", "sekisho-esp", "wireguard-go", "strongswan", "openvpn", "fastd"]


def peer(word):
    """The peer of a word of the command line, NAME or NAME=PATH; None when there is none of that name."""
    name, _, path = word.partition("=")
    if name not in KINDS or (name == "probe" and not path):
        return None
    return KINDS[name](path)
