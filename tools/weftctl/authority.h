#pragma once

// `weftctl ca`: how the mesh's certificate authority stands, the next step of replacing its root, and what it signed.
// Main thread. Each returns the process's exit code (client.h). `output`: "json", "yaml", or empty for text.

#include <cstdint>
#include <string>

namespace weft::weftctl {

int ca_status(const std::string& output, const std::string& socket);
int ca_rotate(bool force, const std::string& socket);
// `of`: a SPIFFE ID or a node; empty for all.
int ca_issued(const std::string& of, uint32_t limit, const std::string& output, const std::string& socket);

}  // namespace weft::weftctl
