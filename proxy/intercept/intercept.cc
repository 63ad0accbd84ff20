#include "proxy/intercept/intercept.h"

#include <array>
#include <charconv>
#include <vector>

#include "api/text/cat.h"
#include "proxy/intercept/iptables_script.h"
#include "proxy/intercept/nft_script.h"

namespace weft::intercept {
namespace {

using text::append;
using text::cat;
using Words = std::vector<std::string>;

constexpr int kCapNetAdmin = 12;
// Another program may hold iptables' lock for a moment.
constexpr char kLockWaitS[] = "10";

struct Step {
  Words words;
  std::string input;
  bool may_fail = false;  // It takes away what may not be there.
};

std::string joined(const Words& words) {
  std::string result;
  for (const std::string& word : words) append(&result, result.empty() ? "" : " ", word);
  return result;
}

// Fails as the program does, with its own words.
absl::StatusOr<std::string> run(const Step& step, Commands& commands) {
  absl::StatusOr<CommandResult> done = commands.run(step.words, step.input);
  if (!done.ok()) return done.status();
  if (done->exit_code == 0 || step.may_fail) return std::move(done->output);
  std::string said = done->errors.empty() ? "it says nothing" : done->errors;
  while (said.ends_with('\n')) said.pop_back();
  return absl::FailedPreconditionError(cat("`", joined(step.words), "` ended with ", done->exit_code, ": ", said));
}

// Routes by which what TPROXY marked is delivered here, and the address of kPassIpv6, which lo has not by itself.
std::vector<Step> route_steps(const Rules& rules, bool ipv6) {
  std::vector<Step> steps;
  if (ipv6) steps.push_back({{"ip", "-6", "addr", "replace", cat(kPassIpv6, "/128"), "dev", "lo"}, ""});
  if (rules.mode != Rules::Mode::kTproxy) return steps;
  std::string mark = cat(kTproxyMark), table = cat(kTproxyTable);
  for (std::string family : {"-4", "-6"}) {
    if (family == "-6" && !ipv6) continue;
    // Each further `add` would be one more rule.
    steps.push_back({{"ip", family, "rule", "del", "fwmark", mark, "lookup", table}, "", true});
    steps.push_back({{"ip", family, "rule", "add", "fwmark", mark, "lookup", table}, ""});
    steps.push_back({{"ip", family, "route", "replace", "local", "default", "dev", "lo", "table", table}, ""});
  }
  return steps;
}

std::vector<Step> clean_route_steps() {
  std::string mark = cat(kTproxyMark), table = cat(kTproxyTable);
  std::vector<Step> steps = {{{"ip", "-6", "addr", "del", cat(kPassIpv6, "/128"), "dev", "lo"}, "", true}};
  for (std::string family : {"-4", "-6"}) {
    steps.push_back({{"ip", family, "rule", "del", "fwmark", mark, "lookup", table}, "", true});
    steps.push_back({{"ip", family, "route", "flush", "table", table}, "", true});
  }
  return steps;
}

Step nft_step(std::string script) { return {{"nft", "-f", "-"}, std::move(script)}; }

// One of the iptables that there may be beside one another: "ip" or "ip6", and what distinguishes them.
struct Iptables {
  IpFamily family;
  std::string variant;  // "", "-nft", "-legacy"
  std::string name() const { return cat(family == IpFamily::kIpv4 ? "iptables" : "ip6tables", text::to_absl(variant)); }
  Step save() const { return {{name() + "-save"}, ""}; }
  Step restore(std::string script) const {
    return {{name() + "-restore", "--noflush", "-w", kLockWaitS}, std::move(script)};
  }
};

constexpr std::array<const char*, 3> kVariants = {"", "-nft", "-legacy"};

// The first that answers for the families that are wanted; the error is that of the plain one.
absl::StatusOr<std::string> choose_iptables(bool ipv6, Commands& commands) {
  absl::Status first;
  for (std::string variant : kVariants) {
    absl::Status status = run(Iptables{IpFamily::kIpv4, variant}.save(), commands).status();
    if (status.ok() && ipv6) status = run(Iptables{IpFamily::kIpv6, variant}.save(), commands).status();
    if (status.ok()) return variant;
    if (first.ok()) first = status;
  }
  return first;
}

// Of the variants that there are. Those that do not work have no rules either.
absl::Status clean_iptables(Commands& commands) {
  for (IpFamily family : {IpFamily::kIpv4, IpFamily::kIpv6}) {
    for (std::string variant : kVariants) {
      Iptables iptables{family, variant};
      absl::StatusOr<std::string> saved = run(iptables.save(), commands);
      if (!saved.ok()) continue;
      std::string script = iptables_clean_script(*saved);
      if (script.empty()) continue;
      if (auto done = run(iptables.restore(std::move(script)), commands); !done.ok()) return done.status();
    }
  }
  return absl::OkStatus();
}

absl::Status clean_nft(Commands& commands) {
  absl::Status status = run(nft_step(nft_clean_script()), commands).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status apply_nft(const Rules& rules, Commands& commands) {
  if (auto done = run(nft_step(nft_script(rules)), commands); !done.ok()) return done.status();
  // Those of an earlier run with the other backend would take connections a second time.
  return clean_iptables(commands);
}

absl::Status apply_iptables(const Rules& rules, const Target& target, Commands& commands) {
  absl::StatusOr<std::string> variant = choose_iptables(target.ipv6, commands);
  if (!variant.ok()) return variant.status();
  // Each family is a step of its own. IPv4 last, which most connections are.
  for (IpFamily family : {IpFamily::kIpv6, IpFamily::kIpv4}) {
    if (family == IpFamily::kIpv6 && !target.ipv6) continue;
    Iptables iptables{family, *variant};
    absl::StatusOr<std::string> done = run(iptables.save(), commands);
    if (done.ok()) done = run(iptables.restore(iptables_script(rules, family, *done)), commands);
    if (done.ok()) continue;
    absl::Status cleaned = clean_iptables(commands);
    return absl::FailedPreconditionError(cat(
        done.status().message(), "; ", cleaned.ok() ? "so nothing is intercepted by iptables now" : cleaned.message()));
  }
  absl::Status cleaned = clean_nft(commands);
  // A kernel without nftables has no table either.
  return target.backend == Backend::kAuto ? absl::OkStatus() : cleaned;
}

absl::Status with_reason(std::string_view doing, const absl::Status& status, std::string_view advice) {
  return absl::Status(status.code(), cat(doing, ": ", status.message(), advice));
}

}  // namespace

absl::Status apply(const Rules& rules, const Target& target, Commands& commands) {
  for (const Step& step : route_steps(rules, target.ipv6)) {
    absl::Status status = run(step, commands).status();
    if (!status.ok()) return with_reason("addresses and routes", status, " (ip is of the package iproute2)");
  }
  absl::Status by_nft;
  if (target.backend != Backend::kIptables) {
    by_nft = apply_nft(rules, commands);
    if (by_nft.ok()) return by_nft;
    by_nft = with_reason("nftables", by_nft,
                         "; it needs nft 0.9.3 and Linux 5.2 with CONFIG_NF_TABLES_INET and "
                         "CONFIG_NFT_REDIR (for tproxy CONFIG_NFT_TPROXY)");
    if (target.backend == Backend::kNft) return by_nft;
  }
  absl::Status by_iptables = apply_iptables(rules, target, commands);
  if (by_iptables.ok()) return by_iptables;
  by_iptables = with_reason("iptables", by_iptables, "; it needs the modules nat, REDIRECT and owner of the kernel");
  if (by_nft.ok()) return by_iptables;
  return absl::FailedPreconditionError(cat(by_nft.message(), "\n", by_iptables.message()));
}

absl::Status clean(Commands& commands) {
  absl::Status nft = clean_nft(commands), iptables = clean_iptables(commands);
  for (const Step& step : clean_route_steps()) (void)run(step, commands);
  return nft.ok() ? iptables : nft;
}

absl::StatusOr<std::string> dry_run(const Rules& rules, const Target& target, Commands& commands) {
  std::vector<Step> steps = route_steps(rules, target.ipv6);
  bool nft = target.backend == Backend::kNft;
  if (target.backend == Backend::kAuto) nft = commands.run({"nft", "--version"}, "").ok();
  if (nft) {
    steps.push_back(nft_step(nft_script(rules)));
  } else {
    absl::StatusOr<std::string> variant = choose_iptables(false, commands);
    for (IpFamily family : {IpFamily::kIpv6, IpFamily::kIpv4}) {
      if (family == IpFamily::kIpv6 && !target.ipv6) continue;
      Iptables iptables{family, variant.ok() ? *variant : ""};
      steps.push_back(iptables.restore(iptables_script(rules, family, "")));
    }
  }
  std::string out;
  for (const Step& step : steps) {
    append(&out, joined(step.words), step.may_fail ? " 2>/dev/null || true" : "");
    out += step.input.empty() ? "\n" : cat(" <<'END'\n", step.input, "END\n");
  }
  return out;
}

bool may_change_rules(const std::string& proc_status) {
  constexpr std::string_view kLine = "CapEff:\t";
  size_t at = proc_status.find(kLine);
  if (at == std::string::npos) return false;
  uint64_t mask = 0;
  const char* begin = proc_status.data() + at + kLine.size();
  std::from_chars(begin, proc_status.data() + proc_status.size(), mask, 16);
  return (mask >> kCapNetAdmin & 1) != 0;
}

}  // namespace weft::intercept
