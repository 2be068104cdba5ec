"""A small TLS server in a thread, good or bad."""

import contextlib
import socket
import ssl
import threading

from simulators.central.lab_ca import LabAuthority, Pair


class Server:
    """Accepts connections in a thread; remembers every byte that came inside TLS, or in clear where there is none."""

    def __init__(self, context: ssl.SSLContext | None, greeting: bytes = b"", answer: bytes = b"") -> None:
        self._context, self._greeting, self._answer = context, greeting, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.inside = bytearray()
        self.clear = bytearray()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                raw.settimeout(5)
                with contextlib.suppress(OSError), raw:
                    self._talk(raw)

    def _talk(self, raw: socket.socket) -> None:
        if self._context is None:
            self.clear += raw.recv(4096)
            raw.sendall(self._greeting)
            return
        with self._context.wrap_socket(raw, server_side=True) as secure:
            while data := secure.recv(4096):
                self.inside += data
                answer, self._answer = self._answer, b""
                secure.sendall(answer)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


def server_context(authority: LabAuthority, pair: Pair, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(authority.chain)
    context.verify_mode = ssl.CERT_REQUIRED
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
