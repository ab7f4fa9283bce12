#!/usr/bin/env python3
"""Checks what no compiler sees in the project's text files.

Every source opens by saying what it decides, every room has a README, lines of code end before column 100, no tab or
trailing blank, every relative link in a Markdown file leads somewhere. Prints what is wrong; status 1 when there is something.
"""
import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
CODE = {".c", ".h", ".py", ".sh", ".build"}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    names = listed.stdout.split("\n") if listed.returncode == 0 else [
        p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    wrong = []
    rooms = set()
    for name in names:
        path = root / name
        if not name or not path.is_file() or name.startswith(("tests/vectors/", "tests/fuzz/corpus/")):
            continue
        if name == "LICENSE" or path.suffix not in CODE | {".md", ".scd", ".service"}:
            continue
        text = path.read_text()
        lines = text.split("\n")
        if path.suffix in {".c", ".h"}:
            if not text.startswith("/*"):
                wrong.append(f"{name}:1: a source opens with a comment that says what it decides")
            if name.startswith("src/"):
                rooms.add(path.parent)
        for number, line in enumerate(lines, 1):
            if path.suffix in {".c", ".h"} and len(line) > 100:
                wrong.append(f"{name}:{number}: {len(line)} columns")
            if path.suffix in CODE and "\t" in line:
                wrong.append(f"{name}:{number}: a tab")
            if path.suffix in CODE and line != line.rstrip():
                wrong.append(f"{name}:{number}: blanks at the end of the line")
        if path.suffix == ".md":
            for number, line in enumerate(lines, 1):
                for target in LINK.findall(line):
                    if "://" in target or target.startswith("mailto:"):
                        continue
                    if not (path.parent / target).exists():
                        wrong.append(f"{name}:{number}: the link {target} leads nowhere")
    for room in sorted(rooms):
        if not (room / "README.md").is_file():
            wrong.append(f"{room.relative_to(root)}: a room without a README.md")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
