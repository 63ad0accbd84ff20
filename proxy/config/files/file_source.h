#pragma once

#include <set>
#include <string>
#include <vector>

#include "proxy/config/files/file_watch.h"
#include "proxy/config/xds/duration.h"
#include "proxy/config/xds/subscription.h"

// A watched file as a source: an envoy.service.discovery.v3.DiscoveryResponse in YAML or JSON, read whole again after
// every change. A file that cannot be read or parsed is told in the log and changes nothing. Main thread.

namespace weft::config {

class FileSource final : public xds::Source {
 public:
  struct Options {
    std::string path;
    std::string watched_directory;  // Changes of anything in it count; empty: of the file itself.
    int64_t fetch_timeout_ms = xds::kInitialFetchTimeoutMs;  // 0: what waits for the file waits without bound.
  };
  FileSource(event::LibeventLoop& loop, FileWatch& watch, Options options, xds::Consumer& consumer);
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  void subscribe(xds::Type type, std::vector<std::string> names) override;
  bool connected() const override { return good_; }

 private:
  void on_changed() { read_timer_.arm(0); }
  void read();
  // What is wrong with the file, or empty.
  std::string take(const std::string& text);
  void on_fetch_timeout();

  FileWatch& watch_;
  uint64_t watch_id_ = 0;
  const Options options_;
  xds::Consumer& consumer_;
  bool subscribed_ = false;
  xds::Type type_ = xds::Type::kCluster;
  std::vector<std::string> names_;
  std::set<std::string> delivered_;
  bool good_ = false;
  event::Timer read_timer_;  // Several changes at once are one.
  event::Timer fetch_timer_;
};

}  // namespace weft::config
