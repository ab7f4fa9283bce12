#!/usr/bin/env python3
"""20,000 spoofed IKE_SA_INIT a second from 131,072 addresses, while an honest site is restarted again and again."""
import re
import statistics
import time

from lab import BUILD, KEY, OSAKA, TOKYO, Lab, Sekisho, two_sites, wait_for


def rss_kib(process):
    """Of sekishod itself: `process` is the `ip netns exec` that became it."""
    text = open(f"/proc/{process.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def main():
    with Lab("flood") as lab:
        a, ga, wan, gb, b = two_sites(lab)
        wan.address("br0", "203.0.113.254/24")
        ga.route("198.18.0.0/15", "via", "203.0.113.254")
        wan.ip("route", "add", "blackhole", "198.18.0.0/15")
        tokyo = Sekisho(ga, TOKYO, {"osaka": KEY}).start()
        osaka = Sekisho(gb, OSAKA, {"tokyo": KEY}).start()
        lab.check("up before the flood", osaka.wait_up("tokyo"))
        before = rss_kib(tokyo.process)
        flood = wan.start(BUILD / "tests" / "bench" / "flood", "203.0.113.1", 20000, 12)
        time.sleep(1)
        times = []
        for _ in range(20):
            began = time.monotonic()
            spi = osaka.site("tokyo").get("ike", {}).get("spi_i")
            osaka.command("restart", "tokyo", check=False)
            if wait_for(lambda: osaka.is_up("tokyo") and osaka.site("tokyo")["ike"]["spi_i"] != spi, 5, 0.01):
                times.append(time.monotonic() - began)
        flood.wait(30)
        told = flood.output_path.read_text().strip()
        lab.check("honest handshakes complete during the flood", len(times) == 20,
                  f"{len(times)} of 20; flood: {told}; median {statistics.median(times or [0]) * 1000:.0f} ms, "
                  f"slowest {max(times or [0]) * 1000:.0f} ms with the command's own time")
        status = tokyo.status()["gateway"]
        lab.check("strangers were asked for cookies", status["cookies_sent"] > 10000, status["cookies_sent"])
        lab.check("no half-open IKE SA is left from spoofed addresses",
                  wait_for(lambda: tokyo.status()["gateway"]["half_open"] == 0, 40), status["half_open"])
        grown = rss_kib(tokyo.process) - before
        lab.check("memory has not grown by more than 4 MiB", grown <= 4096, f"{grown} KiB")
        lab.check("traffic still passes", a.pings("10.2.0.2"))


if __name__ == "__main__":
    main()
