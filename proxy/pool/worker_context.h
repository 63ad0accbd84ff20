#pragma once

#include "proxy/base/random.h"
#include "proxy/event/loop.h"
#include "proxy/pool/pool.h"

// What every connection and exchange of a worker is given: the worker's loop, randomness, upstreams and number. Owned
// by the worker; outlives all that it is handed to.

namespace weft::pool {

struct WorkerContext {
  event::Loop& loop;
  base::Random& random;
  WorkerUpstreams& upstreams;
  uint32_t worker;
};

}  // namespace weft::pool
