// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/hasher.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace model_prep {
namespace {

std::optional<FileStamp> stamp_of(const UniqueFd& fd) {
  const auto info = stat_fd(fd);
  return info ? std::optional(info->stamp()) : std::nullopt;
}

/// Sets the time of the last change back to the last whole second. If it may not, the time stays as
/// it is, which costs somebody a hash at most.
void keep_whole_seconds(const UniqueFd& fd) {
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return;

  const std::array<timespec, 2> times = {timespec{0, UTIME_OMIT}, {info.st_mtim.tv_sec, 0}};
  static_cast<void>(futimens(fd.get(), times.data()));
}

constexpr Bytes kStep = 1024 * 1024;     // hashed between two checks for other work
constexpr std::size_t kPoolBlocks = 32;  // 4 MiB

void check(int good) {
  if (good != 1)
    throw FatalError({ErrorKind::internal, "the crypto library cannot compute a digest"});
}

Digest whole_digest(std::string_view bytes, DigestKind kind) {
  RunningDigest digest(kind, static_cast<Bytes>(bytes.size()));
  digest.update(bytes);
  return digest.finish();
}

}  // namespace

void RunningDigest::FreeContext::operator()(evp_md_ctx_st* context) const noexcept {
  EVP_MD_CTX_free(context);
}

RunningDigest::RunningDigest(DigestKind kind, Bytes size)
    : kind_(kind), context_(EVP_MD_CTX_new()) {
  const EVP_MD* const algorithm = kind == DigestKind::sha256 ? EVP_sha256() : EVP_sha1();
  check(context_ && EVP_DigestInit_ex(context_.get(), algorithm, nullptr));
  if (kind == DigestKind::git_sha1) update(fmt::format("blob {}", size) + '\0');
}

void RunningDigest::update(std::string_view bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

Digest RunningDigest::finish() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  check(EVP_DigestFinal_ex(context_.get(), bytes, &length));
  return Digest::from_bytes(kind_, {bytes, length});
}

Digest sha256_of(std::string_view bytes) { return whole_digest(bytes, DigestKind::sha256); }

Digest git_sha1_of(std::string_view bytes) { return whole_digest(bytes, DigestKind::git_sha1); }

struct Hasher::Task {
  HashJobId job{0};
  UniqueFd fd;
  Bytes size{0};
  AfterHash after{AfterHash::nothing};
  std::optional<FileStamp> before{};  // of a complete file, when it was opened
  RunningDigest sha256{DigestKind::sha256, size};
  std::optional<RunningDigest> git_sha1{};
  Bytes done{0};  // written by the thread that has taken it

  // Guarded by the hasher's mutex:
  Bytes progress{0};  // a copy of `done` for others to read
  Bytes watermark{-1};
  bool cancelled{false};
  Blocks blocks{};    // written and not hashed, in the order of the file
  bool taken{false};  // by a thread, which owns everything above meanwhile

  /// Moves the blocks that the next step hashes to the end of `batch`, and returns where the step
  /// ends. Those that the hash has passed, because it had no need to wait for them, go to `passed`.
  Bytes take_blocks(Blocks& batch, Blocks& passed) {
    Bytes until = std::min(watermark, done + kStep);
    while (!blocks.empty() && blocks.front().offset < until && blocks.front().end() <= watermark) {
      const bool usable = blocks.front().offset >= done;
      if (usable) until = std::max(until, blocks.front().end());
      Blocks& to = usable ? batch : passed;
      to.splice(to.end(), blocks, blocks.begin());
    }
    return until;
  }

  void hash(std::string_view bytes) {
    sha256.update(bytes);
    if (git_sha1) git_sha1->update(bytes);
    done += static_cast<Bytes>(bytes.size());
  }

