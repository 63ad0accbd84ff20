#pragma once

// A workload that announced itself: an application behind a proxy that keeps a stream open, and so an endpoint of its
// service without anybody writing an EndpointSlice. A value.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace weft::control::registry {

struct WorkloadName {
  std::string namespace_name;
  std::string service;
  // The node id of its proxy.
  std::string node;

  auto operator<=>(const WorkloadName&) const = default;
};

// What a workload is called where many are instances of one; for metrics.
struct WorkloadLabels {
  // As a Deployment's name.
  std::string workload;
  std::string service_account;

  auto operator<=>(const WorkloadLabels&) const = default;
};

struct Workload {
  WorkloadName name;
  WorkloadLabels labels;
  // Where its proxy takes others' calls: an IP address without brackets.
  std::string address;
  uint16_t port = 0;
  // The application's own, by which the ports of its service are found.
  uint16_t app_port = 0;
  // Its proxy takes calls of all of the workload's ports, under their own numbers; `port` is app_port.
  bool takes_all_ports = false;
  // Its proxy has a certificate of the mesh, and takes calls by mutual TLS.
  bool mtls = false;
  // Its proxy has taken the listener for others' calls.
  bool listening = false;
  bool healthy = true;
  // Why it is not healthy.
  std::string reason;
  // It ends: it finishes what it has and wants nothing new.
  bool draining = false;
  // No stream of it is open.
  bool away = false;

  bool operator==(const Workload&) const = default;

  // New requests may go there. One that is away keeps its place for the time of grace.
  bool ready() const { return listening && healthy && !draining; }
};

struct WorkloadChange {
  WorkloadName name;
  // Nothing: it is gone.
  std::optional<Workload> workload;
};

}  // namespace weft::control::registry
