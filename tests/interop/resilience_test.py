#!/usr/bin/env python3
"""strongSwan and what keeps a tunnel up or brings it back: authentication anew in both roles, under traffic;
IKE SAs without a child; who was killed;
who is sent elsewhere."""
import time

from lab import KEY, OSAKA, TOKYO, Flow, Lab, Sekisho, two_sites, wait_for
from strongswan_test import Pair


def negotiations(pair):
    return pair.ours.log().count("IKE SA established")


def again(lab, hosts):
    """Make before break, whoever has the limit and whoever began: no packet is lost."""
    for name, more, given in (
            ("we want it, we began", "reauthenticate 12s", {}),
            ("we want it, the peer began (AUTH_LIFETIME)", "start wait\n  reauthenticate 12s", {"over": "1s"}),
            ("the peer wants it, we began (AUTH_LIFETIME)", "", {"reauth": "10s", "over": "5s"}),
            ("the peer wants it, the peer began", "start wait", {"reauth": "10s", "over": "5s"})):
        with Pair(lab, more, hosts=hosts, unique="no", **given) as pair:
            if "start wait" in more:
                pair.peer.initiate(check=False)
            up = pair.ours.wait_up("peer") and pair.a.pings("10.2.0.2")
            lab.check(f"proof anew, {name}: up", up, "" if up else pair.ours.explain("peer"))
            before = negotiations(pair)
            with Flow(pair.a, pair.b, "10.2.0.2", rate=500) as there, Flow(pair.b, pair.a, "10.1.0.2", rate=500) as back:
                came = wait_for(lambda: negotiations(pair) > before, 14, 0.2)
                time.sleep(4)
            lab.check(f"proof anew, {name}: it came", came, pair.ours.log()[-600:] if not came else "")
            lab.check(f"proof anew, {name}: nothing lost outbound", there.lost == 0, there.told())
            lab.check(f"proof anew, {name}: nothing lost inbound", back.lost == 0, back.told() + (
                pair.ours.command("drops", check=False).stdout if back.lost else ""))


def childless(lab, hosts):
    """RFC 6023: the first negotiation has no child where either side insists, and traffic flows a message later."""
    for name, more, theirs in (("we began, the peer insists", "childless on", "force"),
                               ("the peer began and insists", "start wait", "force"),
                               ("we would, the peer never", "childless on", "never")):
        with Pair(lab, more, hosts=hosts, childless=theirs) as pair:
            if "start wait" in more:
                pair.peer.initiate(check=False)
            up = pair.ours.wait_up("peer") and pair.a.pings("10.2.0.2") and pair.b.pings("10.1.0.2")
            lab.check(f"childless, {name}: up, traffic both ways", up, "" if up else pair.ours.explain("peer"))
            lab.check(f"childless, {name}: one child", len(pair.ours.site("peer").get("children", [])) == 1)
            made = [line for line in pair.ours.command("trace", "peer").stdout.splitlines() if "CREATE_CHILD_SA" in line]
            lab.check(f"childless, {name}: where the child was made", bool(made) == (theirs != "never"), made)


def seconds_until_back(host, address):
    """Ten questions a second go out, and the first answer ends it."""
    began = time.monotonic()
    done = host.run("ping", "-n", "-q", "-i", "0.1", "-c", "1", "-w", "20", address, check=False, seconds=30)
    return time.monotonic() - began if done.returncode == 0 else None


