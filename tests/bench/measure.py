"""What is measured at a tunnel that stands, and how. Each function adds its figures to `out`, by the names of METRICS."""
import json
import os
import pathlib
import statistics
import time

from peers import INNER_B, KEY, OUTER_A, OUTER_B, Sekisho, Strongswan, call, wait_for

TICKS = os.sysconf("SC_CLK_TCK")
TRY_SECONDS = 0.5
STEPS = 8

# name: (what it is called, whether more is better)
METRICS = {
    "tcp1_ab_gbit_s": ("TCP, one flow, a to b, Gbit/s", True),
    "tcp1_ba_gbit_s": ("TCP, one flow, b to a, Gbit/s", True),
    "tcp4_ab_gbit_s": ("TCP, four flows, a to b, Gbit/s", True),
    "tcp4_ba_gbit_s": ("TCP, four flows, b to a, Gbit/s", True),
    "tcp1_s_gb": ("processor s/GB, both gateways, one flow", False),
    "tcp4_s_gb": ("processor s/GB, both gateways, four flows", False),
    "tcp1_machine_s_gb": ("processor s/GB, whole machine, one flow", False),
    "tcp4_machine_s_gb": ("processor s/GB, whole machine, four flows", False),
    "tcp1_again": ("TCP segments sent again for each GB, one flow", False),
    "tcp4_again": ("TCP segments sent again for each GB, four flows", False),
    "udp64_s": ("64 octets, packets/s without loss", True),
    "udp64_us": ("64 octets, processor us a packet, both gateways", False),
    "udp64_flood_s": ("64 octets, packets/s that arrive of a flood", True),
    "udp1372_s": ("1,372 octets, packets/s without loss", True),
    "udp1372_us": ("1,372 octets, processor us a packet, both gateways", False),
    "udp1372_flood_s": ("1,372 octets, packets/s that arrive of a flood", True),
    "ping_idle_ms": ("ping, idle, median, ms", False),
    "ping_idle_99_ms": ("ping, idle, 99 %, ms", False),
    "ping_load_ms": ("ping under load, median, ms", False),
    "ping_load_99_ms": ("ping under load, 99 %, ms", False),
    "memory_idle_mib": ("memory of a gateway, idle, MiB", False),
    "memory_mib": ("memory of a gateway, at most, MiB", False),
    "handshakes_s_core": ("IKEv2 handshakes a second and core, responder", True),
    "handshake_ms": ("processor ms a handshake, responder", False),
    "handshake_kib": ("memory of an IKE SA with a child, responder, KiB", False),
    "others_cores": ("cores that others used meanwhile", False),
}


def processor_seconds(pids):
    """Of these processes with their threads. In nanoseconds where the system counts them, else in its ticks."""
    total = 0.0
    for pid in pids:
        try:
            tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
            total += sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
            continue
        except OSError:
            pass
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def memory_kib(pids, what="VmHWM"):
    """Of the largest of them."""
    most = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(what + ":"):
                    most = max(most, int(line.split()[1]))
        except OSError:
            continue
    return most


def machine_seconds():
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7]) / TICKS


def foreign_seconds():
    """Of programs that this one did not start."""
    parents, used = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        used[int(entry.name)] = sum(int(word) for word in fields[11:15])
    total = 0
    for pid, ticks in used.items():
        above = pid
        while above not in (0, 2, os.getpid()) and above in parents:
            above = parents[above]
        total += ticks if above not in (2, os.getpid()) else 0
    return total / TICKS


def iperf(place, *words, seconds):
    server = place.b.start("iperf3", "-s", "-1", "-B", INNER_B, out="iperf3.out")
    wait_for(lambda: ":5201" in place.b.run("ss", "-Hltn", check=False).stdout, 5)
    done = place.a.run("iperf3", "-c", INNER_B, "-t", seconds, "-J", *words, check=False, seconds=seconds + 20)
    server.terminate()
    server.wait(5)
    told = json.loads(done.stdout)
    if "error" in told:
        raise RuntimeError(f"iperf3: {told['error']}")
    return told["end"]


def tcp(place, out, flows, seconds):
    pids = place.gateway_pids()
    gigabytes = used = machine = again = 0.0
    for direction in ("ab", "ba"):
        before, machine_before = processor_seconds(pids), machine_seconds()
        told = iperf(place, "-P", flows, *(["-R"] if direction == "ba" else []), seconds=seconds)
        used += processor_seconds(pids) - before
        machine += machine_seconds() - machine_before
        gigabytes += told["sum_received"]["bytes"] / 1e9
        again += told["sum_sent"].get("retransmits", 0)
        out[f"tcp{flows}_{direction}_gbit_s"] = told["sum_received"]["bits_per_second"] / 1e9
    if pids:
        out[f"tcp{flows}_s_gb"] = used / gigabytes
    out[f"tcp{flows}_machine_s_gb"] = machine / gigabytes
    out[f"tcp{flows}_again"] = again / gigabytes


def udp_try(place, size, rate, seconds=TRY_SECONDS):
    """(sent, received, seconds in which they were sent, seconds in which they came) of one attempt."""
    load = place.lab.load
    receiver = place.b.start(load, "receive", "9", seconds + 2, out=f"receive-{time.monotonic_ns()}.out")
    wait_for(lambda: "ready" in receiver.output_path.read_text(), 5, 0.01)
    sent, sending = place.a.run(load, "send", INNER_B, "9", size, rate, seconds).stdout.split()
    time.sleep(0.15)
    receiver.terminate()
    receiver.wait(5)
    received, coming = receiver.output_path.read_text().split()[1:3]
    return int(sent), int(received), float(sending), float(coming)


