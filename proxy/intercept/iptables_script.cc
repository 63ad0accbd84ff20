#include "proxy/intercept/iptables_script.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "api/text/cat.h"

namespace weft::intercept {
namespace {

using text::append;
using text::cat;

constexpr char kPrefix[] = "WEFT_";
constexpr const char* kTables[] = {"raw", "mangle", "nat"};

// Of one table: our chains, and rules in their order, without "-A ".
struct Table {
  std::vector<std::string> chains;
  std::vector<std::string> rules;
};

// What iptables-save tells of ours in one table.
struct Found {
  std::vector<std::string> chains;
  std::vector<std::string> jumps;  // Rules of the kernel's chains that lead to ours, without "-A ".
};

std::map<std::string, Found> find_ours(std::string_view saved) {
  std::map<std::string, Found> result;
  std::istringstream lines{std::string(saved)};
  Found* table = nullptr;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('*')) table = &result[line.substr(1)];
    if (table == nullptr) continue;
    if (line.starts_with(cat(":", kPrefix))) table->chains.push_back(line.substr(1, line.find(' ') - 1));
    bool jumps = line.find(cat("-j ", kPrefix)) != std::string::npos;
    if (jumps && line.starts_with("-A ") && !line.starts_with(cat("-A ", kPrefix))) {
      table->jumps.push_back(line.substr(3));
    }
  }
  std::erase_if(result, [](const auto& entry) { return entry.second.chains.empty(); });
  return result;
}

class Tables {
 public:
  Tables(const Rules& rules, IpFamily family) : rules_(rules), ipv6_(family == IpFamily::kIpv6) {}

  std::map<std::string, Table> make() {
    nat();
    if (rules_.dns_port != 0) dns_zone();
    if (rules_.mode == Rules::Mode::kTproxy && rules_.inbound) tproxy();
    return std::move(tables_);
  }

 private:
  void open(const std::string& table, const std::string& chain) {
    table_ = &tables_[table];
    table_->chains.push_back(chain);
    chain_ = chain;
  }
  void rule(const std::string& text) { table_->rules.push_back(cat(chain_, " ", text)); }
  void jump(const std::string& from, const std::string& match) {
    table_->rules.push_back(cat(from, " ", match, "-j ", chain_));
  }
  bool mine(bool is_ipv6) const { return is_ipv6 == ipv6_; }
  std::string pass_address() const { return ipv6_ ? cat(kPassIpv6, "/128") : cat(kPassIpv4, "/32"); }

  void inbound_ports() {
    rule(cat("-p tcp --dport ", kSelfTestPort, " -j WEFT_TO_INBOUND"));
    std::set<uint16_t> left(std::begin(kOwnPorts), std::end(kOwnPorts));
    left.insert(rules_.exclude_inbound_ports.begin(), rules_.exclude_inbound_ports.end());
    for (uint16_t port : left) rule(cat("-p tcp --dport ", port, " -j RETURN"));
    for (uint16_t port : rules_.include_inbound_ports) rule(cat("-p tcp --dport ", port, " -j WEFT_TO_INBOUND"));
    if (rules_.include_inbound_ports.empty()) rule("-p tcp -j WEFT_TO_INBOUND");
  }

  void nat() {
    if (rules_.inbound) {
      open("nat", "WEFT_TO_INBOUND");
      rule(cat("-p tcp -j REDIRECT --to-ports ", rules_.inbound_port));
      open("nat", "WEFT_INBOUND");
      inbound_ports();
      if (rules_.mode == Rules::Mode::kRedirect) jump("PREROUTING", "-p tcp ");
    }
    open("nat", "WEFT_TO_OUTBOUND");
    rule(cat("-p tcp -j REDIRECT --to-ports ", rules_.outbound_port));
    open("nat", "WEFT_OUTPUT");
    output_passes();
    output();
    jump("OUTPUT", "");
  }

  void output_passes() {
    const std::string pass = pass_address();
    if (rules_.mode == Rules::Mode::kTproxy) rule(cat("-m mark --mark ", kTproxyMark, " -j RETURN"));
    rule(cat("-d ", pass, " -p tcp --dport ", kSelfTestPort, " -j WEFT_TO_OUTBOUND"));
    if (rules_.dns_port != 0) {
      rule(cat("-d ", pass, " -p udp --dport ", kSelfTestPort, " -j REDIRECT --to-ports ", rules_.dns_port));
    }
    rule(cat("-s ", pass, " -o lo -j RETURN"));
    for (std::string own : {cat("--uid-owner ", rules_.uid), cat("--gid-owner ", rules_.gid)}) {
      if (rules_.inbound) {
        rule(cat("! -d ", ipv6_ ? "::1/128" : "127.0.0.0/8", " -o lo -p tcp -m owner ", own, " -g WEFT_INBOUND"));
      }
      rule(cat("-m owner ", own, " -j RETURN"));
    }
    for (uint32_t uid : rules_.exclude_uids) rule(cat("-m owner --uid-owner ", uid, " -j RETURN"));
  }

  // What holds for those whose connections are taken: with included users a chain of its own, to which they alone come.
  void open_for_users(const std::string& table, const std::string& chain) {
    if (rules_.include_uids.empty()) return;
    for (uint32_t uid : rules_.include_uids) rule(cat("-m owner --uid-owner ", uid, " -g ", chain));
    open(table, chain);
  }

