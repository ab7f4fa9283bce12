#!/usr/bin/env python3
"""Two Sekishos: families inside and outside, path MTU, crash and return, reload, the commands, nothing in clear."""
import json
import re
import time

from lab import (BUILD, KEY, OSAKA, TOKYO, Flow, Lab, Sekisho, Sniffer, call, two_sites, wait_for)


def pair(lab, tokyo_text=TOKYO, osaka_text=OSAKA, tokyo_options=(), osaka_options=(), prefix=""):
    hosts = two_sites(lab)
    tokyo = Sekisho(hosts[1], tokyo_text, {"osaka": KEY}, options=tokyo_options).start()
    osaka = Sekisho(hosts[3], osaka_text, {"tokyo": KEY}, options=osaka_options).start()
    return (*hosts, tokyo, osaka)


def families(lab, outer, check):
    """4-in-4, 6-in-4, 4-in-6, 6-in-6 in one tunnel for each outer family, both encapsulations and the default."""
    both_t = TOKYO.replace("10.1.0.0/16", "10.1.0.0/16 fd01::/64").replace("10.2.0.0/16", "10.2.0.0/16 fd02::/64")
    both_o = OSAKA.replace("10.1.0.0/16", "10.1.0.0/16 fd01::/64").replace("10.2.0.0/16", "10.2.0.0/16 fd02::/64")
    if outer == 6:
        both_t = both_t.replace("203.0.113.2", "2001:db8:f::2")
        both_o = both_o.replace("203.0.113.1", "2001:db8:f::1")
    for encapsulate in ("always", "never", "auto"):
        with_it = [text.replace("  key ", f"  encapsulate {encapsulate}\n  key ") for text in (both_t, both_o)]
        with NoExit(lab, f"families{outer}{encapsulate}") as inner:
            a, ga, wan, gb, b, tokyo, osaka = pair(inner, *with_it)
            name = f"outer IPv{outer}, encapsulate {encapsulate}"
            check(f"{name}: up", tokyo.wait_up("osaka") and osaka.wait_up("tokyo"), tokyo.explain("osaka"))
            told = tokyo.site("osaka").get("children", [{}])
            check(f"{name}: status says how", told and told[0].get("encapsulated") == (encapsulate != "never"))
            with Sniffer(wan, "br0", "net 10.0.0.0/8 or net fd00::/8") as clear:
                check(f"{name}: IPv4 inside", a.ping("10.2.0.2", count=5) == 5)
                check(f"{name}: IPv6 inside", a.ping("fd02::2", count=5) == 5)
                check(f"{name}: back", b.ping("10.1.0.2", count=5) == 5 and b.ping("fd01::2", count=5) == 5)
                sizes = [0, 1, 100, 1000, 1300, 1360, 1400, 1428, 1472, 1473, 3000, 8000]
                good = [size for size in sizes if a.pings("10.2.0.2", size=size, seconds=3)]
                check(f"{name}: all sizes of IPv4 packets", good == sizes, set(sizes) - set(good))
                good = [size for size in sizes if a.pings("fd02::2", size=size, seconds=3)]
                check(f"{name}: all sizes of IPv6 packets", good == sizes, set(sizes) - set(good))
                big = a.run("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", "10.2.0.2",
                            check=False)
                check(f"{name}: DF and too big: told the MTU", "mtu" in (big.stdout + big.stderr).lower(),
                      (big.stdout + big.stderr).strip().splitlines()[-2:])
            check(f"{name}: nothing in clear", not clear.seen, clear.seen[:3])


class NoExit(Lab):
    """A lab inside a test: its checks are the test's, its end is not the program's."""

    def __init__(self, outer, name):
        super().__init__(name)
        self.outer = outer
        self.prefix = f"{outer.prefix}{outer.inner_count}"
        outer.inner_count += 1

    def check(self, what, good, told=""):
        return self.outer.check(what, good, told)

    def __exit__(self, kind, value, trace):
        try:
            super().__exit__(kind, value, trace)
        except SystemExit:
            pass
        if kind is not None:
            self.outer.check(f"{self.name} ran to its end", False, f"{kind.__name__}: {value}")
        return kind is None or not issubclass(kind, (KeyboardInterrupt, SystemExit))


