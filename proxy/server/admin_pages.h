#pragma once

#include "proxy/server/admin_server.h"

// What the admin listener answers, at Envoy's paths and in Envoy's shapes where tools look for them. Main thread.

namespace weft::server {

class Server;

AdminAnswer admin_page(Server& server, const AdminRequest& request);
// What is told to whoever may see metrics and nothing else.
AdminAnswer metrics_page(Server& server, const AdminRequest& request);

}  // namespace weft::server
