#pragma once

// weftctl's commands about proxies: the calls and what is printed of the answers. Main thread. Each returns the
// process's exit code (client.h).

#include <cstdint>
#include <string>

namespace weft::weftctl {

// `proxy` empty: all. `output`: "json", "yaml", or empty for tables.
int proxy_status(const std::string& socket, const std::string& proxy, const std::string& output);

// `types` is a plural: "listeners", "routes" …
int proxy_config(const std::string& socket, const std::string& types, const std::string& proxy,
                 const std::string& output);

// Waits until every connected proxy that a commit concerns has applied it, and prints how it goes: a bar on a terminal,
// otherwise lines. kNotApplied if one refused it or the time was over.
int await_applied(const std::string& socket, uint64_t revision, int64_t timeout_ms);

}  // namespace weft::weftctl
