#pragma once

#include <memory>
#include <vector>

#include "proxy/observe/metrics.h"
#include "proxy/observe/stats.h"
#include "proxy/rbac/rules.h"

// Rules in force and rules on trial, with what is counted of them. Immutable, shared by all workers.

namespace weft::rbac {

// Prefix "http.STAT_PREFIX.rbac.", or for connections "STAT_PREFIXrbac."; behind it what the configuration adds.
#define WEFT_RBAC_METRICS(X) X(Counter, allowed) X(Counter, denied)
WEFT_STATS(RulesStats, WEFT_RBAC_METRICS)
#define WEFT_SHADOW_RBAC_METRICS(X) X(Counter, shadow_allowed) X(Counter, shadow_denied)
WEFT_STATS(ShadowRulesStats, WEFT_SHADOW_RBAC_METRICS)

// Either may be nullptr: nothing is asked, and nothing counted.
struct Guard {
  std::shared_ptr<const Rules> rules;
  std::shared_ptr<const Rules> shadow;  // Whose outcome is counted and has no effect.
};

struct GuardStats {
  std::shared_ptr<observe::Family<RulesStats>> rules;
  std::shared_ptr<observe::Family<ShadowRulesStats>> shadow;
};

// Ask the rules, which must be there, and count the outcome, on the worker's thread.
Outcome judge(const Guard& guard, const GuardStats& stats, const Facts& facts, uint32_t worker);
Outcome judge_shadow(const Guard& guard, const GuardStats& stats, const Facts& facts, uint32_t worker);

// Of a filter chain: who may connect at all.
struct ConnectionGuard {
  Guard guard;
  GuardStats stats;
};
using ConnectionGuards = std::vector<std::shared_ptr<const ConnectionGuard>>;

// The first refusal, or an outcome that allows.
Outcome admit(const ConnectionGuards& guards, const transport::ConnectionInfo& connection, uint32_t worker);

}  // namespace weft::rbac
