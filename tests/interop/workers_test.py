#!/usr/bin/env python3
"""One worker, as many as there are processors, four and five give the same: what arrives is what was sent, in the order of
each flow, and a rekey in the middle loses nothing. With a word, `short`, less of it, for programs that are slow because they are watched."""
import pathlib
import signal
import sys
import time

from lab import KEY, Flow, Lab, Sekisho, Sniffer, two_sites, wait_for
from payload_test import Payload, link, refused, texts

SHORT = "short" in sys.argv[1:]
WORKERS = ("4",) if SHORT else ("1", "auto", "4", "5")


def workers_of(gateway):
    return gateway.status().get("workers", [])


def check_roles(check, name, number, tokyo):
    told = workers_of(tokyo)
    openers = [w for w in told if w["opens"]]
    sealers = [w for w in told if w["seals"]]
    wanted = len(told) if number == "auto" else int(number)
    check(f"{name}: {wanted} workers, each with its work", len(told) == wanted and
          (len(openers), len(sealers)) == ((1, 1) if wanted == 1 else (wanted - 1, 1) if number == "auto" else
                                           (wanted // 2, wanted - wanted // 2)), told)
    check(f"{name}: every one that seals had packets of the device", all(w["from_tun"] > 50 for w in sealers), told)
    check(f"{name}: the others read nothing of it",
          all(w["from_tun"] == 0 for w in told if not w["seals"]) and
          all(w["from_wire"] == 0 for w in told if not w["opens"]), told)
    shown = tokyo.command("status", "-v").stdout
    check(f"{name}: status -v shows them", shown.count("worker ") >= wanted and
          ("opens and seals" in shown) == (wanted == 1), shown[-900:])
    return openers


def rekeyed(gateway):
    return gateway.status().get("gateway", {}).get("child_rekeys", 0)


def variant(lab, hosts, number, count):
    a, ga, wan, gb, b = hosts
    name = f"workers {number}"
    # Those that seal share the numbers of an SA: one that waits for a processor sends late.
    # With five, a slow suite: two of them open, and help each other with long batches.
    more = "replay-window 65536" + ("\n  esp aes256-sha512" if number == "5" else "")
    text_t, text_o = (text.replace("  key ", f"  {more}\n  key ") for text in texts("always", 4))
    tokyo = Sekisho(ga, f"workers {number}\n{text_t}", {"osaka": KEY}, name=f"t{count}").start()
    osaka = Sekisho(gb, f"workers {number}\n{text_o}", {"tokyo": KEY}, name=f"o{count}").start()
    check = lab.check
    if not check(f"{name}: up", tokyo.wait_up("osaka", 40) and osaka.wait_up("tokyo", 40), tokyo.explain("osaka")):
        return
    # Many flows, so that each queue has some; datagrams that are cut; both families. (A flow of which some packets are cut
    # and some are not has two hashes in the system, and so may have two workers: order is promised to neither alone.)
    udp = ((a, b, "10.2.0.2", 1200, 1100), (b, a, "10.1.0.2", 4000, 900), (ga, b, "10.2.0.2", 1300, 1200),
           (a, b, "fd02::2", 1200, 1100))
    payload = Payload(lab, a, b, name, count)
    with Flow(a, b, "10.2.0.2", rate=200 if SHORT else 500) as there, \
            Flow(b, a, "fd01::2", rate=200 if SHORT else 500) as back:
        payload.check(check, "10.2.0.2", udp)
        # Each new SA has another SPI, and so perhaps another opener.
        for round_ in range(2 if SHORT else 6):
            before = rekeyed(tokyo)
            tokyo.command("restart", "osaka", "--rekey")
            check(f"{name}: rekey {round_}", wait_for(lambda: rekeyed(tokyo) > before, 20), tokyo.explain("osaka"))
            time.sleep(0.3)
        # With every SA another way: payload once more, while keys change.
        tokyo.command("restart", "osaka", "--rekey")
        Payload(lab, a, b, f"{name}, while keys change", f"{count}r").check(check, "fd02::2", udp[:2])
    for way, flow in (("there", there), ("back", back)):
        # The flows of the payload fill every queue on the way, so a little of it is theirs.
        check(f"{name}: rekeys lost nothing {way}", flow.lost <= flow.sent / (20 if SHORT else 200) and flow.doubled == 0,
              flow.told())
    openers = check_roles(check, name, number, osaka)
    check(f"{name}: every one that opens had packets of the wire", all(w["from_wire"] > 0 for w in openers), openers)
    lost = refused(tokyo), refused(osaka)
    check(f"{name}: nothing refused, forged or malformed", lost == ({}, {}), lost)
    quiet_rekey(check, name, hosts, tokyo)
    check(f"{name}: both end", tokyo.stop() == 0 and osaka.stop() == 0, tokyo.log()[-600:])


def quiet_rekey(check, name, hosts, tokyo):
    """Nothing else fills the queues: not one packet is lost."""
    a, _, _, _, b = hosts
    with Flow(a, b, "10.2.0.2", rate=200) as there, Flow(b, a, "10.1.0.2", rate=200) as back:
        for _ in range(3):
            tokyo.command("restart", "osaka", "--rekey")
            time.sleep(0.5)
    check(f"{name}: three rekeys, no loss", there.lost == 0 and back.lost == 0, f"{there.told()}; {back.told()}")


SEND = """
import socket, sys
outgoing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
outgoing.connect((sys.argv[1], 9))
for number in range(int(sys.argv[2])):
    outgoing.send(number.to_bytes(8, "big") + bytes(56))
"""


def sent_outside(host):
    """Calls that sent a datagram, or many in one piece, over UDP."""
    lines = [line.split() for line in host.run("cat", "/proc/net/snmp").stdout.splitlines() if line.startswith("Udp:")]
    return int(dict(zip(lines[0], lines[1]))["OutDatagrams"])


def calls_that_read(process):
    text = pathlib.Path(f"/proc/{process.pid}/io").read_text()
    return int(dict(line.split(": ") for line in text.splitlines())["syscr"])


def burst(lab, hosts):
    """What waits at the device when a worker wakes leaves in as few calls as there are batches, not in one each."""
    a, ga, wan, gb, b = hosts
    packets = 400
    text_t, text_o = texts("always", 4)
    gb.ip("route", "replace", "blackhole", "10.2.0.77/32")
    tokyo = Sekisho(ga, text_t, {"osaka": KEY}, name="tb").start()
    osaka = Sekisho(gb, text_o, {"tokyo": KEY}, name="ob").start()
    if not lab.check("burst: up", tokyo.wait_up("osaka") and osaka.wait_up("tokyo"), tokyo.explain("osaka")):
        return

    def taken():
        return sum(w["from_tun"] for w in workers_of(tokyo))

    before = taken()
    tokyo.process.send_signal(signal.SIGSTOP)
    a.run("python3", "-c", SEND, "10.2.0.77", packets)
    reads, sends = calls_that_read(tokyo.process), sent_outside(ga)
    tokyo.process.send_signal(signal.SIGCONT)
    all_taken = wait_for(lambda: taken() >= before + packets, 10)
    reads, sends = calls_that_read(tokyo.process) - reads, sent_outside(ga) - sends
    lab.check(f"burst: {packets} packets wait and are taken", all_taken, workers_of(tokyo))
    # Each packet is read by itself, for so the device gives them; IKE may have something to say meanwhile.
    lab.check("burst: they leave in batches of 64", sends <= packets // 64 + 4, f"{sends} calls that sent")
    lab.check("burst: and hardly a read was for nothing", reads <= packets * 1.1 + 40, f"{reads} calls that read")
    tokyo.stop()
    osaka.stop()


def main():
    with Lab("workers") as lab:
        hosts = two_sites(lab)
        a, ga, wan, gb, b = hosts
        link(ga, wan, gb, 1500, ())
        with Sniffer(hosts[2], "br0", "net 10.0.0.0/8 or net fd00::/8") as clear:
            for count, number in enumerate(WORKERS):
                variant(lab, hosts, number, count)
            if not SHORT:
                burst(lab, hosts)
        lab.check("nothing in clear", not clear.seen, clear.seen[:3])


if __name__ == "__main__":
    main()
