"""Where the control API listens: ``HOME/api.sock``, for the owner alone."""

import os
import secrets
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.web.server import Site

from bitsnode.api.app import Command, ControlApi
from onion.sockets import socket_directory


class _QuietSite(Site):
    """A site without an access log: who asked what and when is nobody's business."""

    def log(self, request: object) -> None:
        """Write nothing."""


def listen(reactor: Any, home: Path, commands: "dict[str, Command]") -> IListeningPort:
    """Serve the commands on ``home/api.sock`` (0600) with a new token in ``home/api.token``.

    The home must be locked by this process: a socket left by a dead node is replaced.
    """
    token = secrets.token_hex(32)
    draft = home / "api.token.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    draft.replace(home / "api.token")
    public = home / "api.sock"
    public.unlink(missing_ok=True)
    path = socket_directory(home) / "api.sock"
    if path != public:
        path.unlink(missing_ok=True)
        public.symlink_to(path)
    site = _QuietSite(ControlApi(commands, token).app.resource())
    site.noisy = False
    port: IListeningPort = reactor.listenUNIX(str(path), site, mode=0o600, wantPID=False)
    return port
