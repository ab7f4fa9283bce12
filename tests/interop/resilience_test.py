#!/usr/bin/env python3
"""strongSwan and what keeps a tunnel up or brings it back: authentication anew in both roles, under traffic."""
import time

from lab import Flow, Lab, two_sites, wait_for
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
            lab.check(f"proof anew, {name}: nothing lost inbound", back.lost == 0, back.told())


def main():
    with Lab("resilience") as lab:
        hosts = two_sites(lab)
        again(lab, hosts)


if __name__ == "__main__":
    main()
