#!/usr/bin/env python3
"""People and gateways for people, by IKEv1's XAUTH and mode-config: a Sekisho that logs in to another one, with traffic, orders,
wrong passwords and what the administrator sees of it."""
import json

from lab import Lab, Sekisho, two_sites, wait_for

GROUP_KEY = "the long and random key of the group"
SERVER = """gateway vpn.example.jp
lan     10.2.0.0/16
remote-access staff {
  via        xauth
  group-name staff
  key        @grp
  legacy     aggressive
  addresses  10.9.6.0/24
  dns        10.2.0.53 corp.example.jp
  banner     "For staff only."
}
"""
CLIENT = """gateway laptop.example.jp
lan     10.1.0.0/16
site hq {{
  peer       203.0.113.2
  key        @grp
  ike        v1 aggressive
  legacy     aggressive
  group-name staff
  login      {user} @password
  address    ask
}}
"""


def users(gateway, *words, typed=None):
    return gateway.host.run(gateway.build / "sekisho", "--run", gateway.run_folder, "--state", gateway.folder / "state",
                            "-c", gateway.config, "users", *words, text_in=typed)


def device_addresses(host):
    told = json.loads(host.ip("-j", "address", "show", "dev", "sekisho0").stdout)
    return [a["local"] for link in told for a in link["addr_info"] if a["family"] == "inet"]


def sessions(gateway):
    return gateway.status()["sessions"]


def one_person(lab, client, server, ga, b):
    up = client.wait_up("hq", 15)
    lab.check("who has a password is in", up, "" if up else client.explain("hq") + server.log()[-1500:])
    lab.check("with the first address, which his device has", wait_for(lambda: "10.9.6.1" in device_addresses(ga), 5),
              device_addresses(ga))
    lab.check("he reaches the network behind the gateway", ga.pings("10.2.0.2"))
    lab.check("and is reached from there", b.pings("10.9.6.1"))
    who = sessions(server)
    lab.check("status has him", [(s["user"], s["address"], s["via"], s["up"]) for s in who] ==
              [("alice", "10.9.6.1", "xauth", True)], who)
    told = server.command("status").stdout
    lab.check("and says how many are in", "PEOPLE     1 online" in told and "staff 1 of 254 addresses" in told, told)
    lab.check("pools tells the same", " 254 " in server.command("pools").stdout, server.command("pools").stdout)
    told = client.command("status", "hq").stdout
    lab.check("the client shows what it was given", "10.9.6.1, given by the peer" in told and
              "10.2.0.53 for corp.example.jp" in told and "For staff only." in told, told)
    lab.check("a user's own tunnel has its page", "up" in server.command("status", "alice").stdout,
              server.command("status", "alice", check=False).stdout)


def orders(lab, client, server, ga):
    server.command("down", "alice")
    lab.check("who is logged out by order comes in again by himself, with the same address",
              wait_for(lambda: ga.ping("10.2.0.2", seconds=1), 20) and device_addresses(ga) == ["10.9.6.1"],
              device_addresses(ga))
    client.command("down", "hq")
    lab.check("when we log out our device has no address any more", wait_for(lambda: device_addresses(ga) == [], 5),
              device_addresses(ga))
    lab.check("and the gateway nobody", wait_for(lambda: sessions(server) == [], 5), sessions(server))


def wrong_password(lab, client, server):
    client.secret("password", "not that one")
    client.command("up", "hq")
    lab.check("a wrong password: the client says so", wait_for(lambda: "SEK-A036" in client.explain("hq"), 10),
              client.explain("hq"))
    lab.check("and so does the gateway", wait_for(lambda: "SEK-A034" in server.log(), 5), server.log()[-1000:])
    lab.check("nobody is in", sessions(server) == [], sessions(server))


def main():
    with Lab("xauth") as lab:
        a, ga, wan, gb, b = two_sites(lab)
        server = Sekisho(gb, SERVER, {"grp": GROUP_KEY})
        client = Sekisho(ga, CLIENT.format(user="alice"), {"grp": GROUP_KEY, "password": "correct horse"})
        server.start()
        users(server, "add", "alice", "--group", "staff", typed="correct horse\n")
        client.start()
        one_person(lab, client, server, ga, b)
        orders(lab, client, server, ga)
        wrong_password(lab, client, server)


if __name__ == "__main__":
    main()
