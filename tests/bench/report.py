"""Figures of `run` and `limits`: kept in a file, as a table for a terminal, as Markdown between marks, and as a plot."""
import datetime
import html
import json
import pathlib
import platform
import re
import statistics

from measure import METRICS

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


class Figures:
    """peers: word -> {title, kind, version, rounds: [{metric: value}]}; limits: name -> [value]."""

    def __init__(self, file):
        self.file = pathlib.Path(file) if file else None
        self.peers, self.limits = {}, {}
        if self.file and self.file.exists():
            kept = json.loads(self.file.read_text())
            self.peers, self.limits = kept["peers"], kept["limits"]
        cores = len(re.findall(r"^processor\s*:", pathlib.Path("/proc/cpuinfo").read_text(), re.M))
        self.machine = {"processor": processor(), "cores": cores, "kernel": platform.release(),
                        "day": datetime.date.today().isoformat()}

    def add(self, word, peer, out):
        kept = self.peers.setdefault(word, {"rounds": []})
        kept.update(title=peer.title, kind=peer.kind, version=peer.version())
        kept["rounds"].append(out)

    def add_limit(self, name, value):
        self.limits.setdefault(name, []).append(value)

    def save(self):
        if self.file:
            self.file.write_text(json.dumps({"machine": self.machine, "peers": self.peers, "limits": self.limits}, indent=1))

    def values(self, word, metric):
        return [one[metric] for one in self.peers[word]["rounds"] if metric in one]

    def median(self, word, metric):
        values = self.values(word, metric) if word in self.peers else []
        return statistics.median(values) if values else None

    def ours(self):
        return next((word for word, kept in self.peers.items() if kept["kind"] == "ours"), None)


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.3g}"


def times_better(figures, word, metric):
    """How many times better the first Sekisho of the run is; None when that is no question."""
    ours = figures.ours()
    mine, theirs = figures.median(ours, metric) if ours else None, figures.median(word, metric)
    if ours in (None, word) or not mine or not theirs:
        return None
    return mine / theirs if METRICS[metric][1] else theirs / mine


def rows_present(figures):
    return [metric for metric in METRICS if any(figures.values(word, metric) for word in figures.peers)]


def terminal_table(figures):
    words = list(figures.peers)
    lines = [["medians"] + [figures.peers[word]["title"] for word in words]]
    for metric in rows_present(figures):
        line = [METRICS[metric][0]]
        for word in words:
            better = times_better(figures, word, metric)
            shown = better is not None and metric != "others_cores"
            line.append(number(figures.median(word, metric)) + (f" ({better:.2g}x)" if shown else ""))
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))) for line in lines)
    if figures.ours() and len(words) > 1:
        text += "\n\nIn brackets: how many times better Sekisho is in the same row; below 1 it is worse."
    return text


# ---- Markdown ----

def spread(values):
    """Median, and the least and the most when there is more than one."""
    if not values:
        return "-"
    text = number(statistics.median(values))
    return f"{text} ({number(min(values))} to {number(max(values))})" if len(values) > 1 else text


def name_of(figures, word):
    kept = figures.peers[word]
    return kept["title"] + (f" {kept['version']}" if kept["version"] and kept["kind"] == "other" else "")


def markdown(head, rows):
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def both_ways(figures, word, flows):
    values = figures.values(word, f"tcp{flows}_ab_gbit_s") + figures.values(word, f"tcp{flows}_ba_gbit_s")
    return statistics.median(values) if values else None


def in_order(figures):
    """No VPN and the floor first, then ours, then the others from the fastest down."""
    rank = {"limit": 0, "ours": 1, "other": 2}
    return sorted(figures.peers, key=lambda word: (rank[figures.peers[word]["kind"]], -(both_ways(figures, word, 1) or 0)))


def short_table(figures):
    head = ["", "TCP, one flow, Gbit/s", "four flows", "processor s/GB", "64 octets, packets/s", "us a packet",
            "ping idle, ms", "under load", "memory, MiB"]
    rows = []
    for word in in_order(figures):
        name = name_of(figures, word)
        cells = [both_ways(figures, word, 1), both_ways(figures, word, 4)]
        cells += [figures.median(word, metric) for metric in
                  ("tcp1_s_gb", "udp64_s", "udp64_us", "ping_idle_ms", "ping_load_ms", "memory_mib")]
        rows.append([f"**{name}**" if figures.peers[word]["kind"] == "ours" else name] + [number(cell) for cell in cells])
    return markdown(head, rows)


