#!/usr/bin/env python3
"""HTTP and CIM-XML by raw sockets: statuses, CIMError headers, limits, and the rules of operations.

Whatever a client library would not send: malformed framing and XML, wrong headers, other people's
spellings of the same request, oversize and slow requests. Each row says what is sent and what the
answer must be (DSP0200 for the mapping onto HTTP, DSP0201 for the messages).
"""

import re
import sys
import threading
import time

import operation_rules
import wire
from harness import Checks, connect, options
from wire import classname, envelope, imethod, imethodcall, value

# A small request that succeeds; the reply names the namespaces.
GOOD = imethod("EnumerateInstanceNames", classname("CIM_Namespace"))
INNER = imethodcall("EnumerateInstanceNames", classname("CIM_Namespace"))

# How long a server may hold a connection whose request does not come, in seconds.
PATIENCE = 75

NOT_WELL_FORMED = "request-not-well-formed"
NOT_VALID = "request-not-valid|request-not-loosely-valid"
MISMATCH = "header-mismatch"
BAD_XML = f"{NOT_WELL_FORMED}|{NOT_VALID}"
TOO_MUCH = f"{BAD_XML}|request-with-too-many-elements"
MULTIPLE = "multiple-requests-unsupported"
VERSION = "unsupported-protocol-version"

MULTIREQ = envelope(f"<MULTIREQ>{INNER}{INNER}</MULTIREQ>")

