#!/usr/bin/env python3
"""Revocation with real places to ask: lists from a web server, a responder of OpenSSL, and strongSwan as the peer. Good,
revoked, unreachable, too old, signed by somebody else; strict and normal; a list that is still there after a restart."""
import functools
import http.server
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

from lab import Lab, Sekisho, Strongswan, call, two_sites, wait_for
from certificates_test import Authority

CONFIG = """gateway ga.example
lan     10.1.0.0/16
site peer {{
  peer    203.0.113.2
  network 10.2.0.0/16
  certificate own.pem key own.key
  trust   authorities.pem
  identity gb.example
  {more}
}}
"""
WEB = "203.0.113.9"


def serve(folder):
    """What this program does in the namespace of the web server."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/elsewhere.crl":
                self.send_response(302)
                self.send_header("Location", f"http://{WEB}:8000/good.crl")
                self.end_headers()
            elif self.path == "/slow.crl":
                time.sleep(20)
            elif self.path == "/endless.crl":
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(bytes(65536))
                except OSError:
                    pass
            else:
                super().do_GET()
    http.server.ThreadingHTTPServer((WEB, 8000), functools.partial(Handler, directory=folder)).serve_forever()


def utc(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%y%m%d%H%M%SZ")


def make_list(authority, revoked=None, days=(-1, 5)):
    words = ["--reason", "key-compromise", "--cert", revoked] if revoked else []
    return call_binary("pki", "--signcrl", "--cacert", authority.file, "--cakey", authority.key, *words, "--dateform", "%y%m%d%H%M%SZ",
                       "--this-update", utc(days[0]), "--next-update", utc(days[1]))


def call_binary(*words):
    return subprocess.run([str(w) for w in words], capture_output=True, check=True, timeout=30).stdout


def serial(file):
    return call("openssl", "x509", "-in", file, "-noout", "-serial").stdout.strip().split("=")[1]


class Bed:
    def __init__(self, lab):
        self.lab = lab
        self.a, self.ga, wan, self.gb, self.b = two_sites(lab)
        self.web = lab.host("web")
        lab.link(self.web, "eth0", wan, "br0.w", (f"{WEB}/24",))
        self.files = lab.folder / "web"
        self.files.mkdir()
        pki = lab.folder / "pki"
        self.root = Authority(pki, "root")
        self.other = Authority(lab.folder / "other", "root")  # the same name, another key
        self.own, self.own_key = self.root.issue("ga", ["ga.example"], days=(-70, 30))
        self.named, self.named_key = self.issue_named()
        self.peer_file, self.peer_key = self.root.issue("gb", ["gb.example"])
        self.server = None
        self.ours = Sekisho(self.ga, CONFIG.format(more="revocation strict"))
        for name, source in (("own.pem", self.own), ("own.key", self.own_key), ("authorities.pem", self.root.file)):
            shutil.copy(source, self.ours.folder / name)
        (self.ours.folder / "own.key").chmod(0o600)
        self.peer = Strongswan(self.gb, "203.0.113.2", "203.0.113.1", "10.2.0.0/16", "10.1.0.0/16", ike="default", esp="default",
                               local_id="gb.example", remote_id="ga.example", extra="block_threshold = 0\n  cookie_threshold = 0",
                               local_auth="auth = pubkey\n      certs = gb.pem", remote_auth="auth = pubkey")
        self.peer.write()
        shutil.copy(self.root.file, self.peer.folder / "x509ca" / "root.pem")
        self.show(self.peer_file, self.peer_key)
        self.ours.start()
        self.peer.start()

    def issue_named(self):
        """A certificate that says where to ask."""
        key = self.root.folder / "named.key"
        key.write_text(call("pki", "--gen", "--type", "ecdsa", "--size", 256, "--outform", "pem").stdout)
        file = self.root.folder / "named.pem"
        file.write_text(call("pki", "--issue", "--in", key, "--type", "priv", "--cacert", self.root.file, "--cakey", self.root.key,
                             "--dn", "O=Test, CN=named", "--san", "gb.example", "--flag", "serverAuth", "--lifetime", 20,
                             "--ocsp", f"http://{WEB}:8001/", "--crl", "http://127.0.0.1:8000/good.crl",
                             "--outform", "pem").stdout)
        return file, key

    def show(self, file, key):
        shutil.copy(file, self.peer.folder / "x509" / "gb.pem")
        shutil.copy(key, self.peer.folder / "private" / "gb.key")

    def serve(self):
        self.server = self.web.start(sys.executable, __file__, "serve", self.files, out="web.log")
        assert wait_for(lambda: "8000" in self.web.run("ss", "-ltn").stdout, 10)

    def responder(self, revoked=(), signer=None):
        """OpenSSL's, for all that the authority issued."""
        index = self.lab.folder / "index.txt"
        lines = []
        for file in (self.peer_file, self.named, self.own):
            state = f"R\t{utc(20)}\t{utc(-2)},keyCompromise" if file in revoked else f"V\t{utc(20)}\t"
            lines.append(f"{state}\t{serial(file)}\tunknown\t/CN={serial(file)}\n")
        index.write_text("".join(lines))
        cert, key = signer or (self.root.file, self.root.key)
        self.ocsp = self.web.start("openssl", "ocsp", "-port", "8001", "-index", index, "-CA", self.root.file, "-rsigner", cert,
                                   "-rkey", key, "-ndays", "1", out="ocsp.log")
        assert wait_for(lambda: "8001" in self.web.run("ss", "-ltn").stdout, 10)

    def stop_responder(self):
        self.ocsp.kill()
        self.ocsp.wait()

    def put(self, name, octets):
        (self.files / name).write_bytes(octets)

    def configure(self, more):
        self.ours.write(CONFIG.format(more=more))
        self.ours.reload()
        self.ours.command("restart", "peer", check=False)

    def asked(self):
        return (self.lab.folder / "web.log").read_text()

    def up(self, what, more, seconds=15):
        self.configure(more)
        def is_up():
            return "peer: up" in self.ours.log().rpartition("is restarted by order")[2] and self.ours.is_up("peer")

        up = bool(wait_for(is_up, seconds))
        self.lab.check(f"{what}: up", up, "" if up else self.ours.explain("peer") + self.ours.log()[-1500:])

    def refused(self, what, more, *words, seconds=60):
        # As long as an attempt whose messages get lost, and the next one, may take.
        self.configure(more)
        def is_told():
            told = self.ours.explain("peer")
            return all(word in told for word in ("SEK-A022", *words))

        told = wait_for(is_told, seconds, 0.2)
        self.lab.check(f"{what}: told", told, "" if told else self.ours.explain("peer") + self.ours.log()[-1500:])
        self.lab.check(f"{what}: nothing is up", not self.ours.is_up("peer"))


