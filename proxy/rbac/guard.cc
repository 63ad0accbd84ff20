#include "proxy/rbac/guard.h"

namespace weft::rbac {

Outcome judge(const Guard& guard, const GuardStats& stats, const Facts& facts, uint32_t worker) {
  Outcome outcome = guard.rules->judge(facts);
  RulesStats& counts = stats.rules->of_worker(worker);
  (outcome.allowed ? counts.allowed : counts.denied).add();
  return outcome;
}

Outcome judge_shadow(const Guard& guard, const GuardStats& stats, const Facts& facts, uint32_t worker) {
  Outcome outcome = guard.shadow->judge(facts);
  ShadowRulesStats& counts = stats.shadow->of_worker(worker);
  (outcome.allowed ? counts.shadow_allowed : counts.shadow_denied).add();
  return outcome;
}

Outcome admit(const ConnectionGuards& guards, const transport::ConnectionInfo& connection, uint32_t worker) {
  Facts facts{connection};
  for (const auto& each : guards) {
    if (each->guard.shadow != nullptr) judge_shadow(each->guard, each->stats, facts, worker);
    if (each->guard.rules == nullptr) continue;
    Outcome outcome = judge(each->guard, each->stats, facts, worker);
    if (!outcome.allowed) return outcome;
  }
  return {};
}

}  // namespace weft::rbac
