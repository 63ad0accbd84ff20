#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "proxy/config/xds/stand_in.h"
#include "proxy/event/loop.h"
#include "proxy/observe/stats.h"
#include "weft/v1/kept_config.pb.h"

// The last accepted configuration on disk, for a start while the control plane is away: one file for each source and
// type. A source of which nothing was heard within the initial fetch timeout is away; what was kept of it is taken in
// its place until it is heard of. Only sources over gRPC are kept. Main thread.

namespace weft::config {

class KeptConfig final : public xds::StandIn {
 public:
  struct Options {
    std::string directory;
    std::string node_id;
    // Without this a secret that holds a private key, a password or ticket keys is not written.
    bool private_keys = false;
  };
  // Fails when the directory cannot be made or is not ours alone.
  static absl::Status check(const Options& options);
  KeptConfig(event::Loop& loop, Options options);
  // Writes what is not written yet.
  ~KeptConfig();
  KeptConfig(const KeptConfig&) = delete;
  KeptConfig& operator=(const KeptConfig&) = delete;

  // The source, a serialised ConfigSource, brought an update, of which this was refused.
  void on_update(const std::string& source, xds::Type type, const xds::Update& update,
                 const std::vector<xds::Refusal>& refusals) override;
  // What is wanted of the source from now on; only that is kept. Not for types of which all is wanted.
  void on_wanted(const std::string& source, xds::Type type, const std::vector<std::string>& names) override;
  // Within the initial fetch timeout the source did not answer for something. Whether it is away.
  bool on_fetch_timeout(const std::string& source) override;
  bool away(const std::string& source) const override { return away_.contains(key_of(source)); }
  // What was kept of it, of these names, or all there is; nothing if there is nothing.
  std::optional<xds::Update> restore(const std::string& source, xds::Type type,
                                     const std::vector<std::string>& names) override;
  // Whether what is in force under this name came from the disk, and its source has not spoken of it since.
  bool restored(const std::string& source, xds::Type type, const std::string& name) const;

  const observe::FamilyBase& family() const { return stats_; }

 private:
  struct Resources {
    std::string version;
    int64_t taken_wall_ns = 0;
    std::map<std::string, xds::Resource> by_name;
  };
  using Key = std::pair<std::string, xds::Type>;

  // The source without what does not matter here, empty if it is none of those that are kept.
  static std::string key_of(const std::string& source);
  std::string path_of(const Key& key) const;
  Resources* load(const Key& key);
  absl::Status read(const Key& key, Resources* into) const;
  bool may_write(xds::Type type, const xds::Resource& resource) const;
  void forget_restored(const Key& key, const xds::Update& update);
  // Those that nobody wants any more go.
  void forget_unwanted(const Key& key, Resources* resources);
  void write_changed();

  event::Loop& loop_;
  const Options options_;
  std::map<Key, Resources> taken_;                 // What is, or will be, in the files.
  std::map<Key, std::optional<Resources>> found_;  // What was in them at the start.
  std::map<Key, std::set<std::string>> restored_;
  std::map<Key, std::map<std::string, std::set<std::string>>> wanted_;  // By the source as it stands.
  std::set<std::string> heard_, away_;                                  // Sources.
  std::set<Key> changed_;
  event::Timer write_timer_;
  observe::Family<observe::KeptConfigStats> stats_;
};

}  // namespace weft::config