def lists(bed):
    web = f"http://{WEB}:8000"
    bed.refused("nobody serves lists yet, strict", f"revocation strict; crl {web}/nobody.crl", "nobody listens there")
    bed.up("nobody serves lists yet, normal", f"crl {web}/nobody.crl")
    bed.lab.check("and the log tells that nobody could be asked", "nobody says whether the certificate of O=Test, CN=gb" in bed.ours.log())
    bed.serve()
    bed.put("revoked.crl", make_list(bed.root, bed.peer_file))
    bed.put("good.crl", make_list(bed.root))
    bed.put("old.crl", make_list(bed.root, days=(-9, -2)))
    bed.put("other.crl", make_list(bed.other))
    bed.put("page.crl", b"<html>")
    bed.refused("revoked by a list", f"crl {web}/revoked.crl", "was revoked on", "its key was lost")
    bed.up("a list without the peer, strict", f"revocation strict; crl {web}/good.crl")
    bed.refused("a list that is too old, strict", f"revocation strict; crl {web}/old.crl", "out of date")
    bed.refused("a list of another authority of the same name", f"revocation strict; crl {web}/other.crl", "its signature is wrong")
    bed.refused("not a list", f"revocation strict; crl {web}/page.crl", "malformed")
    bed.refused("a redirect", f"revocation strict; crl {web}/elsewhere.crl", "not followed")
    bed.refused("no such file", f"revocation strict; crl {web}/none.crl", "status 404")
    bed.refused("a list without end", f"revocation strict; crl {web}/endless.crl", "longer than")
    bed.up("a server that does not answer is waited for a while, normal", f"crl {web}/slow.crl", seconds=25)
    bed.up("of several places one is enough", f"revocation strict; crl {web}/none.crl {web}/page.crl {web}/good.crl")
    bed.up("the revoked one, and nobody asks", f"revocation off; crl {web}/revoked.crl")
    bed.lab.check("what is known is not fetched anew", bed.asked().count("/good.crl") == 1)
    # A restart without the web server: the list is on the disk.
    bed.server.kill()
    bed.server.wait()
    bed.ours.stop()
    bed.ours.write(CONFIG.format(more=f"revocation strict; crl {web}/good.crl"))
    bed.ours.start()
    bed.lab.check("after a restart without a web server the list is still known", bed.ours.wait_up("peer"))
    bed.lab.check("it is kept for its owner alone",
                  [f.stat().st_mode & 0o777 for f in (bed.ours.folder / "state" / "revocation").glob("*.crl")].count(0o600) >= 1)


def responders(bed):
    ask = f"http://{WEB}:8001"
    bed.responder()
    bed.up("the responder says good, strict", f"revocation strict; ocsp {ask}/1")
    bed.stop_responder()
    bed.responder(revoked=(bed.peer_file, bed.named))
    bed.refused("the responder says revoked", f"ocsp {ask}/2", "was revoked on", "its key was lost")
    # The certificate says whom to ask.
    bed.show(bed.named, bed.named_key)
    bed.peer.swanctl("--load-creds", "--clear", "--noprompt")
    bed.refused("the responder that the certificate names says revoked", "revocation normal", "was revoked on", "CN=named")
    bed.stop_responder()
    bed.ours.stop()
    bed.ours.start()
    bed.refused("a list on this machine is not asked for", "revocation strict", "may not make us ask this machine")
    for name, words, wanted in (("whom it allowed", "ocspSigning", True), ("whom it did not", "serverAuth", False)):
        key = bed.root.folder / f"{words}.key"
        key.write_text(call("pki", "--gen", "--type", "ecdsa", "--size", 256, "--outform", "pem").stdout)
        file = bed.root.folder / f"{words}.pem"
        file.write_text(call("pki", "--issue", "--in", key, "--type", "priv", "--cacert", bed.root.file, "--cakey", bed.root.key, "--dn",
                             f"O=Test, CN={words}", "--flag", words, "--outform", "pem").stdout)
        bed.responder(signer=(file, key))
        more = f"revocation strict; ocsp {ask}/{words}"
        if wanted:
            bed.up(f"the issuer's name is signed for by {name}", more)
        else:
            bed.refused(f"the issuer's name is signed for by {name}", more, "may not speak for the issuer")
        bed.stop_responder()


def main():
    with Lab("revocation") as lab:
        bed = Bed(lab)
        wait_for(lambda: "expires in 29 days" in bed.ours.command("status", check=False).stdout, 5)
        told = bed.ours.command("status", check=False).stdout
        lab.check("status tells that our own certificate ends within a month, and what to do", "CN=ga (site peer)" in told and "renew" in told)
        lists(bed)
        responders(bed)
        bed.ours.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main()
