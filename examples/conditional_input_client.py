"""Asks examples/conditional_input.py for two prices; takes the address, http://localhost:8000 without one."""

import json
import sys
from urllib.request import urlopen

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"

for speed in ("standard", "express"):
    body = json.dumps({"weight_kg": 2, "speed": speed}).encode()
    answer = json.loads(urlopen(url, body).read())
    print(f"{answer['speed']}: {answer['price']:.2f}")
