#!/usr/bin/env python3
"""strongSwan and what keeps a tunnel up or brings it back: authentication anew in both roles, under traffic;
IKE SAs without a child."""
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


def resumed(lab, hosts):
    """Two Sekishos (strongSwan has no tickets): the one that answers is killed, and the other goes on with a ticket, if
    its key is on the disk."""
    a, ga, _, gb, b = hosts
    more = "resume 1h\n  key "
    for where, good in (("disk", True), ("memory", False)):
        key = f"resume-key {where}\n"
        ours = Sekisho(ga, key + TOKYO.replace("key ", more), {"osaka": KEY}, name=f"resume-{where}").start()
        theirs = Sekisho(gb, key + OSAKA.replace("key ", f"start wait\n  {more}"), {"tokyo": KEY},
                         name=f"resume-{where}").start()
        lab.check(f"key of tickets in {where}: up", ours.wait_up("osaka") and a.pings("10.2.0.2"))
        path = theirs.run_folder / "resume.key"
        lab.check(f"key of tickets in {where}: who may read it",
                  (path.stat().st_mode & 0o777) == 0o600 if good else not path.exists())
        # The log of a host goes on from one daemon to the next.
        before = len(ours.log())
        theirs.kill()
        began = time.monotonic()
        theirs.start()
        back = a.pings("10.2.0.2", 20)
        seconds = time.monotonic() - began
        lab.check(f"key of tickets in {where}: the answering side killed with -9: traffic again", back,
                  f"{seconds:.1f} s after its start")
        lab.check(f"key of tickets in {where}: by a ticket or in full", ("resumed by a ticket" in ours.log()[before:]) == good,
                  ours.log()[before:])
        for one in (ours, theirs):
            one.kill()


def main():
    with Lab("resilience") as lab:
        hosts = two_sites(lab)
        again(lab, hosts)
        childless(lab, hosts)
        resumed(lab, hosts)


if __name__ == "__main__":
    main()
