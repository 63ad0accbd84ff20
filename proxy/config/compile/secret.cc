#include "proxy/config/compile/secret.h"

#include <algorithm>

#include "proxy/base/assert.h"
#include "proxy/config/compile/config_source.h"

namespace weft::config {
namespace {

const tls_v3::Secret* find_static(Context& context, const std::string& name) {
  for (const auto& secret : context.bootstrap().static_resources().secrets()) {
    if (secret.name() == name) return &secret;
  }
  return nullptr;
}

// Gathers the names, each once.
class Names {
 public:
  Names(Context& context, std::vector<transport::SecretName>& names) : context_(context), names_(names) {}

  void reference(const tls_v3::SdsSecretConfig& reference, std::string_view path) {
    if (reference.has_sds_config()) {
      add({compile_config_source(context_, reference.sds_config(), field_path(path, "sds_config")), reference.name()});
    } else if (const tls_v3::Secret* secret = find_static(context_, reference.name())) {
      certificate(secret->tls_certificate(), path);
      validation(secret->validation_context(), path);
    }
  }
  void certificate(const tls_v3::TlsCertificate& certificate, std::string_view path) {
    tls_v3::Secret secret;
    *secret.mutable_tls_certificate() = certificate;
    if (certificate.has_watched_directory()) local(secret, certificate.watched_directory(), path);
  }
  void validation(const tls_v3::CertificateValidationContext& validation, std::string_view path) {
    tls_v3::Secret secret;
    *secret.mutable_validation_context() = validation;
    if (validation.has_watched_directory()) local(secret, validation.watched_directory(), path);
  }

 private:
  void local(const tls_v3::Secret& secret, const core_v3::WatchedDirectory& directory, std::string_view path) {
    if (directory.path().empty()) context_.error(field_path(field_path(path, "watched_directory"), "path"), "is empty");
    add({"", secret.SerializeAsString()});
  }
  void add(transport::SecretName name) {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(std::move(name));
  }

  Context& context_;
  std::vector<transport::SecretName>& names_;
};

}  // namespace

const tls_v3::Secret* find_secret(Context& context, const tls_v3::SdsSecretConfig& reference, std::string_view path) {
  if (reference.name().empty()) {
    context.error(field_path(path, "name"), "is empty");
    return nullptr;
  }
  if (reference.has_sds_config()) {
    if (context.secrets == nullptr) return nullptr;
    auto found = context.secrets->secrets.find({reference.sds_config().SerializeAsString(), reference.name()});
    WEFT_ASSERT(found != context.secrets->secrets.end());
    return &found->second;
  }
  const tls_v3::Secret* secret = find_static(context, reference.name());
  if (secret == nullptr) {
    context.error(field_path(path, "name"),
                  text::cat("there is no secret \"", reference.name(), "\" in static_resources.secrets"));
  }
  return secret;
}

std::vector<transport::SecretName> changing_secrets(Context& context, const tls_v3::CommonTlsContext& common,
                                                    const tls_v3::DownstreamTlsContext* downstream,
                                                    std::string_view path) {
  std::vector<transport::SecretName> result;
  Names names(context, result);
  std::string here = field_path(path, "common_tls_context");
  for (int i = 0; i < common.tls_certificates_size(); ++i) {
    names.certificate(common.tls_certificates(i), at(here, "tls_certificates", i));
  }
  for (int i = 0; i < common.tls_certificate_sds_secret_configs_size(); ++i) {
    names.reference(common.tls_certificate_sds_secret_configs(i), at(here, "tls_certificate_sds_secret_configs", i));
  }
  if (common.has_validation_context()) {
    names.validation(common.validation_context(), field_path(here, "validation_context"));
  } else if (common.has_validation_context_sds_secret_config()) {
    names.reference(common.validation_context_sds_secret_config(),
                    field_path(here, "validation_context_sds_secret_config"));
  } else if (common.has_combined_validation_context()) {
    const auto& combined = common.combined_validation_context();
    std::string at_combined = field_path(here, "combined_validation_context");
    names.validation(combined.default_validation_context(), field_path(at_combined, "default_validation_context"));
    if (combined.has_validation_context_sds_secret_config()) {
      names.reference(combined.validation_context_sds_secret_config(),
                      field_path(at_combined, "validation_context_sds_secret_config"));
    }
  }
  if (downstream != nullptr && downstream->has_session_ticket_keys_sds_secret_config()) {
    names.reference(downstream->session_ticket_keys_sds_secret_config(),
                    field_path(path, "session_ticket_keys_sds_secret_config"));
  }
  return result;
}

SecretsAtHand secrets_at_hand(const std::vector<transport::SecretName>& names,
                              const std::vector<const transport::SecretText*>& texts) {
  SecretsAtHand result;
  for (size_t i = 0; i < names.size(); ++i) {
    WEFT_ASSERT(result.secrets[names[i]].ParseFromString(texts[i]->secret));
    result.files.insert(texts[i]->files.begin(), texts[i]->files.end());
  }
  return result;
}

}  // namespace weft::config
