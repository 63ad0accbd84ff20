"""What goes over the wire between pods: all that passes the bridge of a network, and whether anything of it can be read."""

import socket
import threading

ETH_P_ALL = 3
LONGEST = 65_536
LOOK_S = 0.2


class Wire:
    """Listens at the bridge from its start to the end of a `with`. Needs root."""

    def __init__(self, switch, *words):
        """`words`: bytes that must not be seen."""
        self.packets = self.tls = 0
        self.seen = {word: 0 for word in words}
        with switch.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.settimeout(LOOK_S)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def _listen(self):
        while True:
            try:
                packet, (_, _, kind, *_) = self._socket.recvfrom(LONGEST)
            except TimeoutError:
                # What was sent before the end has been heard.
                if self._over.is_set():
                    return
                continue
            if kind == socket.PACKET_OUTGOING:
                continue  # It was heard when it came in.
            self.packets += 1
            # A TLS record of application data, wherever headers end.
            self.tls += b"\x17\x03\x03" in packet
            for word in self.seen:
                self.seen[word] += word in packet

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._socket.close()
