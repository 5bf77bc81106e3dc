#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An app behind a reverse proxy: it answers with what it was asked. Arguments: a port."""
import base64
import hashlib
import http.server
import json
import socket
import sys


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        # Headers that the proxy has a better idea of.
        self.send_header("X-Frame-Options", "ALLOWALL")
        self.send_header("strict-transport-security", "max-age=1")
        for name, value in headers:
            self.send_header(name, value)
        if status != 101:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/status/"):
            self.answer(int(path[8:]), [("Location", "/elsewhere")])
        elif self.headers.get("Upgrade") == "websocket":
            key = self.headers.get("Sec-WebSocket-Key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            self.answer(101, [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                              ("Sec-WebSocket-Accept", accept)])
            self.wfile.write(b"hello by websocket")
            self.close_connection = True
        else:
            asked = {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
            self.answer(200, [("Content-Type", "application/json")], json.dumps(asked).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 1024


server = Server(("::", int(sys.argv[1])), App)
print("ready", flush=True)
server.serve_forever()
