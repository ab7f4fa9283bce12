"""Programs of Debian 13 in the folder that tools/trixie makes: strongSwan 6 as a peer, OpenSSL 3.5. The newest of what we speak
with, beside the versions of Debian 12 that the other tests have."""
import os
import pathlib
import shlex

from lab import Strongswan, call

PLACE = pathlib.Path(os.environ.get("SEKISHO_TRIXIE", "/var/cache/sekisho-check/trixie"))


MACHINE = f"{os.uname().machine}-linux-gnu"
# Its program interpreter: lib64/ld-linux-x86-64.so.2, lib/ld-linux-aarch64.so.1
LOADER = next((str(p.relative_to(PLACE)) for p in sorted(PLACE.glob("lib*/ld-linux-*.so.*"))), "lib/ld-linux")


def within(folder, *words, environment=""):
    """A line of sh that becomes a program of the folder, which sees `folder` under its own name; in a mount namespace of its
    own."""
    return f"""set -e
        mount -t tmpfs tmpfs {PLACE}/run
        mount -t tmpfs tmpfs {PLACE}/tmp
        mkdir -p {PLACE}{folder}
        mount --bind {folder} {PLACE}{folder}
        mount --rbind /dev {PLACE}/dev
        mount -t proc proc {PLACE}/proc
        exec env {environment} chroot {PLACE} {" ".join(words)}"""


def run(folder, *words, check=True, seconds=60):
    return call("unshare", "-m", "sh", "-c", within(folder, *(shlex.quote(str(w)) for w in words)), check=check, seconds=seconds)


class Strongswan6(Strongswan):
    """charon of the folder with its own userspace ESP; swanctl is that of this machine, which speaks the same."""

    def begin(self, environment):
        return within(self.folder, "/usr/lib/ipsec/charon", environment=environment)


def with_libraries(program, *words):
    """A program of this machine with the folder's libraries, and this machine's own where the folder has none."""
    places = [f"{place}usr/lib/{MACHINE}" for place in (f"{PLACE}/", "/")]
    return [str(PLACE / LOADER), "--library-path", ":".join(places), str(program), *(str(w) for w in words)]