def full_table(figures):
    words = in_order(figures)
    rows = [[METRICS[metric][0]] + [spread(figures.values(word, metric)) for word in words]
            for metric in rows_present(figures)]
    return markdown([""] + [name_of(figures, word) for word in words], rows)


def ratio_table(figures):
    words = [word for word in in_order(figures) if word != figures.ours()]
    rows = []
    for metric in rows_present(figures):
        cells = [times_better(figures, word, metric) for word in words]
        if metric != "others_cores" and any(cells):
            rows.append([METRICS[metric][0]] + ["-" if cell is None else f"{cell:.2g}" for cell in cells])
    return markdown(["times better"] + [name_of(figures, word) for word in words], rows)


def where_and_when(figures):
    rounds = [len(kept["rounds"]) for kept in figures.peers.values()]
    others = [value for word in figures.peers for value in figures.values(word, "others_cores")]
    machine = figures.machine
    times = f"{min(rounds)}" if min(rounds) == max(rounds) else f"{min(rounds)} to {max(rounds)}"
    return (f"{machine['cores']} processors ({machine['processor']}), Linux {machine['kernel']}, {machine['day']}; medians of "
            f"{times} round{'' if max(rounds) == 1 else 's'}; hosts, gateways and load share "
            f"the processors, of which others used {statistics.median(others):.2f} (at most {max(others):.2f}) meanwhile.")


