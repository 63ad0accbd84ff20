#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "proxy/transport/byte_stream.h"

// Client connections that show a certificate as long as it is of use, and none otherwise: to a server that knows those
// who have none by something else. Shared by all workers.

namespace weft::transport {

// Connects as `with` until the certificate of `with` has expired and while it is not `withheld`; else as `without`.
std::shared_ptr<Connector> make_passing_identity(std::shared_ptr<Connector> with, std::shared_ptr<Connector> without,
                                                 std::shared_ptr<const std::atomic<bool>> withheld);

}  // namespace weft::transport
