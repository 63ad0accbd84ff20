"""A little service: answers with its name, and with what the next service says if there is one; /healthz says that it is up.

    service.py NAME ADDRESS:PORT [NEXT [OUTBOUND_PORT]]

It knows nothing of the mesh: it calls http://NEXT/, by that name or through the loopback port that its sidecar listens on.
"""

import http.server
import sys
import urllib.request

NAME = sys.argv[1]
ADDRESS, _, PORT = sys.argv[2].rpartition(":")
NEXT, OUTBOUND_PORT = (sys.argv[3:] + [None, None])[:2]
CALL_LIMIT_S = 5


def ask_next():
    url = f"http://127.0.0.1:{OUTBOUND_PORT}/" if OUTBOUND_PORT else f"http://{NEXT}/"
    request = urllib.request.Request(url, headers={"Host": NEXT})
    with urllib.request.urlopen(request, timeout=CALL_LIMIT_S) as answer:
        return answer.read().decode().strip()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body in one write, or the kernel waits with the second.

    def do_GET(self):
        status, text = 200, NAME
        # Whether it is well does not depend on others.
        if NEXT and self.path != "/healthz":
            try:
                text += " > " + ask_next()
            except OSError as error:
                status, text = 502, f"{NAME}: {NEXT} did not answer: {error}"
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Handler)
print(f"{NAME} listening on {ADDRESS}:{PORT}", flush=True)
server.serve_forever()
