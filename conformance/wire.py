"""A raw HTTP/1.1 client for CIM-XML: it sends exactly the bytes that a test asks for."""

import base64
import contextlib
import re
import socket
import ssl
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

import dtd

TIMEOUT = 20.0


class Reply:
    """One HTTP response, read to its end."""

    def __init__(self, status, reason, headers, body):
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

    def all(self, name):
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The first value of a header, or None."""
        return next(iter(self.all(name)), None)

    @property
    def error_code(self):
        """The CODE of the ERROR element as a number; 0 when there is none, None without XML."""
        if not self.body.startswith(b"<?xml"):
            return None
        match = re.search(rb'<ERROR CODE="(\d+)"', self.body)
        return int(match.group(1)) if match else 0

    def __str__(self):
        return f"{self.status} {self.reason} CIMError={self.header('CIMError')} {self.body[:300]!r}"


class Connection:
    """One connection to the server under test."""

    def __init__(self, url, timeout=TIMEOUT):
        parts = urlsplit(url)
        self.host = f"{parts.hostname}:{parts.port}"
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Send bytes; a server that has already answered and closed is not an error here."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        if not data:
            raise EOFError("the connection ended")
        self.pending += data

    def _line(self):
        while b"\r\n" not in self.pending:
            self._more()
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _bytes(self, count):
        while len(self.pending) < count:
            self._more()
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def read(self):
        """Read one response; interim responses (1xx) are returned as they come."""
        version, status, *reason = self._line().split(" ", 2)
        if not version.startswith("HTTP/1."):
            raise ValueError(f"no HTTP status line: {version}")
        headers = []
        while line := self._line():
            name, value = line.split(":", 1)
            headers.append((name, value.strip()))
        reply = Reply(int(status), "".join(reason), headers, b"")
        if reply.status < 200 or reply.status in (204, 304):
            return reply
        if (reply.header("Transfer-Encoding") or "").lower() == "chunked":
            while size := int(self._line().split(";")[0], 16):
                reply.body += self._bytes(size)
                self._bytes(2)
            while self._line():
                pass
        elif reply.header("Content-Length") is not None:
            reply.body = self._bytes(int(reply.header("Content-Length")))
        else:
            try:
                while True:
                    self._more()
            except EOFError:
                reply.body, self.pending = self.pending, b""
        return reply

    def closed(self):
        """Whether the server has closed; waits up to the timeout of the socket."""
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


class Server:
    """A URL and credentials, and how requests to it are put together."""

    def __init__(self, url, user, password):
        self.url = url
        self.user = user
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def connect(self, timeout=TIMEOUT):
        """A new connection."""
        return Connection(self.url, timeout)

    def request(self, body, method="EnumerateInstanceNames", target="interop", verb="POST",
                path="/cimom", version="HTTP/1.1", length=None, without=(), headers=(), **changes):
        """The bytes of one request. `without` drops headers, `headers` adds, `changes` replaces.

        In `changes` a header is named with underscores: `Content_Type="text/html"`.
        """
        body = body.encode("utf-8") if isinstance(body, str) else body
        fields = {
            "Host": urlsplit(self.url).netloc,
            "Authorization": self.authorization,
            "Content-Type": 'application/xml; charset="utf-8"',
            "Content-Length": str(len(body) if length is None else length),
            "CIMOperation": "MethodCall",
            "CIMMethod": method,
            "CIMObject": target,
        }
        fields |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{verb} {path} {version}"]
        lines += [f"{name}: {value}" for name, value in fields.items() if name not in without]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def ask(self, body, **keywords):
        """Send one request on a connection of its own and read the answer."""
        with self.connect() as connection:
            connection.send(self.request(body, **keywords))
            reply = connection.read()
            while reply.status < 200:
                reply = connection.read()
            return reply

    def call(self, operation, parameters="", namespace="interop", **keywords):
        """An intrinsic operation with its parameters as XML text."""
        return self.ask(imethod(operation, parameters, namespace), method=operation,
                        target=namespace, **keywords)


def envelope(content, cim="2.0", dtd_version="2.0", protocol="1.0", message_id="7",
             declaration='<?xml version="1.0" encoding="utf-8"?>\n'):
    """A CIM-XML message around what stands in MESSAGE."""
    return (f'{declaration}<CIM CIMVERSION="{cim}" DTDVERSION="{dtd_version}">'
            f'<MESSAGE ID={quoteattr(message_id)} PROTOCOLVERSION="{protocol}">{content}'
            f"</MESSAGE></CIM>")


def imethodcall(operation, parameters="", namespace="interop"):
    """A SIMPLEREQ with an intrinsic operation."""
    parts = "".join(f'<NAMESPACE NAME="{part}"/>' for part in namespace.split("/"))
    return (f'<SIMPLEREQ><IMETHODCALL NAME="{operation}"><LOCALNAMESPACEPATH>{parts}'
            f"</LOCALNAMESPACEPATH>{parameters}</IMETHODCALL></SIMPLEREQ>")


def imethod(operation, parameters="", namespace="interop", **keywords):
    """A whole message with an intrinsic operation."""
    return envelope(imethodcall(operation, parameters, namespace), **keywords)


def iparam(name, content):
    """A parameter of an intrinsic operation with XML content."""
    return f'<IPARAMVALUE NAME="{name}">{content}</IPARAMVALUE>'


def value(name, text):
    """A parameter with a simple value."""
    return iparam(name, f"<VALUE>{escape(str(text))}</VALUE>")


def classname(name, parameter="ClassName"):
    """The parameter that names a class."""
    return iparam(parameter, f'<CLASSNAME NAME="{name}"/>')


def instancename(path, parameter="InstanceName", keyvalue=None):
    """The parameter that names an instance whose keys are strings."""
    return iparam(parameter, instance_name(path, keyvalue))


def instance_name(path, keyvalue=None):
    """INSTANCENAME of a pywbem path; `keyvalue` formats one key's value (escaped text)."""
    keyvalue = keyvalue or '<KEYVALUE VALUETYPE="string" TYPE="string">{}</KEYVALUE>'.format
    keys = "".join(f'<KEYBINDING NAME="{name}">{keyvalue(escape(text))}</KEYBINDING>'
                   for name, text in path.keybindings.items())
    return f'<INSTANCENAME CLASSNAME="{path.classname}">{keys}</INSTANCENAME>'


def faults(reply):
    """What is wrong with a successful reply as a CIM-XML message."""
    return dtd.faults(reply.body) + [
        f"{name} is written self-closed, which wbemcli does not read"
        for name in sorted({
            match.decode() for match in re.findall(
                rb"<(IMETHODRESPONSE|METHODRESPONSE|IRETURNVALUE|VALUE|VALUE\.ARRAY|KEYVALUE"
                rb"|PROPERTY(?:\.\w+)?|PARAMETER(?:\.\w+)?|METHOD)(?:\s[^>]*)?/>", reply.body)
        })
    ]
