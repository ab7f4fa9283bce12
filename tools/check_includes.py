#!/usr/bin/env python3
"""Proves which room includes which.

A room may include itself, the rooms of its row, and the system headers of its kind. What is not said here is an error,
so a new arrow is a decision and not an accident. Prints every arrow that is wrong and ends with status 1 when there is one.
With --dot it prints the arrows that exist instead, as a graph.
"""
import pathlib
import re
import sys

C_LIBRARY = {
    "assert.h", "ctype.h", "inttypes.h", "limits.h", "math.h", "stdarg.h", "stdatomic.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "stdalign.h",
}
CRYPTO = {"intel-ipsec-mb.h"}
ANYTHING = None

# room: (rooms it may include, further system headers; ANYTHING: all)
ROOMS = {
    "base": ([], set()),
    "reasons": (["base"], set()),
    "crypto": (["base"], CRYPTO | {"openssl/"}),
    "wire": (["base"], set()),
    "dataplane": (["base", "crypto", "wire"], {"sys/mman.h", "zlib.h"}),
    "login": (["base", "crypto", "wire"], set()),
    "proto/ike": (["base", "crypto", "wire"], set()),
    "proto/ikev1": (["base", "crypto", "wire", "proto/ike"], set()),
    "proto/ikev2": (["base", "crypto", "wire", "proto/ike"], set()),
    "proto/radius": (["base", "crypto", "wire", "login"], set()),
    "config": (["base", "crypto"], set()),
    "gateway": (["base", "reasons", "crypto", "wire", "dataplane", "login", "proto/ike", "proto/ikev1", "proto/ikev2",
                 "config"], set()),
    "management": (["base", "reasons", "crypto", "dataplane", "login", "config", "gateway"], {"jansson.h"}),
    "host": (["base"], ANYTHING),
    "loader": (["base", "crypto", "login", "config", "host"], ANYTHING),
    "sekishod": (["base", "reasons", "crypto", "wire", "dataplane", "login", "proto/radius", "config", "gateway",
                  "management", "host", "loader"], ANYTHING),
    "sekisho": (["base", "reasons", "crypto", "wire", "login", "proto/ike", "config", "management", "host", "loader"],
                ANYTHING),
}

# Only host and the two programs talk to the system. These names in other rooms are I/O, clocks or shells in disguise.
FORBIDDEN_CALLS = re.compile(
    r"\b(fopen|fclose|fprintf|printf|puts|fputs|perror|system|popen|execv[pe]*|execl[pe]*|fork|time|gettimeofday|"
    r"clock_gettime|getenv|rand|srand|random|strtok|gets|sprintf|strcpy|strcat|alloca|getrandom|sleep|usleep|"
    r"pthread_\w+)\s*\(")
NEVER_CALLS = re.compile(r"\b(system|popen|gets|sprintf|strcpy|strcat|strtok|alloca|vsprintf|mktemp|tmpnam)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def room_of(path):
    parts = path.split("/")
    if parts[0] == "proto":
        return "/".join(parts[:2])
    return parts[0]


def without_comments(text):
    """Comments and the insides of strings become blanks, line breaks stay."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    wrong = []
    arrows = {}
    for file in sorted((root / "src").rglob("*.[ch]")):
        name = file.relative_to(root / "src").as_posix()
        room = room_of(name)
        text = file.read_text()
        is_test = name.endswith("_test.c")
        if room not in ROOMS:
            wrong.append(f"src/{name}:1: the room '{room}' is not in {pathlib.Path(__file__).name}")
            continue
        rooms, system = ROOMS[room]
        for number, line in enumerate(text.splitlines(), 1):
            include = INCLUDE.match(line)
            if not include:
                continue
            quote, header = include.groups()
            if quote == '"':
                if header.startswith("tests/support/"):
                    if not is_test:
                        wrong.append(f"src/{name}:{number}: only tests may include {header}")
                    continue
                if "/" not in header:
                    wrong.append(f"src/{name}:{number}: #include must name the room: {header}")
                    continue
                target = room_of(header)
                if target != room:
                    arrows.setdefault((room, target), []).append(name)
                    if target not in rooms and not is_test:
                        wrong.append(f"src/{name}:{number}: {room} may not include {target}: {header}")
                if not (root / "src" / header).is_file():
                    wrong.append(f"src/{name}:{number}: there is no {header}")
            elif not is_test and system is not ANYTHING:
                if header not in C_LIBRARY and not any(
                        header == s or (s.endswith("/") and header.startswith(s)) for s in system):
                    wrong.append(f"src/{name}:{number}: {room} may not include <{header}>")
        calls = NEVER_CALLS if system is ANYTHING else FORBIDDEN_CALLS
        if not is_test:
            for number, line in enumerate(without_comments(text).splitlines(), 1):
                call = calls.search(line)
                if call and not line.lstrip().startswith("#"):
                    wrong.append(f"src/{name}:{number}: {room} may not call {call.group(1)}()")
    if "--dot" in sys.argv[1:]:
        print("digraph rooms {")
        for source, target in sorted(arrows):
            print(f'  "{source}" -> "{target}";')
        print("}")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
