#include "proxy/server/health_port.h"

#include "api/text/cat.h"
#include "proxy/server/server.h"

namespace weft::server {

HealthPort::HealthPort(event::LibeventLoop& loop, const Server& server, AppProbes* probes)
    : server_(server),
      probes_(probes),
      http_(loop, [this](const AdminRequest& request, AdminReply reply) { answer(request, std::move(reply)); }, {}) {}

absl::Status HealthPort::start(uint16_t port, bool ipv6) {
  return http_.start(transport::Address::parse_ip(ipv6 ? "::" : "0.0.0.0", port), /*ipv4_compat=*/ipv6).status();
}

void HealthPort::answer(const AdminRequest& request, AdminReply reply) {
  if (request.path == "/healthz/ready") {
    std::string awaited = server_.awaited();
    if (server_.state() == Server::State::kLive) return reply({200, "text/plain; charset=UTF-8", "ready\n"});
    bool draining = server_.state() == Server::State::kDraining;
    return reply({503, "text/plain; charset=UTF-8",
                  draining          ? "not ready: it drains\n"
                  : awaited.empty() ? "not ready: it starts\n"
                                    : text::cat("not ready: waiting for ", awaited, "\n")});
  }
  if (probes_ != nullptr && request.path.starts_with("/app-health/")) {
    return probes_->check(request.path, std::move(reply));
  }
  reply({404, "text/plain; charset=UTF-8", "there is /healthz/ready, and /app-health/ for the application's probes\n"});
}

}  // namespace weft::server