def in_udp(check, name, *gateways):
    """What two Sekishos agree to by default; nobody claims a NAT."""
    for gateway in gateways:
        site = gateway.status()["sites"][0]
        good = site["children"] and all(c["encapsulated"] for c in site["children"]) and site["ike"]["nat"] == ""
        check(f"{name}: ESP in UDP without a NAT, says {gateway.host.name}", good, "" if good else site)


def life(lab, check):
    """Rekeys under traffic, crash, restart, reload, routes."""
    fast = "  lifetime ike 60s child 20s\n  key "
    with NoExit(lab, "life") as inner:
        a, ga, wan, gb, b, tokyo, osaka = pair(inner, TOKYO, OSAKA)
        check("life: up", tokyo.wait_up("osaka") and osaka.wait_up("tokyo"))
        in_udp(check, "life", tokyo, osaka)
        with Sniffer(wan, "br0", "proto 50 or port 500") as native:
            check("life: ping", a.pings("10.2.0.2"))
        check("life: nothing outside of UDP port 4500", not native.seen, native.seen[:3])
        route = ga.ip("route", "show", "10.2.0.0/16").stdout
        check("life: the route is there", "sekisho" in route, route)
        with Sniffer(wan, "br0", "net 10.0.0.0/8") as clear:
            with Flow(a, b, "10.2.0.2") as flow:
                for turn in range(3):
                    time.sleep(0.7)
                    tokyo.command("restart", "osaka", "--rekey", check=False)
                    time.sleep(0.7)
                    osaka.command("restart", "tokyo", "--rekey", check=False)
                time.sleep(1)
            check("life: six rekeys of child and IKE SA under 1,000 packets/s lose nothing", flow.lost == 0, flow.told())
            check("life: and double nothing", flow.doubled == 0)
            in_udp(check, "life: rekeyed", tokyo, osaka)
            # kill -9 of one side: traffic back without anybody doing anything
            osaka.kill()
            check("life: killed: traffic stops", not a.ping("10.2.0.2"))
            began = time.monotonic()
            osaka.start()
            check("life: back after kill -9", a.pings("10.2.0.2", 15), f"{time.monotonic() - began:.1f} s after the start")
            tokyo.kill()
            began = time.monotonic()
            tokyo.start()
            check("life: back after kill -9 of the other side", b.pings("10.1.0.2", 15),
                  f"{time.monotonic() - began:.1f} s after the start")
            check("life: one child at each end in the end", wait_for(
                lambda: len(tokyo.site("osaka").get("children", [])) == 1
                and len(osaka.site("tokyo").get("children", [])) == 1, 60),
                [len(tokyo.site("osaka").get("children", [])), len(osaka.site("tokyo").get("children", []))])
        check("life: nothing in clear", not clear.seen, clear.seen[:3])
        # orders
        check("life: down", tokyo.command("down", "osaka", check=False).returncode == 0)
        check("life: stays down", wait_for(lambda: not a.ping("10.2.0.2"), 5))
        check("life: exit code 4 when degraded", tokyo.command("status", check=False).returncode == 4)
        check("life: up again", tokyo.command("up", "osaka", check=False).returncode == 0
              and tokyo.wait_up("osaka") and a.pings("10.2.0.2"))
        # reload: an added site does not disturb the other
        spi = tokyo.site("osaka")["ike"]["spi_i"]
        tokyo.secret("kobe", KEY)
        tokyo.write(TOKYO + "site kobe {\n  peer 203.0.113.77\n  network 10.7.0.0/16\n  key @kobe\n}\n")
        with Flow(a, b, "10.2.0.2") as flow:
            time.sleep(0.3)
            done = tokyo.command("apply", check=False)
            time.sleep(0.7)
        check("life: apply works", done.returncode == 0, done.stdout + done.stderr)
        check("life: apply disturbs nothing", flow.lost == 0 and tokyo.site("osaka")["ike"]["spi_i"] == spi, flow.told())
        check("life: the new site is there", tokyo.site("kobe").get("state") in ("connecting", "down", "waiting"))
        tokyo.write(TOKYO + "site kobe {\n")
        done = tokyo.command("apply", check=False)
        check("life: a broken configuration changes nothing", done.returncode == 1 and "kobe" in
              tokyo.command("status", check=False).stdout and tokyo.is_up("osaka"), done.stdout + done.stderr)
        check("life: and says where", re.search(r"sekisho.conf:9:\d+: error", done.stdout + done.stderr),
              done.stdout + done.stderr)
        tokyo.write(TOKYO)
        tokyo.reload()
        check("life: SIGHUP applies", wait_for(lambda: not tokyo.site("kobe"), 5))
        check("life: its route is gone", "10.7" not in ga.ip("route").stdout)
        check("life: ends with Delete", osaka.stop() == 0
              and wait_for(lambda: not tokyo.is_up("osaka"), 5))
        check("life: leaves no route", "sekisho" not in gb.ip("route").stdout)


