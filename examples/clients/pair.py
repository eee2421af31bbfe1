"""Pairs a session with a phone: python3 pair.py URL API_KEY SESSION"""
import json, sys, time, uuid
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

BASE, KEY, SESSION = sys.argv[1:]
DEADLINE = time.monotonic() + 300

def call(method, path, body=None):
    """Sends a request until there is a response to act on. Each of these requests may be repeated."""
    request_id, after, problem = uuid.uuid4().hex, 2, "no phone was linked"
    headers = {"X-API-Key": KEY, "X-Request-Id": request_id, "Content-Type": "application/json"}
    request = Request(f"{BASE}/api/sessions{path}", json.dumps(body or {}).encode(), headers, method=method)
    while time.monotonic() < DEADLINE:
        try:
            with urlopen(request, timeout=30) as response:  # longer than the wait
                if response.status == 202:  # not yet
                    time.sleep(int(response.headers["Retry-After"]))
                return response.status, json.load(response)
        except HTTPError as error:
            answer = json.load(error) if error.headers.get_content_type() == "application/json" else {}
            if error.status == 409:
                return 409, answer
            problem = f"{error.status} {answer.get('code')}: {answer.get('message')} (request {request_id})"
            if error.status < 500 and error.status != 429:
                sys.exit(problem)  # repeating it does not help
            after = int(error.headers.get("Retry-After", 2))
        except (OSError, HTTPException, ValueError) as error:  # no response, or half of one
            problem = error
        print(problem, file=sys.stderr)
        time.sleep(after)
    sys.exit(problem)

call("POST", "", {"sessionId": SESSION, "sessionName": SESSION})  # 409: it exists, perhaps since a lost response
call("POST", f"/{SESSION}/connect")
while (found := call("GET", f"/{SESSION}/qr"))[0] != 409:  # 409: a phone is linked
    status, answer = found
    if status == 200:
        print("qr", answer["data"]["qrCode"], flush=True)  # show it, until there is another
        while call("GET", f"/{SESSION}/qr/status?wait=20")[1]["data"]["generatedAt"] == answer["data"]["generatedAt"]:
            pass
    elif (answer.get("diagnosis") or {}).get("code") == "qr_expired":  # all codes ran out unscanned
        call("POST", f"/{SESSION}/connect")
print("connected")
