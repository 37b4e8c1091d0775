// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/posix.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "model_prep/base/digest.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;

constexpr Bytes kStatBlock = 512;  // whatever the file system's own blocks are

/// `result` of the stat(2) that has filled in `found`.
std::optional<FileInfo> info_of(int result, const struct stat& found) {
  if (result != 0) return std::nullopt;
  return FileInfo{
      .is_file = S_ISREG(found.st_mode),
      .is_folder = S_ISDIR(found.st_mode),
      .is_link = S_ISLNK(found.st_mode),
      .size = found.st_size,
      .occupied = Bytes{found.st_blocks} * kStatBlock,
      .mtime_ns = std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec,
      .device = found.st_dev,
      .inode = found.st_ino,
      .link_count = found.st_nlink,
      .mode = found.st_mode & 07777U,
      .owner = found.st_uid};
}

bool is_absent(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

std::optional<std::string> read_link_at(int folder, const std::string& path) {
  std::array<char, PATH_MAX> text;
  const ssize_t size = readlinkat(folder, path.c_str(), text.data(), text.size());
  return size < 0 ? std::nullopt
                  : std::optional(std::string(text.data(), static_cast<std::size_t>(size)));
}

template <class Iterator>
Strings list_with(const std::string& directory, Status* status) {
  const auto options = status == nullptr ? fs::directory_options::skip_permission_denied
                                         : fs::directory_options::none;
  Strings paths;
  std::error_code error;
  for (Iterator at(directory, options, error), end; !error && at != end; at.increment(error))
    paths.push_back(at->path().string());
  if (status != nullptr && error && error != std::errc::no_such_file_or_directory)
    *status = io_error("read", directory, error.value());

  std::ranges::sort(paths);
  return paths;
}

/// Our ids and the owner of the nearest existing parent: all that is needed to fix it.
std::string permission_hint(const std::string& path, int error_number) {
  if (error_number == EROFS)
    return "the file system is mounted read-only: mount it writable, or choose another directory";

  std::string at = path;
  struct stat found{};
  while (stat(at.c_str(), &found) != 0 && at.size() > 1) at = parent_path(at);
  return fmt::format(
      "this process is uid {} gid {}; {} has mode {:04o} and belongs to uid {} gid {}: let this user "
      "write there (chown, chmod g+w; in Kubernetes fsGroup, except for hostPath) or run as its "
      "owner",
      geteuid(), getegid(), at, found.st_mode & 07777, found.st_uid, found.st_gid);
}

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

Error io_error(std::string_view operation, const std::string& path, int error_number) {
  const std::string message = fmt::format("cannot {} {}: {}", operation, path,
                                          std::generic_category().message(error_number));
  switch (error_number) {
    case ENOSPC:
      return {ErrorKind::disk_full, message,
              "free some space on that volume; the next run resumes"};
    case EDQUOT:
      return {ErrorKind::disk_full, message,
              "the quota is used up: raise it; the next run resumes"};
    case EFBIG:
      return {ErrorKind::disk_full, message,
              "the file system or a limit does not allow files of that size"};
    case EACCES:
    case EPERM:
    case EROFS: return {ErrorKind::permission, message, permission_hint(path, error_number)};
    case EMFILE:
    case ENFILE:
      return {ErrorKind::io, message, "lower --jobs, or raise the limit of open files (ulimit -n)"};
    default: return {ErrorKind::io, message};
  }
}

std::optional<FileInfo> stat_path(const std::string& path) {
  struct stat found{};
  return info_of(stat(path.c_str(), &found), found);
}

std::optional<FileInfo> lstat_path(const std::string& path) {
  struct stat found{};
  return info_of(lstat(path.c_str(), &found), found);
}

std::optional<FileInfo> stat_fd(const UniqueFd& fd) {
  struct stat found{};
  return info_of(fstat(fd.get(), &found), found);
}

bool is_directory(const std::string& path) {
  const auto found = lstat_path(path);
  return found && found->is_folder;
}

bool is_still_at(const UniqueFd& fd, const std::string& path) {
  const auto held = stat_fd(fd);
  const auto there = lstat_path(path);
  return held && there && held->is_same_file(*there);
}

bool is_older_than(const std::string& path, std::chrono::hours age) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  return !error && fs::file_time_type::clock::now() - time > age;
}

std::optional<std::string> read_link(const std::string& path) {
  return read_link_at(AT_FDCWD, path);
}

Result<std::optional<FileInfo>> try_stat(const std::string& path) {
  auto found = stat_path(path);
  if (!found && !is_absent(errno)) return io_error("inspect", path, errno);
  return found;
}

Result<std::optional<FileInfo>> try_lstat(const std::string& path) {
  auto found = lstat_path(path);
  if (!found && !is_absent(errno)) return io_error("inspect", path, errno);
  return found;
}

Result<std::optional<std::string>> try_read_link(const std::string& path) {
  auto target = read_link(path);
  if (!target && !is_absent(errno) && errno != EINVAL)
    return io_error("read the link", path, errno);
  return target;
}