# (what, statuses, CIMError as a pattern or None for "must be absent" or "*" for any,
#  body, changes to the request)
REFUSED = [
    # Headers of the CIM mapping.
    ("no CIMOperation", {400}, None, GOOD, {"without": ["CIMOperation"]}),
    ("an unknown CIMOperation", {400}, "unsupported-operation", GOOD, {"CIMOperation": "Dance"}),
    ("CIMProtocolVersion 2.0", {501}, VERSION, GOOD, {"CIMProtocolVersion": "2.0"}),
    ("CIMProtocolVersion '2.'", {501}, VERSION, GOOD, {"CIMProtocolVersion": "2."}),
    ("CIMProtocolVersion '1,0'", {501}, VERSION, GOOD, {"CIMProtocolVersion": "1,0"}),
    ("CIMProtocolVersion '1.a'", {501}, VERSION, GOOD, {"CIMProtocolVersion": "1.a"}),
    ("PROTOCOLVERSION 2.0 in the body", {501}, VERSION, envelope(INNER, protocol="2.0"), {}),
    ("two different protocol versions", {400}, MISMATCH, envelope(INNER, protocol="1.0"),
     {"CIMProtocolVersion": "1.1"}),
    ("CIMVERSION 3.0", {501}, "unsupported-cim-version", envelope(INNER, cim="3.0"), {}),
    ("DTDVERSION 1.0", {501}, "unsupported-dtd-version", envelope(INNER, dtd_version="1.0"), {}),
    ("no CIMMethod", {400}, MISMATCH, GOOD, {"without": ["CIMMethod"]}),
    ("another CIMMethod than in the body", {400}, MISMATCH, GOOD, {"CIMMethod": "GetClass"}),
    ("two CIMMethod", {400}, MISMATCH, GOOD, {"headers": [("CIMMethod", "GetClass")]}),
    ("no CIMObject", {400}, MISMATCH, GOOD, {"without": ["CIMObject"]}),
    ("another CIMObject than in the body", {400}, MISMATCH, GOOD, {"CIMObject": "root/standpipe"}),
    ("two CIMObject", {400}, MISMATCH, GOOD, {"headers": [("CIMObject", "interop")]}),
    ("a CIMObject with a bad escape", {400}, MISMATCH, GOOD, {"CIMObject": "inter%zzop"}),
    ("MULTIREQ", {501}, MULTIPLE, MULTIREQ,
     {"CIMBatch": "", "without": ["CIMMethod", "CIMObject"]}),
    ("MULTIREQ without CIMBatch", {400, 501}, f"{MISMATCH}|{MULTIPLE}", MULTIREQ, {}),
    ("CIMBatch without MULTIREQ", {400, 501}, f"{MISMATCH}|{MULTIPLE}", GOOD, {"CIMBatch": ""}),
    # Headers of HTTP.
    ("no Content-Type", {400, 415}, None, GOOD, {"without": ["Content-Type"]}),
    ("Content-Type text/html", {400, 415}, None, GOOD, {"Content_Type": "text/html"}),
    ("charset utf-16", {400, 415}, None, GOOD, {"Content_Type": "text/xml; charset=utf-16"}),
    ("Content-Encoding gzip", {415}, None, GOOD, {"headers": [("Content-Encoding", "gzip")]}),
    ("Expect something else", {417}, None, GOOD, {"headers": [("Expect", "a-miracle")]}),
    ("no Host", {400}, None, GOOD, {"without": ["Host"]}),
    ("no length", {411}, None, b"", {"without": ["Content-Length"]}),
    ("a length that is no number", {400}, None, GOOD, {"length": "many"}),
    ("a negative length", {400}, None, GOOD, {"length": "-5"}),
    ("a length with a sign", {400}, None, GOOD, {"length": "+900"}),
    ("a length beyond 64 bits", {400, 413}, None, GOOD, {"length": 2**64}),
    ("two different lengths", {400}, None, GOOD, {"headers": [("Content-Length", "3")]}),
    ("an unknown transfer encoding", {400, 501}, None, b"",
     {"without": ["Content-Length"], "headers": [("Transfer-Encoding", "gzip")]}),
    ("a huge length", {413}, None, b"", {"length": 10**10}),
    ("GET", {405, 501}, None, b"", {"verb": "GET"}),
    ("PUT", {405, 501}, None, GOOD, {"verb": "PUT"}),
    ("DELETE", {405, 501}, None, GOOD, {"verb": "DELETE"}),
    ("M-POST without Man", {400, 501, 510}, "*", GOOD, {"verb": "M-POST"}),
    ("M-POST with HTTP/1.0", {400}, "*", GOOD, {"verb": "M-POST", "version": "HTTP/1.0"}),
    # XML that is not well-formed.
    ("an empty body", {400}, NOT_WELL_FORMED, b"", {}),
    ("text", {400}, NOT_WELL_FORMED, b"hello", {}),
    ("a truncated document", {400}, NOT_WELL_FORMED, GOOD[:-9], {}),
    ("an unclosed element", {400}, NOT_WELL_FORMED, GOOD.replace("</SIMPLEREQ>", ""), {}),
    ("text after the document", {400}, BAD_XML, GOOD + "tail", {}),
    ("a second document", {400}, BAD_XML, GOOD + "<CIM/>", {}),
    ("a duplicate attribute", {400}, BAD_XML,
     GOOD.replace('ID="7"', 'ID="7" ID="8"'), {}),
    ("an unknown entity", {400}, BAD_XML, GOOD.replace("CIM_Namespace", "CIM_&name;"), {}),
    ("character 0", {400}, BAD_XML, GOOD.replace("CIM_Namespace", "CIM_&#0;"), {}),
    ("a surrogate", {400}, BAD_XML, GOOD.replace("CIM_Namespace", "CIM_&#xD800;"), {}),
    ("a control character", {400}, BAD_XML, GOOD.replace("CIM_Namespace", "CIM_\x01"), {}),
    ("invalid UTF-8", {400}, BAD_XML, GOOD.encode().replace(b"CIM_Namespace", b"CIM_\xff"), {}),
    ("overlong UTF-8", {400}, BAD_XML, GOOD.encode().replace(b"CIM_Namespace", b"CIM_\xc0\xaf"),
     {}),
    ("an XML declaration in the middle", {400}, BAD_XML,
     GOOD.replace("<SIMPLEREQ>", '<?xml version="1.0"?><SIMPLEREQ>'), {}),
    ("UTF-16", {400}, "*", GOOD.replace("utf-8", "utf-16").encode("utf-16"), {}),
    ("a DOCTYPE", {400}, "*", GOOD.replace("<CIM ", '<!DOCTYPE CIM SYSTEM "cim.dtd"><CIM '), {}),
    ("an entity bomb", {400}, "*", GOOD.replace(
        "<CIM ", '<!DOCTYPE CIM [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><CIM ')
     .replace("CIM_Namespace", "&b;"), {}),
    # XML that is well-formed and says nothing.
    ("another root element", {400}, NOT_VALID, "<?xml version='1.0'?><HTML/>", {}),
    ("an unknown element", {400}, NOT_VALID,
     GOOD.replace("</IMETHODCALL>", "<EXTRA/></IMETHODCALL>"), {}),
    ("a missing attribute", {400}, NOT_VALID, GOOD.replace(' NAME="ClassName"', ""), {}),
    ("elements in the wrong place", {400}, NOT_VALID,
     envelope("<SIMPLEREQ><VALUE>x</VALUE></SIMPLEREQ>"), {}),
    ("text between elements", {400}, NOT_VALID,
     GOOD.replace("<SIMPLEREQ>", "<SIMPLEREQ>words"), {}),
    ("a response as a request", {400}, NOT_VALID, envelope(
        '<SIMPLERSP><IMETHODRESPONSE NAME="EnumerateInstanceNames"></IMETHODRESPONSE>'
        "</SIMPLERSP>"), {}),
    ("two requests in one message", {400}, f"{NOT_VALID}|{MISMATCH}", envelope(INNER + INNER), {}),
    # Too much of everything.
    ("10,000 levels", {400, 413}, TOO_MUCH,
     envelope("<SIMPLEREQ>" * 10_000 + "</SIMPLEREQ>" * 10_000), {}),
    ("10,000 attributes", {400, 413}, TOO_MUCH, GOOD.replace(
        "<SIMPLEREQ>", "<SIMPLEREQ " + " ".join(f'a{n}="x"' for n in range(10_000)) + ">"), {}),
    ("300,000 elements", {400, 413}, TOO_MUCH, GOOD.replace(
        "</IMETHODCALL>", '<IPARAMVALUE NAME="x"/>' * 300_000 + "</IMETHODCALL>"), {}),
    ("an attribute of 3 MB", {400, 413}, TOO_MUCH,
     GOOD.replace("CIM_Namespace", "C" * 3_000_000), {}),
]

