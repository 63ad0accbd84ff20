"""Raw-byte cases of what a backend answers: framing, interim responses, tunnels, and replies that would desync a proxy."""

from tests.conformance.http1_case import BAD_GATEWAY, Answer, Arrives, Case, request, response
from tests.integration.harness.backend import Reply

SPLIT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSPLIT"
GET = [Arrives("GET / HTTP/1.1")]
WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def bad(name, source, reply, **more):
    """A reply that cannot be trusted: the client gets the proxy's own 502, nothing of the reply, and may go on."""
    if not isinstance(reply, Reply):
        reply = Reply(reply, then="close")
    # More than once: a kept connection that closes unanswered is the keep-alive race, and the request goes to a new one.
    return Case(name, source, request(), answers=(BAD_GATEWAY,), replies=(reply,) * 8, then=None, **more)


def good(name, source, reply, *answers, **more):
    return Case(name, source, request(), answers=answers, replies=(reply,), arrives=GET, **more)


FRAMING = [
    good("a body by Content-Length", "9112 6.2", response(fields="Content-Length: 3", body=b"one"), Answer(200, body=b"one")),
    good("a chunked body", "9112 7.1", response(fields="Transfer-Encoding: chunked", body=b"3\r\none\r\n3;x=y\r\ntwo\r\n0\r\n\r\n"), Answer(200, body=b"onetwo")),
    good("trailers end a chunked body", "9112 7.1.2", response(fields="Transfer-Encoding: chunked", body=b"3\r\none\r\n0\r\nX-Sum: 1\r\n\r\n"),
         Answer(200, body=b"one")),
    good("a body that ends with the connection", "9112 6.3", Reply(response(fields="Connection: close", body=b"until the end"), then="close"),
         Answer(200, body=b"until the end")),
    good("an HTTP/1.0 answer", "9112 2.3", Reply(response(version="HTTP/1.0", body=b"old"), then="close"), Answer(200, body=b"old")),
    good("an answer without a reason", "9112 4", b"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\none", Answer(200, body=b"one")),
    good("an answer of no bytes", "9112 6.2", response(fields="Content-Length: 0"), Answer(200, body=b"")),
    good("a status that nobody knows", "9110 15", response("299 Odd", "Content-Length: 3", b"one"), Answer(299, body=b"one")),
    good("204 has no body", "9112 6.3", response("204 No Content"), Answer(204, lacks=("transfer-encoding", "content-length"))),
    good("304 has no body whatever its length says", "9112 6.3", response("304 Not Modified", "Content-Length: 5"), Answer(304)),
    good("304 has no body whatever its coding says", "9112 6.3", response("304 Not Modified", "Transfer-Encoding: chunked"), Answer(304)),
    Case("HEAD has no body whatever its coding says", "9112 6.3", request("HEAD"), answers=(200,), methods=("HEAD",),
         replies=(response(fields="Transfer-Encoding: chunked"),)),
    Case("HEAD keeps the length that GET would have", "9110 9.3.2", request("HEAD"), answers=(Answer(200, has={"content-length": "12345"}),), methods=("HEAD",),
         replies=(response(fields="Content-Length: 12345"),)),
    good("Connection: close of the backend is not the client's", "9112 9.6", Reply(response(fields="Content-Length: 3\r\nConnection: close", body=b"one"), then="close"),
         Answer(200, body=b"one", lacks=("connection",))),
    good("Keep-Alive of the backend ends at this hop", "9110 7.6.1", response(fields="Content-Length: 3\r\nKeep-Alive: timeout=5", body=b"one"),
         Answer(200, body=b"one", lacks=("keep-alive",))),
    good("two Set-Cookies stay two", "9110 5.3", response(fields="Content-Length: 0\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2"), Answer(200, has={"set-cookie": "a=1, b=2"})),
    Case("an answer before the body has come", "9112 9.5", request("POST", "/", "Content-Length: 100", b"only the beginning"),
         answers=(413,), replies=(Reply(response("413 Content Too Large", "Content-Length: 0"), whole=False, then="close"),), then=None),
]

INTERIM = [
    good("103 goes on or is left out, the answer comes", "9110 15.2", response("103 Early Hints", "Link: </a.css>") + response(fields="Content-Length: 3", body=b"one"),
         Answer(200, body=b"one", interim=([], [103]))),
    good("100 that nobody asked for", "9110 15.2.1", response("100 Continue") + response(fields="Content-Length: 3", body=b"one"),
         Answer(200, body=b"one", interim=([], [100]))),
    good("several interim answers", "9110 15.2", response("102 Processing") + response("103 Early Hints") * 2 + response(fields="Content-Length: 3", body=b"one"),
         Answer(200, body=b"one")),
    good("an interim answer that comes alone, then the rest", "9110 15.2", Reply(response(fields="Content-Length: 3", body=b"one"), on_head=response("103 Early Hints")),
         Answer(200, body=b"one")),
    bad("101 that nobody asked for", "9110 15.2.2", Reply(response("101 Switching Protocols", "Connection: Upgrade\r\nUpgrade: websocket"), then="close")),
    good("ten interim answers", "9110 15.2", response("103 Early Hints") * 10 + response(fields="Content-Length: 3", body=b"one"), Answer(200, body=b"one")),
]

