#!/usr/bin/env python3
"""Our own certificates at work, between two of ours: a private key in a token (SoftHSM), renewal,
lists of revoked ones by our own port, what responders say sent along."""
import shutil
import time

from lab import Lab, Sekisho, call, two_sites

PIN = "4711"
SITES = """gateway {name}
lan     {lan}
{gateway}
site peer {{
  peer     {peer}
  identity {identity}
  network  {network}
  {more}
}}
"""
TOKEN = 'certificate certificates/tokyo.example.pem key "pkcs11:token=hsm;object=tokyo{module}" pin @hsm'
MODULE = "?module-path=/usr/lib/softhsm/libsofthsm2.so"


def ca(side, *words, check=True):
    return call(side.build / "sekisho", "-c", side.config, "ca", *words, check=check)


def told(side, words, seconds=12):
    """What explain says, once the words are in it."""
    end = time.monotonic() + seconds
    text = side.explain("peer")
    while time.monotonic() < end and words not in text:
        time.sleep(0.2)
        text = side.explain("peer")
    return text


class Pair:
    """tokyo with the authority, osaka with a certificate of it."""

    def __init__(self, lab, hosts, days=30):
        self.lab = lab
        self.a, self.ga, self.wan, self.gb, self.b = hosts
        self.tokyo = Sekisho(self.ga, self.tokyo_config(), name="tokyo")
        self.osaka = Sekisho(self.gb, self.osaka_config(), name="osaka")
        ca(self.tokyo, "init")
        ca(self.tokyo, "issue", "tokyo.example")
        ca(self.tokyo, "issue", "osaka.example", "-o", lab.folder / "osaka.pem")
        ca(self.osaka, "install", lab.folder / "osaka.pem")

    @staticmethod
    def tokyo_config(gateway="", more=""):
        return SITES.format(name="tokyo.example", lan="10.1.0.0/16", peer="203.0.113.2", identity="osaka.example",
                            network="10.2.0.0/16", gateway=gateway, more=more)

    @staticmethod
    def osaka_config(gateway="", more=""):
        return SITES.format(name="osaka.example", lan="10.2.0.0/16", peer="203.0.113.1", identity="tokyo.example",
                            network="10.1.0.0/16", gateway=gateway, more=more)

    def up(self, name, seconds=15):
        up = self.tokyo.wait_up("peer", seconds) and self.osaka.wait_up("peer", seconds)
        self.lab.check(f"{name}: up", up, "" if up else self.tokyo.explain("peer") + self.osaka.explain("peer") + self.tokyo.log()[-1500:])
        if up:
            self.lab.check(f"{name}: traffic", self.a.pings("10.2.0.2"))


def token(lab, pair):
    folder = lab.folder / "token"
    (folder / "tokens").mkdir(parents=True)
    conf = folder / "softhsm.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    environment = {"SOFTHSM2_CONF": str(conf)}
    key = pair.tokyo.folder / "certificates" / "tokyo.example.key"
    call("env", f"SOFTHSM2_CONF={conf}", "softhsm2-util", "--init-token", "--free", "--label", "hsm", "--pin", PIN, "--so-pin", "0815")
    call("env", f"SOFTHSM2_CONF={conf}", "softhsm2-util", "--import", key, "--token", "hsm", "--label", "tokyo", "--id", "01", "--pin", PIN)
    key.unlink()
    pair.tokyo.write(pair.tokyo_config(more=TOKEN.format(module=MODULE)))
    pair.tokyo.secret("hsm", "0000")
    done = call("env", f"SOFTHSM2_CONF={conf}", pair.tokyo.build / "sekisho", "check", pair.tokyo.config, check=False)
    lab.check("check tries the token, and says that the PIN is wrong", done.returncode == 1 and "token 'hsm': the PIN is wrong" in
              done.stdout + done.stderr, done.stdout + done.stderr)

    pair.osaka.start()
    pair.tokyo.start(environment=environment)
    text = told(pair.tokyo, "SEK-H007")
    lab.check("a wrong PIN: the daemon lives, and explain says what it is", "SEK-H007" in text and "hsm" in text and "PIN" in text, text)
    text = told(pair.tokyo, "not tried again")
    lab.check("a PIN that was refused is not tried again", "not tried again" in text, text)
    pair.tokyo.set_secret("hsm", PIN)
    pair.tokyo.reload()
    pair.up("a key in a token")
    text = call("sh", "-c", f"grep -a -c NoNewPrivs.*1 /proc/{pair.tokyo.process.pid}/status; grep -a Seccomp: /proc/{pair.tokyo.process.pid}/status").stdout
    lab.check("the daemon is confined as ever", text.split() == ["1", "Seccomp:", "2"], text)

    # The token is drawn out, and its sessions are gone with it.
    (folder / "tokens").rename(folder / "away")
    (folder / "tokens").mkdir()
    pair.tokyo.command("restart", "peer", check=False)
    text = told(pair.tokyo, "SEK-H007")
    lab.check("the token is gone: explain says so", "SEK-H007" in text and "pkcs11:token=hsm" in text, text + pair.tokyo.log()[-1500:])
    (folder / "tokens").rmdir()
    (folder / "away").rename(folder / "tokens")
    pair.up("the token is back, and nobody did anything", 25)

    # p11-kit knows SoftHSM by itself.
    pair.tokyo.write(pair.tokyo_config(more=TOKEN.format(module="")))
    pair.tokyo.reload()
    time.sleep(0.5)
    pair.up("a module that p11-kit knows")
    lab.check("the daemon ends well", pair.tokyo.stop() == 0)
    pair.osaka.stop()