def commands(lab, check):
    with NoExit(lab, "commands") as inner:
        a, ga, wan, gb, b, tokyo, osaka = pair(inner)
        check("commands: up", tokyo.wait_up("osaka"))
        a.pings("10.2.0.2")
        for words in (["status"], ["status", "osaka"], ["status", "-v"], ["explain", "osaka"], ["explain"], ["sas"],
                      ["drops"], ["log"], ["version"], ["help"], ["help", "peer"], ["show", "config"],
                      ["show", "config", "--all"], ["check"], ["trace", "osaka"]):
            done = tokyo.command(*words, check=False)
            check(f"commands: {' '.join(words)}", done.returncode == 0 and done.stdout.strip(), done.stderr.strip())
            told = tokyo.command(*words, "--json", check=False)
            try:
                check(f"commands: {' '.join(words)} --json", json.loads(told.stdout)["version"] == 1)
            except (ValueError, KeyError, TypeError) as error:
                check(f"commands: {' '.join(words)} --json", False, f"{error}: {told.stdout[:200]} {told.stderr}")
        text = tokyo.command("trace", "osaka", check=False).stdout
        check("commands: trace shows the negotiation in the RFC's words", "SAi1" in text or "SA" in text and "KE" in text,
              text[:300])
        check("commands: the key is nowhere", KEY not in text + tokyo.log())
        check("commands: unknown verb is 2", tokyo.command("statsu", check=False).returncode == 2)
        check("commands: unknown site is 1", tokyo.command("up", "nobody", check=False).returncode == 1)
        check("commands: not running is 3", call(BUILD / "sekisho", "--run", "/nonexistent", "status",
                                                 check=False).returncode == 3)
        total = tokyo.status()
        check("commands: status --json has what it promises", {"version", "gateway", "sites", "drops", "crypto",
                                                               "problems"} <= set(total))


def changed_key(lab, check):
    """A wrong key, put right by `secret set` and `apply` on the other side; then one that changes while the site is up."""
    with NoExit(lab, "key") as inner:
        hosts = two_sites(inner)
        a = hosts[0]
        tokyo = Sekisho(hosts[1], TOKYO, {"osaka": KEY}).start()
        osaka = Sekisho(hosts[3], OSAKA, {"tokyo": "another-" + KEY}).start()
        told = wait_for(lambda: "SEK-A012" in tokyo.explain("osaka") + osaka.explain("tokyo"), 10)
        check("key: a wrong one is said with its code", told, "" if told else tokyo.explain("osaka"))
        time.sleep(4)  # the waits between tries have grown
        done = osaka.set_secret("tokyo", KEY)
        check("key: secret set", done.returncode == 0, done.stdout + done.stderr)
        check("key: apply", osaka.command("apply", check=False).returncode == 0)
        began = time.monotonic()
        check("key: the site comes up at once", tokyo.wait_up("osaka", 4) and osaka.wait_up("tokyo", 4),
              f"{time.monotonic() - began:.1f} s")
        check("key: traffic", a.pings("10.2.0.2"))
        spi = tokyo.site("osaka")["ike"]["spi_i"]
        newer = "newer-" + KEY
        for place, name in ((tokyo, "osaka"), (osaka, "tokyo")):
            place.set_secret(name, newer)
            place.command("apply", check=False)
        time.sleep(1)
        check("key: changed on both sides while up: nothing is disturbed", tokyo.site("osaka")["ike"]["spi_i"] == spi
              and a.ping("10.2.0.2"))
        tokyo.command("restart", "osaka", check=False)
        check("key: the next connection uses it", wait_for(
            lambda: tokyo.is_up("osaka") and tokyo.site("osaka")["ike"]["spi_i"] != spi, 5) and a.pings("10.2.0.2"))
        check("key: it is nowhere in the log", newer not in tokyo.log() + osaka.log())


