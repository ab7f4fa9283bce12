"""What the tests of many cells share: the two ends of all cells, a guest that is ready for them, traffic, and the table."""
import re
import shutil

from ipsec_cells import Side
from lab import BUILD, wait_for

# The kernel of a guest; a gateway or another guest; plane_probe.
KERNEL = Side("203.0.113.2", "2001:db8:f::2", 19, "2001:db8:b", 160, "fd20:0:0")
OTHER = Side("203.0.113.1", "2001:db8:f::1", 18, "2001:db8:a", 128, "fd10:0:0")
PROBE = Side("203.0.113.3", "2001:db8:f::3", 20, "2001:db8:c", 144, "fd30:0:0")
PORT = 7007
OCTETS = BUILD / "tests/interop/octets"


def routes_to(side, family):
    """What the other end has to know: (network, next hop)."""
    if family == 4:
        return [(f"198.{side.host4}.0.0/16", side.outer[4]), (f"10.{side.inner4}.0.0/12", side.outer[4])]
    return [(f"{side.host6}::/112", side.outer[6]), (f"{side.inner6}::/48", side.outer[6])]


def local_routes(side):
    """Whole ranges of addresses are ours without each being on an interface."""
    lines = []
    for family, word in ((4, ""), (6, "-6 ")):
        for network, _ in routes_to(side, family):
            lines.append(f"ip {word}route add local {network} dev lo")
    return lines


# All that a kernel could want for IPsec. It would otherwise ask for modules by name, twice for each pair of a cipher and a
# MAC, and start a program each time.
MODULES = """xfrm_user esp4 esp6 ah4 ah6 ipcomp ipcomp6 xfrm4_tunnel tunnel4 tunnel6 authenc authencesn hmac xcbc cmac ccm gcm
ctr cbc ecb seqiv echainiv ghash-generic des_generic camellia_generic sha512_generic chacha20poly1305 chacha_generic
poly1305_generic deflate drbg""".split()


def prepare_guest(guest, here, others):
    lines = [f"modprobe -a {' '.join(MODULES)}", "echo >/proc/sys/kernel/modprobe", *local_routes(here)]
    for other in others:
        for network, gateway in routes_to(other, 4):
            lines.append(f"ip route add {network} via {gateway}")
        for network, gateway in routes_to(other, 6):
            lines.append(f"ip -6 route add {network} via {gateway}")
    # The guest's /tmp is its own, and this tree may lie in ours.
    shutil.copy2(OCTETS, guest.share() / "octets")
    guest.sh("\n".join(["set -e", *lines]))


def serve(guest, port=PORT, *options):
    """Answers in a guest; what it has to complain about is in Guest.share()/octets-PORT."""
    start(guest, "serve", port, *options)


def start(guest, what, port, *options):
    guest.sh(f"setsid /rig/octets {what} {port} {' '.join(options)} >/rig/octets-{port} 2>&1 </dev/null & "
             f"for i in $(seq 50); do grep -q ready /rig/octets-{port} && exit 0; sleep 0.02; done; exit 1")


def complaints(guest, port=PORT):
    return [line for line in (guest.share() / f"octets-{port}").read_text().splitlines() if line != "ready"]


def list_for(place):
    """Where to write what octets is to read in a Host or a Guest, how it is called there, and octets itself."""
    if hasattr(place, "share"):
        return place.share() / "list", "/rig/list", "/rig/octets"
    path = place.lab.folder / f"list-{place.name}"
    return path, path, OCTETS


def ask(place, cells, here, there, port=PORT, seconds=240, options=(), sizes=None):
    """Sends all sizes of all cells from `place` (a Host or a Guest) and back; {name: (good, what was told)}."""
    path, seen, program = list_for(place)
    path.write_text("".join(c.line(here, there, sizes) for c in cells))
    done = place.run(program, "ask", port, seen, seconds, *options, check=False, seconds=seconds + 60)
    results = {}
    for line in done.stdout.splitlines():
        found = re.match(r"(ok|FAIL) (\S+) (.*)", line)
        if found:
            results[found[2]] = (found[1] == "ok", found[3])
    if done.stderr.strip():
        print(done.stderr.strip())
    return results