  void dns(const std::string& protocol, const std::string& action) {
    std::string match = cat("-p ", protocol, " --dport ", kDnsPort, " ", action);
    if (rules_.dns_servers.empty()) rule(match);
    for (transport::Address server : rules_.dns_servers) {
      if (!mine(server.family == transport::Address::Family::kIpv6)) continue;
      server.scope_id = 0;
      rule(cat("-d ", server.ip_text(), ipv6_ ? "/128 " : "/32 ", match));
    }
  }

  void output() {
    std::string before = chain_;
    open_for_users("nat", "WEFT_USERS");
    if (rules_.dns_port != 0) {
      for (std::string protocol : {"udp", "tcp"}) dns(protocol, cat("-j REDIRECT --to-ports ", rules_.dns_port));
    }
    rule("! -p tcp -j RETURN");
    rule("-o lo -j RETURN");
    for (uint16_t port : rules_.exclude_outbound_ports) rule(cat("-p tcp --dport ", port, " -j RETURN"));
    for (const Cidr& cidr : rules_.exclude_outbound_cidrs) {
      if (mine(cidr.is_ipv6())) rule(cat("-d ", cidr.text(), " -j RETURN"));
    }
    bool all = rules_.include_outbound_ports.empty() && rules_.include_outbound_cidrs.empty();
    if (all) rule("-p tcp -j WEFT_TO_OUTBOUND");
    for (uint16_t port : rules_.include_outbound_ports) rule(cat("-p tcp --dport ", port, " -j WEFT_TO_OUTBOUND"));
    for (const Cidr& cidr : rules_.include_outbound_cidrs) {
      if (mine(cidr.is_ipv6())) rule(cat("-d ", cidr.text(), " -p tcp -j WEFT_TO_OUTBOUND"));
    }
    chain_ = before;
  }

  // As in nft_script.cc.
  void dns_zone() {
    std::string zone = cat("-j CT --zone ", kDnsZone);
    open("raw", "WEFT_DNS_ZONE");
    const std::string of_responder = cat("-p udp --sport ", rules_.dns_port, " ");
    const std::string of_self_test = cat("-d ", pass_address(), " -p udp --dport ", kSelfTestPort, " ");
    for (const std::string& match : {of_responder, of_self_test}) {
      rule(match + zone);
      rule(match + "-j RETURN");
    }
    rule(cat("-m owner --uid-owner ", rules_.uid, " -j RETURN"));
    rule(cat("-m owner --gid-owner ", rules_.gid, " -j RETURN"));
    for (uint32_t uid : rules_.exclude_uids) rule(cat("-m owner --uid-owner ", uid, " -j RETURN"));
    std::string before = chain_;
    open_for_users("raw", "WEFT_DNS_USERS");
    dns("udp", zone);
    chain_ = before;
    jump("OUTPUT", "-p udp ");
  }

  void tproxy() {
    open("mangle", "WEFT_TO_INBOUND");
    rule(cat("-p tcp -j TPROXY --on-port ", rules_.inbound_port, " --tproxy-mark ", kTproxyMark));
    open("mangle", "WEFT_TPROXY");
    rule("-i lo -j RETURN");
    rule("-m conntrack --ctdir REPLY -j RETURN");
    inbound_ports();
    jump("PREROUTING", "-p tcp ");
    open("mangle", "WEFT_ANSWERS");
    rule(cat("-m mark --mark ", kTproxyMark, " -j CONNMARK --save-mark"));
    rule(cat("-m conntrack --ctdir REPLY -m connmark --mark ", kTproxyMark, " -j CONNMARK --restore-mark"));
    jump("OUTPUT", "-p tcp ");
  }

  const Rules& rules_;
  const bool ipv6_;
  std::map<std::string, Table> tables_;
  Table* table_ = nullptr;
  std::string chain_;
};

std::string restore_input(const std::map<std::string, Table>& wanted, std::string_view saved) {
  std::map<std::string, Found> found = find_ours(saved);
  std::string out;
  for (const std::string name : kTables) {
    auto old = found.find(name);
    auto next = wanted.find(name);
    if (old == found.end() && next == wanted.end()) continue;
    append(&out, "*", name, "\n");
    if (old != found.end()) {
      for (const std::string& jump : old->second.jumps) append(&out, "-D ", jump, "\n");
      for (const std::string& chain : old->second.chains) append(&out, "-F ", chain, "\n");
      for (const std::string& chain : old->second.chains) append(&out, "-X ", chain, "\n");
    }
    if (next != wanted.end()) {
      for (const std::string& chain : next->second.chains) append(&out, "-N ", chain, "\n");
      for (const std::string& rule : next->second.rules) append(&out, "-A ", rule, "\n");
    }
    out += "COMMIT\n";
  }
  return out;
}

}  // namespace

std::string iptables_script(const Rules& rules, IpFamily family, std::string_view saved) {
  return restore_input(Tables(rules, family).make(), saved);
}

std::string iptables_clean_script(std::string_view saved) { return restore_input({}, saved); }

}  // namespace weft::intercept
