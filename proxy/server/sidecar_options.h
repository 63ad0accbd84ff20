#pragma once

#include <absl/status/statusor.h>

#include <string>

#include <optional>
#include <vector>

#include "proxy/config/bootstrap/sidecar.h"
#include "proxy/transport/byte_stream.h"

// The command line of `weft-proxy sidecar`. Main thread.

namespace CLI {
class App;
}  // namespace CLI

namespace weft::server {

struct SidecarCommand {
  config::SidecarOptions options;
  std::string token_file;        // Of the join token, or of a service account's; empty: $WEFT_TOKEN has it.
  bool print_bootstrap = false;  // Instead of running it.
  // Where its platform asks whether it is ready; 0: nowhere. By default with interception alone.
  std::optional<uint16_t> health_port;
  uint16_t dns_port = 15053;  // On loopback, with options.interception.dns.
  // By complete():
  bool completed = false;
  std::string app_probes;  // $WEFT_APP_PROBES
  bool has_ipv6 = false;   // This host.
  // Addresses of this host beside options.inbound_address, by which others reach it.
  std::vector<transport::Address> own_addresses;
};

// Adds the subcommand `name`, whose words go to `command`, which outlives the app. A mistake is told as CLI11 does.
CLI::App* add_sidecar_command(CLI::App& app, SidecarCommand& command, const char* name, const char* about);

// A token as it stands in the file, or an error that names it.
absl::StatusOr<std::string> read_token_file(const std::string& file);

// What follows from the rest: the join token, the address at which others reach the workload, and the node's id. An
// error says which option is missing. Does nothing a second time.
absl::Status complete(SidecarCommand& command);

}  // namespace weft::server
