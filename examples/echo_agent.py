"""Repeats what it is told, words and sound: the smallest agent of one's own. The contract is in docs/own_agent.md."""

import json
import sys

for line in sys.stdin:
    asked = json.loads(line)
    words = asked["text"] or "something I cannot read"
    answer = {"id": asked["id"], "text": f"You said: {words}", "audio": asked["audio"]}
    print(json.dumps(answer), flush=True)