def conflict(lab, check):
    """The network of a site has a route of somebody else already."""
    with NoExit(lab, "conflict") as inner:
        hosts = two_sites(inner)
        hosts[1].ip("route", "add", "10.2.0.0/16", "dev", "lan")
        tokyo = Sekisho(hosts[1], TOKYO, {"osaka": KEY}).start()
        osaka = Sekisho(hosts[3], OSAKA, {"tokyo": KEY}).start()
        check("conflict: the site comes up", tokyo.wait_up("osaka"))
        told = tokyo.command("status", check=False).stdout
        check("conflict: status shows it as a problem, with what to do", "1 problem" in told
              and "over lan already" in told and "ip route del 10.2.0.0/16 dev lan" in told, told)
        check("conflict: explain has its code", "SEK-H004" in tokyo.explain("osaka"), tokyo.explain("osaka"))
        check("conflict: the route of the other is left alone", "dev lan" in
              hosts[1].ip("route", "show", "10.2.0.0/16").stdout)
        hosts[1].ip("route", "del", "10.2.0.0/16", "dev", "lan")
        tokyo.command("apply", check=False)
        check("conflict: removed and applied: it passes", hosts[0].pings("10.2.0.2", 5)
              and "problem" not in tokyo.command("status", check=False).stdout,
              tokyo.command("status", check=False).stdout)
        osaka.stop()