def tell_results(lab, what, cells, results):
    """A line for each cell, and below them the table: suites down, shapes across."""
    table, shapes, again = {}, [], 0
    for cell in cells:
        good, told = results.get(cell.name, (False, "not asked"))
        lab.check(f"{what}: {cell.name}", good, "" if good else told)
        found = re.search(r"(\d+) sent again", told)
        again += int(found[1]) if found else 0
        shape = f"{cell.mode} {cell.inner_family}-in-{cell.outer_family}" if cell.mode == "tunnel" else f"{cell.mode} {cell.outer_family}"
        if shape not in shapes:
            shapes.append(shape)
        suite = cell.row()
        mark = ("e" if cell.esn else "+") if good else ("E" if cell.esn else "-")
        row = table.setdefault(suite, {})
        row[shape] = row.get(shape, "") + mark
    print(f"{'':24}" + "".join(f"{s:>16}" for s in shapes))
    for suite, row in table.items():
        print(f"{suite:24}" + "".join(f"{row.get(s, ''):>16}" for s in shapes))
    print(f"+ good, - bad, e and E the same with extended sequence numbers; {again} datagrams were sent again")


def connect(lab, host, wan, here, there):
    """A gateway on the bridge of the guest, with the way to all outer addresses of the other side."""
    lab.link(host, "wan", wan, f"br0.{host.name}", (here.outer[4] + "/24", here.outer[6] + "/64"))
    host.route(f"198.{there.host4}.0.0/16", "via", there.outer[4])
    host.route(f"{there.host6}::/112", "via", there.outer[6])


def batch(host, lines, family=4):
    """`ip` commands in a namespace."""
    if lines:
        host.run("ip", f"-{family}", "-batch", "-", text_in="\n".join(lines) + "\n")


def local_ranges(host, here, cells):
    """The addresses of our ends: those of transport mode one by one, those inside of tunnels as whole ranges."""
    for family, length in ((4, 32), (6, 128)):
        batch(host, [f"address add {c.outer(here)}/{length} dev wan" + (" nodad" if family == 6 else "")
                     for c in cells if c.mode == "transport" and c.outer_family == family], family)
    host.ip("route", "add", "local", f"10.{here.inner4}.0.0/12", "dev", "lo")
    host.ip("-6", "route", "add", "local", f"{here.inner6}::/48", "dev", "lo")


def start_probe(host, cells, here, there):
    """plane_probe with these cells, ready when it returns."""
    path = host.lab.folder / f"probe-{host.name}.list"
    path.write_text("".join(c.probe_lines(here, there) for c in cells))
    process = host.start(BUILD / "tests/interop/plane_probe", path, "probe0", out=f"{host.name}-probe.log")
    wait_for(lambda: process.poll() is not None or process.output_path.read_text().endswith("ready\n"), 60)
    if process.poll() is not None:
        raise RuntimeError(f"plane_probe: {process.output_path.read_text()[-500:]}")
    return process


CONTROL_MARK = "0/0x400000"


def peer_routes(host, cells, here, there, device="probe0"):
    """What the daemon does itself: networks behind tunnels, and in transport mode the traffic that is not ours."""
    for family, length in ((4, 32), (6, 128)):
        batch(host, [f"route add {c.network(there)} dev {device}" for c in cells
                     if c.mode == "tunnel" and c.inner_family == family], family)
        hosts = [c for c in cells if c.mode == "transport" and c.outer_family == family]
        # Without a mark: sockets of the data plane have one.
        batch(host, [f"rule add pref 5200 fwmark {CONTROL_MARK} to {c.outer(there)} lookup 5200" for c in hosts], family)
        batch(host, [f"route add {c.outer(there)}/{length} dev {device} table 5200" for c in hosts], family)


def unused_sas(guest):
    """SAs that never carried a packet: "src A dst B proto esp spi 0x00001000(4096) ..."."""
    told = guest.sh("ip -s xfrm state", seconds=120).stdout
    out = []
    for part in re.split(r"^(?=src )", told, flags=re.M):
        head = " ".join(part.split()[:9])
        # Proto 4 and 41: for what IPComp left uncompressed; the kernel makes them itself.
        if head and " proto 4" not in head and not re.search(r"lifetime current:\s+\d+\(bytes\), [1-9]\d*\(packets\)", part):
            out.append(head)
    return out
