"""Sends a text to examples/branching_input.py; takes the address as an argument, http://localhost:8000 without one."""

import json
import sys
from urllib.request import urlopen

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"

answer = json.loads(urlopen(url, json.dumps("the quick brown fox").encode()).read())
for name, value in answer.items():
    print(f"{name}: {value}")
