#include "simt.h"

#include <algorithm>
#include <condition_variable>
#include <csetjmp>
#include <memory>
#include <mutex>
#include <thread>
#include <ucontext.h>

extern thread_local char shared[];

namespace simt {

thread_local Index thread, block;
Index block_size, grid_size;
std::mt19937 random(1);

namespace {

constexpr int kStackBytes = 64 << 10;
constexpr int kPatience = 60;  // rounds in which nothing happened

struct Fiber {
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  ucontext_t start;
  jmp_buf at;
  bool begun, ended;
};

struct Barrier {
  int arrived = 0, round = 0;
};

struct TransactionBarrier {
  int arrivals = 0, pending = 0, parity = 0;
  long bytes = 0;

  void check() {
    if (pending < 0) fail("more arrivals at an mbarrier than it counts");
    if (pending != 0 || bytes != 0) return;
    parity ^= 1;
    pending = arrivals;
    progress();
  }
};

struct Copy {
  void* to;
  const void* from;  // null: zeros
  int bytes;
  const void* barrier;  // null: none

  void arrive() const {
    if (from != nullptr)
      memcpy(to, from, bytes);
    else if (to != nullptr)
      memset(to, 0, bytes);
  }
};

// Of a block.
thread_local std::vector<Fiber> fibers;
thread_local std::vector<Warp> warps;
thread_local Barrier numbered[16];
thread_local std::vector<std::deque<Copy>> ordered;  // of each thread
thread_local std::vector<Copy> bulk;
thread_local std::vector<int> cluster_rounds;  // in which each thread arrived last
thread_local jmp_buf scheduler;
thread_local int own_rank;

// Of a cluster. The block whose turn it is has all of it to itself.
std::map<const void*, TransactionBarrier> transactions;
Barrier of_cluster;
std::vector<char*> shared_of_rank;
std::vector<bool> runs;
int turn;
std::mutex turns;
std::condition_variable turned;
long happened;  // how often something did

std::function<void()> kernel;

TransactionBarrier& transaction(const void* at) {
  const auto found = transactions.find(at);
  if (found == transactions.end()) fail("no mbarrier there");
  return found->second;
}

void begin() {
  kernel();
  fibers[thread.x].ended = true;
  progress();
  _longjmp(scheduler, 1);
}

void resume(int t) {
  Fiber& fiber = fibers[t];
  thread = {t, 0, 0};
  if (_setjmp(scheduler) != 0) return;
  if (fiber.begun) _longjmp(fiber.at, 1);
  fiber.begun = true;
  setcontext(&fiber.start);
}

// Some of the copies that are on their way arrive, or all of them.
void deliver(bool all) {
  for (size_t i = 0; i < bulk.size();) {
    if (!all && random() % 3 != 0) {
      i++;
      continue;
    }
    const Copy copy = bulk[i];
    bulk.erase(bulk.begin() + i);
    copy.arrive();
    mbarrier_count(copy.barrier, copy.bytes);
    progress();
  }
  for (auto& queue : ordered)
    while (!queue.empty() && (all || random() % 4 != 0)) {
      const Copy copy = queue.front();
      queue.pop_front();
      copy.arrive();
      if (copy.barrier != nullptr) {
        transaction(copy.barrier).pending--;
        transaction(copy.barrier).check();
      }
      progress();
    }
}

// Until this block's turn comes, or comes again.
void await_turn(std::unique_lock<std::mutex>& lock) {
  turned.wait(lock, [] { return turn == own_rank; });
}

void pass_turn() {
  const int blocks = static_cast<int>(runs.size());
  if (std::find(runs.begin(), runs.end(), true) == runs.end()) return;
  do turn = static_cast<int>(random() % blocks);
  while (!runs[turn]);
  turned.notify_all();
}

void run_block(int threads, std::unique_lock<std::mutex>& lock) {
  const int count = (threads + 31) / 32;
  warps.assign(count, Warp());
  std::fill(std::begin(numbered), std::end(numbered), Barrier());
  ordered.assign(threads, {});
  cluster_rounds.assign(threads, -1);
  bulk.clear();
  fibers.resize(threads);
  for (Fiber& fiber : fibers) {
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.get();
    fiber.start.uc_stack.ss_size = kStackBytes;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, begin, 0);
    fiber.begun = fiber.ended = false;
  }
  std::vector<int> order(count);
  for (int i = 0; i < count; i++) order[i] = i;
  int idle = 0;
  long seen = happened;
  const int patience = kPatience * static_cast<int>(runs.size());
  for (bool left = true; left;) {
    left = false;
    std::shuffle(order.begin(), order.end(), random);
    for (int w : order) {
      const int first = w * 32, end = std::min(threads, first + 32), turns = random() % 4 == 0 ? 0 : 8;
      for (int turn = 0; turn < turns; turn++)
        for (int t = first; t < end; t++)
          if (!fibers[t].ended) resume(t);
      for (int t = first; t < end; t++) left |= !fibers[t].ended;
    }
    deliver(idle > 3);
    if (runs.size() > 1) {
      pass_turn();
      await_turn(lock);
    }
    idle = happened != seen ? 0 : idle + 1;
    seen = happened;
    if (idle > patience) fail("threads wait for what nobody does");
  }
  for (const Barrier& barrier : numbered)
    if (barrier.arrived != 0) fail("a barrier has been arrived at by some when the block ends");
  for (const Warp& warp : warps)
    for (const Lane& lane : warp.lanes)
      if (!lane.products.empty()) fail("products have not been waited for when the block ends");
}

}  // namespace

