#pragma once

#include <memory>
#include <string>

#include "proxy/config/files/file_source.h"

// The watched file that the configuration names, as a source. Main thread.

namespace weft::config {

// The source that a serialised ConfigSource with path or path_config_source describes.
std::unique_ptr<xds::Source> make_file_source(event::LibeventLoop& loop, FileWatch& watch,
                                              const std::string& config_source, xds::Consumer& consumer);

}  // namespace weft::config
