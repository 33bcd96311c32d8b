"""A server between proxy and mock that keeps what the proxy sent."""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Recorder:
    """Passes every request on to the mock; `bodies` holds their JSON, oldest first."""

    def __init__(self, mock):
        self.bodies = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(urlsplit(mock).netloc))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(recorder, mock):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                recorder.bodies.append(json.loads(body))
                connection = http.client.HTTPConnection(mock, timeout=30)
                connection.request("POST", self.path, body, {"content-type": "application/json"})
                answer = connection.getresponse()
                self.send_response(answer.status)
                for name in ("content-type", "retry-after"):
                    if value := answer.getheader(name):
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.read())
                connection.close()

            def log_message(self, *_line):
                pass

        return Handler

    def close(self):
        self._server.shutdown()
        self._server.server_close()
