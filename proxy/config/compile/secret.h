#pragma once

#include <string_view>

#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "proxy/config/compile/context.h"

// Secrets of static_resources, which TLS contexts refer to by name.

namespace weft::config {

// nullptr, with an error, when there is none of this name.
const envoy::extensions::transport_sockets::tls::v3::Secret* find_secret(
    Context& context, const envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig& reference,
    std::string_view path);

}  // namespace weft::config
