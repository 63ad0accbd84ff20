"""Network namespaces as pods: each with an own address, IPv4 and IPv6, on one bridge that stands in a namespace of its own.

They have no names: a namespace lives as long as a process that this one holds by a pipe, so the kernel takes away whatever was
made, addresses and rules included, however the program ends. Networks know nothing of one another; all of them use the same
addresses, and several stand side by side. It needs root.

Wherever a process is started or a socket opened, it can be done in a pod:

    with Network() as network:
        cart = network.pod("cart")
        with cart.inside():
            sidecar = Sidecar(...)
        cart.run("ip", "addr")
"""

import contextlib
import ctypes
import ipaddress
import os
import pathlib
import socket
import subprocess
import tempfile

CLONE_NEWNET = 0x40000000
NETWORK_IPV4 = ipaddress.ip_network("10.77.0.0/16")
NETWORK_IPV6 = ipaddress.ip_network("fd77::/64")
COMMAND_LIMIT_S = 30
_libc = ctypes.CDLL(None, use_errno=True)

# Ends when our end of its input is closed: by close(), or by the kernel once we are gone, and then with all that runs there.
HOLDER = """
mount --bind "$0" /etc/resolv.conf && mount --bind "$1" /etc/hosts && ip link set lo up && echo ready || exit
read -r word
[ "$word" = closed ] && exit
for process in /proc/[0-9]*; do
  [ "$process" != /proc/$$ ] && [ "$process/ns/net" -ef /proc/$$/ns/net ] && kill -KILL "${process#/proc/}"
done
"""


def are_possible():
    """Whether this process may make network namespaces."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode == 0


class Namespace:
    """A network namespace, and a mount namespace whose /etc/resolv.conf and /etc/hosts are files of its own."""

    def __init__(self, name):
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix=f"weft-{name}-")
        self.resolv_conf = pathlib.Path(self._folder.name) / "resolv.conf"
        self.resolv_conf.write_text("")
        self.hosts = pathlib.Path(self._folder.name) / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
        self._children = []
        self._holder = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", HOLDER, str(self.resolv_conf), str(self.hosts)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self._holder.stdout.readline() != b"ready\n":
            message = self._holder.stderr.read().decode()
            self.close()
            raise AssertionError(f"no network namespace could be made: {message}")
        self._file = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def pid(self):
        """Of a process that is in it."""
        return self._holder.pid

    def command(self, *arguments, uid=None):
        """What runs a program in it, perhaps as another user and group."""
        switch = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"] if uid is not None else []
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", *switch, *map(str, arguments)]

    def popen(self, *arguments, uid=None, **options):
        """Starts a program in it, which is killed when the namespace is closed if it runs then. The caller reads its pipes."""
        process = subprocess.Popen(self.command(*arguments, uid=uid), **{"stdin": subprocess.DEVNULL, **options})
        self._children.append(process)
        return process

    def run(self, *arguments, uid=None, check=True, **options):
        """Runs a program in it to its end; the CompletedProcess, with its output as text."""
        done = subprocess.run(self.command(*arguments, uid=uid), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=COMMAND_LIMIT_S, **{"stdin": None if "input" in options else subprocess.DEVNULL, **options})
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in this network meanwhile: sockets that it opens, and threads and processes that it starts, stay
        there. Files, /etc/resolv.conf among them, are those of the host."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter(self._file)
            try:
                yield self
            finally:
                self._enter(before)
        finally:
            os.close(before)

    @staticmethod
    def _enter(file):
        if _libc.setns(file, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def connect(self, address, timeout_s=10, **options):
        """A TCP connection from here to (host, port)."""
        with self.inside():
            return socket.create_connection(address, timeout_s, **options)

    def listen(self, port, host="::"):
        """A listening socket, by default for IPv4 and IPv6 alike."""
        with self.inside():
            if ":" in host:
                return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=host == "::")
            return socket.create_server((host, port))

    def close(self):
        for process in self._children:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._children.clear()
        if self._holder.poll() is None:
            self._holder.stdin.write(b"closed\n")
        for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            stream.close()
        self._holder.wait()
        if hasattr(self, "_file"):
            os.close(self._file)
            del self._file
        self._folder.cleanup()


class Pod(Namespace):
    """A namespace with a link eth0 to the bridge. What is beyond the network answers as unreachable, at once."""

    def __init__(self, name, number):
        super().__init__(name)
        self.number = number
        self.ipv4 = str(NETWORK_IPV4[number])
        self.ipv6 = str(NETWORK_IPV6[number])


class Network:
    """Pods and the bridge between them. End it by close(), or use it as a context manager."""

    # As the address of the bridge; pods follow.
    GATEWAY = 1

    def __init__(self):
        self.pods = {}
        self.switch = Namespace("switch")
        self._next = self.GATEWAY + 1
        try:
            self._ip(f"link add br0 type bridge\nlink set br0 up\naddr add {NETWORK_IPV4[1]}/16 dev br0\n"
                     f"addr add {NETWORK_IPV6[1]}/64 dev br0 nodad\n")
            # So that the bridge says of other addresses that they are unreachable, and connections need not run into a timeout.
            self.switch.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward && echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        except BaseException:
            self.close()
            raise

    def pod(self, name):
        """A new pod; the name is for messages, and the key in `pods`."""
        pod = Pod(name, self._next)
        self.pods[name] = pod
        self._next += 1
        link = f"to{pod.number}"
        # The address is given before the peer comes up, and nodad spares the second in which IPv6 could not be used.
        self._ip(f"link add {link} type veth peer name eth0 netns {pod.pid}\nlink set {link} master br0\nlink set {link} up\n")
        pod.run("ip", "-batch", "-", input=f"addr add {pod.ipv4}/16 dev eth0\naddr add {pod.ipv6}/64 dev eth0 nodad\nlink set eth0 up\n"
                                           f"route add default via {NETWORK_IPV4[1]}\nroute add default via {NETWORK_IPV6[1]} dev eth0\n")
        return pod

    def _ip(self, batch):
        self.switch.run("ip", "-batch", "-", input=batch)

    def close(self):
        for pod in self.pods.values():
            pod.close()
        self.pods.clear()
        self.switch.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