void run(int blocks_x, int blocks_y, int cluster, int threads, const std::function<void()>& prepare,
         const std::function<void()>& body) {
  grid_size = {blocks_x, blocks_y, 1};
  block_size = {threads, 1, 1};
  kernel = body;
  const auto of_rank = [&](int rank, int x, int y) {
    std::unique_lock<std::mutex> lock(turns);
    own_rank = rank;
    block = {x, y, 0};
    shared_of_rank[rank] = shared;
    prepare();
    await_turn(lock);
    run_block(threads, lock);
    runs[rank] = false;
    pass_turn();
  };
  for (int y = 0; y < blocks_y; y++)
    for (int x = 0; x < blocks_x; x += cluster) {
      transactions.clear();
      of_cluster = {};
      shared_of_rank.assign(cluster, nullptr);
      runs.assign(cluster, true);
      turn = cluster == 1 ? 0 : -1;
      if (cluster == 1) {
        of_rank(0, x, y);
        continue;
      }
      std::vector<std::thread> blocks;
      for (int rank = 0; rank < cluster; rank++) blocks.emplace_back(of_rank, rank, x + rank, y);
      for (bool ready = false; !ready; std::this_thread::yield()) {
        std::lock_guard<std::mutex> lock(turns);
        ready = std::find(shared_of_rank.begin(), shared_of_rank.end(), nullptr) == shared_of_rank.end();
        if (ready) pass_turn();
      }
      for (std::thread& each : blocks) each.join();
    }
}

void fail(const char* what) {
  std::printf("emulation: block %d %d, thread %d: %s\n", block.x, block.y, thread.x, what);
  std::fflush(stdout);
  std::_Exit(2);
}

void yield() {
  if (_setjmp(fibers[thread.x].at) == 0) _longjmp(scheduler, 1);
}

void progress() { happened++; }

Warp& warp() { return warps[thread.x / 32]; }

void barrier_sync(int number, int threads) {
  Barrier& barrier = numbered[number];
  const int round = barrier.round;
  barrier_arrive(number, threads);
  wait_until([&] { return barrier.round != round; });
}

void barrier_arrive(int number, int threads) {
  Barrier& barrier = numbered[number];
  if (++barrier.arrived < threads) return;
  barrier.arrived = 0;
  barrier.round++;
  progress();
}

int cluster_rank() { return own_rank; }
int cluster_size() { return static_cast<int>(runs.size()); }
char* shared_of(int rank) {
  if (!runs[rank]) fail("that block of the cluster has ended");
  return shared_of_rank[rank];
}

void cluster_arrive() {
  cluster_rounds[thread.x] = of_cluster.round;
  if (++of_cluster.arrived < cluster_size() * block_size.x) return;
  of_cluster.arrived = 0;
  of_cluster.round++;
  progress();
}

void cluster_wait() {
  wait_until([] { return of_cluster.round != cluster_rounds[thread.x]; });
}

void mbarrier_init(const void* at, int arrivals) {
  TransactionBarrier& barrier = transactions[at] = {};
  barrier.arrivals = barrier.pending = arrivals;
}

void mbarrier_arrive(const void* at, long bytes) {
  TransactionBarrier& barrier = transaction(at);
  barrier.bytes += bytes;
  barrier.pending--;
  barrier.check();
}

void mbarrier_count(const void* at, long bytes) {
  TransactionBarrier& barrier = transaction(at);
  barrier.bytes -= bytes;
  barrier.check();
}

bool mbarrier_passed(const void* at, int parity) { return transaction(at).parity != parity; }

void copy_async(void* to, const void* from, int bytes) { ordered[thread.x].push_back({to, from, bytes, nullptr}); }

void arrive_copied(const void* barrier) { ordered[thread.x].push_back({nullptr, nullptr, 0, barrier}); }

bool copied() { return ordered[thread.x].empty(); }

void copy_bulk(void* to, const void* from, int bytes, const void* barrier) {
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0 || bytes % 16 != 0)
    fail("a bulk copy is not of whole runs of 16 bytes");
  bulk.push_back({to, from, bytes, barrier});
}

}  // namespace simt
