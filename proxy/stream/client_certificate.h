#pragma once

#include <string>

#include "proxy/snapshot/snapshot.h"
#include "proxy/transport/byte_stream.h"

// What x-forwarded-client-cert says of a connection's peer, in Envoy's format. Pure; once for each connection.

namespace weft::stream {

// "By=spiffe://a/b;Hash=0f…;Subject=\"CN=c\";URI=spiffe://a/c;DNS=c.example". Empty where the configuration adds
// nothing, and for a peer that showed no certificate.
std::string client_certificate(const snapshot::HttpConnectionManager& http, const transport::ByteStream& stream);

}  // namespace weft::stream
