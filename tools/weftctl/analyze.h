#pragma once

// `weftctl analyze`: what is wrong with the mesh, or would be with the files given. Main thread.

#include <string>
#include <vector>

#include "weft/v1/control.grpc.pb.h"

namespace weft::weftctl {

// `output` is "json" or "yaml", or empty for people. The process's exit code (client.h) by the worst finding: kRefused
// for errors, kDifferent for warnings, else kDone.
int analyze(const std::vector<std::string>& files, const std::string& output, v1::Control::Stub* stub,
            const std::string& socket);

}  // namespace weft::weftctl
