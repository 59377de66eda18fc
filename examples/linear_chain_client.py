"""Sends a text to examples/linear_chain.py; takes the address as an argument, http://localhost:8000 without one."""

import json
import sys
from urllib.request import urlopen

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"

text = "<p>A  <b>Bold</b>\n  Claim</p>"
print(json.loads(urlopen(url, json.dumps(text).encode()).read()))