FolderView::FolderView(std::string path)
    : path_(std::move(path)), fd_(open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

std::pair<int, std::string> FolderView::place_of(const std::string& name) const {
  return fd_ ? std::pair(fd_.get(), name) : std::pair(AT_FDCWD, path_ + "/" + name);
}

std::optional<FileInfo> FolderView::lstat(const std::string& name) const {
  const auto [at, path] = place_of(name);
  struct stat found{};
  return info_of(fstatat(at, path.c_str(), &found, AT_SYMLINK_NOFOLLOW), found);
}

std::optional<std::string> FolderView::read_link(const std::string& name) const {
  const auto [at, path] = place_of(name);
  return read_link_at(at, path);
}

Strings list_directory(const std::string& path, Status* status) {
  return list_with<fs::directory_iterator>(path, status);
}

Strings list_recursively(const std::string& path, Status* status) {
  return list_with<fs::recursive_directory_iterator>(path, status);
}

std::optional<std::string> read_file(const std::string& path, std::size_t max) {
  const auto fd = open_for_reading(path);
  return fd ? read_file(*fd, max) : std::nullopt;
}

std::optional<std::string> read_file(const UniqueFd& fd, std::size_t max) {
  const auto found = stat_fd(fd);
  if (!found || !found->is_file || static_cast<std::size_t>(found->size) > max) return std::nullopt;
  return read_beginning(fd, static_cast<std::size_t>(found->size));
}

std::string read_beginning(const UniqueFd& fd, std::size_t size) {
  std::string content(size, '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t count =
        pread(fd.get(), content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  content.resize(done);  // it may have become shorter
  return content;
}

Result<UniqueFd> open_for_reading(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return io_error("open", path, errno);
  const auto found = stat_fd(fd);
  if (!found || !found->is_file)
    return Error{ErrorKind::io, fmt::format("{} is not a regular file", path)};
  return fd;
}

Status create_directories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? io_error("create directory", path, error.value()) : ok();
}

Result<bool> overwrite_existing(const std::string& path, std::string_view text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return false;

  // Another tenant can give somebody's file a second name here.
  const auto found = stat_fd(fd);
  if (!found || !found->is_file || found->link_count != 1) return false;

  if (ftruncate(fd.get(), 0) != 0) return io_error("truncate", path, errno);
  if (Status written = write_at(fd, text, 0, path); !written) return written.error();
  return true;
}

void prepare_process() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit: the write fails with EFBIG instead

  int fd = -1;
  do fd = open("/", O_PATH | O_CLOEXEC);
  while (fd >= 0 && fd <= STDERR_FILENO);
  close(fd);
}

Status write_at(const UniqueFd& fd, std::span<const char> bytes, Bytes offset,
                const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(fd.get(), bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("write", path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
  return ok();
}

SignalFd::SignalFd() {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0)
    fd_ = UniqueFd(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_) throw FatalError({ErrorKind::internal, "cannot receive signals"});
}

std::optional<int> SignalFd::read() const {
  signalfd_siginfo info{};
  if (first_ || ::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info))
    return first_;

  first_ = static_cast<int>(info.ssi_signo);
  exit_immediately_on_next_signal();
  return first_;
}

void SignalFd::wait(std::chrono::milliseconds time) const {
  pollfd pending{fd_.get(), POLLIN, 0};
  poll(&pending, 1, static_cast<int>(time.count()));
}

void SignalFd::exit_immediately_on_next_signal() {
  struct sigaction action{};
  // A handler, because process 1 ignores default actions; and no _exit in it, which a sanitizer
  // makes unsafe there.
  action.sa_handler = [](int number) { syscall(SYS_exit_group, 128 + number); };
  sigset_t signals{};
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) {
    sigaction(number, &action, nullptr);
    sigaddset(&signals, number);
  }
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

unsigned current_umask() {
  const mode_t mask = umask(077);
  umask(mask);
  return mask;
}

std::size_t processors() {
  cpu_set_t allowed;
  // Fails on machines with more processors than the set has room for.
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&allowed)));
  return std::max(1U, std::thread::hardware_concurrency());
}

std::optional<TerminalSize> terminal_size(int fd) {
  winsize size{};
  if (isatty(fd) != 1 || ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return TerminalSize{size.ws_col, size.ws_row};
}

std::optional<int> terminal_columns(int fd) {
  const auto size = terminal_size(fd);
  return size ? std::optional(size->columns) : std::nullopt;
}

std::optional<DiskSpace> disk_space(const std::string& path) {
  std::string at = path;
  struct statvfs found{};
  while (statvfs(at.c_str(), &found) != 0) {
    if (at.size() <= 1) return std::nullopt;
    at = parent_path(at);
  }
  if (found.f_blocks == 0) return std::nullopt;  // some FUSE file systems and ramfs do not count
  const auto there = stat_path(at);
  DiskSpace space{.bytes = static_cast<Bytes>(found.f_bavail * found.f_frsize),
                  .inodes = {},
                  .device = there ? there->device : 0};
  if (found.f_files > 0) space.inodes = static_cast<std::int64_t>(found.f_favail);
  return space;
}

std::string canonical_path(const std::string& path) {
  std::error_code error;
  const auto absolute = fs::absolute(path, error);
  if (error) return path;
  const auto canonical = fs::weakly_canonical(absolute, error);
  std::string text = (error ? absolute.lexically_normal() : canonical).string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

std::string relative_path(const std::string& to, const std::string& from_directory) {
  return fs::path(to).lexically_relative(from_directory).string();
}

std::string parent_path(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  if (getentropy(&bits, sizeof bits) != 0)
    throw FatalError({ErrorKind::internal, "cannot get random numbers from the system"});
  return bits;
}

std::string random_hex(std::size_t digits) {
  return fmt::format("{:016x}", random_bits()).substr(0, digits);
}

std::string host_and_pid() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return fmt::format("{}:{}", host.data(), getpid());
}

std::string machine_name() {
  constexpr std::size_t kDigits = 8;
  std::string digits(kDigits, '?');
  // Not read_file: the kernel's own files have size 0.
  std::ifstream("/proc/sys/kernel/random/boot_id").read(digits.data(), kDigits);
  return is_lower_hex(digits, kDigits) ? digits : std::string(kDigits, '0');
}

}  // namespace model_prep
