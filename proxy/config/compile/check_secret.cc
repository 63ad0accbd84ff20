#include "absl/strings/str_join.h"
#include "api/text/unsupported.h"
#include "proxy/config/compile/data_source.h"
#include "proxy/config/compile/resource.h"
#include "proxy/config/compile/secret.h"
#include "proxy/config/compile/tls.h"
#include "proxy/config/supported/supported.h"
#include "proxy/transport/tls_certificate.h"

// A secret on its own.

namespace weft::config {
namespace {

void check(Context& context, const absl::Status& status, std::string_view path) {
  if (!status.ok()) context.error(path, std::string(status.message()));
}

void check_certificate(Context& context, const tls_v3::TlsCertificate& certificate) {
  std::string path = "tls_certificate";
  size_t errors_before = context.errors().size();
  transport::TlsCertificateConfig config = compile_certificate(context, certificate, path);
  if (context.errors().size() != errors_before) return;
  if (!config.pkcs12.present()) {
    absl::Status chain = config.chain.present() ? transport::load_certificates(config.chain).status()
                                                : absl::InvalidArgumentError("is missing");
    if (!chain.ok()) return check(context, chain, field_path(path, "certificate_chain"));
  }
  check(context, transport::load_identity(config).status(),
        field_path(path, config.pkcs12.present() ? "pkcs12" : "private_key"));
}

void check_validation(Context& context, const tls_v3::CertificateValidationContext& validation) {
  std::string path = "validation_context";
  size_t errors_before = context.errors().size();
  transport::PeerValidation config = compile_peer_validation(context, validation, path);
  if (context.errors().size() != errors_before) return;
  if (config.trusted_ca.present()) {
    absl::Status ca = transport::load_certificates(config.trusted_ca).status();
    if (!ca.ok()) return check(context, ca, field_path(path, "trusted_ca"));
  }
  if (config.crl.present()) {
    absl::Status crl = transport::load_crls(config.crl).status();
    if (!crl.ok()) return check(context, crl, field_path(path, "crl"));
  }
  check(context, transport::check_tls({}, {}, config, {}), path);
}

void check_ticket_keys(Context& context, const tls_v3::TlsSessionTicketKeys& keys) {
  constexpr size_t kKeyBytes = 80;
  if (keys.keys().empty()) context.error("session_ticket_keys.keys", "expected at least one");
  for (int i = 0; i < keys.keys_size(); ++i) {
    std::string path = at("session_ticket_keys", "keys", i);
    size_t size = compile_data_source(context, keys.keys(i), path).bytes.size();
    if (size != kKeyBytes) context.error(path, text::cat("a session ticket key has ", kKeyBytes, " bytes, not ", size));
  }
}

void check_secret(Context& context, const std::string& name, const tls_v3::Secret& secret) {
  if (secret.name() != name) context.error("name", text::cat("expected \"", name, "\", got \"", secret.name(), "\""));
  switch (secret.type_case()) {
    case tls_v3::Secret::kTlsCertificate:
      return check_certificate(context, secret.tls_certificate());
    case tls_v3::Secret::kValidationContext:
      return check_validation(context, secret.validation_context());
    case tls_v3::Secret::kSessionTicketKeys:
      return check_ticket_keys(context, secret.session_ticket_keys());
    default:
      context.error("", "expected tls_certificate, validation_context or session_ticket_keys");
  }
}

void add(const core_v3::DataSource& source, SecretFiles& files) {
  if (!source.filename().empty()) files.paths.insert(source.filename());
}

}  // namespace

absl::Status check_secret_resource(SharedParts& parts, const std::string& name, const transport::SecretText& text) {
  SecretsAtHand at_hand;
  at_hand.files = text.files;
  tls_v3::Secret secret;
  if (!secret.ParseFromString(text.secret)) return absl::InvalidArgumentError("its bytes are no valid Secret");
  std::vector<std::string> wrong;
  for (text::Unsupported& each : text::find_unsupported(secret, supported_fields())) wrong.push_back(each.message);
  if (!wrong.empty() && !parts.options.allow_unsupported) return absl::InvalidArgumentError(absl::StrJoin(wrong, "\n"));
  text::PositionMap positions;
  Context context(parts, positions);
  context.secrets = &at_hand;
  check_secret(context, name, secret);
  if (context.errors().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(context.errors(), "\n"));
}

SecretFiles secret_files(const std::string& serialised) {
  tls_v3::Secret secret;
  SecretFiles files;
  if (!secret.ParseFromString(serialised)) return files;
  const tls_v3::TlsCertificate& certificate = secret.tls_certificate();
  for (const auto* each : {&certificate.certificate_chain(), &certificate.private_key(), &certificate.pkcs12(),
                           &certificate.password(), &certificate.ocsp_staple()}) {
    add(*each, files);
  }
  add(secret.validation_context().trusted_ca(), files);
  add(secret.validation_context().crl(), files);
  for (const auto& key : secret.session_ticket_keys().keys()) add(key, files);
  files.watched_directory = secret.has_validation_context() ? secret.validation_context().watched_directory().path()
                                                            : certificate.watched_directory().path();
  return files;
}

}  // namespace weft::config