  std::optional<Error> read_back(Bytes until, std::span<char> buffer) {
    while (done < until) {
      const auto wanted = std::min(buffer.size(), static_cast<std::size_t>(until - done));
      const ssize_t count = pread(fd.get(), buffer.data(), wanted, done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return io_error("read", "a file being verified", errno);
      if (count == 0) return Error{ErrorKind::io, "a file being verified became shorter"};
      hash({buffer.data(), static_cast<std::size_t>(count)});
    }
    return std::nullopt;
  }

  /// Nothing as long as bytes are missing.
  std::optional<HashEvent> step(Bytes until, const Blocks& batch, std::span<char> buffer) {
    const auto failed = [&](Error error) { return HashEvent{{.error = std::move(error)}, job}; };
    for (const Written& written : batch) {
      if (auto error = read_back(written.offset, buffer)) return failed(std::move(*error));
      hash({written.block.data(), written.block.size()});
    }
    if (auto error = read_back(until, buffer)) return failed(std::move(*error));
    if (done < size) return std::nullopt;

    if (after == AfterHash::sync_growing) keep_whole_seconds(fd);

    // Read-only file systems know no sync.
    if (after != AfterHash::nothing && fdatasync(fd.get()) != 0 && errno != EINVAL &&
        errno != EROFS)
      return failed(io_error("sync", "a verified file", errno));
    HashEvent event{{.sha256 = sha256.finish(), .stamp = stamp_of(fd)}, job};
    if (after != AfterHash::sync_growing && event.stamp != before) event.stamp.reset();
    if (git_sha1) event.git_sha1 = git_sha1->finish();
    return event;
  }
};

Hasher::Hasher(std::function<void()> wake, std::size_t threads)
    : wake_(std::move(wake)), max_threads_(threads) {
  try {
    start_thread();
  } catch (const std::system_error& error) {
    throw FatalError({ErrorKind::io, fmt::format("cannot start a thread: {}", error.what()),
                      "raise the limit of processes (ulimit -u, docker run --pids-limit)"});
  }
}

void Hasher::start_thread() {
  threads_.emplace_back([this] { run(); });
}

Hasher::~Hasher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

HashJobId Hasher::open(UniqueFd fd, Bytes size, DigestKind kind, AfterHash after) {
  const std::lock_guard lock(mutex_);
  Task task{.job = next_, .fd = std::move(fd), .size = size, .after = after};
  if (after != AfterHash::sync_growing) task.before = stamp_of(task.fd);
  if (kind == DigestKind::git_sha1) task.git_sha1.emplace(kind, size);
  tasks_.emplace(next_, std::make_unique<Task>(std::move(task)));

  try {
    if (threads_.size() < std::min(max_threads_, tasks_.size())) start_thread();
  } catch (const std::system_error&) {
    max_threads_ = threads_.size();  // a limit of processes: fewer threads will do
  }
  return next_++;
}

void Hasher::advance(HashJobId job, Bytes watermark) {
  const std::lock_guard lock(mutex_);
  const auto found = tasks_.find(job);
  if (found == tasks_.end()) return;
  Task& task = *found->second;
  task.watermark = std::max(task.watermark, watermark);

  // The thread that has the file looks for more by itself. One that is awake looks for small files:
  // waking another one for each of thousands would take longer than hashing them.
  if (task.taken) return;
  if (task.watermark - task.done >= kStep || (awake_ == 0 && !called_)) call_one();
}

void Hasher::call_one() {
  called_ = true;
  work_.notify_one();
}

void Hasher::hand_over(HashJobId job, Bytes offset, Block& block) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = tasks_.find(job);
    const bool useful =
        found != tasks_.end() && !found->second->cancelled && offset >= found->second->progress;
    if (useful && has_free_block()) {
      free_.back().offset = offset;
      std::swap(free_.back().block, block);
      Blocks& blocks = found->second->blocks;
      blocks.splice(blocks.end(), free_, std::prev(free_.end()));
    }
  }
  block.clear();
}

/// Makes one if it must and may.
bool Hasher::has_free_block() {
  if (!free_.empty()) return true;
  if (pool_blocks_ == kPoolBlocks) return false;
  try {
    Written made;
    made.block.reserve(kBlockSize);
    free_.push_back(std::move(made));
    ++pool_blocks_;
    return true;
  } catch (const std::bad_alloc&) {
    return false;  // the bytes can be read back
  }
}

void Hasher::cancel(HashJobId job) {
  const std::lock_guard lock(mutex_);
  const auto found = tasks_.find(job);
  if (found == tasks_.end()) return;
  found->second->cancelled = true;
  free_.splice(free_.end(), found->second->blocks);
  call_one();
}

Bytes Hasher::progress(HashJobId job) {
  const std::lock_guard lock(mutex_);
  const auto found = tasks_.find(job);
  return found == tasks_.end() ? 0 : found->second->progress;
}

/// The first task that has something to read or is complete. Removes cancelled ones on the way.
Hasher::Task* Hasher::ready() {
  for (auto it = tasks_.begin(); it != tasks_.end();) {
    Task& task = *it->second;
    if (task.cancelled && !task.taken) {
      it = tasks_.erase(it);
      continue;
    }
    if (!task.taken && (task.watermark > task.done || task.watermark == task.size)) return &task;
    ++it;
  }
  return nullptr;
}

std::vector<HashEvent> Hasher::take_all() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  return std::exchange(events_, {});
}

void Hasher::run() {
  try {
    work();
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
    wake_();
  }
}

/// Null if it is time to stop.
Hasher::Task* Hasher::wait_for_task(std::unique_lock<std::mutex>& lock) {
  Task* task = nullptr;
  --awake_;
  work_.wait(lock, [&] {
    called_ = false;  // also if it was in vain: the next one must be called again
    return stopping_ || (task = ready()) != nullptr;
  });
  ++awake_;
  return stopping_ ? nullptr : task;
}

void Hasher::work() {
  std::string buffer(kBlockSize, '\0');
  Blocks batch;
  std::unique_lock lock(mutex_);
  ++awake_;
  while (true) {
    Task* const task = wait_for_task(lock);
    if (task == nullptr) return;

    const Bytes until = task->take_blocks(batch, free_);
    task->taken = true;

    // Small files must not wait for a thread that has a large one, in the end for the disk too.
    const bool busy = task->size >= kStep;
    if (busy && --awake_ == 0 && !called_ && ready() != nullptr) call_one();

    // The mutex is free while the file is hashed. Nobody erases a task that is taken.
    lock.unlock();
    std::optional<HashEvent> event = task->step(until, batch, buffer);
    lock.lock();
    if (busy) ++awake_;
    task->taken = false;
    free_.splice(free_.end(), batch);

    task->progress = task->done;
    if (!event) continue;

    if (!task->cancelled) events_.push_back(std::move(*event));
    free_.splice(free_.end(), task->blocks);
    tasks_.erase(HashJobId{task->job});
    lock.unlock();
    wake_();
    lock.lock();
  }
}

}  // namespace model_prep
