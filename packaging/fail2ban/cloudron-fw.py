# fail2ban's bans as blocks of cloudron-fw, through its daemon: a ban starts no process.
#
# In /etc/fail2ban/jail.local, for every jail:
#
#     [DEFAULT]
#     action = cloudron-fw.py
#
# Options, as in cloudron-fw.py[prefix6=128]:
#   prefix6   what is banned around an IPv6 address; a /64 is one client. On this host's own links
#             neighbours are different clients, and an address is banned alone
#   socket    the daemon's control socket
#   program   what is run instead while the daemon does not run
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import math
import shlex
import socket as sockets
import subprocess
import time

from fail2ban.server.action import ActionBase

PATIENCE_S = 30  # the daemon's own, with others that hold its lock, is 10


class CloudronFwAction(ActionBase):
    def __init__(self, jail, name, socket="/run/cloudron-fw/control.sock",
                 program="/usr/sbin/cloudron-fw", prefix6="64"):
        super().__init__(jail, name)
        self._socket = socket
        self._program = shlex.split(program)
        self._prefix6 = int(prefix6)
        self._origin = "fail2ban " + jail.name

    # Blocks are on disk and end by themselves: there is nothing to set up or to take down.
    def start(self):
        pass

    def stop(self):
        pass

    def ban(self, aInfo):
        request = {"do": "block", **self._client(aInfo), "origin": self._origin,
                   "reason": f"{self._origin}: {aInfo['failures']} failures"}
        if aInfo["bantime"] >= 0:  # else permanently
            left = math.ceil(aInfo["time"] + aInfo["bantime"] - time.time())
            if left <= 0:
                return
            request["for"] = f"{left}s"
        self._do(request)

    # A time that grows from ban to ban is known only after the ban.
    _prolongable = True
    prolong = ban

    # Blocks of other origins (another jail, an admin) stay.
    def unban(self, aInfo):
        self._do({"do": "unblock", **self._client(aInfo), "origin": self._origin})

    # All bans of the jail in one request: when it stops, and for `unban --all`.
    def flush(self):
        self._do({"do": "unblock", "addresses": ["0.0.0.0/0", "::/0"], "origin": self._origin})
        return True

    def _client(self, aInfo):
        address = str(aInfo["ip"]).partition("%")[0]  # fe80::1%eth0
        return {"addresses": [address], "prefix6": self._prefix6}

    def _do(self, request):
        try:
            answer = self._ask(request)
        except (FileNotFoundError, ConnectionError):
            return self._run(request)
        if not answer["ok"]:
            raise RuntimeError(answer["error"])

    def _ask(self, request):
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as control:
            control.settimeout(PATIENCE_S)
            control.connect(self._socket)
            control.sendall(json.dumps(request).encode() + b"\n")
            with control.makefile() as answers:
                line = answers.readline()
        if not line:  # it ended meanwhile, or is full; to do it twice does no harm
            raise ConnectionError("no answer")
        return json.loads(line)

    # The daemon is down, for an upgrade perhaps. The program does the same by itself.
    def _run(self, request):
        words = self._program + [request["do"], "--origin", request["origin"]]
        for option in ("reason", "for", "prefix6"):
            if option in request:
                words += ["--" + option, str(request[option])]
        done = subprocess.run(words + request["addresses"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode not in (0, 3):  # 3: in part
            raise RuntimeError(done.stderr)


Action = CloudronFwAction
