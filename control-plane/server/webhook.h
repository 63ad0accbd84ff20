#pragma once

// The admission webhook as the command line asks for it. Main thread.

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "control-plane/ca/server_certificate.h"
#include "control-plane/server/options.h"
#include "control-plane/server/webhook_server.h"

namespace weft::control::server {

// Started; null if there is none to be. `own_certificate` is asked where no other is given.
absl::StatusOr<std::unique_ptr<WebhookServer>> start_webhook(
    const Options& options, const std::function<absl::StatusOr<ca::ServerCertificate>()>& own_certificate);

}  // namespace weft::control::server
