#pragma once

// The pages of the admin port: /healthz, /metrics (Prometheus' text), /nodes (JSON: what each node was sent, holds and
// refused). Pure; the hub's thread.

#include <optional>
#include <string>

#include "control-plane/ca/authority.h"
#include "control-plane/server/admission.h"
#include "control-plane/server/mesh.h"
#include "control-plane/server/page.h"
#include "control-plane/xds/hub.h"

namespace weft::control::server {

// Nothing if there is no such page. Null: all may come in, and nobody signs.
std::optional<Page> status_page(const std::string& path, const xds::Hub& hub, const Mesh& mesh,
                                const Admission* admission, const ca::Authority* authority);

}  // namespace weft::control::server
