"""A proxy in front of a server, which can lose what the server answers."""

import contextlib
import socket
import threading


class Proxy:
    """Listens on `port`, passes everything on, and loses an answer when it is told to."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: How many answers are still to be lost: the connection ends in place of each.
        self.losses = 0
        self.lost = 0
        self._counting = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target_port))
                threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_answer and self._loses():
                    break
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _loses(self) -> bool:
        with self._counting:
            if not self.losses:
                return False
            self.losses -= 1
            self.lost += 1
            return True

    def close(self) -> None:
        self._listener.close()
