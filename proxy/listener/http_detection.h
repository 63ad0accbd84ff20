#pragma once

#include <string_view>

// Whether the first bytes of a plain connection are HTTP, and which: what Envoy's http_inspector finds. A pure
// function.

namespace weft::listener {

// False: more bytes are needed. Else `*protocol` is "h2c" (the HTTP/2 preface, RFC 9113, 3.4), "http/1.1", "http/1.0",
// or empty when it is not HTTP.
bool detect_http_protocol(std::string_view bytes, std::string_view* protocol);

}  // namespace weft::listener
