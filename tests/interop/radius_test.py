#!/usr/bin/env python3
"""Users and RADIUS as an administrator meets them: FreeRADIUS behind `sekisho users try`, the command on the file of users, oathtool's
codes."""
import json
import pathlib
import re
import subprocess

from lab import BUILD, KEY, Lab, Sekisho, call, wait_for
from xauth import XauthClient

SIGNED, UNSIGNED, OTHER = 1812, 1814, 1816
SECRET = "rig-3fKq9xT2vB7n"

RADIUSD = """
prefix = /usr
sysconfdir = /etc
localstatedir = {d}
logdir = {d}
raddbdir = {d}
run_dir = {d}
db_dir = {d}
libdir = /usr/lib/freeradius
pidfile = {d}/pid
max_request_time = 5
cleanup_delay = 2
max_requests = 1024
hostname_lookups = no
security {{
  max_attributes = 200
  reject_delay = 0
  status_server = no
  allow_vulnerable_openssl = yes
}}
log {{
  destination = stdout
  auth = no
}}
proxy_requests = no
thread pool {{
  start_servers = 1
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
  max_requests_per_server = 0
}}
modules {{
  always ok {{
    rcode = ok
  }}
  pap {{
  }}
  chap {{
  }}
  files {{
    usersfile = {d}/users
  }}
  detail {{
    filename = {d}/detail
  }}
}}
clients good {{
  client gate {{
    ipaddr = 10.1.0.0/24
    secret = {secret}
    require_message_authenticator = yes
  }}
}}
clients bad {{
  client gate {{
    ipaddr = 10.1.0.0/24
    secret = another-secret
    require_message_authenticator = yes
  }}
}}
"""

SERVER = """
server {name} {{
  listen {{
    type = auth
    ipaddr = 10.1.0.20
    port = {port}
    clients = {clients}
  }}
  authorize {{
    if (&User-Name == "carol" && !&State) {{
      update reply {{
        &State := 0x3332373639343330
        &Reply-Message := "Challenge 32769430."
      }}
      {signature}
      update control {{
        &Auth-Type := Accept
        &Response-Packet-Type := Access-Challenge
      }}
    }}
    else {{
      files
      pap
    }}
  }}
  authenticate {{
    pap
    chap
  }}
  post-auth {{
    {signature}
    Post-Auth-Type REJECT {{
      {signature}
    }}
  }}
}}
"""

ACCOUNTS = """
server accounts {
  listen {
    type = acct
    ipaddr = 10.1.0.20
    port = 1813
    clients = good
  }
  accounting {
    detail
  }
}
"""

SIGN = """update reply {
      &Message-Authenticator := 0x00
    }"""

USERS = """
alice Cleartext-Password := "wonder"
      Framed-IP-Address = 10.9.0.7,
      Framed-IP-Netmask = 255.255.255.0,
      Filter-Id = "staff",
      Class = 0x616263,
      Session-Timeout = 3600,
      Idle-Timeout = 600,
      MS-Primary-DNS-Server = 10.1.0.53,
      Reply-Message = "Hello alice"

carol Cleartext-Password := "99101462"
      Filter-Id = "staff"

mallory Cleartext-Password := "wonder"
      Filter-Id = "no group"

long  Cleartext-Password := "a password of more than sixteen octets, and of more than thirty-two"
      Filter-Id = "staff"
"""


