"""Asks examples/greeting.py for two greetings; takes the address as an argument, http://localhost:8000 without one."""

import json
import sys
from urllib.request import urlopen

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"

for language, name in [("it", "Dora"), ("is", "Egill"), ("tlh", "Worf")]:
    body = json.dumps({"language": language, "name": name}).encode()
    print(urlopen(url, body).read().decode())