DESYNC = [
    bad("Transfer-Encoding with Content-Length", "9112 6.3", response(fields="Content-Length: 3\r\nTransfer-Encoding: chunked", body=b"0\r\n\r\n")),
    bad("two lengths that differ", "9112 6.3", response(fields="Content-Length: 3\r\nContent-Length: 4", body=b"four")),
    bad("a list of lengths that differ", "9112 6.3", response(fields="Content-Length: 3, 4", body=b"four")),
    bad("a negative length", "9112 6.3", response(fields="Content-Length: -1", body=b"")),
    bad("a length with a plus", "9112 6.3", response(fields="Content-Length: +3", body=b"one")),
    bad("a length that is no number", "9112 6.3", response(fields="Content-Length: three", body=b"one")),
    bad("a length beyond 64 bits", "9112 6.3", response(fields="Content-Length: 18446744073709551619", body=b"one")),
    bad("chunked is not last", "9112 6.3", response(fields="Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n")),
    bad("chunked twice", "9112 6.1", response(fields="Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n")),
    bad("white space before the colon of Transfer-Encoding", "9112 5.1", response(fields="Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    bad("a NUL in a value", "9110 5.5", response(fields="Content-Length: 0\r\nX-A: a\0b")),
    bad("a bare CR in a value", "9110 5.5", response(fields="Content-Length: 0\r\nX-A: a\rX-B: b")),
    bad("a control character in a value", "9110 5.5", response(fields="Content-Length: 0\r\nX-A: a\x01b")),
    bad("a field line without a colon", "9112 5", response(fields="Content-Length: 0\r\nbroken")),
    bad("a name with a space", "9110 5.1", response(fields="Content-Length: 0\r\nX A: b")),
    bad("lines that end with a bare LF", "9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 3\n\none"),
    bad("a head of 300 KiB", "9110 5.4", response(fields="Content-Length: 0\r\nX-A: " + "a" * 307200)),
    bad("no status line at all", "9112 4", b"hello\r\n\r\n"),
    bad("a status of two digits", "9112 4", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    bad("a status of four digits", "9112 4", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    bad("a status that is no number", "9112 4", b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),
    bad("a status below 100", "9110 15", b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"),
    bad("HTTP/2 as text", "9112 2.3", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    bad("another protocol", "9112 4", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    bad("the connection closes before the first byte", "9112 9.6", Reply(b"", then="close")),
    bad("the connection is reset before the first byte", "9112 9.6", Reply(b"", then="reset")),
    bad("the connection closes within the head", "9112 8", Reply(b"HTTP/1.1 200 OK\r\nContent-Le", then="close")),
    Case("a body shorter than its length is not passed off as whole", "9112 8", request(), answers=(Answer(200, complete=False),), then="closes",
         replies=(Reply(response(fields="Content-Length: 10", body=b"short"), then="close"),)),
    Case("a chunked body without its end is not passed off as whole", "9112 8", request(), answers=(Answer(200, complete=False),), then="closes",
         replies=(Reply(response(fields="Transfer-Encoding: chunked", body=b"5\r\nshort\r\n"), then="close"),)),
    Case("a broken chunk size is not passed off as a whole body", "9112 7.1", request("GET", "/broken"), answers=(Answer(200, complete=False),), then="closes",
         replies=(Reply(response(fields="Transfer-Encoding: chunked", body=b"3\r\none\r\nzz\r\n\r\n"), then="close"),)),
    Case("bytes behind a body are no answer to the next request", "9112 9.2", request("GET", "/1") + request("GET", "/2"),
         answers=(Answer(200, body=b"one"), Answer((200,) + BAD_GATEWAY)), then=None,
         replies=(response(fields="Content-Length: 3", body=b"one") + b"GARBAGE",)),
    Case("a second answer behind the first is not the next request's", "9112 9.2", request("GET", "/1") + request("GET", "/2"),
         answers=(Answer(200, body=b"one"), Answer(200, body=b"ok")), replies=(response(fields="Content-Length: 3", body=b"one") + SPLIT,)),
    Case("an answer behind a 204 is not the next request's", "9112 6.3", request("GET", "/1") + request("GET", "/2"),
         answers=(204, Answer(200, body=b"ok")), replies=(response("204 No Content") + SPLIT,)),
    Case("a body behind a HEAD is not the next request's answer", "9112 6.3", request("HEAD", "/1") + request("GET", "/2"), methods=("HEAD", "GET"),
         answers=(200, Answer(200, body=b"ok")), replies=(response(fields="Content-Length: 45", body=SPLIT),)),
    Case("a body behind a 304 is not the next request's answer", "9112 6.3", request("GET", "/1") + request("GET", "/2"),
         answers=(304, Answer(200, body=b"ok")), replies=(response("304 Not Modified", "Content-Length: 45", SPLIT),)),
]

TUNNELS = [
    Case("a WebSocket upgrade becomes a tunnel after the 101", "9110 7.8", request(fields=WEBSOCKET),
         answers=(Answer(101, has={"upgrade": "websocket"}),), then=None, replies=(Reply(SWITCH, then="tunnel"),),
         arrives=[Arrives("GET / HTTP/1.1", has={"upgrade": "websocket", "sec-websocket-version": "13"})]),
    Case("an upgrade that is refused is an ordinary answer", "9110 7.8", request(fields=WEBSOCKET), answers=(Answer(403, body=b"no!"),), then=None,
         replies=(response("403 Forbidden", "Content-Length: 3", b"no!"),), arrives=[Arrives("GET / HTTP/1.1")]),
    Case("what a client sends before the 101 is no request when there is no 101", "9110 7.8", request(fields=WEBSOCKET) + request("GET", "/smuggled"),
         answers=(403,), then=None, replies=(response("403 Forbidden", "Content-Length: 0"),), arrives=[Arrives("GET / HTTP/1.1")]),
]

ALL = FRAMING + INTERIM + DESYNC + TUNNELS
