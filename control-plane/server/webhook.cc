#include "control-plane/server/webhook.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "api/text/cat.h"

namespace weft::control::server {

namespace {

using text::cat;

absl::StatusOr<inject::Settings> load_settings(const std::string& path) {
  if (path.empty()) return inject::default_settings();
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file.good() && !file.eof()) return absl::NotFoundError(cat(path, ": cannot be read: ", strerror(errno)));
  return inject::read_settings(text, path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<WebhookServer>> start_webhook(
    const Options& options, const std::function<absl::StatusOr<ca::ServerCertificate>()>& own_certificate) {
  if (options.webhook_address.empty()) return nullptr;
  absl::StatusOr<inject::Settings> settings = load_settings(options.inject_config);
  if (!settings.ok()) return settings.status();
  absl::StatusOr<ca::ServerCertificate> certificate =
      options.webhook_certificate.empty() ? own_certificate()
                                          : ca::load_certificate(options.webhook_certificate, options.webhook_key);
  if (!certificate.ok()) return certificate.status();
  auto server = std::make_unique<WebhookServer>(*std::move(certificate), *std::move(settings), WebhookLimits());
  if (absl::Status status = server->start(options.webhook_address); !status.ok()) return status;
  return server;
}

}  // namespace weft::control::server