def ends(side, name):
    text = call("openssl", "x509", "-noout", "-enddate", "-serial", "-in", side.folder / "certificates" / f"{name}.pem").stdout
    return text.split("serial=")[1].strip()


def renewal(lab, pair):
    """Before tokyo's key goes into a token: certificates of a day and of a month."""
    tokyo, osaka = pair.tokyo, pair.osaka

    def due(*words):
        done = call(tokyo.build / "sekisho", "-c", tokyo.config, "--run", tokyo.run_folder, "ca", "renew", "--due", *words, check=False)
        return done.stdout + done.stderr

    ca(tokyo, "issue", "tokyo.example", "--days", "1")
    ca(tokyo, "issue", "osaka.example", "--days", "1", "-o", lab.folder / "osaka.pem")
    ca(osaka, "install", lab.folder / "osaka.pem")
    tokyo.start()
    osaka.start()
    pair.up("certificates of a day")
    lab.check("nothing is due while there is time", "Nothing is due" in due())
    first = ends(tokyo, "tokyo.example")
    # A line of the configuration that nobody has applied yet stays as it is.
    tokyo.write(tokyo.config.read_text().replace("identity osaka.example", "identity kobe.example"))
    text = due("--within", "2")
    lab.check("what ends is renewed, and what is used elsewhere is named with the commands", "tokyo.example was renewed" in text and
              "sekisho ca renew osaka.example -o osaka.example.pem" in text and "The daemon reads them" in text, text)
    lab.check("with another serial number", ends(tokyo, "tokyo.example") != first)
    day = call("openssl", "x509", "-noout", "-checkend", str(25 * 3600), "-in", tokyo.folder / "certificates" / "tokyo.example.pem", check=False)
    lab.check("and good for as long as before", day.returncode == 1, day.stdout)
    lab.check("the tunnel stayed up", tokyo.is_up("peer") and pair.a.ping("10.2.0.2") and "not up any more" not in tokyo.log(), tokyo.log()[-800:])
    lab.check("what was not applied is not in force", "osaka.example" in tokyo.command("show", "config").stdout)
    tokyo.command("restart", "peer")
    pair.up("by the new certificate")
    record = tokyo.folder / "ca" / "index"
    lines = [line.split(" ") for line in record.read_text().splitlines()]
    for line in lines:
        if "osaka" in line[4]:
            line[1], line[2] = str(int(time.time()) - 86400), str(int(time.time()) + 3600 * 5 + 600)
    record.write_text("".join(" ".join(line) + "\n" for line in lines))
    tokyo.write(pair.tokyo_config())
    tokyo.reload()
    end = time.monotonic() + 5
    while time.monotonic() < end and "osaka.example, which this machine issued" not in text:
        text = tokyo.command("status", check=False).stdout
        time.sleep(0.2)
    lab.check("status tells of what it issued for another machine, and what to do", "which this machine issued, expires in 5 hours" in text and
              "sekisho ca renew osaka.example" in text, text)
    tokyo.stop()
    osaka.stop()


