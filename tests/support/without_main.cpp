// SPDX-License-Identifier: Apache-2.0
// Runs a program in which chosen system calls fail:
// `model-prep-without flock=ENOLCK symlink=EPERM -- program …`
//
// `call=ERRNO` makes the call fail; `call=0` makes it succeed without doing anything, for instance
// a lock that every process gets. `clone` also stands for the threads of the program. This
// simulates file systems that the test machine does not have. The kernel does it (seccomp,
// SECCOMP_RET_ERRNO), so it works for any program, sanitized, static or Python, and for its child
// processes.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

const std::map<std::string, std::vector<int>> kCalls = {
#ifdef SYS_symlink  // newer architectures have only the call with `at`
    {"symlink", {SYS_symlink, SYS_symlinkat}},
    {"link", {SYS_link, SYS_linkat}},
#else
    {"symlink", {SYS_symlinkat}},
    {"link", {SYS_linkat}},
#endif
    {"flock", {SYS_flock}},
    {"pwrite", {SYS_pwrite64}},
    {"fsync", {SYS_fsync}},
    {"fdatasync", {SYS_fdatasync}},
    {"copy_file_range", {SYS_copy_file_range}},
    {"fallocate", {SYS_fallocate}},
    {"clone", {SYS_clone, SYS_clone3}},
    {"readlinkat", {SYS_readlinkat}},
};

const std::map<std::string, int> kErrors = {
    {"0", 0},           {"EPERM", EPERM},     {"EACCES", EACCES}, {"ENOSYS", ENOSYS},
    {"ENOLCK", ENOLCK}, {"ENOTSUP", ENOTSUP}, {"EDQUOT", EDQUOT}, {"ENOSPC", ENOSPC},
    {"EIO", EIO},       {"EINVAL", EINVAL},   {"EAGAIN", EAGAIN},
};

int fail(const std::string& why) {
  std::fprintf(stderr, "model-prep-without: %s\n", why.c_str());
  return 125;
}

bool install(const std::vector<std::pair<int, int>>& rules) {
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const auto& [call, error] : rules) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::pair<int, int>> rules;
  int at = 1;
  for (; at < argc && std::strcmp(argv[at], "--") != 0; ++at) {
    const std::string rule = argv[at];
    const std::size_t equal = std::min(rule.find('='), rule.size());
    const auto call = kCalls.find(rule.substr(0, equal));
    const auto error = kErrors.find(rule.substr(std::min(equal + 1, rule.size())));
    if (call == kCalls.end() || error == kErrors.end()) return fail("unknown rule " + rule);
    for (const int number : call->second) rules.emplace_back(number, error->second);
  }
  if (at + 1 >= argc) return fail("no program to run");
  if (!install(rules))
    return fail(std::string("cannot install the filter: ") + std::strerror(errno));
  ::execvp(argv[at + 1], argv + at + 1);
  return fail(std::string(argv[at + 1]) + ": " + std::strerror(errno));
}