def killed(lab, hosts):
    """Two Sekishos: the one that answers is killed with -9. How long after its start does traffic flow again? With a
    ticket (RFC 5723; strongSwan has none), with a token (RFC 6290), and with nothing but errors in clear."""
    a, ga, _, gb, b = hosts
    resume = "resume 1h\n  key "
    for name, words, site, kept, how in (
            ("tickets on the disk", "resume-key disk\n", resume, "run/resume.key", "resumed by a ticket"),
            ("tickets in memory", "resume-key memory\n", resume, None, "INVALID_IKE_SPI"),
            ("tokens", "crash-tokens on\n", "key ", "state/crash.key", "SEK-L015"),
            ("nothing", "", "key ", None, "INVALID_IKE_SPI")):
        folder = name.replace(" ", "-")
        ours = Sekisho(ga, words + TOKYO.replace("key ", site), {"osaka": KEY}, name=folder).start()
        theirs = Sekisho(gb, words + OSAKA.replace("key ", f"start wait\n  {site}"), {"tokyo": KEY}, name=folder).start()
        lab.check(f"killed, {name}: up", ours.wait_up("osaka") and a.pings("10.2.0.2"))
        if kept is None:
            files = [*theirs.folder.glob("*/resume.key"), *theirs.folder.glob("*/crash.key")]
            lab.check(f"killed, {name}: nothing is kept on the disk", not files, files)
        else:
            lab.check(f"killed, {name}: who may read what is kept",
                      ((theirs.folder / kept).stat().st_mode & 0o777) == 0o600)
        # The log of a host goes on from one daemon to the next.
        before = len(ours.log())
        theirs.kill()
        theirs.start()
        seconds = seconds_until_back(a, "10.2.0.2")
        lab.check(f"killed, {name}: traffic again", seconds is not None and seconds < 2.5,
                  "never" if seconds is None else f"{seconds:.2f} s after its start")
        said = ours.log()[before:]
        lab.check(f"killed, {name}: by what", how in said, said)
        lab.check(f"killed, {name}: and by nothing else",
                  all(other not in said for other in ("resumed by a ticket", "SEK-L015") if other != how), said)
        # A killed one leaves its guard behind, and strongSwan comes next.
        for one in (ours, theirs):
            one.stop()


def redirected(lab, hosts):
    """RFC 5685 with strongSwan: we are sent to another of its addresses while traffic flows; it is sent to another of
    ours before it proved who it is."""
    a, ga, _, gb, b = hosts
    ga.address("wan", "203.0.113.4/24")
    gb.address("wan", "203.0.113.5/24")
    with Pair(lab, hosts=hosts, unique="no", start=False) as pair:
        pair.peer.settings["local"] = "%any"
        pair.peer.reload()
        pair.ours.start()
        up = pair.ours.wait_up("peer") and pair.a.pings("10.2.0.2")
        lab.check("we are sent elsewhere: up", up, "" if up else pair.ours.explain("peer"))
        with Flow(pair.a, pair.b, "10.2.0.2", rate=500) as there:
            told = pair.peer.swanctl("--redirect", "--ike", "peer", "--gateway", "203.0.113.5", check=False)
            moved = wait_for(lambda: pair.ours.site("peer").get("peer", "").startswith("203.0.113.5"), 10, 0.3)
            time.sleep(3)
        lab.check("we are sent elsewhere: and go", moved, told.stderr + pair.ours.log()[-400:])
        lab.check("we are sent elsewhere: nothing is lost", there.lost == 0, there.told())
    # strongSwan 5.9.8 as the one who is sent away after IKE_AUTH frees something twice and dies before its next message.
    with Pair(lab, "start wait", hosts=hosts, start=False) as pair:
        pair.ours.write("redirect 203.0.113.4\n" + pair.ours.config.read_text())
        pair.ours.start()
        pair.peer.initiate(check=False)
        up = pair.ours.wait_up("peer", 20) and pair.b.pings("10.1.0.2")
        lab.check("the peer is sent elsewhere at once: up", up, pair.peer.log()[-800:] if not up else "")
        local = pair.ours.site("peer").get("ike", {}).get("local", "")
        lab.check("the peer is sent elsewhere at once: there", local.startswith("203.0.113.4"), local)


def main():
    with Lab("resilience") as lab:
        hosts = two_sites(lab)
        again(lab, hosts)
        childless(lab, hosts)
        killed(lab, hosts)
        redirected(lab, hosts)


if __name__ == "__main__":
    main()
