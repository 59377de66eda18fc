"""Sends a number to examples/arithmetic.py; takes the address as an argument, http://localhost:8000 without one."""

import sys
from urllib.request import urlopen

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"

print(urlopen(url, data=b"5").read().decode())
