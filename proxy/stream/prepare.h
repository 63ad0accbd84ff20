#pragma once

#include <string_view>

#include "proxy/base/random.h"
#include "proxy/http/message.h"
#include "proxy/observe/request_record.h"
#include "proxy/snapshot/snapshot.h"

// What a connection manager does to every request before it is routed, by Envoy's rules: the path made canonical, the
// headers that only this proxy may set taken away from outsiders, x-forwarded-*, the request's id. Pure but for the
// randomness given.

namespace weft::stream {

struct PrepareInput {
  const snapshot::HttpConnectionManager& http;
  const observe::PeerTexts& peer;
  bool is_tls = false;
  base::Random& random;
  std::string_view client_certificate = {};  // What x-forwarded-client-cert says of the peer (client_certificate.h).
};

struct Prepared {
  http::Cause refused = http::Cause::kNone;  // Answer with this instead of going on.
  std::string_view detail;
  std::string_view redirect_to;  // Not empty: answer 307 with this location (normalized path).
  std::string_view remote_ip;    // The client's address as far as it can be trusted; for logs.
};

Prepared prepare_request(const PrepareInput& input, http::RequestHead& request);

}  // namespace weft::stream
