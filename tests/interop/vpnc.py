"""vpnc, the free client of Cisco's remote access: Aggressive Mode with a group password, XAUTH, mode-config, and ESP of its own over
a TUN device. What it was given comes to a script in its environment, as with Cisco's own."""
import os
import signal

from lab import wait_for

SCRIPT = """#!/bin/sh
# Called by vpnc with what the gateway gave; the environment is what the test reads.
env >>{told}
echo end-of-$reason >>{told}
case "$reason" in
connect)
    ip link set "$TUNDEV" up mtu 1390
    ip address add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
    if [ -n "$CISCO_SPLIT_INC" ]; then
        number=0
        while [ $number -lt $CISCO_SPLIT_INC ]; do
            eval ip route add \\$CISCO_SPLIT_INC_${{number}}_ADDR/\\$CISCO_SPLIT_INC_${{number}}_MASKLEN dev "$TUNDEV"
            number=$((number + 1))
        done
    else
        ip route add 10.0.0.0/8 dev "$TUNDEV"
    fi
    ;;
disconnect) ip link delete "$TUNDEV" 2>/dev/null ;;
esac
exit 0
"""
CONF = """IPSec gateway {gateway}
IPSec ID {group}
IPSec secret {secret}
Xauth username {user}
Xauth password {password}
IKE Authmode psk
IKE DH Group {dh}
NAT Traversal Mode {nat}
Local Port 0
Interface name {device}
Script {script}
Pidfile {pid}
No Detach
Debug 1
{more}
"""


class Vpnc:
    def __init__(self, host, gateway, group, secret, user, password, dh="dh2", nat="natt", device="vpnc0", more="", name="vpnc"):
        self.host = host
        self.folder = host.lab.folder / f"{host.name}-{name}"
        self.folder.mkdir()
        self.told_file = self.folder / "told"
        script = self.folder / "script"
        script.write_text(SCRIPT.format(told=self.told_file))
        script.chmod(0o700)
        self.conf = self.folder / "vpnc.conf"
        self.conf.write_text(CONF.format(gateway=gateway, group=group, secret=secret, user=user, password=password, dh=dh, nat=nat,
                                         device=device, script=script, pid=self.folder / "pid", more=more))
        self.conf.chmod(0o600)
        self.process = None

    def start(self):
        self.process = self.host.start("vpnc", "--non-inter", self.conf, out=f"{self.host.name}-vpnc.out")
        return self

    def told(self):
        """What the script was given when the tunnel came up; {} before that."""
        text = self.told_file.read_text(errors="replace") if self.told_file.exists() else ""
        for part in text.split("end-of-"):
            if "reason=connect" in part:
                return dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
        return {}

    def wait_up(self, seconds=20):
        return wait_for(self.told, seconds) or {}

    def wait_over(self, seconds=20):
        """Its exit status, None while it runs."""
        wait_for(lambda: self.process.poll() is not None, seconds)
        return self.process.poll()

    def log(self):
        return self.process.output_path.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(10)
