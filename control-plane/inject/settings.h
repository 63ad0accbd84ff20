#pragma once

// What one pod's sidecar is to be like: what the operator has set for all, and above it what the pod's annotations say.
// Pure; any thread.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "api/text/tree.h"

namespace weft::control::inject {

struct Settings {
  std::string image;
  std::string image_pull_policy;  // empty: Kubernetes decides
  std::string control_address;
  // One of the two, by which the proxy knows the control plane, unless its join token says it.
  std::string ca;  // PEM
  std::string ca_config_map;
  // Of a join token; empty: the proxy shows its service account's.
  std::string token_secret;
  bool native = true;
  bool hold_application = true;
  bool rewrite_probes = true;
  // Off, as in Istio: in a cluster most names are known without it, and pods go on asking whom they asked before.
  bool dns = false;
  std::string log_level;
  // Kubernetes' quantities; empty limits are none.
  std::string cpu, memory, cpu_limit, memory_limit;
  // With commas between, as `weft-proxy intercept` takes them.
  std::string include_inbound_ports, exclude_inbound_ports;
  std::string include_outbound_ports, exclude_outbound_ports;
  std::string include_outbound_cidrs, exclude_outbound_cidrs;
  // Of the pod alone; empty and 0: nobody says.
  std::string service;
  uint16_t app_port = 0;
};

// Whether a pod is to have a sidecar, by its label or annotation of either name. Labels go first, ours before Istio's.
inline constexpr std::string_view kInject = "weft.mesh/inject";
inline constexpr std::string_view kIstioInject = "sidecar.istio.io/inject";

// What is set for all, of a weft.v1.InjectConfig in YAML or JSON. InvalidArgument, with file, line and column.
absl::StatusOr<Settings> read_settings(std::string_view text, std::string_view file_name);
// Those of a configuration in which nothing is set.
Settings default_settings();

// One option of a command line over them, by the names that annotations have ("proxy-image"). InvalidArgument.
absl::Status override_setting(std::string_view name, const std::string& value, Settings* settings);

// An annotation whose value is not what it should be.
struct BadAnnotation {
  std::string name;
  std::string what;
};

// `annotations` over `settings`. `unknown` is added those of ours that mean nothing here.
std::vector<BadAnnotation> apply_annotations(const std::map<std::string, std::string>& annotations, Settings* settings,
                                             std::vector<std::string>* unknown);

}  // namespace weft::control::inject
