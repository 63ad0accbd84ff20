#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/header_map.h"

// Requests and responses, the same for every HTTP version. A codec fills one in and hands it on; another writes it out.
// What belongs to a connection (connection, keep-alive, transfer-encoding, upgrade, host, and what `connection` names)
// is not among the headers: a codec takes it in, as fields here, and puts out what its own version needs.

namespace weft::http {

enum class Version : uint8_t { kHttp10, kHttp11, kHttp2 };
std::string_view version_name(Version version);  // "HTTP/1.1"

enum class Method : uint8_t { kOther, kGet, kHead, kPost, kPut, kDelete, kConnect, kOptions, kTrace, kPatch };
Method method_of(std::string_view name);
std::string_view method_name(Method method);  // Empty for kOther.
// RFC 9110, 9.2.1 and 9.2.2.
bool is_safe(Method method);
bool is_idempotent(Method method);

struct RequestHead {
  explicit RequestHead(base::Arena& arena) : headers(arena) {}

  Version version = Version::kHttp11;
  Method method_id = Method::kOther;
  std::string_view method;
  std::string_view scheme;     // "http" or "https"; empty when an HTTP/1 request did not say.
  std::string_view authority;  // Host or :authority. May be empty only for HTTP/1.0.
  std::string_view path;       // With the query. Empty for CONNECT without :protocol.
  // The protocol to switch to: HTTP/1's Upgrade (token list as sent) or RFC 8441's :protocol. Empty: none. After a
  // successful answer (101, or 2xx to CONNECT) the body both ways is the tunnel's bytes.
  std::string_view upgrade;
  bool expects_continue = false;  // Expect: 100-continue
  bool accepts_trailers = false;  // TE: trailers
  bool has_content_length = false;
  uint64_t content_length = 0;  // Also left among the headers.
  HeaderMap headers;

  bool is_tunnel() const { return method_id == Method::kConnect || !upgrade.empty(); }
  // True if an answer of `status` makes what follows, both ways, the tunnel's bytes.
  bool opens_tunnel(uint16_t status) const {
    return status == 101 || (method_id == Method::kConnect && status / 100 == 2);
  }
  bool is_grpc() const;  // content-type application/grpc, or that with "+…" or ";…"
};

struct ResponseHead {
  explicit ResponseHead(base::Arena& arena) : headers(arena) {}

  Version version = Version::kHttp11;
  uint16_t status = 0;       // 100 to 999
  std::string_view reason;   // HTTP/1's reason phrase; empty elsewhere.
  std::string_view upgrade;  // Of a 101: the protocol switched to.
  bool has_content_length = false;
  uint64_t content_length = 0;
  HeaderMap headers;

  bool is_informational() const { return status >= 100 && status < 200 && status != 101; }
};

// Host and perhaps port, as Host and :authority have them (RFC 3986, 3.2; RFC 9110, 4.2): a host that is not empty, no
// userinfo. A comma, which a name may have, is refused: it is what two Hosts look like that someone joined.
bool is_authority(std::string_view text);
// The port of such a text, empty if it names none.
std::string_view port_of(std::string_view authority);
// Its host, of an IPv6 address without the brackets.
std::string_view host_of(std::string_view authority);

// The path without query and fragment.
std::string_view path_only(std::string_view path_and_query);
// The standard reason phrase (RFC 9110, 15), or "Unknown".
std::string_view reason_phrase(uint16_t status);
// The gRPC status that an HTTP status stands for when no grpc-status came (gRPC's "HTTP to gRPC Status Code Mapping").
int grpc_status_of(uint16_t http_status);

}  // namespace weft::http
