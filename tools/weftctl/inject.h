#pragma once

// The commands `inject` and `uninject`, which ask no control plane. Main thread.

#include <string>
#include <vector>

namespace weft::weftctl {

struct InjectOptions {
  std::vector<std::string> files;
  // A weft.v1.InjectConfig; empty: what it is when nothing is set.
  std::string config;
  // Over the configuration; empty: as that says.
  std::string image;
  std::string control;
  std::string ca_file;
  std::string form;
  std::string log_level;
};

// The manifests to standard output, what was done with each to standard error.
int inject(const InjectOptions& options);
int uninject(const InjectOptions& options);

}  // namespace weft::weftctl
