#pragma once

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Where configuration comes from while the proxy runs, and who takes it. A source (an ADS stream, a watched file) hands
// updates to the consumer, which says of each resource whether it is in force; the source tells the server (ACK, NACK).
// Main thread.

namespace weft::config::xds {

enum class Type : uint8_t { kCluster, kEndpoints, kListener, kRoutes, kSecret, kName };
inline constexpr int kTypes = 6;
// "type.googleapis.com/envoy.config.cluster.v3.Cluster"
std::string_view type_url(Type type);

struct Resource {
  std::string name;
  std::string version;  // The resource's own (delta), or that of the response (SotW).
  google::protobuf::Any body;
};

struct Update {
  std::string version;  // Of the response; delta: system_version_info. For /config_dump.
  std::vector<Resource> changed;
  std::vector<std::string> removed;
  // True: `changed` is all there is; resources of this source and type that are not in it are gone. So it is in SotW
  // for listeners and clusters, whose absence means removal.
  bool whole = false;
};

// A resource that was not taken; what ran before goes on running. `reason` names the field.
struct Refusal {
  std::string name;
  std::string reason;
};

class Consumer {
 public:
  // Takes what is good and refuses the rest. Applies before it returns, but for what must warm first.
  virtual std::vector<Refusal> on_update(Type type, const Update& update) = 0;
  // The source did not answer for these names within the initial fetch timeout: what waits for them goes on without.
  virtual void on_fetch_timeout(Type type, const std::vector<std::string>& names) = 0;

 protected:
  ~Consumer() = default;
};

class Source {
 public:
  virtual ~Source() = default;
  // The names wanted of this type from now on, all of them, sorted. A type that was never named is not asked for. An
  // empty list of listeners or clusters is the wildcard: all that the server has for this node.
  virtual void subscribe(Type type, std::vector<std::string> names) = 0;
  // False while it is away; what runs goes on.
  virtual bool connected() const = 0;
};

}  // namespace weft::config::xds
