#pragma once

#include <memory>

#include "proxy/observe/hop_identity.h"
#include "proxy/transport/byte_stream.h"

// Who is at the two ends of a connection as its TLS handshake proved it. Pure; any thread.

namespace weft::transport {

// nullptr for a connection without TLS.
std::shared_ptr<const observe::ConnectionPrincipals> principals_of(const ConnectionInfo& info);

}  // namespace weft::transport
