#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// What the first bytes of a connection say: is it TLS, and if so which server and protocols does the client ask for
// (RFC 8446, 4.1.2; RFC 6066, 3; RFC 7301)? A pure function of the bytes; nothing is verified, and nothing but the
// choice of a filter chain may rest on it.

namespace weft::listener {

// A ClientHello that is longer, in its records, is taken for something other than TLS.
inline constexpr size_t kMaxClientHelloBytes = 16 * 1024;

struct ClientHello {
  std::string server_name;  // Lower case; empty when the client named none.
  std::vector<std::string> protocols;
};

enum class HelloState {
  kNeedMore,  // The bytes may become a ClientHello; at least `need_bytes` in all are needed to say more.
  kTls,       // A whole ClientHello.
  kNotTls,
};

struct HelloResult {
  HelloState state;
  size_t need_bytes = 0;
};

// `bytes`: all that came so far, from the first byte on.
HelloResult parse_client_hello(std::string_view bytes, ClientHello* hello);

}  // namespace weft::listener
