"""Where Envoy 1.40 differs from the table of cases, and how. A case named here must fail with Envoy: one that passes is no
difference any more and is taken out."""

LENIENT_LINES = "it takes a bare LF for the end of a line"
LENIENT_SPACE = "it takes any run of white space between the parts of the request line"

DIFFERENCES = {
    "request: HTTP/1.0 with Transfer-Encoding": "it reads the chunks of an HTTP/1.0 request",
    "request: HTTP/2.0 as text": "it answers 426 to every version that it does not speak",
    "request: a CR before the CRLF": "it drops a CR at the end of a value",
    "request: a Host whose port is no number": "it does not look into the port",
    "request: a Host with user information": "it allows an @ in Host",
    "request: a NUL in a chunk extension": "it does not look into chunk extensions",
    "request: a chunk extension of 200 KiB": "it does not bound chunk extensions",
    "request: a chunk size of 16 digits that would be negative": "it waits for that many bytes",
    "request: a bare CR in a value": "it makes a space of a bare CR",
    "request: a bare CR that would begin a field": "it makes a space of a bare CR",
    "request: a bare LF after the chunk data": "it reads over what stands between chunk data and the next LF",
    "request: chunk data that runs on past its size": "it reads over what stands between chunk data and the next LF",
    "request: a bare LF as the end of the trailers": LENIENT_LINES,
    "request: a bare LF that would begin a field": LENIENT_LINES,
    "request: a head whose last line is a bare LF": LENIENT_LINES,
    "request: lines that end with a bare LF": LENIENT_LINES,
    "request: a folded Transfer-Encoding": "it unfolds, which is allowed; we refuse, because a folded framing field is an attack",
    "request: a folded trailer": "it unfolds, which is allowed",
    "request: a folded value": "it unfolds, which is allowed",
    "request: a method that nobody knows goes through": "it refuses a method that is not in its table",
    "request: a name keeps its case": "names arrive in lower case unless a header key formatter is configured",
    "request: a space after the version": LENIENT_SPACE,
    "request: tabs in the request line": LENIENT_SPACE,
    "request: two spaces after the method": LENIENT_SPACE,
    "request: two spaces before the version": LENIENT_SPACE,
    "request: two Hosts": "it takes the first Host",
    "request: two equal Hosts": "it takes the first Host",
    "response: 101 that nobody asked for": "it passes the 101 on",
    "response: HTTP/2 as text": "it does not look at the version of a response",
    "response: a bare CR in a value": "it makes a space of a bare CR",
    "response: a status below 100": "it passes on any number",
    "response: a status of four digits": "it passes on any number",
    "response: a status of two digits": "it passes on any number",
    "response: lines that end with a bare LF": LENIENT_LINES,
}