def post_quantum(lab, check):
    """ML-KEM beside X25519 and alone; a peer that cannot, where it is optional and where it is not."""
    def with_ike(words):
        return [text.replace("  key ", f"  ike {words}\n  key ") for text in (TOKYO, OSAKA)]

    def with_word(text, words):
        return text.replace("  key ", f"  {words}\n  key ")

    hybrid, plain = "aes256gcm16-sha384-x25519-ke1_mlkem768", "aes256gcm16-sha384-x25519"
    cases = (("beside X25519", hybrid, hybrid, "X25519 + ML-KEM-768", True),
             ("alone", "aes256gcm16-sha384-mlkem768", "aes256gcm16-sha384-mlkem768", "ML-KEM-768", True),
             ("optional and not there", hybrid + "-ke1_none", plain, "X25519", False))
    for name, ours, theirs, words, safe in cases:
        with NoExit(lab, "pq" + name.split()[0]) as inner:
            a, _, _, _, _, tokyo, osaka = pair(inner, with_ike(ours)[0], with_ike(theirs)[1])
            check(f"post-quantum {name}: up", tokyo.wait_up("osaka") and osaka.wait_up("tokyo"), tokyo.explain("osaka"))
            ike = [gateway.status()["sites"][0]["ike"] for gateway in (tokyo, osaka)]
            check(f"post-quantum {name}: status says {words}",
                  all(one["suite"].endswith(words) and one["post_quantum"] is safe for one in ike), ike)
            check(f"post-quantum {name}: it passes", a.pings("10.2.0.2", 5))
            tokyo.command("restart", "--rekey", "osaka")
            check(f"post-quantum {name}: still so when the keys are new", a.pings("10.2.0.2", 5)
                  and tokyo.status()["sites"][0]["ike"]["post_quantum"] is safe)
    with NoExit(lab, "pqdefault") as inner:
        a, _, _, _, _, tokyo, osaka = pair(inner, with_word(TOKYO, "post-quantum required"))
        check("post-quantum by default: up", tokyo.wait_up("osaka") and a.pings("10.2.0.2", 5), tokyo.explain("osaka"))
        ike = tokyo.status()["sites"][0]["ike"]
        told = tokyo.command("status", check=False).stdout
        check("post-quantum by default: status says so", ike["suite"].endswith("X25519 + ML-KEM-768") and
              ike["post_quantum"] and not ike["post_quantum_missing"] and "X25519+ML-KEM" in told and
              "  post-quantum" in tokyo.command("status", "osaka", check=False).stdout, told)
        osaka.write(with_word(OSAKA, "post-quantum off"))
        osaka.command("apply", check=False)
        tokyo.command("restart", "osaka", check=False)
        good = wait_for(lambda: "SEK-O013" in tokyo.explain("osaka"), 15)
        check("post-quantum required and not there: refused, with its code", good and not tokyo.is_up("osaka"),
              tokyo.explain("osaka"))
        tokyo.write(TOKYO)
        tokyo.command("apply", check=False)
        check("post-quantum preferred and not there: up", tokyo.wait_up("osaka") and a.pings("10.2.0.2", 5),
              tokyo.explain("osaka"))
        told = tokyo.command("status", check=False).stdout
        ike = tokyo.status()["sites"][0]["ike"]
        check("post-quantum preferred and not there: status warns", "NOT post-quantum" in told
              and ike["post_quantum_missing"] and not ike["post_quantum"], told)
        told = osaka.command("status", check=False).stdout
        check("post-quantum off: nobody warns", "post-quantum" not in told, told)
    with NoExit(lab, "pqdemanded") as inner:
        _, _, _, _, _, tokyo, osaka = pair(inner, with_ike(hybrid)[0], with_ike(plain)[1])
        wait_for(lambda: "ke1_mlkem768" in osaka.explain("tokyo"), 10)
        check("post-quantum demanded and not there: explain has both offers", "ke1_mlkem768" in osaka.explain("tokyo")
              and not tokyo.wait_up("osaka", 1), osaka.explain("tokyo"))


def many(lab, check):
    """10,000 sites: checked and started in about a second; status stays fast."""
    with NoExit(lab, "many") as inner:
        ga = inner.host("ga")
        sites = "".join(
            f"site s{n} {{\n  peer 198.18.{n >> 8 & 255}.{n & 255}\n  network 10.{n >> 8}.{n & 255}.0/24\n  key @k\n"
            f"  start wait\n}}\n" for n in range(10000))
        text = "gateway hub.example.jp\nlan 192.168.0.0/16\n" + sites
        hub = Sekisho(ga, text, {"k": KEY})
        began = time.monotonic()
        done = call(BUILD / "sekishod", "-c", hub.config, "--check", check=False)
        check("many: 10,000 sites are checked", done.returncode == 0, f"{time.monotonic() - began:.2f} s "
              + (done.stdout + done.stderr)[-200:])
        began = time.monotonic()
        hub.start(60)
        wait_for(lambda: len(hub.status().get("sites", [])) == 10000, 30)
        check("many: and started", len(hub.status().get("sites", [])) == 10000, f"{time.monotonic() - began:.2f} s")
        began = time.monotonic()
        done = hub.command("status", "s77", check=False)
        check("many: status of one", done.returncode in (0, 4), f"{time.monotonic() - began:.2f} s")


def main():
    with Lab("sites") as lab:
        lab.inner_count = 0
        check = lab.check
        families(lab, 4, check)
        families(lab, 6, check)
        life(lab, check)
        commands(lab, check)
        changed_key(lab, check)
        conflict(lab, check)
        post_quantum(lab, check)
        many(lab, check)


if __name__ == "__main__":
    main()