# (what, body, changes): other spellings of the good request, each answered as the good one is.
ACCEPTED = [
    ("as it is", GOOD, {}),
    ("any path", GOOD, {"path": "/"}),
    ("another path", GOOD, {"path": "/some/where?x=y"}),
    ("text/xml", GOOD, {"Content_Type": "text/xml"}),
    ("charset UTF-8 without quotes", GOOD, {"Content_Type": "application/xml;charset=UTF-8"}),
    ("Content-Type in capitals", GOOD, {"Content_Type": "APPLICATION/XML"}),
    ("CIMProtocolVersion 1.0", GOOD, {"CIMProtocolVersion": "1.0"}),
    ("CIMOperation in lower case", GOOD, {"CIMOperation": "methodcall"}),
    ("header names in lower case", GOOD,
     {"without": ["CIMMethod", "CIMObject"],
      "headers": [("cimmethod", "EnumerateInstanceNames"), ("cimobject", "interop")]}),
    ("CIMMethod in another case", GOOD, {"CIMMethod": "enumerateinstancenames"}),
    ("CIMObject in another case", GOOD, {"CIMObject": "InterOp"}),
    ("CIMObject percent-encoded", GOOD, {"CIMObject": "%69nterop"}),
    ("the alias", imethod("EnumerateInstanceNames", classname("CIM_Namespace"), "root/interop"),
     {"CIMObject": "root%2Finterop"}),
    ("a namespace in one element", imethod(
        "EnumerateInstanceNames", classname("CIM_Namespace")).replace(
            '<NAMESPACE NAME="interop"/>', '<NAMESPACE NAME="root/interop"/>'),
     {"CIMObject": "root/interop"}),
    ("a class name in another case", GOOD.replace("CIM_Namespace", "cim_NAMESPACE"), {}),
    ("a namespace in another case", GOOD.replace('"interop"', '"INTEROP"'), {}),
    ("a byte-order mark", b"\xef\xbb\xbf" + GOOD.encode(), {}),
    ("no XML declaration", envelope(INNER, declaration=""), {}),
    ("comments", GOOD.replace("<SIMPLEREQ>", "<!-- a --><SIMPLEREQ><!-- b -->"), {}),
    ("a processing instruction", GOOD.replace("<SIMPLEREQ>", "<?a b?><SIMPLEREQ>"), {}),
    ("white space", GOOD.replace("><", ">\n\t <"), {}),
    ("single quotes", GOOD.replace('"', "'"), {}),
    ("versions 2.4, 2.4, 1.4", envelope(INNER, cim="2.4", dtd_version="2.4", protocol="1.4"), {}),
    ("a boolean in capitals", imethod(
        "EnumerateInstances", classname("CIM_Namespace") + value("LocalOnly", "FALSE")),
     {"method": "EnumerateInstances"}),
    ("a boolean in CDATA", imethod(
        "EnumerateInstances", classname("CIM_Namespace")
        + wire.iparam("DeepInheritance", "<VALUE><![CDATA[true]]></VALUE>")),
     {"method": "EnumerateInstances"}),
    ("chunks", b"".join(
        f"{len(part):X};ext=1\r\n".encode() + part + b"\r\n"
        for part in [GOOD.encode()[:100], GOOD.encode()[100:]]) + b"0\r\n\r\n",
     {"without": ["Content-Length"], "headers": [("Transfer-Encoding", "chunked")]}),
    ("chunks, and a length that they overrule (RFC 9112 section 6.3)",
     f"{len(GOOD):X}\r\n{GOOD}\r\n0\r\n\r\n",
     {"length": 3, "headers": [("Transfer-Encoding", "chunked")]}),
    ("HTTP/1.0", GOOD, {"version": "HTTP/1.0"}),
    ("TE: trailers", GOOD, {"headers": [("TE", "trailers")]}),
    ("Accept-Encoding gzip", GOOD, {"headers": [("Accept-Encoding", "gzip, deflate")]}),
    ("Accept-Language", GOOD, {"headers": [("Accept-Language", "de"), ("Accept", "text/html")]}),
]

