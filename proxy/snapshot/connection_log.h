#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/event/loop.h"
#include "proxy/observe/request_record.h"
#include "proxy/snapshot/snapshot.h"
#include "proxy/transport/byte_stream.h"

// The listener's own access log: one record for every accepted connection, written when it ends by whoever has it then.
// On the worker's thread.

namespace weft::snapshot {

// The texts of a record's PeerTexts.
struct PeerStorage {
  std::string remote, remote_ip, direct, direct_ip, local, local_ip, uri_sans, dns_sans, local_sans;
  // `texts` holds views of the members and of `info`.
  void render(const transport::ConnectionInfo& info, observe::PeerTexts* texts);
};

struct ConnectionEnd {
  int64_t accepted_ns = 0;
  const FilterChain* chain = nullptr;  // None was found.
  http::Cause cause = http::Cause::kNone;
  uint64_t connection_id = 0;
};

// Does nothing where the listener has no access log. The bytes are those on the wire, TLS included.
void log_connection(const Listener& listener, const transport::ByteStream& stream, const ConnectionEnd& end,
                    const event::Loop& loop, uint32_t worker);

}  // namespace weft::snapshot
