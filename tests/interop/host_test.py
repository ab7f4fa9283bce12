#!/usr/bin/env python3
"""The host room against this kernel: TUN, routes, UDP and raw sockets, fragments, path MTU, in three namespaces."""
import subprocess

from lab import BUILD, Lab, call


def probe(lab, *spaces):
    done = subprocess.run([BUILD / "tests/interop/host_probe", *spaces], capture_output=True, text=True, timeout=60)
    for line in done.stdout.splitlines():
        word, _, what = line.partition(" ")
        if word in ("ok", "FAIL"):
            lab.check(what, word == "ok")
        else:
            print(line)
    lab.check("the probe ran to its end", done.returncode in (0, 1), done.stderr)


def main():
    with Lab("hst") as lab:
        a, router, b = lab.host("a"), lab.host("r"), lab.host("b")
        for one, other in ((a, router), (router, b)):
            call("ip", "link", "add", f"to-{other.name}", "netns", one.space, "type", "veth", "peer", "name",
                 f"to-{one.name}", "netns", other.space)
        for host, interface in ((a, "to-r"), (router, "to-a"), (router, "to-b"), (b, "to-r")):
            if (host, interface) in ((router, "to-b"), (b, "to-r")):
                host.ip("link", "set", interface, "mtu", "1400")
            host.ip("link", "set", interface, "up")
        a.address("to-r", "203.0.113.1/24", "2001:db8:a::1/64")
        router.address("to-a", "203.0.113.254/24", "2001:db8:a::fe/64")
        router.address("to-b", "198.51.100.254/24", "2001:db8:b::fe/64")
        b.address("to-r", "198.51.100.2/24", "198.51.100.3/24", "2001:db8:b::2/64", "2001:db8:b::3/64")
        a.ip("route", "add", "default", "via", "203.0.113.254")
        a.ip("-6", "route", "add", "default", "via", "2001:db8:a::fe")
        b.ip("route", "add", "default", "via", "198.51.100.254")
        b.ip("-6", "route", "add", "default", "via", "2001:db8:b::fe")
        probe(lab, a.space, b.space)
        # The way out takes a thousand octets a second.
        stalled = lab.host("s")
        stalled.ip("link", "add", "out", "type", "veth", "peer", "name", "end")
        for interface in ("out", "end"):
            stalled.ip("link", "set", interface, "up")
        stalled.address("out", "203.0.113.1/24")
        stalled.ip("neigh", "add", "203.0.113.254", "lladdr", "02:00:00:00:00:01", "dev", "out")
        stalled.ip("route", "add", "default", "via", "203.0.113.254")
        stalled.run("tc", "qdisc", "add", "dev", "out", "root", "tbf", "rate", "8kbit", "burst", "2kb", "limit", "100mb")
        probe(lab, stalled.space)


if __name__ == "__main__":
    main()
