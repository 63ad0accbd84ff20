#include "proxy/intercept/commands.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/text/cat.h"

namespace weft::intercept {
namespace {

using text::cat;

// A file without a name, so that neither side waits for the other as with pipes.
class Scratch {
 public:
  Scratch() : fd_(memfd_create("weft-intercept", MFD_CLOEXEC)) {}
  ~Scratch() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

  bool fill(std::string_view text) {
    while (!text.empty()) {
      ssize_t written = write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      text.remove_prefix(static_cast<size_t>(written));
    }
    return lseek(fd_, 0, SEEK_SET) == 0;
  }

  std::string text() const {
    std::string result;
    char piece[4096];
    ssize_t got;
    while ((got = pread(fd_, piece, sizeof(piece), static_cast<off_t>(result.size()))) > 0) {
      result.append(piece, static_cast<size_t>(got));
    }
    return result;
  }

 private:
  int fd_;
};

// 0, or an errno.
int spawn(const std::vector<std::string>& words, const Scratch& in, const Scratch& out, const Scratch& err,
          pid_t* child) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.fd(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.fd(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.fd(), STDERR_FILENO);
  int error = ENOENT;
  for (const std::string folder : {"", "/usr/sbin/", "/sbin/"}) {
    std::string program = folder + words[0];
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    error = posix_spawnp(child, program.c_str(), &actions, nullptr, arguments.data(), environ);
    if (error != ENOENT) break;
  }
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

class SystemCommands final : public Commands {
 public:
  absl::StatusOr<CommandResult> run(const std::vector<std::string>& words, std::string_view input) override {
    Scratch in, out, err;
    if (in.fd() < 0 || out.fd() < 0 || err.fd() < 0 || !in.fill(input)) {
      return absl::InternalError(cat(words[0], ": no memory file for its input: ", strerror(errno)));
    }
    pid_t child = -1;
    if (int error = spawn(words, in, out, err, &child); error != 0) {
      std::string message = cat(words[0], " cannot be run: ", strerror(error));
      return error == ENOENT ? absl::NotFoundError(message) : absl::InternalError(message);
    }
    int state = 0;
    while (waitpid(child, &state, 0) < 0) {
      if (errno != EINTR) return absl::InternalError(cat(words[0], " cannot be waited for: ", strerror(errno)));
    }
    int code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return CommandResult{code, out.text(), err.text()};
  }
};

}  // namespace

std::unique_ptr<Commands> system_commands() { return std::make_unique<SystemCommands>(); }

}  // namespace weft::intercept
