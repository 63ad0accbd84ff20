#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/transport/secret_use.h"

// Secrets that TLS contexts refer to: those of static_resources by name, and those that come while the process runs.

namespace weft::config {

namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;

// What came, for compiling a TLS context of it: secrets by their name, and what the files of all of them held.
struct SecretsAtHand {
  std::map<transport::SecretName, tls_v3::Secret> secrets;
  std::map<std::string, std::string> files;
};

// The secret. nullptr: there is none of this name, which is an error, or it comes from elsewhere and is not at hand
// yet.
const tls_v3::Secret* find_secret(Context& context, const tls_v3::SdsSecretConfig& reference, std::string_view path);

// Everything that the context is made of and that comes, or changes, while the process runs. `downstream` is nullptr
// for a client's. What is wrong with a reference is reported.
std::vector<transport::SecretName> changing_secrets(Context& context, const tls_v3::CommonTlsContext& common,
                                                    const tls_v3::DownstreamTlsContext* downstream,
                                                    std::string_view path);

// Texts as SecretUse::prepare() gets them.
SecretsAtHand secrets_at_hand(const std::vector<transport::SecretName>& names,
                              const std::vector<const transport::SecretText*>& texts);

}  // namespace weft::config
