"""What `explain` says when we and strongSwan do not agree in IKEv1: all cases at the same time, in both roles, each with
addresses of its own."""
from charon import Charon
from ikev1_matrix import EXTRA, OURS, Bed
from lab import KEY, Sekisho, wait_for

PSK = "key @peer"
PLAIN = {"ike": "aes128-sha256-modp2048", "esp": "aes128-sha256-modp2048"}
SIGNED = {"local_auth": "auth = pubkey\n      certs = gb.pem", "remote_auth": "auth = pubkey", "local_id": "gb.example",
          "remote_id": "ga.example"}
GOOD = "certificate ga.pem key ga.key\n  trust root.pem"


class Case:
    """What is told to whoever begins (`initiator`) and to the other one: a code and words. None: it cannot happen."""

    def __init__(self, name, initiator, responder, ours="", theirs=None, child=None, proof=PSK, version="v1", identity=None):
        self.name, self.told = name, {"initiator": initiator, "responder": responder}
        self.ours, self.theirs, self.child = ours, theirs or {}, child or {}
        self.proof, self.version, self.identity = proof, version, identity


AGGRESSIVE = {"aggressive": "yes"}
CASES = [
    Case("another key", ("A029", "shared keys"), ("A028", "the shared keys differ"), theirs={"key": "another key than ours, and long"}),
    Case("another key, Aggressive Mode", ("A028", "the shared keys differ"), ("A029", "shared keys"), "legacy aggressive",
         {**AGGRESSIVE, "key": "another key than ours, and long"}, version="v1 aggressive"),
    Case("no common cipher", ("O001", "aes128-sha256-modp2048"), ("O001", "aes192-sha384-ecp384"), theirs={"ike": "aes192-sha384-ecp384"}),
    Case("no common cipher for data", ("O002", "aes128-sha256-modp2048"), ("O002", "aes192-sha384"),
         child={"esp": "aes192-sha384-modp2048"}),
    Case("other networks", ("N001", "10.2."), ("N001", "10.77.0.0/16"), child={"local_ts": "10.77.0.0/16"}),
    Case("PFS with us alone", ("O002", "modp2048"), ("O002", "aes128-sha256"), child={"esp": "aes128-sha256"}),
    Case("PFS with them alone", ("O002", "aes128-sha256"), None, "esp aes128-sha256\n  pfs off"),
    Case("Aggressive Mode against Main Mode", None, ("O014", "Aggressive Mode"), theirs=AGGRESSIVE),
    Case("Main Mode against Aggressive Mode", ("O010", "it does not want Aggressive Mode"), None, "legacy aggressive", version="v1 aggressive"),
    Case("IKEv1 against IKEv2", None, ("O015", "calls with IKEv1"), version="v2"),
    Case("they have another name", ("A015", "expected was"), ("A015", "expected was"), identity="gc.example",
         theirs={"local_id": "gb.example"}),
    Case("we have another name", ("A012", "expects another name from us"), ("A012", "expects another name from us"), "say gc.example"),
    Case("a certificate with another name", ("A021", "gc.example"), ("A015", '"gb.example", expected was "gc.example"'), proof=GOOD, identity="gc.example",
         theirs=SIGNED),
    Case("an authority that we do not know", ("A020", "CN=root"), ("A020", "CN=root"), proof=GOOD.replace("root", "other"),
         theirs=SIGNED),
    Case("an authority that they do not know", ("A017", "refused our certificate"), ("A017", "refused our certificate"),
         proof=GOOD.replace("ga.", "alien."), theirs=SIGNED),
    Case("an authority that they do not know, Aggressive Mode", ("A017", "refused our certificate"), ("A017", "refused our certificate"),
         proof=GOOD.replace("ga.", "alien."), theirs={**SIGNED, **AGGRESSIVE}, version="v1 aggressive"),
    Case("a certificate that is over", ("A019", "expired on"), ("A019", "expired on"), proof=GOOD,
         theirs={**SIGNED, "local_auth": "auth = pubkey\n      certs = late.pem", "local_id": "late.example"}, identity="late.example"),
    Case("a key against a certificate", ("A012", "refused our proof"), ("A016", "another way (by a signature)"), theirs=SIGNED,
         identity="gb.example"),
]


