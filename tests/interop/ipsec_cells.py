"""Every way in which two machines can be joined by IPsec with keys that a person wrote: algorithms, modes, families,
extended sequence numbers. A cell is one of them, with addresses, SPIs and keys of its own; it can be written as `ip xfrm`
commands for the Linux kernel, as a `manual` block, and as a line for plane_probe."""
import hashlib

# name, the kernel's name, octets of key, octets of ICV, number in IKEv2
INTEGRITY = {
    "md5": ("hmac(md5)", 16, 12, 1),
    "sha1": ("hmac(sha1)", 20, 12, 2),
    "aesxcbc": ("xcbc(aes)", 16, 12, 5),
    "aescmac": ("cmac(aes)", 16, 12, 8),
    "sha256": ("hmac(sha256)", 32, 16, 12),
    "sha384": ("hmac(sha384)", 48, 24, 13),
    "sha512": ("hmac(sha512)", 64, 32, 14),
}
# name, the kernel's name, octets of key with salt, of IV, of a block, number in IKEv2, bits of key on the wire
CIPHERS = {"null": ("cipher_null", 0, 0, 1, 11, 0), "des": ("cbc(des)", 8, 8, 8, 2, 0),
           "3des": ("cbc(des3_ede)", 24, 8, 8, 3, 0)}
