#include "proxy/config/files/make_source.h"

#include "envoy/config/core/v3/config_source.pb.h"
#include "proxy/config/xds/duration.h"

namespace weft::config {

std::unique_ptr<xds::Source> make_file_source(event::LibeventLoop& loop, FileWatch& watch,
                                              const std::string& config_source, xds::Consumer& consumer) {
  envoy::config::core::v3::ConfigSource proto;
  proto.ParseFromString(config_source);
  FileSource::Options options;
  options.path = proto.has_path_config_source() ? proto.path_config_source().path() : proto.path();
  options.watched_directory = proto.path_config_source().watched_directory().path();
  options.fetch_timeout_ms = xds::initial_fetch_timeout_ms(proto);
  return std::make_unique<FileSource>(loop, watch, std::move(options), consumer);
}

}  // namespace weft::config
