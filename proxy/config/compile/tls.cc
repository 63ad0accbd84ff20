#include "proxy/config/compile/tls.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"
#include "proxy/config/compile/data_source.h"
#include "proxy/config/compile/secret.h"
#include "proxy/transport/passing_identity.h"
#include "proxy/transport/rotating_tls.h"

namespace weft::config {
namespace {

namespace raw_v3 = envoy::extensions::transport_sockets::raw_buffer::v3;

// By what members of the mesh know one another's TLS.
constexpr char kMeshHttp[] = "weft";
constexpr char kMeshTcp[] = "weft-tcp";

transport::TlsParameters compile_parameters(const tls_v3::TlsParameters& parameters) {
  transport::TlsParameters result;
  result.min = static_cast<transport::TlsVersion>(parameters.tls_minimum_protocol_version());
  result.max = static_cast<transport::TlsVersion>(parameters.tls_maximum_protocol_version());
  result.cipher_suites.assign(parameters.cipher_suites().begin(), parameters.cipher_suites().end());
  result.ecdh_curves.assign(parameters.ecdh_curves().begin(), parameters.ecdh_curves().end());
  result.signature_algorithms.assign(parameters.signature_algorithms().begin(),
                                     parameters.signature_algorithms().end());
  return result;
}

transport::SanMatcher compile_san(Context& context, tls_v3::SubjectAltNameMatcher::SanType type,
                                  const matcher_v3::StringMatcher& matcher, std::string_view path) {
  using Type = transport::SanMatcher::Type;
  transport::SanMatcher result;
  switch (type) {
    case tls_v3::SubjectAltNameMatcher::EMAIL:
      result.type = Type::kEmail;
      break;
    case tls_v3::SubjectAltNameMatcher::DNS:
      result.type = Type::kDns;
      if (matcher.match_pattern_case() == matcher_v3::StringMatcher::kExact) result.exact_dns = matcher.exact();
      break;
    case tls_v3::SubjectAltNameMatcher::URI:
      result.type = Type::kUri;
      break;
    case tls_v3::SubjectAltNameMatcher::IP_ADDRESS:
      result.type = Type::kIpAddress;
      break;
    default:
      result.type = Type::kAny;
  }
  route::StringMatcher compiled = compile_string_matcher(context, matcher, path);
  result.description = compiled.to_string();
  result.matches = [compiled](std::string_view name) { return compiled.matches(name); };
  return result;
}

// `whole`: no secret is missing that is to be laid over it.
void compile_validation(Context& context, const tls_v3::CertificateValidationContext& validation, std::string_view path,
                        bool whole, transport::PeerValidation& result) {
  if (validation.has_trusted_ca()) {
    result.trusted_ca = compile_data_source(context, validation.trusted_ca(), field_path(path, "trusted_ca"));
  }
  result.system_trusted_ca = validation.has_system_root_certs();
  if (validation.has_crl()) result.crl = compile_data_source(context, validation.crl(), field_path(path, "crl"));
  result.only_verify_leaf_crl = validation.only_verify_leaf_cert_crl();
  result.certificate_spki.assign(validation.verify_certificate_spki().begin(),
                                 validation.verify_certificate_spki().end());
  result.certificate_hashes.assign(validation.verify_certificate_hash().begin(),
                                   validation.verify_certificate_hash().end());
  for (int i = 0; i < validation.match_typed_subject_alt_names_size(); ++i) {
    const auto& san = validation.match_typed_subject_alt_names(i);
    std::string here = at(path, "match_typed_subject_alt_names", i);
    if (san.san_type() == tls_v3::SubjectAltNameMatcher::SAN_TYPE_UNSPECIFIED) {
      context.error(field_path(here, "san_type"), "expected EMAIL, DNS, URI or IP_ADDRESS");
    }
    result.san_matchers.push_back(compile_san(context, san.san_type(), san.matcher(), field_path(here, "matcher")));
  }
  for (int i = 0; i < validation.match_subject_alt_names_size(); ++i) {
    result.san_matchers.push_back(compile_san(context, tls_v3::SubjectAltNameMatcher::SAN_TYPE_UNSPECIFIED,
                                              validation.match_subject_alt_names(i),
                                              at(path, "match_subject_alt_names", i)));
  }
  result.allow_expired = validation.allow_expired_certificate();
  result.accept_untrusted =
      validation.trust_chain_verification() == tls_v3::CertificateValidationContext::ACCEPT_UNTRUSTED;
  result.max_verify_depth = WEFT_VALUE_OR(validation, max_verify_depth, result.max_verify_depth);
  bool verified = result.trusted_ca.present() || result.system_trusted_ca || result.accept_untrusted;
  if (result.san_matchers.empty() || verified) return;
  // What is missing may bring the CA; until then this is only looked into, for what else is wrong.
  if (!whole) return result.san_matchers.clear();
  context.error(path, "names are matched, but no trusted_ca verifies the certificate that holds them");
}

void compile_named_validation(Context& context, const tls_v3::SdsSecretConfig& reference, std::string_view path,
                              transport::PeerValidation& result) {
  const tls_v3::Secret* secret = find_secret(context, reference, path);
  if (secret == nullptr) return;
  if (!secret->has_validation_context()) return context.error(path, "the secret it names is no validation_context");
  compile_validation(context, secret->validation_context(), path, true, result);
}

void compile_common_validation(Context& context, const tls_v3::CommonTlsContext& common, std::string_view path,
                               transport::PeerValidation& result) {
  if (common.has_validation_context()) {
    compile_validation(context, common.validation_context(), field_path(path, "validation_context"), true, result);
  } else if (common.has_validation_context_sds_secret_config()) {
    compile_named_validation(context, common.validation_context_sds_secret_config(),
                             field_path(path, "validation_context_sds_secret_config"), result);
  } else if (common.has_combined_validation_context()) {
    // The named part is laid over the default one, as messages merge.
    const auto& combined = common.combined_validation_context();
    std::string here = field_path(path, "combined_validation_context");
    tls_v3::CertificateValidationContext merged = combined.default_validation_context();
    bool whole = true;
    if (combined.has_validation_context_sds_secret_config()) {
      const tls_v3::Secret* secret = find_secret(context, combined.validation_context_sds_secret_config(),
                                                 field_path(here, "validation_context_sds_secret_config"));
      whole = secret != nullptr;
      if (whole && !secret->has_validation_context()) {
        context.error(here, "the secret it names is no validation_context");
      } else if (whole) {
        merged.MergeFrom(secret->validation_context());
      }
    }
    compile_validation(context, merged, here, whole, result);
  }
}

// Those in place, and those of named secrets.
std::vector<transport::TlsCertificateConfig> compile_certificates(Context& context,
                                                                  const tls_v3::CommonTlsContext& common,
                                                                  std::string_view path) {
  std::vector<transport::TlsCertificateConfig> result;
  for (int i = 0; i < common.tls_certificates_size(); ++i) {
    result.push_back(compile_certificate(context, common.tls_certificates(i), at(path, "tls_certificates", i)));
  }
  for (int i = 0; i < common.tls_certificate_sds_secret_configs_size(); ++i) {
    std::string here = at(path, "tls_certificate_sds_secret_configs", i);
    const tls_v3::Secret* secret = find_secret(context, common.tls_certificate_sds_secret_configs(i), here);
    if (secret == nullptr) continue;
    if (!secret->has_tls_certificate()) context.error(here, "the secret it names is no tls_certificate");
    result.push_back(compile_certificate(context, secret->tls_certificate(), here));
  }
  return result;
}

void compile_ticket_keys(Context& context, const tls_v3::DownstreamTlsContext& tls, std::string_view path,
                         transport::ServerTlsConfig& config) {
  const tls_v3::TlsSessionTicketKeys* keys = &tls.session_ticket_keys();
  std::string here = field_path(path, "session_ticket_keys");
  if (tls.has_session_ticket_keys_sds_secret_config()) {
    here = field_path(path, "session_ticket_keys_sds_secret_config");
    const tls_v3::Secret* secret = find_secret(context, tls.session_ticket_keys_sds_secret_config(), here);
    if (secret == nullptr) return;
    if (!secret->has_session_ticket_keys()) return context.error(here, "the secret it names is no session_ticket_keys");
    keys = &secret->session_ticket_keys();
  }
  for (int i = 0; i < keys->keys_size(); ++i) {
    config.ticket_keys.push_back(compile_data_source(context, keys->keys(i), at(here, "keys", i)));
  }
}

size_t certificate_count(const tls_v3::CommonTlsContext& common) {
  return static_cast<size_t>(common.tls_certificates_size() + common.tls_certificate_sds_secret_configs_size());
}

transport::ServerTlsConfig server_config(Context& context, const tls_v3::DownstreamTlsContext& tls,
                                         std::string_view path) {
  const tls_v3::CommonTlsContext& common = tls.common_tls_context();
  std::string at_common = field_path(path, "common_tls_context");
  transport::ServerTlsConfig config;
  config.parameters = compile_parameters(common.tls_params());
  config.certificates = compile_certificates(context, common, at_common);
  if (certificate_count(common) == 0) context.error(at_common, "a server needs tls_certificates");
  compile_common_validation(context, common, at_common, config.validation);
  config.require_client_certificate = WEFT_VALUE_OR(tls, require_client_certificate, false);
  config.alpn.assign(common.alpn_protocols().begin(), common.alpn_protocols().end());
  config.full_scan_on_sni_mismatch = WEFT_VALUE_OR(tls, full_scan_certs_on_sni_mismatch, false);
  config.stateless_resumption = !tls.disable_stateless_session_resumption();
  config.stateful_resumption = !tls.disable_stateful_session_resumption();
  compile_ticket_keys(context, tls, path, config);
  if (tls.has_session_timeout()) config.session_timeout_s = static_cast<uint32_t>(tls.session_timeout().seconds());
  config.prefer_client_ciphers = tls.prefer_client_ciphers();
  return config;
}

transport::ClientTlsConfig client_config(Context& context, const tls_v3::UpstreamTlsContext& tls, std::string_view path,
                                         const std::vector<std::string>& alpn) {
  const tls_v3::CommonTlsContext& common = tls.common_tls_context();
  std::string at_common = field_path(path, "common_tls_context");
  transport::ClientTlsConfig config;
  config.parameters = compile_parameters(common.tls_params());
  std::vector<transport::TlsCertificateConfig> certificates = compile_certificates(context, common, at_common);
  if (certificate_count(common) > 1) context.error(at_common, "a client shows one certificate only");
  if (!certificates.empty()) config.certificate = std::move(certificates[0]);
  compile_common_validation(context, common, at_common, config.validation);
  config.sni = tls.sni();
  config.auto_sni_san_validation = tls.auto_sni_san_validation();
  config.alpn.assign(common.alpn_protocols().begin(), common.alpn_protocols().end());
  if (config.alpn.empty()) config.alpn = alpn;
  // As control-plane/compile/mtls.h has it: a port whose protocol nobody declared is told what comes.
  if (!config.alpn.empty() && config.alpn[0] == kMeshHttp) config.stream_alpn = {kMeshTcp};
  config.max_session_keys = WEFT_VALUE_OR(tls, max_session_keys, 1);
  return config;
}

bool awaits_any(const std::vector<transport::SecretName>& names) {
  return std::any_of(names.begin(), names.end(), [](const auto& name) { return !name.is_local(); });
}

// A message that is kept for long is kept serialised: a tenth of its memory.
template <typename Message>
Message message_of(const std::string& bytes) {
  Message message;
  message.ParseFromString(bytes);
  return message;
}

// Makes something of a TLS context once its secrets are there: compile(context) gives the configuration, make() the
// thing. What goes wrong is told by its place.
template <typename Made, typename Compile, typename Make>
typename transport::Rotation<Made>::Make later(SharedParts& parts, const std::vector<transport::SecretName>& names,
                                               Compile compile, Make make) {
  return
      [&parts, names, compile, make](const std::vector<const transport::SecretText*>& texts) -> absl::StatusOr<Made> {
        text::PositionMap positions;
        SecretsAtHand at_hand = secrets_at_hand(names, texts);
        Context context(parts, positions);
        context.secrets = &at_hand;
        auto config = compile(context);
        if (!context.errors().empty()) return absl::InvalidArgumentError(absl::StrJoin(context.errors(), "\n"));
        return make(std::move(config));
      };
}

}  // namespace

transport::TlsCertificateConfig compile_certificate(Context& context, const tls_v3::TlsCertificate& certificate,
                                                    std::string_view path) {
  transport::TlsCertificateConfig result;
  auto read = [&](bool present, const core_v3::DataSource& source, std::string_view field) {
    return present ? compile_data_source(context, source, field_path(path, field)) : transport::DataSource();
  };
  result.chain = read(certificate.has_certificate_chain(), certificate.certificate_chain(), "certificate_chain");
  result.private_key = read(certificate.has_private_key(), certificate.private_key(), "private_key");
  result.pkcs12 = read(certificate.has_pkcs12(), certificate.pkcs12(), "pkcs12");
  result.password = read(certificate.has_password(), certificate.password(), "password");
  result.ocsp_staple = read(certificate.has_ocsp_staple(), certificate.ocsp_staple(), "ocsp_staple");
  return result;
}

transport::PeerValidation compile_peer_validation(Context& context,
                                                  const tls_v3::CertificateValidationContext& validation,
                                                  std::string_view path) {
  transport::PeerValidation result;
  compile_validation(context, validation, path, false, result);
  return result;
}

std::shared_ptr<const transport::ServerTls> compile_server_tls(Context& context, const core_v3::TransportSocket& socket,
                                                               std::string_view path) {
  std::string here = field_path(path, "typed_config");
  if (socket.typed_config().Is<raw_v3::RawBuffer>()) return nullptr;
  tls_v3::DownstreamTlsContext tls;
  if (!context.unpack(socket.typed_config(), &tls, here)) return nullptr;
  size_t errors_before = context.errors().size();
  auto names = changing_secrets(context, tls.common_tls_context(), &tls, here);
  transport::ServerTlsConfig config = server_config(context, tls, here);
  if (context.errors().size() != errors_before) return nullptr;

  absl::StatusOr<transport::ServerTlsPtr> first = nullptr;
  if (!awaits_any(names)) {
    first = transport::make_server_tls(std::move(config));
  } else if (auto checked =
                 transport::check_tls(config.parameters, config.certificates, config.validation, config.alpn);
             !checked.ok()) {
    first = checked;
  }
  if (!first.ok()) {
    context.error(field_path(here, "common_tls_context"), std::string(first.status().message()));
    return nullptr;
  }
  if (names.empty()) return *std::move(first);
  auto compile = [bytes = tls.SerializeAsString(), here](Context& later) {
    return server_config(later, message_of<tls_v3::DownstreamTlsContext>(bytes), here);
  };
  auto make = later<transport::ServerTlsPtr>(context.parts(), names, compile, transport::make_server_tls);
  return transport::make_rotating_server_tls(std::move(names), std::move(make), *std::move(first));
}

ClientTransport compile_client_transport(Context& context, const core_v3::TransportSocket* socket,
                                         std::string_view path, const transport::SocketOptions& options,
                                         const std::vector<std::string>& alpn) {
  ClientTransport result;
  result.connector = context.plain_connector(options);
  if (socket == nullptr || socket->typed_config().Is<raw_v3::RawBuffer>()) return result;
  std::string here = field_path(path, "typed_config");
  tls_v3::UpstreamTlsContext tls;
  if (!context.unpack(socket->typed_config(), &tls, here)) return result;
  size_t errors_before = context.errors().size();
  auto names = changing_secrets(context, tls.common_tls_context(), nullptr, here);
  transport::ClientTlsConfig config = client_config(context, tls, here, alpn);
  if (context.errors().size() != errors_before) return result;

  result.tls = true;
  absl::StatusOr<transport::ConnectorPtr> first = nullptr;
  if (!awaits_any(names)) {
    first = transport::make_tls_connector(std::move(config), options);
  } else {
    std::vector<transport::TlsCertificateConfig> certificates;
    if (tls.common_tls_context().tls_certificates_size() != 0) certificates.push_back(config.certificate);
    auto checked = transport::check_tls(config.parameters, certificates, config.validation, config.alpn);
    if (!checked.ok()) first = checked;
  }
  if (!first.ok()) {
    context.error(field_path(here, "common_tls_context"), std::string(first.status().message()));
  } else if (names.empty()) {
    result.connector = *std::move(first);
  } else {
    auto compile = [bytes = tls.SerializeAsString(), here, alpn](Context& later) {
      return client_config(later, message_of<tls_v3::UpstreamTlsContext>(bytes), here, alpn);
    };
    auto connect = [options](transport::ClientTlsConfig made) {
      return transport::make_tls_connector(std::move(made), options);
    };
    auto make = later<transport::ConnectorPtr>(context.parts(), names, compile, connect);
    result.connector = transport::make_rotating_connector(std::move(names), std::move(make), *std::move(first));
  }
  return result;
}

ClientTransport compile_control_plane_transport(Context& context, const core_v3::TransportSocket& socket,
                                                std::string_view path, const transport::SocketOptions& options,
                                                const std::vector<std::string>& alpn) {
  ClientTransport result = compile_client_transport(context, &socket, path, options, alpn);
  std::string here = field_path(path, "typed_config");
  tls_v3::UpstreamTlsContext tls;
  if (!result.tls || !socket.typed_config().UnpackTo(&tls)) return result;
  if (result.connector == nullptr || result.connector->secret_use() != nullptr ||
      certificate_count(tls.common_tls_context()) != 0) {
    context.error(here, "a control plane is shown the workload's own certificate; expected none here, nor any secret");
    return result;
  }
  core_v3::ConfigSource ads;
  ads.mutable_ads();
  ads.set_resource_api_version(core_v3::V3);
  const transport::SecretName own{ads.SerializeAsString(), context.parts().options.own_secret};
  auto compile = [bytes = tls.SerializeAsString(), here, alpn, own](Context& later) {
    transport::ClientTlsConfig config = client_config(later, message_of<tls_v3::UpstreamTlsContext>(bytes), here, alpn);
    config.certificate = compile_certificate(later, later.secrets->secrets.at(own).tls_certificate(), here);
    return config;
  };
  auto connect = [options, without = result.connector, withheld = context.parts().own_secret_withheld](
                     transport::ClientTlsConfig made) -> absl::StatusOr<transport::ConnectorPtr> {
    absl::StatusOr<transport::ConnectorPtr> with = transport::make_tls_connector(std::move(made), options);
    if (!with.ok()) return with.status();
    return transport::make_passing_identity(*std::move(with), without, withheld);
  };
  auto make = later<transport::ConnectorPtr>(context.parts(), {own}, compile, connect);
  result.connector = transport::make_rotating_connector({own}, std::move(make), result.connector);
  return result;
}

}  // namespace weft::config
