#!/usr/bin/env python3
"""The main job, shown: two sites in network namespaces, an IKEv2 tunnel between their gateways, traffic through it.

Everything is made here and removed at the end. Run it with `make demo`.
"""
import sys

from lab import KEY, OSAKA, TOKYO, Lab, Sekisho, Sniffer, two_sites


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def shown(place, words, done):
    print(f"{place}$ {words}\n{done.stdout.rstrip()}", flush=True)


def main():
    with Lab("demo") as lab:
        say("Two sites, each a host behind a gateway, and a network between the gateways that nobody trusts:")
        print("  host a 10.1.0.2 -- gateway tokyo 203.0.113.1 == wan == 203.0.113.2 gateway osaka -- 10.2.0.2 host b")
        a, ga, wan, gb, b = two_sites(lab)
        say("The whole configuration of tokyo (osaka's is its mirror image):")
        print(TOKYO)
        with Sniffer(wan, "br0", "net 10.0.0.0/8") as sniffer:
            say("Both daemons are started; a shared key is in the file secrets/osaka resp. secrets/tokyo.")
            tokyo = Sekisho(ga, TOKYO, {"osaka": KEY}).start()
            osaka = Sekisho(gb, OSAKA, {"tokyo": KEY}).start()
            lab.check("the tunnel comes up by itself", tokyo.wait_up("osaka") and osaka.wait_up("tokyo"))
            say("Traffic from host a to host b:")
            done = a.run("ping", "-n", "-c", "3", "-i", "0.2", "10.2.0.2", check=False)
            shown("a", "ping -c 3 10.2.0.2", done)
            lab.check("three pings crossed the tunnel", " 3 received" in done.stdout)
            server = b.start("iperf3", "-s", "-1", "-B", "10.2.0.2") if has_iperf() else None
            if server:
                done = a.run("sh", "-c", "sleep 0.5; iperf3 -c 10.2.0.2 -t 2 -f m | grep -E 'sender|receiver'",
                             check=False)
                shown("a", "iperf3 -c 10.2.0.2 -t 2", done)
            say("What tokyo says about it:")
            shown("tokyo", "sekisho status", tokyo.command("status", check=False))
            shown("tokyo", "sekisho status osaka -v", tokyo.command("status", "osaka", "-v", check=False))
            shown("tokyo", "sekisho sas", tokyo.command("sas", check=False))
        lab.check("no packet of the sites was seen in clear between the gateways", not sniffer.seen, sniffer.seen[:3])
        say("osaka is stopped; tokyo drops the traffic of osaka and explains:")
        osaka.stop()
        lab.check("traffic does not leave while the tunnel is down", a.ping("10.2.0.2") == 0)
        shown("tokyo", "sekisho explain osaka", tokyo.command("explain", "osaka", check=False))
        lab.check("both gateways end cleanly", tokyo.stop() == 0)
        left = ga.ip("route", "show", "10.2.0.0/16").stdout.strip()
        lab.check("no route and no device is left behind", not left and "sekisho" not in ga.ip("link").stdout, left)


def has_iperf():
    from shutil import which
    return which("iperf3") is not None


if __name__ == "__main__":
    main()