for bits in (128, 192, 256):
    CIPHERS[f"aes{bits}"] = ("cbc(aes)", bits // 8, 16, 16, 12, bits)
    CIPHERS[f"camellia{bits}"] = ("cbc(camellia)", bits // 8, 16, 16, 23, bits)
COUNTERS = {f"aes{bits}ctr": ("rfc3686(ctr(aes))", bits // 8 + 4, 8, 1, 13, bits) for bits in (128, 192, 256)}
# name, the kernel's name, octets of key with salt, of ICV, of IV, number in IKEv2, bits of key on the wire
AEADS = {"chacha20poly1305": ("rfc7539esp(chacha20,poly1305)", 36, 16, 8, 28, 0)}
for bits in (128, 192, 256):
    AEADS[f"aes{bits}gmac"] = ("rfc4543(gcm(aes))", bits // 8 + 4, 16, 8, 21, bits)
    for number, icv in enumerate((8, 12, 16)):
        AEADS[f"aes{bits}gcm{icv}"] = ("rfc4106(gcm(aes))", bits // 8 + 4, icv, 8, 18 + number, bits)
        AEADS[f"aes{bits}ccm{icv}"] = ("rfc4309(ccm(aes))", bits // 8 + 3, icv, 8, 14 + number, bits)

ESP, AH = 50, 51
MTU = 1500
# RFC 4302 2.6: in IPv4 an AH is a multiple of 32 bits long, of which Linux has to be told.
ALIGNED = "align4"
# mode, family of the outer addresses, family of the inner ones
SHAPES = [("transport", 4, 4), ("transport", 6, 6), ("tunnel", 4, 4), ("tunnel", 6, 6), ("tunnel", 6, 4), ("tunnel", 4, 6)]


def key(name, count, parity=False):
    """Octets that are the same for everybody who asks for this name."""
    octets = b""
    while len(octets) < count:
        octets += hashlib.sha256(f"{name} {len(octets)}".encode()).digest()
    return octets[:count]


class Side:
    """One of the two ends of all cells: its outer addresses, and the ranges of those of its own."""

    def __init__(self, outer4, outer6, host4, host6, inner4, inner6):
        self.outer = {4: outer4, 6: outer6}
        self.host4, self.host6 = host4, host6  # for transport mode: 198.HOST4.x.y, HOST6::n
        self.inner4, self.inner6 = inner4, inner6  # for tunnel mode: 10.INNER4+x.y.z/30, INNER6:n::/64

    def host(self, number, family):
        return f"198.{self.host4}.{number >> 8}.{number & 255}" if family == 4 else f"{self.host6}::{number:x}"

    def network(self, number, family):
        if family == 4:
            place = number * 4
            return f"10.{self.inner4 + (place >> 16)}.{place >> 8 & 255}.{place & 255}/30"
        return f"{self.inner6}:{number:x}::/64"

    def inner(self, number, family):
        if family == 4:
            place = number * 4 + 1
            return f"10.{self.inner4 + (place >> 16)}.{place >> 8 & 255}.{place & 255}"
        return f"{self.inner6}:{number:x}::1"


class Cell:
    def __init__(self, number, protocol, cipher, integrity, shape, esn, align=32):
        self.number, self.protocol, self.cipher, self.integrity, self.esn = number, protocol, cipher, integrity, esn
        self.mode, self.outer_family, self.inner_family = shape
        self.align = align  # of AH in IPv4, in bits
        words = [w for w in (cipher, integrity) if w]
        name = "-".join(words) + ("-esn" if esn else "")
        families = f"{self.inner_family}-in-{self.outer_family}" if self.mode == "tunnel" else str(self.outer_family)
        self.name = f"{'ah' if protocol == AH else 'esp'}-{self.mode}-{families}-{name}" + ("-align64" if align == 64 else "")

    def row(self):
        """Of the table."""
        suite = "-".join(w for w in (self.cipher, self.integrity) if w)
        return f"esp {suite}" if self.cipher else f"ah {suite}" + (", 64 bits" if self.align == 64 else "")

    def spi(self):
        return 0x1000 + self.number

    def outer(self, side):
        return side.outer[self.outer_family] if self.mode == "tunnel" else side.host(self.number, self.outer_family)

    def end(self, side):
        """The address that traffic of this cell comes from and goes to."""
        return side.inner(self.number, self.inner_family) if self.mode == "tunnel" else self.outer(side)

    def network(self, side):
        return side.network(self.number, self.inner_family)

    def keys(self, to):
        """Of the SA towards a side, whose name is its host range: the cipher's with its salt, and the integrity key. They
        depend on the algorithms alone, so that there are few of them."""
        who = f"to {to.host4}"
        cipher = CIPHERS.get(self.cipher) or COUNTERS.get(self.cipher) or AEADS.get(self.cipher)
        return (key(f"{self.cipher} {who}", cipher[1]) if cipher else b"",
                key(f"{self.integrity} {who}", INTEGRITY[self.integrity][1]) if self.integrity else b"")

    def integrity_octets(self):
        return INTEGRITY[self.integrity][2] if self.integrity else AEADS[self.cipher][2]

    def overhead(self):
        """What stands around the data, and what the rest is aligned to."""
        head = {4: 20, 6: 40}[self.outer_family]
        if self.protocol == AH:
            # RFC 4302 2.2: the header is a multiple of 32 bits in IPv4, of 64 in IPv6.
            unit = self.align // 8 if self.outer_family == 4 else 8
            return head + -(-(12 + self.integrity_octets()) // unit) * unit, 1
        if self.cipher in AEADS:
            vector, align = AEADS[self.cipher][3], 4
        else:
            vector, align = (CIPHERS.get(self.cipher) or COUNTERS.get(self.cipher))[2:4]
        return head + 8 + vector + self.integrity_octets(), max(align, 4)

    def border(self):
        """The longest UDP payload that is carried without fragments."""
        around, align = self.overhead()
        room = MTU - around
        if self.protocol == ESP:
            room = room // align * align - 2
        inner_head = {4: 20, 6: 40}[self.inner_family] if self.mode == "tunnel" else 0
        return room - inner_head - 8

    def sizes(self):
        border = self.border()
        whole = MTU - {4: 28, 6: 48}[self.inner_family]
        return (f"0-3,7,8,9,11-21,31-33,47-49,63-65,127-129,255-257,511,512,1000,1231-1233,1279-1281,{border - 17}-{border + 2},"
                f"{whole - 1}-{whole + 1},1500,2000,{2 * border},4000")

    def line(self, here, there, sizes=None):
        """For octets ask."""
        return f"{self.name} {self.end(here)} {self.end(there)} {sizes or self.sizes()}\n"

    # ---- as the Linux kernel ----

    def kernel_algorithms(self, to):
        cipher, integrity = (k.hex() for k in self.keys(to))
        if self.cipher in AEADS:
            name, _, icv = AEADS[self.cipher][:3]
            return f"aead {name} 0x{cipher} {icv * 8}"
        auth, _, icv, _ = INTEGRITY[self.integrity]
        words = f"auth-trunc {auth} 0x{integrity} {icv * 8}"
        if self.protocol == ESP:
            words += f" enc {(CIPHERS.get(self.cipher) or COUNTERS[self.cipher])[0]} " + (f"0x{cipher}" if cipher else '""')
        return words

    def kernel(self, here, there, more=""):
        """Lines for `ip -batch`: both states and both policies of the side `here`. `more` stands in the states."""
        protocol = "ah" if self.protocol == AH else "esp"
        reqid = self.number + 1
        flags = [w for w in ("esn" if self.esn else "", "af-unspec" if self.mode == "tunnel" else "",
                             ALIGNED if self.protocol == AH and self.outer_family == 4 and self.align == 32 else "") if w]
        lines = []
        for source, target in ((here, there), (there, here)):
            lines.append(f"xfrm state add src {self.outer(source)} dst {self.outer(target)} proto {protocol} "
                         f"spi {self.spi()} reqid {reqid} mode {self.mode} replay-window 32 "
                         + (f"flag {' '.join(flags)} " if flags else "")
                         + f"{self.kernel_algorithms(target)} {more}")
            a, b = ((self.network(s) if self.mode == "tunnel" else self.outer(s)) for s in (source, target))
            ends = f"src {self.outer(source)} dst {self.outer(target)} " if self.mode == "tunnel" else ""
            lines.append(f"xfrm policy add src {a} dst {b} dir {'out' if source is here else 'in'} "
                         f"tmpl {ends}proto {protocol} reqid {reqid} mode {self.mode}")
        return "\n".join(lines) + "\n"

    # ---- for plane_probe ----

    def probe_networks(self, here, there):
        return " ".join(self.network(s) if self.mode == "tunnel" else f"{self.outer(s)}/{32 if self.outer_family == 4 else 128}"
                        for s in (here, there))

    def probe_lines(self, here, there):
        cipher = CIPHERS.get(self.cipher) or COUNTERS.get(self.cipher)
        number, bits = cipher[4:6] if cipher else AEADS[self.cipher][4:6] if self.cipher else (0, 0)
        integrity = INTEGRITY[self.integrity][3] if self.integrity else 0
        keys = ["".join(k.hex() for k in self.keys(to)) for to in (here, there)]
        return (f"{self.name} {'ah' if self.protocol == AH else 'esp'} {self.mode} {number} {bits} {integrity} {int(self.esn)} "
                f"0 alone {self.spi()} {self.spi()} {' '.join(keys)} {self.outer(here)} {self.outer(there)} "
                f"{self.probe_networks(here, there)}\n")

    # ---- as a block of our configuration ----

    def manual(self, here, there, more=""):
        """`more`: further lines of the block."""
        legacy = ["static-keys"] + [w for w in ("des", "3des", "null", "md5", "sha1") if w in (self.cipher, self.integrity)]
        lines = [f"manual {self.name} {{", f"  legacy {' '.join(legacy)}", f"  outer {self.outer(here)} {self.outer(there)}"]
        if self.mode == "tunnel":
            lines.append(f"  inner {self.network(here)} {self.network(there)}")
        else:
            lines.append("  mode transport")
        if self.align == 64:
            lines.append("  ah-align 64")
        for way, to in (("out", there), ("in", here)):
            words = f"spi {self.spi():#x}"
            if self.protocol == ESP:
                words += f" cipher {self.cipher}" + ("" if self.cipher == "null" else f" @{secret_name(self.cipher, to)}")
            words += f" auth {self.integrity} @{secret_name(self.integrity, to)}"
            lines.append(f"  {'ah' if self.protocol == AH else 'esp'} {way} {words}")
        if self.esn:
            lines += ["  esn", "  replay-window 32"]
        return "\n".join(lines) + (f"\n  {more}" if more else "") + "\n}\n"

    def secrets(self, here, there):
        out = {}
        for to in (here, there):
            for name, value in zip((self.cipher, self.integrity), self.keys(to)):
                if value:
                    out[secret_name(name, to)] = f"0x{value.hex()}"
        return out


class Way(Cell):
    """More than one protocol around a packet, or ESP in UDP: `layers` from inside to outside, (protocol, mode) of
    "comp", "esp" and "ah", with AES-128 and HMAC-SHA2-256, AH with HMAC-SHA1."""

    def __init__(self, number, name, layers, outer_family, inner_family=None, udp=False, more=""):
        tunnel = any(mode == "tunnel" for _, mode in layers)
        super().__init__(number, ESP, "aes128", "sha256",
                         ("tunnel" if tunnel else "transport", outer_family, inner_family or outer_family), False)
        self.layers, self.udp, self.more = layers, udp, more
        families = f"{self.inner_family}-in-{outer_family}" if tunnel else f"{outer_family}"
        self.name = f"{name}-{families}"
        self.kind = name

    def row(self):
        return self.kind

    def layer_spi(self, layer):
        # RFC 3173 3.3: what stands for an SPI has 16 bits.
        return 0x4000 + self.number if self.layers[layer][0] == "comp" else 0x10000 * (layer + 1) + self.number

    def sizes(self):
        return "0-3,7,8,15-17,31-33,63-65,100,255-257,1000,1200,1280,1300-1340,1372,1400,1452,1472,1473,1500,2000,4000"

    def kernel(self, here, there, more=""):
        lines = []
        for source, target in ((here, there), (there, here)):
            outer = f"src {self.outer(source)} dst {self.outer(target)}"
            templates = []
            for layer, (protocol, mode) in enumerate(self.layers):
                cipher, integrity = (k.hex() for k in self.keys(target))
                words = {"comp": "comp deflate",
                         "ah": f"auth-trunc hmac(sha1) 0x{key(f'ah to {target.host4}', 20).hex()} 96",
                         "esp": f"auth-trunc hmac(sha256) 0x{integrity} 128 enc cbc(aes) 0x{cipher}"}[protocol]
                if self.udp and protocol == "esp":
                    words += f" encap espinudp 4500 4500 {'::' if self.outer_family == 6 else '0.0.0.0'}"
                flags = [w for w in ("af-unspec" if self.mode == "tunnel" else "",
                                     ALIGNED if protocol == "ah" and self.outer_family == 4 else "") if w]
                window = "" if protocol == "comp" else "replay-window 32"
                lines.append(f"xfrm state add {outer} proto {protocol} spi {self.layer_spi(layer)} reqid {self.number + 1} "
                             f"mode {mode} {window} {'flag ' + ' '.join(flags) if flags else ''} {words}")
                # What does not become smaller goes without the header of IPComp (RFC 3173 2.2).
                level = "level use" if protocol == "comp" and source is there else ""
                ends = outer if self.mode == "tunnel" else ""
                templates.append(f"tmpl {ends} proto {protocol} reqid {self.number + 1} mode {mode} {level}")
            a, b = ((self.network(s) if self.mode == "tunnel" else self.outer(s)) for s in (source, target))
            lines.append(f"xfrm policy add src {a} dst {b} dir {'out' if source is here else 'in'} {' '.join(templates)}")
        return "\n".join(lines) + "\n"

    def manual(self, here, there, more=""):
        lines = [f"manual {self.name} {{", "  legacy static-keys sha1", f"  outer {self.outer(here)} {self.outer(there)}",
                 f"  inner {self.network(here)} {self.network(there)}" if self.mode == "tunnel" else "  mode transport"]
        for layer, (protocol, _) in enumerate(self.layers):
            for way, to in (("out", there), ("in", here)):
                words = {"esp": f"cipher aes128 @{secret_name('aes128', to)} auth sha256 @{secret_name('sha256', to)}",
                         "ah": f"auth sha1 @{secret_name('ah', to)}"}[protocol]
                lines.append(f"  {protocol} {way} spi {self.layer_spi(layer):#x} {words}")
        if self.udp:
            lines.append("  encapsulate 4500")
        return "\n".join(lines + [f"  {word}" for word in (self.more, more) if word]) + "\n}\n"

    def probe_lines(self, here, there):
        lines, cpi, inside = [], 0, None
        for layer, (protocol, mode) in enumerate(self.layers):
            if protocol == "comp":
                cpi, inside = self.layer_spi(layer), mode
                continue
            keys = ["".join(k.hex() for k in self.keys(to)) if protocol == "esp" else key(f"ah to {to.host4}", 20).hex()
                    for to in (here, there)]
            cipher, bits = CIPHERS[self.cipher][4:6] if protocol == "esp" else (0, 0)
            integrity = INTEGRITY[self.integrity if protocol == "esp" else "sha1"][3]
            # IPComp is no SA of ours: what is compressed is the inside of the ESP around it.
            lines.append(f"{self.name} {protocol} {inside or mode} {cipher} {bits} {integrity} 0 {cpi} "
                         f"{'around' if lines else 'alone'} {self.layer_spi(layer)} {self.layer_spi(layer)} {' '.join(keys)} "
                         f"{self.outer(here)} {self.outer(there)} {self.probe_networks(here, there)}\n")
            cpi, inside = 0, None
        return "".join(lines)

    def secrets(self, here, there):
        return {**super().secrets(here, there),
                **{secret_name("ah", to): "0x" + key(f"ah to {to.host4}", 20).hex() for to in (here, there)}}


TRANSPORT_ESP, TUNNEL_ESP = ("esp", "transport"), ("esp", "tunnel")
TRANSPORT_AH, TUNNEL_AH = ("ah", "transport"), ("ah", "tunnel")


def bundles(first):
    """AH around ESP: beside it in transport mode, around a tunnel (RFC 2401 4.3)."""
    out = [Way(first, "ah-and-esp-transport", [TRANSPORT_ESP, TRANSPORT_AH], 4),
           Way(first + 1, "ah-and-esp-transport", [TRANSPORT_ESP, TRANSPORT_AH], 6)]
    for outer, inner in ((4, 4), (6, 6), (4, 6), (6, 4)):
        out.append(Way(first + len(out), "ah-transport-esp-tunnel", [TUNNEL_ESP, TRANSPORT_AH], outer, inner))
    return out


def iterated(first):
    return [Way(first + i, "ah-tunnel-esp-tunnel", [TUNNEL_ESP, TUNNEL_AH], family) for i, family in enumerate((4, 6))]


def in_udp(first):
    out = []
    for family in (4, 6):
        out += [Way(first + len(out), "esp-in-udp-tunnel", [TUNNEL_ESP], family, udp=True),
                Way(first + len(out) + 1, "esp-in-udp-transport", [TRANSPORT_ESP], family, udp=True)]
    return out


def compressed(first):
    """As Linux does it when IKE agreed on compression for a tunnel, and in transport mode."""
    out = []
    for family in (4, 6):
        out += [Way(first + len(out), "ipcomp-tunnel", [("comp", "tunnel"), TRANSPORT_ESP], family),
                Way(first + len(out) + 1, "ipcomp-transport", [("comp", "transport"), TRANSPORT_ESP], family)]
    return out


def secret_name(algorithm, to):
    return f"{algorithm}-{to.host4}"


def cells_of(suites, first=0, esn=(False, True), shapes=SHAPES):
    """suites: (protocol, cipher or "", integrity or "")."""
    out = []
    for protocol, cipher, integrity in suites:
        for shape in shapes:
            for extended in esn:
                out.append(Cell(first + len(out), protocol, cipher, integrity, shape, extended))
    return out


def aligned_cells(first):
    """AH over IPv4 as Linux does it when nobody tells it otherwise."""
    out = []
    for integrity in INTEGRITY:
        for shape in SHAPES:
            for extended in (False, True) if shape[1] == 4 else ():
                out.append(Cell(first + len(out), AH, "", integrity, shape, extended, align=64))
    return out


MANUAL_SUITES = ([(ESP, c, i) for c in CIPHERS for i in INTEGRITY] + [(AH, "", i) for i in INTEGRITY])
COUNTER_SUITES = [(ESP, c, i) for c in COUNTERS for i in INTEGRITY] + [(ESP, c, "") for c in AEADS]
