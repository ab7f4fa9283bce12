"""Libreswan in a guest: its package cannot be installed beside strongSwan's, so tools/setup unpacks it into a folder, and the
guest, which sees the files of this machine, runs it from there with the ESP of its own kernel."""
import os
import pathlib
import shlex

from lab import call, wait_for

PLACE = pathlib.Path(os.environ.get("SEKISHO_LIBRESWAN", "/var/cache/sekisho-check/libreswan"))
LIBRARIES = PLACE / "usr/lib/x86_64-linux-gnu"


def program(name):
    return PLACE / "usr/libexec/ipsec" / name


def read_by_its_parser(path):
    """What Libreswan's own reader says about a configuration: (good, words)."""
    done = call("env", f"LD_LIBRARY_PATH={LIBRARIES}", program("addconn"), "--config", path, "--checkconfig", "--verbose", check=False)
    return done.returncode == 0, done.stdout + done.stderr


class Libreswan:
    """pluto in a guest. `import_p12`: (file, passphrase), a certificate with its key and its authority."""

    def __init__(self, guest, conf, secrets="", import_p12=None, authority=None):
        self.guest = guest
        share = guest.share()
        (share / "ipsec.conf").write_text(conf)
        (share / "ipsec.secrets").write_text(secrets)
        self.p12 = import_p12
        self.authority = authority
        for source, name in ((import_p12 and import_p12[0], "own.p12"), (authority, "ca.pem")):
            if source:
                (share / name).write_bytes(pathlib.Path(source).read_bytes())

    def sh(self, script, check=True, seconds=60):
        return self.guest.sh(f"export LD_LIBRARY_PATH={LIBRARIES} PATH={PLACE}/usr/bin:{PLACE}/usr/sbin:$PATH\n"
                             f"whack() {{ /usr/libexec/ipsec/whack --ctlsocket /run/pluto/pluto.ctl \"$@\"; }}\n{script}", check, seconds)

    def start(self):
        keys = ""
        if self.p12:
            keys += f"pk12util -i /rig/own.p12 -d sql:/run/nss -W {shlex.quote(self.p12[1])}\n"
        if self.authority:
            keys += "certutil -A -n authority -t CT,, -i /rig/ca.pem -d sql:/run/nss\n"
        self.sh(f"""
[ -x /usr/libexec/ipsec/pluto ] || cp -a {PLACE}/usr/libexec/ipsec /usr/libexec/
rm -rf /run/nss /run/pluto; mkdir -p /run/nss /run/pluto /etc/ipsec.d/policies
modprobe -a esp4 xfrm_user gcm authenc sha512_generic sha256_generic 2>/dev/null
certutil -N -d sql:/run/nss --empty-password
{keys}
setsid /usr/libexec/ipsec/pluto --config /rig/ipsec.conf --secretsfile /rig/ipsec.secrets --nssdir /run/nss \\
    --rundir /run/pluto --no-dnssec --nofork --stderrlog >/tmp/pluto.log 2>&1 </dev/null &
echo $! >/tmp/pluto.pid
""")
        if not wait_for(lambda: self.sh("whack --listen", check=False).returncode == 0, 60, 0.2):
            raise RuntimeError(f"pluto does not answer: {self.log()[-2000:]}")
        return self

    def load(self, *names):
        self.sh(f"/usr/libexec/ipsec/addconn --config /rig/ipsec.conf --ctlsocket /run/pluto/pluto.ctl {' '.join(names)}")
        return self

    def initiate(self, name, check=False):
        return self.sh(f"timeout 20 bash -c 'LD_LIBRARY_PATH={LIBRARIES} /usr/libexec/ipsec/whack --ctlsocket "
                       f"/run/pluto/pluto.ctl --name {name} --initiate'", check=check, seconds=30)

    def status(self):
        return self.sh("whack --trafficstatus; whack --status", check=False).stdout

    def log(self):
        return self.sh("cat /tmp/pluto.log", check=False).stdout

    def kill(self):
        self.sh("kill -9 $(cat /tmp/pluto.pid) $(pidof pluto) 2>/dev/null; ip xfrm state flush; ip xfrm policy flush; true")
