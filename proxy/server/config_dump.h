#pragma once

#include <nlohmann/json.hpp>

#include "proxy/server/admin_server.h"

// /config_dump in Envoy's shape: the bootstrap; of clusters, listeners and routes what runs, what warms, what drains,
// and what was refused last and why; with ?include_eds also the endpoints that came. Secrets are blanked out. Main
// thread.

namespace weft::server {

class Server;

nlohmann::json config_dump(Server& server, const AdminRequest& request);

}  // namespace weft::server
