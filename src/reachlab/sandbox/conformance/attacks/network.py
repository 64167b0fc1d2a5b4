"""Reaching anything over a socket: the harness really listens at the other end."""

from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.judges import harms, leaks

_network = maker("network")

_CONNECT = """
import socket
with socket.socket({family}, socket.SOCK_STREAM, {protocol}) as connection:
    connection.settimeout(1)
    connection.connect({address})
    connection.sendall(b"@mark@")
"""


def _connect(family: str, address: str, protocol: int = 0) -> str:
    return _CONNECT.format(family=f"socket.{family}", address=address, protocol=protocol)


def _socket(arguments: str) -> str:
    return f"""
import errno, socket
try:
    socket.socket({arguments}).close()
    through("the socket was made")
except OSError as error:
    (absent if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT) else denied)(error.strerror)
"""


ATTACKS = (
    _network("tcp", "connects to a server on the host's loopback", _connect("AF_INET", '("127.0.0.1", @tcp_port@)'),
             judge=harms),
    _network("tcp6", "the same over IPv6", _connect("AF_INET6", '("::1", @tcp6_port@)'), judge=harms, needs="IPv6"),
    _network("tcp-out", "connects to the machine's outer address", _connect("AF_INET", '("@own_address@", @own_port@)'),
             judge=harms, needs="an address beside loopback"),
    _network("multipath-tcp", "connects with a protocol that rules about TCP forget",
             _connect("AF_INET", '("127.0.0.1", @tcp_port@)', 262), judge=harms, needs="MPTCP"),
    _network("fast-open", "connects by sending, without connect()", """
import socket
with socket.socket() as connection:
    connection.sendto(b"@mark@", 0x20000000, ("127.0.0.1", @tcp_port@))
""", judge=harms, needs="TCP fast open"),
    _network("udp", "sends a datagram to the host's loopback", """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"@mark@", ("127.0.0.1", @udp_port@))
""", judge=harms),
    _network("unix", "connects to a socket in the host's file system", _connect("AF_UNIX", '"@unix@"'), judge=harms),
    _network("unix-datagram", "sends to a socket in the host's file system", """
import socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"@mark@", "@unix_datagram@")
""", judge=harms),
    _network("abstract", "connects to an abstract socket of the host", _connect("AF_UNIX", r'"\0@abstract@"'),
             judge=harms),
    _network("shell-tool", "connects with a program of the image", """
for tool in nc curl wget bash python3; do command -v "$tool"; done
bash -c 'echo @mark@ > /dev/tcp/127.0.0.1/@tcp_port@' || curl -m 1 "http://127.0.0.1:@tcp_port@/@mark@"
python3 -c 'import socket; socket.create_connection(("127.0.0.1", @tcp_port@)).sendall(b"@mark@")'
""", judge=harms, language="shell"),
    _network("names", "lists the sockets of the host", 'peek("/proc/net/unix")', judge=leaks("name")),
    _network("raw", "opens a raw socket", _socket("socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP"),
             needs="root"),
    _network("packet", "opens a packet socket", _socket("socket.AF_PACKET, socket.SOCK_RAW, 768"), needs="root"),
    _network("netlink", "opens a netlink socket", _socket("socket.AF_NETLINK, socket.SOCK_RAW, 0")),
    _network("audit", "opens the kernel's audit socket", _socket("socket.AF_NETLINK, socket.SOCK_RAW, 9"),
             needs="a kernel with audit"),
    _network("vsock", "opens a socket to the hypervisor", _socket("40, socket.SOCK_STREAM"), needs="a virtual machine"),
    _network("crypto", "opens a socket to the kernel's crypto code", _socket("38, socket.SOCK_SEQPACKET"),
             needs="AF_ALG"),
)  # fmt: skip