def lists(lab, pair):
    """The list of our own authority by our own port, read by OpenSSL and by our own fetcher."""
    tokyo, osaka = pair.tokyo, pair.osaka
    told_off = ca(tokyo, "crl", "--url", "https://x", check=False)
    lab.check("a place that nobody could ask is refused", told_off.returncode == 2, told_off.stderr)
    ca(tokyo, "crl", "--url", "http://203.0.113.1:8080/ca.crl")
    ca(tokyo, "issue", "tokyo.example")
    tokyo.write(pair.tokyo_config(gateway="crl-port 8080"))
    osaka.write(pair.osaka_config(more="revocation strict"))
    tokyo.start()
    osaka.start()
    pair.up("strict, and the list comes by our own port")
    here = tokyo.folder / "certificates"

    def verify():
        done = pair.gb.run("openssl", "verify", "-crl_download", "-crl_check", "-CAfile", tokyo.folder / "ca" / "ca.pem",
                           here / "tokyo.example.pem", check=False)
        return done.stdout + done.stderr

    text = verify()
    lab.check("OpenSSL finds the place in the certificate and fetches the list", "tokyo.example.pem: OK" in text, text)
    call(tokyo.build / "sekisho", "-c", tokyo.config, "--run", tokyo.run_folder, "ca", "revoke", "tokyo.example")
    text = verify()
    lab.check("what is revoked stands in the list at once", "certificate revoked" in text, text)
    osaka.stop()
    shutil.rmtree(osaka.folder / "state")
    osaka.start()
    text = told(osaka, "SEK-A022")
    lab.check("and our own side fetches it and refuses", "SEK-A022" in text and "was revoked on" in text, text)
    tokyo.write(pair.tokyo_config())
    tokyo.reload()
    time.sleep(0.5)
    closed = pair.gb.run("bash", "-c", "</dev/tcp/203.0.113.1/8080", check=False)
    lab.check("without the word nobody is answered", closed.returncode != 0 and "refused" in closed.stderr, closed.stderr)
    tokyo.stop()
    osaka.stop()
    shutil.rmtree(osaka.folder / "state")
    osaka.write(pair.osaka_config())
    ca(tokyo, "issue", "tokyo.example")


def own_status(lab, pair):
    """The responder can be asked by tokyo alone, and osaka must know: it comes along with the certificate (RFC 4806)."""
    tokyo, osaka = pair.tokyo, pair.osaka
    here = tokyo.folder / "certificates"
    key, pem = here / "tokyo.example.key", here / "tokyo.example.pem"
    (lab.folder / "extensions").write_text("subjectAltName=DNS:tokyo.example\nextendedKeyUsage=serverAuth\n"
                                           "authorityInfoAccess=OCSP;URI:http://127.0.0.1:8001/\n")
    kept = pem.read_text()
    request = call("openssl", "req", "-new", "-key", key, "-subj", "/CN=tokyo.example").stdout
    authority = ("-CA", tokyo.folder / "ca" / "ca.pem", "-CAkey", tokyo.folder / "ca" / "ca.key")
    pem.write_text(call("openssl", "x509", "-req", *authority, "-set_serial", "0x51", "-days", "9", "-extfile",
                        lab.folder / "extensions", text_in=request).stdout)
    (lab.folder / "index.txt").write_text(f"V\t{time.strftime('%y%m%d%H%M%SZ', time.gmtime(time.time() + 864000))}\t\t51\tunknown\t/CN=x\n")
    responder = pair.ga.start("openssl", "ocsp", "-port", "8001", "-index", lab.folder / "index.txt", "-CA", authority[1],
                              "-rsigner", authority[1], "-rkey", authority[3], "-ndays", "1", out="ocsp.log")
    osaka.write(pair.osaka_config(more="revocation strict\n  start wait"))
    tokyo.start()
    osaka.start()
    pair.up("we call, and what must be known comes along")
    osaka.stop()
    osaka.write(pair.osaka_config(more="revocation strict"))
    tokyo.write(pair.tokyo_config(more="start wait"))
    tokyo.reload()
    osaka.start()
    pair.up("he calls, and it comes along")
    responder.kill()
    responder.wait()
    tokyo.stop()
    tokyo.write(pair.tokyo_config())
    tokyo.start()
    osaka.command("restart", "peer", check=False)
    text = told(osaka, "SEK-A022")
    lab.check("where nobody gives it, nobody knows", "SEK-A022" in text and "may have been revoked" in text, text)
    lab.check("and our log says that the responder gives nothing", "its responder gives nothing for peers that ask" in tokyo.log())
    tokyo.stop()
    osaka.stop()
    osaka.write(pair.osaka_config())
    pem.write_text(kept)


def main():
    with Lab("keys") as lab:
        hosts = two_sites(lab)
        pair = Pair(lab, hosts)
        renewal(lab, pair)
        lists(lab, pair)
        own_status(lab, pair)
        token(lab, pair)
        for side in (pair.tokyo, pair.osaka):
            shutil.rmtree(side.folder)


if __name__ == "__main__":
    main()
