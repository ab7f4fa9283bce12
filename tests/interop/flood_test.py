#!/usr/bin/env python3
"""20,000 spoofed first messages a second from 131,072 addresses, while an honest site is restarted again and again: IKEv2, and
IKEv1 at a gateway that answers whoever calls."""
import re
import statistics
import time

from lab import BUILD, KEY, OSAKA, TOKYO, Lab, Sekisho, two_sites, wait_for


def rss_kib(process):
    """Of sekishod itself: `process` is the `ip netns exec` that became it."""
    text = open(f"/proc/{process.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


# It may be called from anywhere, in both modes.
OLD_TOKYO = """gateway tokyo.example.jp
lan     10.1.0.0/16

site osaka {
  ike      v1 aggressive
  legacy   aggressive
  peer     any
  identity osaka.example.jp
  network  10.2.0.0/16
  key      @osaka
  start    wait
}
"""

OLD_OSAKA = """gateway osaka.example.jp
lan     10.2.0.0/16

site tokyo {
  ike      v1
  peer     203.0.113.1
  identity tokyo.example.jp
  network  10.1.0.0/16
  key      @tokyo
}
"""

# What somebody sends who has no key, from everywhere or in the name of the peer.
OLD_FLOODS = (("main",), ("main", "203.0.113.2"), ("aggressive",), ("third",), ("fragment", "203.0.113.2"))


def restart_times(osaka, count):
    times = []
    for _ in range(count):
        began = time.monotonic()
        spi = osaka.site("tokyo").get("ike", {}).get("spi_i")
        osaka.command("restart", "tokyo", check=False)
        if wait_for(lambda: osaka.is_up("tokyo") and osaka.site("tokyo")["ike"]["spi_i"] != spi, 5, 0.01):
            times.append(time.monotonic() - began)
    return times


def told(times, flood):
    return (f"{len(times)}; flood: {flood.output_path.read_text().strip()}; median "
            f"{statistics.median(times or [0]) * 1000:.0f} ms, slowest {max(times or [0]) * 1000:.0f} ms with the command's own time")


def new_flood(lab, wan, a, ga, gb):
    tokyo = Sekisho(ga, TOKYO, {"osaka": KEY}).start()
    osaka = Sekisho(gb, OSAKA, {"tokyo": KEY}).start()
    lab.check("up before the flood", osaka.wait_up("tokyo"))
    before = rss_kib(tokyo.process)
    flood = wan.start(BUILD / "tests" / "bench" / "flood", "203.0.113.1", 20000, 12)
    time.sleep(1)
    times = restart_times(osaka, 20)
    flood.wait(30)
    lab.check("honest handshakes complete during the flood", len(times) == 20, told(times, flood))
    status = tokyo.status()["gateway"]
    lab.check("strangers were asked for cookies", status["cookies_sent"] > 10000, status["cookies_sent"])
    lab.check("no half-open IKE SA is left from spoofed addresses",
              wait_for(lambda: tokyo.status()["gateway"]["half_open"] == 0, 40), status["half_open"])
    grown = rss_kib(tokyo.process) - before
    lab.check("memory has not grown by more than 4 MiB", grown <= 4096, f"{grown} KiB")
    lab.check("traffic still passes", a.pings("10.2.0.2"))
    osaka.stop()
    tokyo.stop()


def old_flood(lab, wan, a, ga, gb):
    tokyo = Sekisho(ga, OLD_TOKYO, {"osaka": KEY}, name="old").start()
    osaka = Sekisho(gb, OLD_OSAKA, {"tokyo": KEY}, name="old").start()
    lab.check("IKEv1: up before the floods", osaka.wait_up("tokyo"))
    before = rss_kib(tokyo.process)
    for kind in OLD_FLOODS:
        flood = wan.start(BUILD / "tests" / "bench" / "flood", "203.0.113.1", 20000, 2, *kind)
        time.sleep(0.3)
        times = restart_times(osaka, 3)
        flood.wait(30)
        half_open = tokyo.status()["gateway"]["half_open"]
        lab.check(f"IKEv1: honest handshakes complete under '{' '.join(kind)}'", len(times) == 3, told(times, flood))
        lab.check("IKEv1: half-open exchanges are bounded", half_open <= 655, half_open)
    status = tokyo.status()["gateway"]
    lab.check("IKEv1: first messages of Main Mode were answered and forgotten", status["cookies_sent"] > 10000,
              status["cookies_sent"])
    lab.check("IKEv1: what had no place was counted", status["refused_full"] > 500, status["refused_full"])
    flood = wan.start(BUILD / "tests" / "bench" / "flood", "203.0.113.1", 20000, 2, "main")
    sent = a.run("ping", "-q", "-i", "0.01", "-c", "150", "-W", "2", "10.2.0.2", check=False).stdout
    flood.wait(30)
    lab.check("IKEv1: an established tunnel loses nothing meanwhile", " 0% packet loss" in sent, sent.splitlines()[-2:])
    grown = rss_kib(tokyo.process) - before
    lab.check("IKEv1: memory has not grown by more than 16 MiB", grown <= 16384, f"{grown} KiB")


def main():
    with Lab("flood") as lab:
        a, ga, wan, gb, _ = two_sites(lab)
        wan.address("br0", "203.0.113.254/24")
        ga.route("198.18.0.0/15", "via", "203.0.113.254")
        wan.ip("route", "add", "blackhole", "198.18.0.0/15")
        new_flood(lab, wan, a, ga, gb)
        old_flood(lab, wan, a, ga, gb)


if __name__ == "__main__":
    main()