MAN = "http://www.dmtf.org/cim/mapping/http/v1.0"


def refusals(checks, server):
    """Every row of REFUSED; no refusal has an XML body, and the server answers on."""
    for what, statuses, cim_error, body, changes in REFUSED:
        try:
            reply = server.ask(body, **changes)
        except (EOFError, TimeoutError) as error:
            checks.that(False, f"{what} gets a status", repr(error))
            continue
        given = reply.header("CIMError")
        agrees = cim_error == "*" or (given is None if cim_error is None
                                      else re.fullmatch(cim_error, given or ""))
        if statuses == {400, 413} and reply.status == 413:
            agrees = True
        checks.that(reply.status in statuses and agrees, f"{what} is {sorted(statuses)}",
                    f"expected {cim_error}, got {reply}")
        checks.that(b"<CIM" not in reply.body and reply.reason,
                    f"{what}: a reason phrase and no XML", str(reply))


def spellings(checks, server):
    """Every row of ACCEPTED gets an answer, valid and with the headers that clients want."""
    for what, body, changes in ACCEPTED:
        changes = {"method": "EnumerateInstanceNames", **changes}
        reply = server.ask(body, **changes)
        if not checks.that(reply.status == 200 and reply.error_code == 0, f"accepted: {what}",
                           str(reply)):
            continue
        wrong = wire.faults(reply)
        checks.that(not wrong and b"interop" in reply.body, f"{what}: the reply is valid",
                    "; ".join(wrong))
        checks.that((reply.header("Content-Type") or "").startswith(("application/xml", "text/xml"))
                    and reply.header("CIMOperation") == "MethodResponse"
                    and reply.header("Content-Encoding") is None,
                    f"{what}: headers of a CIM response", str(reply.headers))


