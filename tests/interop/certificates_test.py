#!/usr/bin/env python3
"""Certificates against strongSwan, both roles: every kind of key, intermediates, the methods before RFC 7427, and what is
refused: expired, another name, an unknown authority, revoked. And two of ours with each other."""
import shutil
import time
from datetime import datetime, timedelta, timezone

from lab import Lab, Sekisho, Strongswan, call, two_sites

CONFIG = """gateway ga.example
lan     10.1.0.0/16
site peer {{
  peer    203.0.113.2
  network 10.2.0.0/16
  certificate own.pem key own.key
  trust   authorities.pem
  identity {identity}
  {more}
}}
"""


class Authority:
    """Made with strongSwan's pki, so that what we read was not written by us."""

    def __init__(self, folder, name, kind="ecdsa", parent=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name, self.parent = folder, name, parent
        self.key = make_key(folder / f"{name}.key", kind)
        self.file = folder / f"{name}.pem"
        words = ["--ca", "--dn", f"O=Test, CN={name}", "--lifetime", "100", "--outform", "pem"]
        made = call("pki", "--self", "--in", self.key, "--type", "priv", *words) if parent is None else \
            call("pki", "--issue", "--in", self.key, "--type", "priv", "--cacert", parent.file, "--cakey", parent.key, *words)
        self.file.write_text(made.stdout)

    def issue(self, name, san, kind="ecdsa", days=(0, 30), size=None):
        key = make_key(self.folder / f"{name}.key", kind, size)
        now = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(hours=1)
        times = [(now + timedelta(days=d)).strftime("%y%m%d%H%M%SZ") for d in days]
        made = call("pki", "--issue", "--in", key, "--type", "priv", "--cacert", self.file, "--cakey", self.key,
                    "--dn", f"O=Test, CN={name}", *[w for s in san for w in ("--san", s)], "--flag", "serverAuth",
                    "--dateform", "%y%m%d%H%M%SZ", "--not-before", times[0], "--not-after", times[1], "--outform", "pem")
        file = self.folder / f"{name}.pem"
        file.write_text(made.stdout)
        return file, key

    def revoke(self, file):
        made = call("pki", "--signcrl", "--cacert", self.file, "--cakey", self.key, "--cert", file, "--lifetime", "10",
                    "--outform", "pem")
        return made.stdout


def make_key(path, kind, size=None):
    size = size or {"rsa": 2048, "ecdsa": 256}.get(kind)
    path.write_text(call("pki", "--gen", "--type", kind, *(["--size", size] if size else []), "--outform", "pem").stdout)
    path.chmod(0o600)
    return path


class Pair:
    """ga is Sekisho, gb is strongSwan; what each shows and trusts is handed in as files."""

    def __init__(self, hosts, own, own_trust, peer, peer_trust, start="now", identity="gb.example", more="", extra=""):
        self.a, self.ga, self.wan, self.gb, self.b = hosts
        self.ours = Sekisho(self.ga, CONFIG.format(identity=identity, more=f"start {start}\n  {more}"))
        chain, key = own
        (self.ours.folder / "own.pem").write_text("".join(f.read_text() for f in chain))
        (self.ours.folder / "own.key").write_text(key.read_text())
        (self.ours.folder / "own.key").chmod(0o600)
        (self.ours.folder / "authorities.pem").write_text("".join(t if isinstance(t, str) else t.read_text() for t in own_trust))
        self.peer = Strongswan(self.gb, "203.0.113.2", "203.0.113.1", "10.2.0.0/16", "10.1.0.0/16", ike="default", esp="default",
                               local_id="203.0.113.2" if identity == "203.0.113.2" else "gb.example", remote_id="ga.example", extra=extra,
                               local_auth="auth = pubkey\n      certs = gb.pem", remote_auth="auth = pubkey")
        self.peer.write()
        chain, key = peer
        for place, files in (("x509", [chain[0]]), ("x509ca", [*chain[1:], *peer_trust])):
            for file in files:
                (self.peer.folder / place / ("gb.pem" if place == "x509" else file.name)).write_text(file.read_text())
        (self.peer.folder / "private" / "gb.key").write_text(key.read_text())

    def __enter__(self):
        self.peer.start()
        self.ours.start()
        return self

    def __exit__(self, *unused):
        for side in (self.ours, self.peer):
            if side.process and side.process.poll() is None:
                side.kill()
        for folder in (self.ours.folder, self.peer.folder):
            shutil.rmtree(folder, ignore_errors=True)


def roles():
    return (("initiator", "now"), ("responder", "wait"))


def good(lab, hosts, name, seconds=12, **given):
    for role, start in roles():
        with Pair(hosts, start=start, **given) as pair:
            if role == "responder":
                pair.peer.initiate(check=False)
            up = pair.ours.wait_up("peer", seconds)
            lab.check(f"{name}, we are {role}: up", up, "" if up else pair.ours.explain("peer") + pair.peer.log()[-1500:])
            if up:
                lab.check(f"{name}, we are {role}: traffic", pair.a.pings("10.2.0.2") and pair.b.ping("10.1.0.2", size=1300))


def refused(lab, hosts, name, code, words, **given):
    """The peer's proof is bad: we say why, and nothing is up."""
    for role, start in roles():
        with Pair(hosts, start=start, **given) as pair:
            if role == "responder":
                pair.peer.initiate(check=False)
            end = time.monotonic() + 12
            told = ""
            while time.monotonic() < end and code not in told:
                told = pair.ours.explain("peer")
                time.sleep(0.2)
            lab.check(f"{name}, we are {role}: told", code in told and words in told, told)
            lab.check(f"{name}, we are {role}: nothing is up", not pair.ours.is_up("peer") and not pair.a.ping("10.2.0.2"))


OWN = """gateway {name}
lan     {lan}
site peer {{
  peer    {peer}
  identity {identity}
  network {network}
}}
"""


def loads_elsewhere(lab, side, file, secret, form):
    """PKCS#12 of ours in NSS (Libreswan, Firefox) and in strongSwan."""
    store = lab.folder / f"nss-{form}"
    store.mkdir()
    call("certutil", "-N", "-d", f"sql:{store}", "--empty-password")
    done = call("pk12util", "-i", file, "-d", f"sql:{store}", "-W", secret, check=False)
    listed = call("certutil", "-L", "-d", f"sql:{store}").stdout + call("certutil", "-K", "-d", f"sql:{store}", check=False).stdout
    lab.check(f"NSS imports PKCS#12 in the {form} form, with its key", done.returncode == 0 and "tokyo.example" in listed and
              listed.count("\n< 0>") == 1, done.stdout + done.stderr + listed)
    told = call("certutil", "-V", "-u", "V", "-d", f"sql:{store}", "-n", nickname(store), check=False)
    lab.check(f"NSS takes the {form} one for a TLS server once its authority is trusted", "certificate is valid" in told.stdout,
              told.stdout + told.stderr + listed)
    peer = Strongswan(side.host, "203.0.113.2", "203.0.113.1", "10.2.0.0/16", "10.1.0.0/16")
    peer.start()
    (peer.folder / "pkcs12" / "own.p12").write_bytes(file.read_bytes())
    with open(peer.folder / "swanctl.conf", "a") as conf:
        conf.write(f'secrets {{\n  pkcs12-own {{\n    file = own.p12\n    secret = "{secret}"\n  }}\n}}\n')
    peer.swanctl("--load-creds", "--noprompt")
    told = peer.swanctl("--list-certs").stdout
    lab.check(f"strongSwan loads PKCS#12 in the {form} form, with its key", "tokyo.example" in told and "has private key" in told, told)
    peer.kill()
    shutil.rmtree(peer.folder)


def nickname(store):
    """The gateway's, after the authority was trusted."""
    names = [line.rsplit(None, 1) for line in call("certutil", "-L", "-d", f"sql:{store}").stdout.splitlines()[4:] if line.strip()]
    for name, trust in names:
        if "u" not in trust:
            call("certutil", "-M", "-n", name.strip(), "-t", "CT,C,C", "-d", f"sql:{store}")
    return next(name.strip() for name, trust in names if "u" in trust)


def own_authority(lab, hosts):
    """Two of ours by `sekisho ca`, and OpenSSL and strongSwan read what it made."""
    a, ga, wan, gb, b = hosts
    tokyo = Sekisho(ga, OWN.format(name="tokyo.example", lan="10.1.0.0/16", peer="203.0.113.2", identity="osaka.example",
                                   network="10.2.0.0/16"), name="tokyo")
    osaka = Sekisho(gb, OWN.format(name="osaka.example", lan="10.2.0.0/16", peer="203.0.113.1", identity="tokyo.example",
                                   network="10.1.0.0/16"), name="osaka")

    def ca(side, *words, check=True):
        return call(side.build / "sekisho", "-c", side.config, "ca", *words, check=check)

    bundle = lab.folder / "osaka.pem"
    done = call(tokyo.build / "sekisho", "-c", tokyo.config, "check", check=False)
    lab.check("without certificates the configuration is refused, and it is told why", done.returncode == 1 and
              "certificates" in done.stdout + done.stderr, done.stdout + done.stderr)
    ca(tokyo, "init")
    lab.check("a second authority is refused", ca(tokyo, "init", check=False).returncode == 1)
    ca(tokyo, "issue", "tokyo.example")
    ca(tokyo, "issue", "osaka.example", "203.0.113.2", "-o", bundle)
    lab.check("a bundle with a key is for its owner alone", bundle.stat().st_mode & 0o777 == 0o600)
    ca(osaka, "install", bundle)
    tokyo.start()
    osaka.start()
    up = tokyo.wait_up("peer") and osaka.wait_up("peer")
    lab.check("two of ours by an authority of our own: up", up, "" if up else tokyo.explain("peer") + osaka.explain("peer"))
    lab.check("and traffic", up and a.pings("10.2.0.2") and b.pings("10.1.0.2"))
    ca(tokyo, "revoke", "osaka.example")
    tokyo.reload()
    tokyo.command("restart", "peer", check=False)
    told = ""
    end = time.monotonic() + 15
    while time.monotonic() < end and "SEK-A022" not in told:
        told = tokyo.explain("peer")
        time.sleep(0.3)
    lab.check("revoked: nothing is up and it is told", "SEK-A022" in told and not tokyo.is_up("peer"), told)
    ca(tokyo, "renew", "tokyo.example")
    listed = ca(tokyo, "list").stdout
    lab.check("the list shows what is good and what is not", listed.count("good ") == 2 and listed.count("revoked") == 1, listed)

    here = tokyo.folder / "certificates"
    done = call("openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", here / "authorities.pem", here / "tokyo.example.pem",
                check=False)
    lab.check("OpenSSL follows the chain strictly, with the list", done.returncode == 0, done.stdout + done.stderr)
    for form, words in (("new", ()), ("old", ("--compat",))):
        file = lab.folder / f"{form}.p12"
        secret = ca(tokyo, "export", "tokyo.example", "-o", file, *words).stdout.split()[-1]
        done = call("openssl", "pkcs12", "-in", file, "-noenc", "-passin", f"pass:{secret}", check=False)
        lab.check(f"OpenSSL opens PKCS#12 in the {form} form", done.returncode == 0 and done.stdout.count("BEGIN CERTIFICATE") == 2 and
                  "PRIVATE KEY" in done.stdout, done.stderr)
        told = call("openssl", "pkcs12", "-in", file, "-info", "-noout", "-passin", f"pass:{secret}", check=False).stderr
        lab.check(f"the {form} form has the {form} ciphers", ("TripleDES" in told and "MAC: sha1" in told) == (form == "old"), told)
        loads_elsewhere(lab, osaka, file, secret, form)
    done = call("pki", "--verify", "--in", here / "tokyo.example.pem", "--cacert", tokyo.folder / "ca" / "ca.pem", check=False)
    lab.check("strongSwan's pki believes it", done.returncode == 0, done.stdout + done.stderr)
    done = call("pki", "--print", "--type", "x509", "--in", here / "tokyo.example.pem", check=False).stdout
    lab.check("with the names and purposes that clients demand", "tokyo.example" in done and "serverAuth" in done and
              "ikeIntermediate" in done, done)
    tokyo.stop()
    osaka.stop()  # a killed one leaves its rules until the next start, and the next here is strongSwan


def main():
    with Lab("certificates") as lab:
        hosts = two_sites(lab)
        own_authority(lab, hosts)
        folder = lab.folder / "pki"
        root = Authority(folder, "root")
        other = Authority(folder, "other")
        middle = Authority(folder, "middle", parent=root)
        for number, (kind, size) in enumerate((("rsa", 3072), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("ed25519", None))):
            ga = root.issue(f"ga{number}", ["ga.example", "203.0.113.1"], kind, size=size)
            gb = root.issue(f"gb{number}", ["gb.example", "203.0.113.2"], kind, size=size)
            good(lab, hosts, f"{kind} {size or ''}", own=([ga[0]], ga[1]), own_trust=[root.file], peer=([gb[0]], gb[1]),
                 peer_trust=[root.file])
        ga = root.issue("ga", ["ga.example", "203.0.113.1"])
        gb = root.issue("gb", ["gb.example", "203.0.113.2"])
        plain = {"own": ([ga[0]], ga[1]), "own_trust": [root.file], "peer_trust": [root.file]}
        good(lab, hosts, "an address that stands in the certificate", **plain, peer=([gb[0]], gb[1]), identity="203.0.113.2")
        good(lab, hosts, "the methods before RFC 7427", **plain, peer=([gb[0]], gb[1]), extra="signature_authentication = no")
        good(lab, hosts, "a subject with a wildcard", **plain, peer=([gb[0]], gb[1]), identity="any",
             more='name "O=Test, CN=*"')
        far = middle.issue("far", ["gb.example"], "rsa")
        near = middle.issue("near", ["ga.example"], "rsa")
        good(lab, hosts, "intermediates on both sides", own=([near[0], middle.file], near[1]), own_trust=[root.file],
             peer=([far[0], middle.file], far[1]), peer_trust=[root.file])
        good(lab, hosts, "the peer's own certificate is trusted", own=([ga[0]], ga[1]), own_trust=[gb[0]],
             peer=([gb[0]], gb[1]), peer_trust=[root.file])

        late = root.issue("late", ["gb.example"], days=(-20, -1))
        refused(lab, hosts, "expired", "SEK-A019", "expired on", **plain, peer=([late[0]], late[1]))
        early = root.issue("early", ["gb.example"], days=(5, 20))
        refused(lab, hosts, "not valid yet", "SEK-A019", "not valid before", **plain, peer=([early[0]], early[1]))
        refused(lab, hosts, "another name", "SEK-A021", "and not for O=Test, CN=kobe", **plain, peer=([gb[0]], gb[1]),
                identity="any", more='name "O=Test, CN=kobe"')
        strange = other.issue("strange", ["gb.example"])
        refused(lab, hosts, "an unknown authority", "SEK-A020", "CN=other", **plain, peer=([strange[0]], strange[1]))
        lists = root.revoke(gb[0])
        refused(lab, hosts, "revoked", "SEK-A022", "was revoked on", **{**plain, "own_trust": [root.file, lists]},
                peer=([gb[0]], gb[1]))
        good(lab, hosts, "revoked, and nobody asks", **{**plain, "own_trust": [root.file, lists]}, peer=([gb[0]], gb[1]),
             more="revocation off")
        refused(lab, hosts, "no list, and it must be known", "SEK-A022", "may have been revoked", **plain,
                peer=([gb[0]], gb[1]), more="revocation strict")

        # What the other side refuses: our certificate is of an authority that it does not know.
        alien = other.issue("alien", ["ga.example"])
        for role, start in roles():
            with Pair(hosts, own=([alien[0]], alien[1]), own_trust=[root.file], peer=([gb[0]], gb[1]), peer_trust=[root.file],
                      start=start) as pair:
                if role == "responder":
                    pair.peer.initiate(check=False)
                time.sleep(4)
                lab.check(f"the peer does not know our authority, we are {role}: nothing is up", not pair.ours.is_up("peer"))
                if role == "initiator":
                    told = pair.ours.explain("peer")
                    lab.check("and explain says that our certificate was refused", "SEK-A017" in told, told)


if __name__ == "__main__":
    main()
