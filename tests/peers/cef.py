"""Reads lines of CEF from standard input with pycef, and prints each as one JSON object. pycef leaves the escapes in
values as they are; they are undone here as the standard has them."""

import json
import re
import sys

import pycef

ESCAPES = {"\\n": "\n", "\\r": "\r"}


def plain(value):
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found.group(0), found.group(1)), value)


for line in sys.stdin:
    values = pycef.parse(line.rstrip("\n"))
    if values is None:
        sys.exit(f"no CEF: {line!r}")
    print(json.dumps({key: plain(value) for key, value in values.items()}))
