#include "proxy/config/compile/secret.h"

namespace weft::config {

const envoy::extensions::transport_sockets::tls::v3::Secret* find_secret(
    Context& context, const envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig& reference,
    std::string_view path) {
  for (const auto& secret : context.bootstrap().static_resources().secrets()) {
    if (secret.name() == reference.name()) return &secret;
  }
  context.error(field_path(path, "name"),
                text::cat("there is no secret \"", reference.name(), "\" in static_resources.secrets"));
  return nullptr;
}

}  // namespace weft::config