def between_marks(path, mark, text):
    """Replaces what stands between `<!-- mark -->` and `<!-- mark: end -->`."""
    begin, end = f"<!-- {mark} -->", f"<!-- {mark}: end -->"
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{path} has no {begin} ... {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def write_docs(figures):
    (ROOT / "docs" / "figures").mkdir(exist_ok=True)
    (ROOT / "docs" / "figures" / "speed.svg").write_text(plot(figures))
    between_marks(ROOT / "README.md", "bench", f"{short_table(figures)}\n\n{where_and_when(figures)}")
    text = (f"{where_and_when(figures)}\n\n{full_table(figures)}\n\nHow many times better Sekisho is in the same row; below 1 "
            f"it is worse:\n\n{ratio_table(figures)}")
    between_marks(ROOT / "docs" / "speed.md", "bench", text)
    if figures.limits:
        between_marks(ROOT / "docs" / "speed.md", "limits", limits_table(figures))


# ---- limits ----

def limits_table(figures):
    rows = [[name, spread(values)] for name, values in figures.limits.items()]
    text = markdown(["", "ns a packet"], rows)
    return f"{text}\n\n{distance(figures)}" if figures.ours() else text


def limits_text(figures):
    wide = max(len(name) for name in figures.limits)
    lines = [f"{name.ljust(wide)}  {spread(values)} ns" for name, values in figures.limits.items()]
    return "\n".join(lines + (["", distance(figures)] if figures.ours() else []))


def step(figures, name):
    return statistics.median(figures.limits[name])


def sums(figures):
    """What the steps of a packet's road add up to for both gateways, in microseconds: (title, sum, ours)."""
    ours = figures.ours()
    alone = sum(step(figures, name) for name in (
        "TUN read, 64 octets, singly", "UDP, joined, 128 octets: send", "UDP, joined, 128 octets: receive",
        "TUN write, 64 octets, super-packets")) + 2 * step(figures, "AES-128-GCM, 64 octets, ipsec-mb, alone")
    supers = sum(step(figures, name) for name in (
        "TUN read, 1,372 octets, super-packets", "UDP, joined, 1,436 octets: send", "UDP, joined, 1,436 octets: receive",
        "TUN write, 1,372 octets, super-packets")) + 2 * step(figures, "AES-128-GCM, 1,400 octets, ipsec-mb, alone")
    a_packet, gigabyte = figures.median(ours, "udp64_us"), figures.median(ours, "tcp1_s_gb")
    return [("64 octets, read singly and joined from there on, us", alone / 1000, a_packet),
            ("1,372 octets in super-packets, us", supers / 1000, gigabyte and gigabyte * 1372e-9 * 1e6)]


def distance(figures):
    """Sekisho beside the floor of the same run."""
    ours = figures.ours()
    floors = [word for word in figures.peers if word.partition("=")[0] in ("floor", "floor-two", "floor-clear")]
    rows = []
    for metric in ("tcp1_ab_gbit_s", "tcp1_ba_gbit_s", "tcp4_ab_gbit_s", "tcp4_ba_gbit_s", "tcp1_s_gb", "tcp4_s_gb", "udp64_s",
                   "udp64_us", "udp1372_s", "udp1372_us", "ping_idle_ms", "ping_load_ms"):
        mine = figures.median(ours, metric)
        cells = []
        for word in floors:
            better = times_better(figures, word, metric)
            cells.append("-" if better is None else f"{number(figures.median(word, metric))} ({better:.2f})")
        rows.append([METRICS[metric][0], number(mine), *cells])
    text = markdown(["beside the floor; in brackets Sekisho to it, above 1 is better", "Sekisho"]
                    + [figures.peers[word]["title"] for word in floors], rows)
    if figures.limits:
        steps = [[name, number(total), number(mine)] for name, total, mine in sums(figures)]
        text += "\n\n" + markdown(["what a packet's road takes of both gateways", "the steps alone", "Sekisho"], steps)
    return text


# ---- the plot ----

PANELS = (("TCP through two gateways, one flow: Gbit/s", lambda f, w: f.values(w, "tcp1_ab_gbit_s") + f.values(w, "tcp1_ba_gbit_s"),
           "more is better"),
          ("Processor seconds for a gigabyte, both gateways", lambda f, w: f.values(w, "tcp1_s_gb"), "less is better"),
          ("Packets of 64 octets without loss, thousands a second",
           lambda f, w: [value / 1000 for value in f.values(w, "udp64_s")], "more is better"),
          ("Ping while a TCP flow fills the tunnel: median, ms", lambda f, w: f.values(w, "ping_load_ms"), "less is better"))
COLOURS = {"ours": "#1f5fa8", "other": "#9aa5b1", "limit": "#d9c9a3"}
PANEL_WIDTH, BAR, GAP, LABELS, MARGIN = 520, 17, 7, 215, 24


def bars(figures, left, top, panel):
    title, values_of, hint = panel
    shown = [(word, values_of(figures, word)) for word in in_order(figures)]
    shown = [(word, values) for word, values in shown if values]
    most = max((max(values) for _, values in shown), default=1)
    room = PANEL_WIDTH - LABELS - 60
    out = [f'<text x="{left}" y="{top + 14}" class="title">{html.escape(title)}</text>',
           f'<text x="{left}" y="{top + 30}" class="hint">{hint}</text>']
    y = top + 42
    for word, values in shown:
        kind, middle = figures.peers[word]["kind"], statistics.median(values)
        x, width = left + LABELS, max(1.0, middle / most * room)
        low, high = (x + edge / most * room for edge in (min(values), max(values)))
        weight = ' font-weight="bold"' if kind == "ours" else ""
        out += [f'<text x="{x - 8}" y="{y + 13}" class="name"{weight}>{html.escape(name_of(figures, word))}</text>',
                f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[kind]}"/>']
        if high - low > 1:
            out.append(f'<path d="M{low:.1f} {y + BAR / 2}H{high:.1f}M{low:.1f} {y + 5}v{BAR - 10}M{high:.1f} {y + 5}v{BAR - 10}" '
                       f'stroke="#333" fill="none"/>')
        out.append(f'<text x="{max(x + width, high) + 6:.1f}" y="{y + 13}" class="value"{weight}>{number(middle)}</text>')
        y += BAR + GAP
    return out


def plot(figures):
    height = 2 * (len(figures.peers) * (BAR + GAP) + 64) + 3 * MARGIN + 36
    width = 2 * PANEL_WIDTH + 3 * MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12">',
           "<style>.title{font-size:15px;font-weight:bold}.hint{fill:#666}.name{text-anchor:end}</style>",
           f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for place, panel in enumerate(PANELS):
        left = MARGIN + place % 2 * (PANEL_WIDTH + MARGIN)
        top = MARGIN + place // 2 * ((height - MARGIN - 36) // 2)
        out += bars(figures, left, top, panel)
    notes = ("Bars are medians, lines go from the least to the most. Hosts, gateways and load share the processors.",
             where_and_when(figures).partition("; hosts")[0] + ".")
    for line, note in enumerate(notes):
        out.append(f'<text x="{MARGIN}" y="{height - 26 + 16 * line}" class="hint">{html.escape(note)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