class Turn:
    def __init__(self, number, case, role):
        self.case, self.role = case, role
        self.name = f"c{number}-{role}"
        self.address = f"172.20.3.{number + 1}" if role == "initiator" else f"172.20.4.{number + 1}"
        third = 2 * number + (role == "responder")
        self.ours, self.theirs = f"10.1.{third}.0/24", f"10.2.{third}.0/24"
        self.their_gateway, self.our_host, self.their_host = f"10.2.{third}.1", f"10.1.{third}.2", f"10.2.{third}.2"

    def site(self):
        case = self.case
        signed = case.proof != PSK
        lines = [f"peer {self.address}", f"lan {self.ours}", f"network {self.theirs}", case.proof,
                 f"identity {case.identity or ('gb.example' if signed else self.address)}", f"ike {case.version} {PLAIN['ike']}",
                 f"start {'now' if self.role == 'initiator' else 'wait'}", "verify-rekey off"]
        if "say " not in case.ours:
            lines.append(f"say {'ga.example' if signed else OURS}")
        if "esp " not in case.ours:
            lines += [f"esp {PLAIN['esp']}", "pfs on"]
        lines += case.ours.split("\n")
        return f"site {self.name} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"

    def connect(self, charon):
        child = {"local_ts": self.theirs, "remote_ts": self.ours, "start": "none" if self.role == "initiator" else "start",
                 "esp": PLAIN["esp"], **self.case.child}
        charon.connection(self.name, {self.name: child}, **{
            "local": self.address, "remote": OURS, "local_id": self.address, "remote_id": OURS, "ike": PLAIN["ike"],
            **self.case.theirs})


def credentials(gateway, charon, folder, authority):
    """authority: class Authority. Made for both sides; what each does not trust lies at neither."""
    root, other = authority(folder, "root"), authority(folder, "other")
    made = {"ga": root.issue("ga", ["ga.example"]), "alien": other.issue("alien", ["ga.example"]),
            "gb": root.issue("gb", ["gb.example"]), "late": root.issue("late", ["late.example"], days=(-20, -1))}
    for name in ("ga", "alien"):
        for file in made[name]:
            place = gateway.folder / file.name
            place.write_text(file.read_text())
            place.chmod(0o600)
    for one in (root, other):
        (gateway.folder / one.file.name).write_text(one.file.read_text())
    charon.write()
    (charon.folder / "x509ca" / "root.pem").write_text(root.file.read_text())
    for name in ("gb", "late"):
        file, key = made[name]
        (charon.folder / "x509" / file.name).write_text(file.read_text())
        (charon.folder / "private" / key.name).write_text(key.read_text())


def failures(lab, authority):
    bed = Bed(lab, "f")
    turns = [Turn(number, case, role) for number, case in enumerate(CASES) for role, told in case.told.items() if told]
    bed.addresses(turns)
    ours = Sekisho(bed.ga, "gateway ga.example\n" + "".join(t.site() for t in turns), {"peer": KEY})
    charon = Charon(bed.gb, "172.20.255.254", OURS, version="1", unique="never", tries="0",
                    extra=EXTRA + "\n  retransmit_tries = 2")
    for turn in turns:
        turn.connect(charon)
    credentials(ours, charon, lab.folder / "failures", authority)
    charon.start()
    ours.start()
    told = {}

    def all_told():
        for turn in turns:
            code, words = turn.case.told[turn.role]
            text = told.get(turn.name, "")
            if f"SEK-{code}" not in text or words not in text:
                told[turn.name] = ours.explain(turn.name)
        return all(f"SEK-{t.case.told[t.role][0]}" in told[t.name] and t.case.told[t.role][1] in told[t.name] for t in turns)
    wait_for(all_told, 20, 0.5)
    up = {s["name"] for s in ours.status().get("sites", []) if s["state"] == "up"}
    for turn in turns:
        code, words = turn.case.told[turn.role]
        good = f"SEK-{code}" in told[turn.name] and words in told[turn.name] and turn.name not in up
        lab.check(f"explain, {turn.case.name}, we are {turn.role}", good, "" if good else told[turn.name])
    return bed, ours, charon