def echoes(checks, server):
    """What the reply repeats of the request."""
    for text in ("4711", "", "a<b>&\"c'", "\u00e4\u20ac", "x" * 100):
        reply = server.ask(envelope(INNER, message_id=text))
        root = wire.dtd.etree.fromstring(reply.body)
        checks.equal(root.find("MESSAGE").get("ID"), text, f"MESSAGE ID {text[:10]!r} is echoed")
    reply = server.ask(GOOD.replace("EnumerateInstanceNames", "enumerateINSTANCEnames"),
                       method="enumerateINSTANCEnames")
    checks.that(b'<IMETHODRESPONSE NAME="enumerateINSTANCEnames"' in reply.body,
                "the operation's name is echoed in its spelling", str(reply))


def credentials(checks, server):
    """No, wrong and malformed credentials; before the body is looked at."""
    attempts = [
        ("no credentials", None),
        ("a wrong password", "Basic YWRtaW46bm90aGluZw=="),
        ("an unknown user", "Basic bm9ib2R5OnNlY3JldA=="),
        ("an empty user and password", "Basic Og=="),
        ("no colon", "Basic YWRtaW4="),
        ("bad base64", "Basic !!!!"),
        ("nothing after Basic", "Basic"),
        ("another scheme", "Bearer abc"),
        ("100 kB of credentials", "Basic " + "A" * 100_000),
    ]
    for what, header in attempts:
        changes = {"without": ["Authorization"]} if header is None else {"Authorization": header}
        for body in (GOOD, b"<not xml"):
            reply = server.ask(body, **changes)
            long = len(header or "") > 10_000
            checks.that(reply.status == 401 or long and reply.status in (400, 431),
                        f"{what}: 401", str(reply))
            if reply.status == 401:
                checks.that((reply.header("WWW-Authenticate") or "").startswith("Basic realm="),
                            f"{what}: Basic is asked for", str(reply.headers))
    scheme = server.authorization.replace("Basic", "basic")
    checks.equal(server.ask(GOOD, Authorization=scheme).status, 200, "the scheme in lower case")
    with server.connect() as connection:
        connection.send(server.request(b"", length=1_000_000, without=["Authorization"]))
        checks.equal(connection.read().status, 401, "401 comes before the body does")


def extension_framework(checks, server):
    """M-POST with the mandatory extension declared."""
    for man, prefix in ((f"{MAN} ; ns=42", "42"), (f'"{MAN}";ns=07', "07"), (f"{MAN};ns=73", "73")):
        reply = server.ask(
            GOOD, verb="M-POST", without=["CIMOperation", "CIMMethod", "CIMObject"],
            headers=[("Man", man), (f"{prefix}-CIMOperation", "MethodCall"),
                     (f"{prefix}-CIMMethod", "EnumerateInstanceNames"),
                     (f"{prefix}-CIMObject", "interop"),
                     (f"{prefix}-CIMProtocolVersion", "1.0")])
        checks.that(reply.status == 200 and reply.error_code == 0, f"M-POST with {man}", str(reply))
        answer = re.search(r"ns=(\d\d)", reply.header("Man") or "")
        checks.that(reply.header("Ext") == "" and answer
                    and reply.header(f"{answer and answer.group(1)}-CIMOperation")
                    == "MethodResponse", "its response is an extended one", str(reply.headers))
    reply = server.ask(GOOD, verb="M-POST", headers=[("Man", "http://example.org/other; ns=11")])
    checks.that(reply.status in (400, 501, 510), "another mandatory extension", str(reply))


