"""strongSwan as the server and as the client of XAUTH and mode-config (draft-beaulieu-ike-xauth-02, draft-dukes-ike-mode-cfg-02,
draft-ietf-ipsec-isakmp-hybrid-auth-05), with its own userspace ESP in a namespace."""
from lab import PLUGINS, Strongswan

WEAK = "i_dont_care_about_security_and_use_aggressive_mode_psk = yes"
# Who proves himself by what in phase 1: (the server, the client).
KINDS = {
    "psk": ("auth = psk", "auth = psk"),
    "rsa": ("auth = pubkey\n      certs = own.pem", "auth = pubkey\n      certs = own.pem"),
    "hybrid": ("auth = pubkey\n      certs = own.pem", None),
}


class XauthStrongswan(Strongswan):
    plugins = PLUGINS + " xauth-generic unity attr"

    def __init__(self, place, local, remote, local_ts, remote_ts, connection, **given):
        secrets = given.pop("secrets", "") + 'xauth-alice {\n id = alice\n secret = "wonder"\n}\n'
        super().__init__(place, local, remote, local_ts, remote_ts, **{
            "version": "1", "ppk": connection, "extra": WEAK, "secrets": secrets, "ike": "aes256-sha256-modp2048,aes128-sha1-modp1024",
            "esp": "aes256-sha256,aes128-sha1", **given})


def rounds(kind, server):
    """(local_auth, remote_auth, other lines of the connection): the second round is XAUTH, with hybrid it is the client's only one."""
    of_server, of_client = KINDS[kind]
    xauth = "auth = xauth"
    if server:
        if of_client is None:
            return of_server, xauth, ""
        return of_server, of_client.split("\n")[0], "remote-xauth {\n round = 2\n auth = xauth\n }\n"
    proof = of_server.split("\n")[0]
    if of_client is None:
        return xauth + "\n xauth_id = alice", proof, ""
    return of_client, proof, "local-xauth {\n round = 2\n auth = xauth\n xauth_id = alice\n }\n"


class XauthServer(XauthStrongswan):
    """Gives addresses of 10.99.0.0/24 and a DNS server; push: unasked."""

    def __init__(self, place, local, local_ts, kind="psk", push=False, remote="%any", **given):
        local_auth, remote_auth, more = rounds(kind, True)
        lines = f"pools = clients\n pull = {'no' if push else 'yes'}\n {more}"
        pool = "}\npools {\n clients {\n addrs = 10.99.0.0/24\n dns = 10.1.0.53\n }\n"
        super().__init__(place, local, remote, local_ts, "dynamic", lines,
                         **{"local_auth": local_auth, "remote_auth": remote_auth, **given, "secrets": given.get("secrets", "")})
        self.settings["secrets"] += pool


class XauthClient(XauthStrongswan):
    def __init__(self, place, local, remote, remote_ts, kind="psk", push=False, **given):
        local_auth, remote_auth, more = rounds(kind, False)
        lines = f"vips = 0.0.0.0\n pull = {'no' if push else 'yes'}\n {more}"
        super().__init__(place, local, remote, "dynamic", remote_ts, lines,
                         **{"extra": WEAK + "\n  install_virtual_ip = yes", "local_auth": local_auth, "remote_auth": remote_auth, **given})