def free_radius(lab, host):
    folder = lab.folder / "freeradius"
    folder.mkdir()
    text = RADIUSD.format(d=folder, secret=SECRET)
    for name, port, clients, signature in (("signed", SIGNED, "good", SIGN), ("unsigned", UNSIGNED, "good", "ok"),
                                           ("other", OTHER, "bad", "ok")):
        text += SERVER.format(name=name, port=port, clients=clients, signature=signature)
    (folder / "radiusd.conf").write_text(text + ACCOUNTS)
    (folder / "users").write_text(USERS)
    (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
    process = host.start("freeradius", "-f", "-l", "stdout", "-d", folder, out="freeradius.log")
    log = lambda: process.output_path.read_text(errors="replace")
    lab.check("FreeRADIUS is there", wait_for(lambda: "Ready to process" in log(), 20), log()[-600:])
    return folder / "detail"


def gate(lab, host, name, servers, more=""):
    lines = "".join(f"radius {server}\n" for server in servers)
    made = Sekisho(host, f"gateway {name}.example.jp\nlan 10.1.0.0/24\ndevice {name}0\n{lines}{more}", {"radius": SECRET}, name=name)
    return made


class Try:
    """`sekisho users try`, which goes on while others are tried."""

    def __init__(self, gateway, user, typed, *more):
        self.process = subprocess.Popen([BUILD / "sekisho", "--run", gateway.run_folder, "users", "try", user, "--json", *more],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process.stdin.write(typed)
        self.process.stdin.flush()

    def answer(self):
        out, err = self.process.communicate(timeout=60)
        return {**json.loads(out or "{}"), "exit": self.process.returncode, "err": err}


def told(answer):
    return answer.get("verdict"), answer.get("reason", ""), answer.get("source")


def server_of(gateway, port):
    return next((s for s in gateway.status().get("radius", []) if s["server"].endswith(f":{port}")), {})


def users_hold(check, gateway, folder):
    """The command on the file of users, with the daemon behind it."""
    users = lambda *words, typed=None: call(BUILD / "sekisho", "--run", gateway.run_folder, "--state", folder / "state", "-c", gateway.config,
                                            "users", *words, check=False, text_in=typed)
    done = users("add", "dora", "--group", "staff,admins", "--address", "10.9.0.8", typed="correct horse\n")
    check("a user is added", done.returncode == 0, done.stderr)
    check("and let in at once", told(Try(gateway, "dora", "correct horse\n").answer()) == ("accepted", "", "local"))
    answer = Try(gateway, "dora", "correct hors\n").answer()
    check("not with another password", answer["verdict"] == "refused" and answer["exit"] == 1, str(answer))
    listed = json.loads(users("list", "--json").stdout)["users"]
    check("the list has groups and address, and nothing secret",
          listed[0]["groups"] == ["staff", "admins"] and listed[0]["address"] == "10.9.0.8" and "scram" not in str(listed), str(listed))
    path = folder / "state" / "users"
    check("the file is for its owner alone", path.stat().st_mode & 0o777 == 0o600)
    check("no password stands in it", "correct" not in path.read_text())
    users("disable", "dora")
    answer = Try(gateway, "dora", "correct horse\n").answer()
    check("who is disabled stays out", answer["verdict"] == "refused" and "disabled" in answer["reason"], str(answer))
    users("enable", "dora")
    check("and comes in again", Try(gateway, "dora", "correct horse\n").answer()["verdict"] == "accepted")
    secret = users("otp", "dora", "--issuer", "vpn").stdout.split("\n")
    check("a secret of codes is shown as an app wants it", secret[0].startswith("otpauth://totp/vpn:dora?secret=" + secret[1]), str(secret))
    users("passwd", "dora", typed="battery staple\n")
    check("a new password", Try(gateway, "dora", "battery staple\n").answer()["verdict"] == "accepted"
          and Try(gateway, "dora", "correct horse\n").answer()["verdict"] == "refused")
    before = path.read_text()
    path.write_text(before + "eve staff secret\n")
    done = users("check")
    line = before.count("\n") + 1
    check("a mistake is told with its place and a caret", f"users:{line}:11: error: this is no verifier" in done.stderr
          and re.search(r"\n +\| {11}\^{6}", done.stderr) and done.returncode == 1, done.stderr)
    gateway.command("apply")
    check("the daemon keeps the users of before and says so", Try(gateway, "dora", "battery staple\n").answer()["verdict"] == "accepted"
          and "no verifier" in gateway.command("status", check=False).stdout, gateway.command("status", check=False).stdout)
    path.write_text(before)
    users("remove", "dora")
    check("who was removed is unknown", "unknown" in Try(gateway, "dora", "battery staple\n").answer()["reason"])
    check("passwords and secrets stand in no log", not any(word in gateway.log() for word in ("horse", "staple", secret[1])))


def codes_hold(check, gateway, folder):
    """Second factors of two blocks; oathtool is the app."""
    users = lambda *words, typed=None: call(BUILD / "sekisho", "--run", gateway.run_folder, "--state", folder / "state", "-c", gateway.config,
                                            "users", *words, check=False, text_in=typed)
    users("add", "fay", typed="correct horse\n")
    answer = Try(gateway, "fay", "correct horse\n", "--service", "asked").answer()
    check("without a secret of codes nobody comes in where one is wanted", "has none" in answer.get("reason", ""), str(answer))
    secret = json.loads(users("otp", "fay", "--json").stdout)["secret"]
    code = lambda when="now": call("oathtool", "--totp", "-b", "-N", when, secret).stdout.strip()
    first = code()
    answer = Try(gateway, "fay", f"correct horse\n{first}\n", "--service", "asked").answer()
    check("oathtool's code is asked for and taken", told(answer) == ("accepted", "", "local"), str(answer))
    answer = Try(gateway, "fay", f"correct horse\n{first}\n", "--service", "asked").answer()
    check("once", answer["verdict"] == "refused" and "used already" in answer["reason"], str(answer))
    gateway.kill()
    gateway.start()
    answer = Try(gateway, "fay", f"correct horse{first}\n", "--service", "appended").answer()
    check("also after kill -9", answer["verdict"] == "refused" and "used already" in answer["reason"], str(answer))
    answer = Try(gateway, "fay", f"correct horse{code('30 seconds')}\n", "--service", "appended").answer()
    check("the next one, behind the password", told(answer) == ("accepted", "", "local"), str(answer))
    answer = Try(gateway, "fay", "correct horse\n", "--service", "nowhere").answer()
    check("a block that is not there is told", "no remote-access nowhere" in answer.get("error", ""), str(answer))
    check("who is in", json.loads(users("sessions", "--json").stdout)["sessions"] == [])
    check("nobody to log out", "was not logged in" in users("kick", "fay").stdout)


BLOCKS = """
remote-access asked {
  via           xauth
  group-name    asked.example
  legacy        aggressive
  key           @radius
  addresses     10.9.1.0/24
  second-factor totp
}
remote-access appended {
  via           xauth
  group-name    appended.example
  legacy        aggressive
  key           @asked
  addresses     10.9.2.0/24
  second-factor totp appended
}
"""


PEOPLE = """
remote-access staff {
  via       xauth
  key       @group
  addresses 10.9.0.0/24
  login     radius
}
"""


def people_hold(check, server, gateway, client, detail):
    """strongSwan logs in by XAUTH; FreeRADIUS says yes, gives the address, and hears of both ends."""
    users = lambda *words: call(BUILD / "sekisho", "--run", gateway.run_folder, "users", *words, check=False)
    peer = XauthClient(client, "10.1.0.2", "10.1.0.1", "10.5.0.0/24", key=KEY, remote_id="one.example.jp").start()
    done = peer.initiate(check=False)
    seen = wait_for(lambda: json.loads(users("sessions", "--json").stdout or "{}").get("sessions"), 10) or [{}]
    check("a client logs in by XAUTH, as RADIUS says", (seen[0].get("user"), seen[0].get("address"), seen[0].get("group")) ==
          ("alice", "10.9.0.7", "staff"), str(seen) + done.stdout[-800:] + gateway.log()[-800:])
    check("its traffic passes", client.pings("10.5.0.1"))
    check("and is logged out", "is logged out" in users("kick", "alice").stdout
          and json.loads(users("sessions", "--json").stdout)["sessions"] == [])
    records = lambda kind: [r for r in detail.read_text().split("\n\n") if f"Acct-Status-Type = {kind}" in r]
    check("the accounting server hears of both ends", wait_for(lambda: len(records("Stop")) == 1, 5) and len(records("Start")) == 1,
          detail.read_text()[-1500:])
    start, stop = (records("Start") + [""])[0], (records("Stop") + [""])[0]
    session = re.findall(r'Acct-Session-Id = "(.*)"', start)
    check("of one session, with what belongs to it", session and session == re.findall(r'Acct-Session-Id = "(.*)"', stop)
          and all(word in stop for word in ('User-Name = "alice"', "Class = 0x616263", "Framed-IP-Address = 10.9.0.7",
                                            "Acct-Terminate-Cause = Admin-Reset"))
          and int(re.search(r"Acct-Input-Packets = (\d+)", stop).group(1)) > 0, stop)
    peer.kill()


def servers_hold(check, gates):
    """All at once, because a server that stays silent is waited for."""
    first, second, third = gates
    silent = Try(second, "alice", "wonder\n")
    unsigned = Try(third, "alice", "wonder\n")
    answer = Try(first, "alice", "wonder\n").answer()
    check("accepted, with all that is hers", told(answer) == ("accepted", "", "radius 10.1.0.20") and answer["groups"] == ["staff"]
          and answer["address"] == "10.9.0.7" and answer["dns"] == ["10.1.0.53"] and answer["session_timeout_s"] == 3600
          and answer["idle_timeout_s"] == 600 and answer["message"] == "Hello alice", str(answer))
    check("a long password", Try(first, "long", "a password of more than sixteen octets, and of more than thirty-two\n").answer()["verdict"]
          == "accepted")
    answer = Try(first, "alice", "wander\n").answer()
    check("a wrong password is refused", told(answer)[::2] == ("refused", "radius 10.1.0.20"), str(answer))
    answer = Try(first, "carol", "first\n99101462\n").answer()
    check("a challenge is asked and answered", told(answer) == ("accepted", "", "radius 10.1.0.20"), str(answer))
    answer = Try(first, "carol", "first\n99101463\n").answer()
    check("a wrong answer is refused", answer["verdict"] == "refused", str(answer))
    answer = Try(first, "mallory", "wonder\n").answer()
    check("a filter that is no group lets nobody in", answer["verdict"] == "refused" and "followed" in answer["reason"], str(answer))
    text = first.command("status", check=False).stdout
    check("status shows the server", re.search(r"radius 10\.1\.0\.20:1812: answers, \d+ accepted, \d+ refused", text), text)

    answer = silent.answer()
    check("a server with another secret is silent, and the next one is asked", told(answer) == ("accepted", "", "radius 10.1.0.20"),
          str(answer))
    one, two = server_of(second, OTHER), server_of(second, SIGNED)
    check("status says which", one["state"] == "silent" and one["given_up"] == 1 and two["state"] == "answers", str((one, two)))
    answer = Try(second, "alice", "wonder\n").answer()
    check("and it is left alone", answer["verdict"] == "accepted" and server_of(second, OTHER)["requests"] == 1, str(answer))

    answer = unsigned.answer()
    check("a reply without signature is not believed", answer["verdict"] == "nobody could tell" and "sign" in answer["reason"], str(answer))
    check("and counted", server_of(third, UNSIGNED)["unsigned"] >= 1 and server_of(third, UNSIGNED)["accepts"] == 0)
    third.write(third.config.read_text().replace("port 1814", "port 1814 unsigned-replies"))
    third.command("apply", check=False)
    answer = Try(third, "alice", "wonder\n").answer()
    check("unless the server is said to be an old one", told(answer) == ("accepted", "", "radius 10.1.0.20"), str(answer))


def main():
    with Lab("radius") as lab:
        hosts = [lab.host(name) for name in ("server", "one", "two", "three")]
        server = hosts[0]
        server.ip("link", "add", "lan", "type", "bridge")
        server.ip("link", "set", "lan", "up")
        server.address("lan", "10.1.0.20/24")
        for number, host in enumerate(hosts[1:], 1):
            lab.link(host, "lan", server, f"lan{number}")
            host.address("lan", f"10.1.0.{number}/24")
            server.ip("link", "set", f"lan{number}", "master", "lan")
        detail = free_radius(lab, server)
        gates = [gate(lab, hosts[1], "one", [f"10.1.0.20 @radius"]),
                 gate(lab, hosts[2], "two", [f"10.1.0.20 @radius port {OTHER}", "10.1.0.20 @radius"]),
                 gate(lab, hosts[3], "three", [f"10.1.0.20 @radius port {UNSIGNED}"])]
        for made in gates:
            made.start()
        servers_hold(lab.check, gates)
        told = detail.read_text() if detail.exists() else ""
        lab.check("the accounting server hears of each beginning, once", all(
            len(re.findall(rf'Acct-Status-Type = Accounting-On(?:(?!\n\n).)*NAS-Identifier = "{name}.example.jp"', told, re.S)) == 1
            for name in ("one", "two", "three")) and "waiting" in str(gates[0].status()["accounts"])
            and gates[0].status()["accounts"]["waiting"] == 0, told)
        for made in gates:
            lab.check("a clean end", made.stop() == 0, made.log()[-300:])
        local = gate(lab, hosts[1], "local", [], BLOCKS)
        local.secret("asked", "rig-another-7Qm2")
        local.start()
        users_hold(lab.check, local, pathlib.Path(local.folder))
        codes_hold(lab.check, local, pathlib.Path(local.folder))
        lab.check("a clean end", local.stop() == 0, local.log()[-300:])
        hosts[1].address("lo", "10.5.0.1/24")
        people = gate(lab, hosts[1], "people", ["10.1.0.20 @radius"], PEOPLE)
        people.write(people.config.read_text().replace("gateway people", "gateway one").replace("lan 10.1.0.0", "lan 10.5.0.0"))
        people.secret("group", KEY)
        people.start()
        people_hold(lab.check, server, people, hosts[2], detail)
        lab.check("a clean end", people.stop() == 0, people.log()[-300:])


if __name__ == "__main__":
    main()