def connections(checks, server):
    """Keep-alive, pipelining, interim responses, and what is not HTTP at all."""
    with server.connect() as connection:
        for turn in ("first", "second", "third"):
            connection.send(server.request(GOOD))
            checks.equal(connection.read().status, 200, f"{turn} request on one connection")
        connection.send(server.request(GOOD) + server.request(GOOD))
        checks.equal((connection.read().status, connection.read().status), (200, 200),
                     "two requests at once")
        connection.send(server.request(imethod("Nothing"), method="Nothing"))
        checks.equal(connection.read().error_code, 7, "a CIM error")
        connection.send(server.request(GOOD, headers=[("Connection", "close")]))
        checks.that(connection.read().status == 200 and connection.closed(),
                    "Connection: close is honoured")
    with server.connect() as connection:
        head, body = server.request(GOOD, headers=[("Expect", "100-continue")]).split(
            b"\r\n\r\n", 1)
        connection.send(head + b"\r\n\r\n")
        checks.equal(connection.read().status, 100, "Expect: 100-continue is answered")
        connection.send(body)
        checks.equal(connection.read().status, 200, "and the request then")
    strange = [
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500),
        ("HTTP/0.9", b"GET /\r\n\r\n"),
        ("noise", bytes(range(256)) * 40),
        ("a NUL in a header", b"POST / HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
        ("a header of 1 MB", b"POST / HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n"),
        ("2,000 headers", b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 2_000 + b"\r\n"),
    ]
    for what, data in strange:
        with server.connect() as connection:
            connection.send(data)
            try:
                status = connection.read().status
                ended = connection.closed()
            except TimeoutError:
                status, ended = None, False
            except (EOFError, ValueError):
                status, ended = None, True
            checks.that(ended and (status is None or 400 <= status < 600),
                        f"{what} is refused and the connection closed", str(status))
    checks.equal(server.ask(GOOD).status, 200, "after all that the server still answers")


def oversize(checks, server):
    """More than a request may be, announced or not."""
    with server.connect() as connection:
        connection.send(server.request(b"", length=100_000_000))
        checks.equal(connection.read().status, 413, "an announced 100 MB: 413 before the body")
    with server.connect() as connection:
        connection.send(server.request(b"", without=["Content-Length"],
                                       headers=[("Transfer-Encoding", "chunked")]))
        block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        connection.socket.settimeout(5)
        try:
            for _ in range(200):
                connection.socket.sendall(block)
        except OSError:
            pass  # refused while it was being sent, as it should be
        else:
            checks.that(False, "200 MB in chunks are refused before their end")
            return
        try:
            status = connection.read().status
        except (EOFError, OSError):
            status = 413  # closed under the sender; the status did not survive the reset
        checks.equal(status, 413, "200 MB in chunks are refused before their end")


def slow(server, found):
    """Requests that never end, waited for beside the rest; `found` collects what became of them."""
    request = server.request(GOOD)
    starts = {
        "nothing": b"",
        "half a request line": b"POST /ci",
        "half a header": request[:60],
        "half a body": request[:-20],
        "an endless chunked body": server.request(
            b"5\r\n<?xml\r\n", without=["Content-Length"],
            headers=[("Transfer-Encoding", "chunked")]),
    }
    waiting = []
    for what, data in starts.items():
        connection = server.connect(timeout=PATIENCE)
        connection.send(data)
        waiting.append((what, connection, time.monotonic()))

    def wait(what, connection, started):
        with connection:
            try:
                status = connection.read().status
                ended = connection.closed()
            except EOFError:
                status, ended = None, True
            except OSError:
                status, ended = None, False
            found.append((what, ended and status in (None, 408), status,
                          time.monotonic() - started))

    threads = [threading.Thread(target=wait, args=each, daemon=True) for each in waiting]
    for thread in threads:
        thread.start()
    return threads


def main():
    chosen = options(__doc__)
    checks = Checks("protocol", chosen.verbose)
    servers = [wire.Server(url, chosen.user, chosen.password) for url in chosen.urls]
    late = []
    threads = [thread for server in servers for thread in slow(server, late)]
    for server in servers:
        checks.section(server.url)
        for part in (spellings, echoes, refusals, credentials, extension_framework, connections,
                     oversize):
            checks.step(part, checks, server)
        connection = connect(chosen, server.url)
        checks.step(operation_rules.run, checks, connection, server)
        checks.valid_replies(connection)
    checks.section("requests that never end")
    for thread in threads:
        thread.join(PATIENCE + 5)
    checks.equal(len(late), len(threads), "all unfinished requests were ended")
    for what, good, status, seconds in late:
        checks.that(good, f"a request with {what} is ended",
                    f"status {status} after {seconds:.0f} s")
        if checks.verbose:
            print(f"  {what}: ended after {seconds:.1f} s with {status or 'no status'}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
