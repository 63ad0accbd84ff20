#include "proxy/intercept/intercept.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

namespace weft::intercept {
namespace {

// Answers by the program's name; programs without an answer are not there.
class FakeCommands final : public Commands {
 public:
  absl::StatusOr<CommandResult> run(const std::vector<std::string>& words, std::string_view input) override {
    auto found = answers.find(words[0]);
    if (found == answers.end()) return absl::NotFoundError(words[0] + " cannot be run: No such file or directory");
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    ran.push_back(line);
    inputs[line] = std::string(input);
    return found->second;
  }
  bool was_run(const std::string& line) const { return std::find(ran.begin(), ran.end(), line) != ran.end(); }

  std::map<std::string, CommandResult> answers{{"ip", {}}};
  std::vector<std::string> ran;
  std::map<std::string, std::string> inputs;
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }
std::string message(const absl::Status& status) { return std::string(status.message()); }

constexpr char kRestore4[] = "iptables-restore --noflush -w 10";
constexpr char kRestore6[] = "ip6tables-restore --noflush -w 10";
const std::vector<std::string> kIptables = {"iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore"};

TEST_CASE("nft takes the rules where there is one") {
  FakeCommands commands;
  commands.answers["nft"] = {};
  REQUIRE(apply({}, {}, commands).ok());
  CHECK(contains(commands.inputs["nft -f -"], "table inet weft {"));
  CHECK(commands.ran.front() == "ip -6 addr replace ::6/128 dev lo");
}

TEST_CASE("without nft it is iptables, for both families") {
  FakeCommands commands;
  for (const std::string& name : kIptables) commands.answers[name] = {};
  REQUIRE(apply({}, {}, commands).ok());
  CHECK(contains(commands.inputs[kRestore4], "-A OUTPUT -j WEFT_OUTPUT\n"));
  CHECK(contains(commands.inputs[kRestore6], "-A OUTPUT -j WEFT_OUTPUT\n"));
}

TEST_CASE("an nft that the kernel does not let work is no reason to give up") {
  FakeCommands commands;
  commands.answers["nft"] = {1, "", "Error: Could not process rule: Operation not supported\n"};
  for (const std::string& name : kIptables) commands.answers[name] = {};
  CHECK(apply({}, {}, commands).ok());
  CHECK(commands.was_run(kRestore4));
  Target only_nft{Backend::kNft, true};
  CHECK(contains(message(apply({}, only_nft, commands)), "Operation not supported; it needs nft 0.9.3"));
}

TEST_CASE("the legacy variant is taken where the other does not work") {
  FakeCommands commands;
  for (const std::string& name : kIptables) commands.answers[name] = {1, "", "no nf_tables"};
  for (std::string name : {"iptables-legacy", "ip6tables-legacy"}) {
    commands.answers[name + "-save"] = {};
    commands.answers[name + "-restore"] = {};
  }
  REQUIRE(apply({}, {Backend::kIptables, true}, commands).ok());
  CHECK(commands.was_run("iptables-legacy-restore --noflush -w 10"));
  CHECK(!commands.was_run(kRestore4));
}

TEST_CASE("with neither it says what lacks") {
  FakeCommands commands;
  std::string said = message(apply({}, {}, commands));
  CHECK(contains(said, "nft cannot be run: No such file or directory"));
  CHECK(contains(said, "iptables-save cannot be run: No such file or directory"));
  commands.answers.clear();
  CHECK(
      contains(message(apply({}, {}, commands)), "ip cannot be run: No such file or directory (ip is of the package"));
}

TEST_CASE("when one family fails the other does not stay") {
  FakeCommands commands;
  for (const std::string& name : kIptables) commands.answers[name] = {};
  commands.answers["ip6tables-save"].output = "*nat\n:WEFT_OUTPUT - [0:0]\n-A OUTPUT -j WEFT_OUTPUT\nCOMMIT\n";
  commands.answers["iptables-restore"] = {2, "", "iptables-restore: line 3 failed\n"};
  std::string said = message(apply({}, {}, commands));
  CHECK(contains(said, "line 3 failed; so nothing is intercepted by iptables now"));
  CHECK(commands.inputs[kRestore6] == "*nat\n-D OUTPUT -j WEFT_OUTPUT\n-F WEFT_OUTPUT\n-X WEFT_OUTPUT\nCOMMIT\n");
}

TEST_CASE("rules of the other backend do not stay") {
  FakeCommands commands;
  commands.answers["nft"] = {};
  for (const std::string& name : kIptables) commands.answers[name] = {};
  commands.answers["iptables-save"].output = "*nat\n:WEFT_OUTPUT - [0:0]\n-A OUTPUT -j WEFT_OUTPUT\nCOMMIT\n";
  REQUIRE(apply({}, {Backend::kNft, true}, commands).ok());
  CHECK(contains(commands.inputs[kRestore4], "-X WEFT_OUTPUT"));
  CHECK(!commands.was_run(kRestore6));
  commands.inputs.clear();
  REQUIRE(apply({}, {Backend::kIptables, true}, commands).ok());
  CHECK(commands.inputs["nft -f -"] == "add table inet weft\ndelete table inet weft\n");
}

TEST_CASE("tproxy brings its routes along, once") {
  FakeCommands commands;
  commands.answers["nft"] = {};
  Rules rules;
  rules.mode = Rules::Mode::kTproxy;
  REQUIRE(apply(rules, {Backend::kNft, false}, commands).ok());
  CHECK(commands.ran == std::vector<std::string>{"ip -4 rule del fwmark 1337 lookup 133",
                                                 "ip -4 rule add fwmark 1337 lookup 133",
                                                 "ip -4 route replace local default dev lo table 133", "nft -f -"});
}

TEST_CASE("a dry run changes nothing, and is a script that would") {
  FakeCommands commands;
  commands.answers["nft"] = {};
  absl::StatusOr<std::string> script = dry_run({}, {}, commands);
  REQUIRE(script.ok());
  CHECK(script->starts_with("ip -6 addr replace ::6/128 dev lo\nnft -f - <<'END'\nadd table inet weft\n"));
  CHECK(script->ends_with("}\nEND\n"));
  CHECK(commands.ran == std::vector<std::string>{"nft --version"});
}

TEST_CASE("the capability is read from /proc") {
  CHECK(may_change_rules("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n"));
  CHECK(may_change_rules("CapEff:\t0000000000001000\n"));
  CHECK(!may_change_rules("CapEff:\t0000000000002000\nCapBnd:\t000001ffffffffff\n"));
  CHECK(!may_change_rules(""));
}

TEST_CASE("a real command gets its input and gives its output, errors and code") {
  auto commands = system_commands();
  auto done = commands->run({"sh", "-c", "cat; echo wrong >&2; exit 3"}, "some input");
  REQUIRE(done.ok());
  CHECK(done->exit_code == 3);
  CHECK(done->output == "some input");
  CHECK(done->errors == "wrong\n");
  CHECK(absl::IsNotFound(commands->run({"weft-no-such-program"}, "").status()));
  std::string large(1 << 20, 'x');
  done = commands->run({"cat"}, large);
  REQUIRE(done.ok());
  CHECK(done->output == large);
}

}  // namespace
}  // namespace weft::intercept