def passes(place, size, rate, seconds=TRY_SECONDS):
    """Whether not one of so many a second is lost or late. One of two attempts is enough: the machine has other work."""
    for _ in range(2):
        sent, received, sending, coming = udp_try(place, size, int(rate), seconds)
        # A rate that the sender does not reach is no rate that the gateways forward, and what only waits in long queues
        # comes too late.
        if sent >= 0.95 * rate * seconds and received == sent and coming <= sending * 1.05 + 0.01:
            return sent / sending
        if sent < 0.95 * rate * seconds or sent - received > sent / 50:
            break
    return 0.0


def udp(place, out, size):
    """The highest rate without a loss, what it costs there, and what of a flood arrives."""
    sent, received, sending, coming = udp_try(place, size, 0)
    out[f"udp{size}_flood_s"] = received / max(sending, coming)
    low, high, best = 0.0, min(sent / sending, 2e6), 0.0
    for _ in range(STEPS):
        rate = (low + high) / 2
        reached = passes(place, size, rate)
        if reached:
            low, best = rate, reached
        else:
            high = rate
    out[f"udp{size}_s"] = best
    pids = place.gateway_pids()
    if pids and best:
        before = processor_seconds(pids)
        sent = udp_try(place, size, int(best * 0.95), 1.0)[0]
        out[f"udp{size}_us"] = (processor_seconds(pids) - before) / sent * 1e6


def ping_times(place, count):
    told = place.a.run("ping", "-n", "-i", "0.01", "-c", count, INNER_B, check=False, seconds=60).stdout
    return sorted(float(line.split("time=")[1].split()[0]) for line in told.splitlines() if "time=" in line)


def keep_times(out, name, times):
    if times:
        out[f"{name}_ms"] = statistics.median(times)
        out[f"{name}_99_ms"] = times[int(len(times) * 0.99)]


def ping(place, out):
    keep_times(out, "ping_idle", ping_times(place, 150))
    server = place.b.start("iperf3", "-s", "-1", "-B", INNER_B, out="iperf3.out")
    wait_for(lambda: ":5201" in place.b.run("ss", "-Hltn", check=False).stdout, 5)
    client = place.a.start("iperf3", "-c", INNER_B, "-t", "3", out="iperf3-client.out")
    time.sleep(0.5)
    keep_times(out, "ping_load", ping_times(place, 200))
    client.wait(20)
    server.terminate()
    server.wait(5)


def handshakes(lab, swan, build, count, out):
    """Many sites of one Sekisho dial one responder, strongSwan or ours: its processor time and memory for each."""
    caller, responder = lab.host("caller"), lab.host("responder")
    lab.link(caller, "wan", responder, "wan", (f"{OUTER_A}/24",), (f"{OUTER_B}/24",))
    responder.address("lo", "10.71.2.1/24")
    networks = [f"10.{80 + number // 65536}.{number // 256 % 256}.{number % 256}/32" for number in range(count)]
    if swan:
        answers = Strongswan(responder, OUTER_B, OUTER_A, "10.71.2.0/24", "0.0.0.0/0", esp="aes128gcm16-x25519,aes128gcm16",
                             ike="aes128gcm16-prfsha256-x25519", encap="yes", unique="never", remote_id="%any",
                             local_id="responder.bench.example",
                             extra="dos_protection = no\n  init_limit_half_open = 0\n  ikesa_table_size = 8192\n"
                                   "  ikesa_table_segments = 16").start()
    else:
        sites = "".join(f"site s{number} {{\n  peer any\n  identity c{number}.bench.example\n  network {network}\n"
                        f"  key @other\n  esp aes128gcm16\n  encapsulate always\n}}\n"
                        for number, network in enumerate(networks))
        answers = Sekisho(responder, f"gateway responder.bench.example\nlan 10.71.2.0/24\n\n{sites}",
                          {"other": KEY}, build=build).start(60)
    time.sleep(1)
    pids = [int(pid) for pid in call("ip", "netns", "pids", responder.space).stdout.split()]
    before, memory = processor_seconds(pids), memory_kib(pids, "VmRSS")
    sites = "".join(f"site s{number} {{\n  peer {OUTER_B}\n  identity responder.bench.example\n"
                    f"  say c{number}.bench.example\n  lan {network}\n  network 10.71.2.0/24\n  key @other\n"
                    f"  ike aes128gcm16-prfsha256-x25519\n  esp aes128gcm16\n  encapsulate always\n}}\n"
                    for number, network in enumerate(networks))
    calls = Sekisho(caller, f"gateway caller.bench.example\n\n{sites}", {"other": KEY}, build=build).start(60)

    def up():
        return sum(site.get("state") == "up" for site in calls.status().get("sites", []))

    wait_for(lambda: up() == count, 60 + count / 20, 0.5)
    established = up()
    if established == 0:
        raise RuntimeError("no handshake came to its end")
    used = processor_seconds(pids) - before
    if established < count:
        print(f"  only {established} of {count} handshakes came to their end", flush=True)
    out["handshakes_s_core"] = established / used if used > 0 else float("nan")
    out["handshake_ms"] = used / established * 1e3
    out["handshake_kib"] = (memory_kib(pids, "VmRSS") - memory) / established
