#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tries passwords as fast as it goes, and says of each try when it began and ended, in seconds,
and its status. Arguments: from, to, the site's name, its certificate, seconds."""
import socket
import ssl
import sys
import time

source, host, name, certificate, seconds = sys.argv[1:]


def connect():
    plain = socket.create_connection((host, 443), timeout=20, source_address=(source, 0))
    site = ssl.create_default_context(cafile=certificate).wrap_socket(plain, server_hostname=name)
    return site, site.makefile("rb")


site, answers = connect()
begin = time.monotonic()
tries = 0
while time.monotonic() < begin + float(seconds):
    # What the client says of itself changes nothing.
    forged = f"192.0.2.{tries % 250}" if tries % 2 else f"2001:db8:{tries % 9999}::1"
    request = f"POST /login HTTP/1.1\r\nHost: {name}\r\nContent-Length: 10\r\n"
    for header in ("X-Forwarded-For", "X-Real-IP", "X-Client", "X-Peer"):
        request += f"{header}: {forged}\r\n"
    before = time.monotonic()
    site.sendall(request.encode() + b"\r\npassword=x")
    status = answers.readline().split()[1].decode()
    length, last = 0, False
    while (line := answers.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        last = last or line.lower() == b"connection: close\r\n"
        assert not line.lower().startswith(b"transfer-encoding:"), line
    answers.read(length)
    print(before, time.monotonic(), status)
    if last:  # after a thousand requests
        site, answers = connect()
    tries += 1
