// The kernel's nf_tables over a netlink socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/kernel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include "chains/compile.hpp"
#include "chains/netlink/attributes.hpp"
#include "chains/netlink/family.hpp"
#include "chains/netlink/handles.hpp"
#include "chains/netlink/label_writers.hpp"
#include "chains/netlink/observe.hpp"
#include "fw/base/limits.hpp"

namespace chains {

using fw::ErrorCode;
using fw::fail;
using fw::fail_errno;
using fw::Result;

namespace {

constexpr std::size_t kReceiveBytes = 256 * 1024;
constexpr int kReadTries = 20;
constexpr std::size_t kLargeBytes = 256u << 10;  // of a batch: some 10,000 elements

using OnMessage = std::function<void(const nlmsghdr*)>;

std::string needs_root(const std::string& what) {
  return what + ": this needs root or the capability CAP_NET_ADMIN (try: sudo)";
}

/// Turns the kernel's no into a sentence with a remedy.
fw::Error refusal(int code, const Origin* origin, const std::string& hint) {
  fw::Error error;
  error.code = ErrorCode::kernel_refused;
  error.sys_errno = code;
  if (origin != nullptr) {
    error.context = origin->what;
    error.where = origin->where;
  }
  switch (code) {
    case EPERM:
    case EACCES:
      error.code = ErrorCode::permission;
      error.what = needs_root("the kernel does not allow this user to change the firewall");
      error.sys_errno = 0;
      break;
    case ERESTART:
      error.code = ErrorCode::kernel_busy;
      error.what = "another program changed the firewall at the same moment; try again";
      error.sys_errno = 0;
      break;
    case ENOENT:  // of a kind of rule or set that the kernel does not know
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
      error.code = ErrorCode::unsupported;
      error.what =
          "the kernel lacks a required feature; use 6.1 or later with CONFIG_NF_TABLES_INET, "
          "NFT_CT, NFT_LIMIT, NFT_CONNLIMIT, NFT_LOG, NETFILTER_NETLINK_LOG, NFT_FIB_INET, "
          "NFT_REJECT_INET and NF_CONNTRACK_LABELS (all in "
          "Debian's kernel; in a container, the host must load them: modprobe nf_tables "
          "nf_conntrack)";
      break;
    case ENOSPC:
    case ENFILE:
      error.what = "the set is full";
      break;
    case ENOBUFS:
    case ENOMEM:
      error.what = "the kernel has no memory for a change of this size";
      break;
    default:
      error.what = "the kernel refused";
      break;
  }
  if (!hint.empty()) error.what += " (" + hint + ")";
  return error;
}

std::string extended_ack(const nlmsghdr* message) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  std::size_t offset = sizeof(nlmsgerr);
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) offset += error->msg.nlmsg_len - sizeof(nlmsghdr);
  std::string text;
  for_each_attribute(message, offset, [&text](const nlattr* a) {
    if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG) text = mnl_attr_get_str(a);
  });
  return text;
}

struct OwnPorts {
  std::mutex mutex;
  std::multiset<std::uint32_t> open;
  std::array<std::uint32_t, 64> closed{};  ///< of which something may be reported yet
  std::size_t next = 0;
};
OwnPorts& own_ports() {
  static OwnPorts ports;
  return ports;
}

}  // namespace

/// The port of a Kernel, for as long as that lives.
class OwnPort {
 public:
  explicit OwnPort(std::uint32_t port) : port_(port) {
    OwnPorts& own = own_ports();
    const std::lock_guard lock(own.mutex);
    own.open.insert(port);
  }
  OwnPort(const OwnPort&) = delete;
  OwnPort& operator=(const OwnPort&) = delete;
  ~OwnPort() {
    OwnPorts& own = own_ports();
    const std::lock_guard lock(own.mutex);
    own.open.erase(own.open.find(port_));
    own.closed[own.next++ % own.closed.size()] = port_;
  }

 private:
  std::uint32_t port_;
};

struct Kernel::Impl {
  SocketHandle socket;
  std::optional<OwnPort> port;
  // Not zeroed: most answers fill a small part of it.
  std::unique_ptr<char[]> buffer = std::make_unique_for_overwrite<char[]>(kReceiveBytes);
  std::uint32_t sequence = 1;

  /// Sends a request and hands every answer to `on`. 0, or an errno.
  int ask(std::uint16_t type, std::uint16_t flags, const OnMessage& on,
          const std::function<void(nlmsghdr*)>& put = {}, Table of = Table::inet) {
    alignas(nlmsghdr) char request[1024];
    nlmsghdr* header = mnl_nlmsg_put_header(request);
    header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = ++sequence;
    auto* nfg = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    nfg->nfgen_family = type == NFT_MSG_GETGEN ? std::uint8_t{AF_UNSPEC} : family_of(of);
    nfg->version = NFNETLINK_V0;
    nfg->res_id = 0;
    if (put) put(header);
    if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) return errno;
    return receive(header->nlmsg_seq, (flags & NLM_F_DUMP) != 0, on);
  }

  int receive(std::uint32_t wanted, bool dump, const OnMessage& on) {
    for (;;) {
      const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.get(), kReceiveBytes);
      if (got < 0) return errno;
      for (const nlmsghdr* const message : Messages(buffer.get(), got)) {
        if (message->nlmsg_seq != wanted) continue;
        if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) return EINTR;
        if (message->nlmsg_type == NLMSG_DONE) return 0;
        if (message->nlmsg_type == NLMSG_ERROR) {
          return error_of(message);
        }
        on(message);
        if (!dump) return 0;
      }
    }
  }

  int table_present(Table of, bool& present, bool& dormant) {
    const int code = ask(
        NFT_MSG_GETTABLE, 0,
        [&dormant](const nlmsghdr* m) {
          for_each_attribute(m, sizeof(nfgenmsg), [&dormant](const nlattr* a) {
            if (mnl_attr_get_type(a) != NFTA_TABLE_FLAGS) return;
            dormant = dormant || (ntohl(mnl_attr_get_u32(a)) & NFT_TABLE_F_DORMANT) != 0;
          });
        },
        [of](nlmsghdr* m) { mnl_attr_put_strz(m, NFTA_TABLE_NAME, nft_name(of)); }, of);
    present = code == 0;
    // A kernel that knows no tables of bridges has none.
    const bool none = code == ENOENT || (of == Table::bridge && code == EAFNOSUPPORT);
    return none ? 0 : code;
  }

  int read_elements(Set& set, std::vector<Counted>& counts) {
    std::vector<RawElement> raw;
    const int code = ask(
        NFT_MSG_GETSETELEM, NLM_F_DUMP,
        [&raw](const nlmsghdr* m) {
          auto some = observe_elements(m);
          std::move(some.begin(), some.end(), std::back_inserter(raw));
        },
        [&set](nlmsghdr* m) {
          mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, kTable);
          mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set.name.c_str());
        },
        set.table);
    if (code == 0) fill_elements(set, counts, std::move(raw));
    return code;
  }

  /// One pass over our tables; EINTR or a changed generation ask for another.
  int read_once(Observed& out) {
    bool present = false;
    bool dormant = false;
    int code = table_present(Table::inet, present, dormant);
    if (code != 0 || !present) return code;
    Ruleset& ruleset = out.ruleset.emplace();
    ruleset.dormant = dormant;
    code = table_present(Table::bridge, ruleset.bridge, ruleset.bridge_dormant);
    if (code == 0) code = read_table(Table::inet, out);
    if (code == 0 && ruleset.bridge) code = read_table(Table::bridge, out);
    if (code != 0) return code;
    for (Set& set : ruleset.sets) {
      if (set.name == kBlockVersions) {
        Set versions = set;
        std::vector<Counted> counts;
        code = read_elements(versions, counts);
        if (code != 0) return code;
        out.block_versions = std::move(versions.elements);
      }
      if (set.content != Content::declared) continue;
      code = read_elements(set, out.element_counts[set.name]);
      if (code != 0) return code;
    }
    return 0;
  }

  int read_table(Table of, Observed& out) {
    Ruleset& ruleset = *out.ruleset;
    auto table = [](std::uint16_t attribute) {
      return [attribute](nlmsghdr* m) { mnl_attr_put_strz(m, attribute, kTable); };
    };
    const std::size_t before = ruleset.chains.size();
    int code = ask(
        NFT_MSG_GETCHAIN, NLM_F_DUMP,
        [&](const nlmsghdr* m) {
          if (auto chain = observe_chain(m)) ruleset.chains.push_back(std::move(*chain));
        },
        {}, of);
    if (code != 0) return code;
    std::map<std::string, Chain*> by_name;
    for (std::size_t i = before; i < ruleset.chains.size(); ++i) {
      by_name[ruleset.chains[i].name] = &ruleset.chains[i];
    }
    code = ask(
        NFT_MSG_GETRULE, NLM_F_DUMP,
        [&](const nlmsghdr* m) {
          auto rule = observe_rule(m);
          if (!rule) return;
          const auto it = by_name.find(rule->chain);
          if (it != by_name.end()) it->second->rules.push_back(std::move(rule->rule));
        },
        table(NFTA_RULE_TABLE), of);
    if (code != 0) return code;
    code = ask(
        NFT_MSG_GETOBJ, NLM_F_DUMP,
        [&](const nlmsghdr* m) {
          auto object = observe_object(m);
          if (!object) return;
          if (!object->object.limit) out.counters[object->object.name] = object->count;
          ruleset.objects.push_back(std::move(object->object));
        },
        table(NFTA_OBJ_TABLE), of);
    if (code != 0) return code;
    return ask(
        NFT_MSG_GETSET, NLM_F_DUMP,
        [&](const nlmsghdr* m) {
          auto set = observe_set(m);
          if (!set) return;
          if (set->fill) out.set_fill[set->set.name] = *set->fill;
          ruleset.sets.push_back(std::move(set->set));
        },
        table(NFTA_SET_TABLE), of);
  }
};

Kernel::Kernel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Kernel::Kernel(Kernel&&) noexcept = default;
Kernel& Kernel::operator=(Kernel&&) noexcept = default;
Kernel::~Kernel() = default;

bool is_own_port(std::uint32_t port) {
  OwnPorts& own = own_ports();
  const std::lock_guard lock(own.mutex);
  return own.open.contains(port) ||
         (port != 0 && std::ranges::find(own.closed, port) != own.closed.end());
}

Result<Kernel> Kernel::open() {
  auto impl = std::make_unique<Impl>();
  impl->socket.reset(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!impl->socket || mnl_socket_bind(impl->socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    if (errno == EPROTONOSUPPORT) {
      return fail(ErrorCode::unsupported,
                  "the kernel has no netfilter netlink (CONFIG_NETFILTER_NETLINK); "
                  "use a kernel that has nf_tables, like Debian's");
    }
    return fail_errno(ErrorCode::unsupported, "cannot open a netfilter netlink socket", errno);
  }
  impl->port.emplace(mnl_socket_get_portid(impl->socket.get()));
  const int one = 1;
  (void)mnl_socket_setsockopt(impl->socket.get(), NETLINK_EXT_ACK, const_cast<int*>(&one),
                              sizeof one);
  (void)mnl_socket_setsockopt(impl->socket.get(), NETLINK_CAP_ACK, const_cast<int*>(&one),
                              sizeof one);
  return Kernel(std::move(impl));
}

Result<std::uint32_t> Kernel::generation() {
  std::uint32_t generation = 0;
  const int code = impl_->ask(NFT_MSG_GETGEN, 0, [&generation](const nlmsghdr* m) {
    for_each_attribute(m, sizeof(nfgenmsg), [&generation](const nlattr* a) {
      if (mnl_attr_get_type(a) == NFTA_GEN_ID) generation = ntohl(mnl_attr_get_u32(a));
    });
  });
  if (code == EPERM) {
    return fail(ErrorCode::permission, needs_root("the firewall cannot be read"));
  }
  if (code == EINVAL || code == EOPNOTSUPP) {
    return fail(ErrorCode::unsupported,
                "the kernel has no nf_tables (CONFIG_NF_TABLES): load it with 'modprobe nf_tables' "
                "or use a kernel that has it, like Debian's");
  }
  if (code != 0) return fail_errno(ErrorCode::kernel_refused, "cannot read the firewall", code);
  return generation;
}

Result<Observed> Kernel::read() {
  int code = 0;
  for (int attempt = 0; attempt < kReadTries; ++attempt) {
    Observed out;
    const auto before = generation();
    if (!before) return std::unexpected(before.error());
    out.generation = *before;
    code = impl_->read_once(out);
    const auto after = generation();
    if (!after) return std::unexpected(after.error());
    if (code == 0 && *after == *before) return out;
    if (code != 0 && code != EINTR && code != ENOENT && *after == *before) break;
  }
  if (code == 0) {
    return fail(ErrorCode::kernel_busy,
                "cannot read the firewall consistently: another program keeps changing it");
  }
  return fail_errno(ErrorCode::kernel_refused, "cannot read the firewall", code);
}

Result<bool> Kernel::has(Table table) {
  bool present = false;
  bool dormant = false;
  const int code = impl_->table_present(table, present, dormant);
  if (code == EPERM) {
    return fail(ErrorCode::permission, needs_root("the firewall cannot be read"));
  }
  if (code != 0) return fail_errno(ErrorCode::kernel_refused, "cannot read the firewall", code);
  return present;
}

Result<std::vector<Element>> Kernel::elements(const std::string& name) {
  Set set;
  set.name = name;
  std::vector<Counted> counts;
  const int code = impl_->read_elements(set, counts);
  if (code == ENOENT) return std::vector<Element>{};
  if (code == EPERM) {
    return fail(ErrorCode::permission, needs_root("the firewall cannot be read"));
  }
  if (code != 0) return fail_errno(ErrorCode::kernel_refused, "cannot read set " + name, code);
  return std::move(set.elements);
}

Result<std::optional<std::chrono::milliseconds>> Kernel::find_element(const std::string& set,
                                                                      const Bytes& key) {
  std::optional<std::chrono::milliseconds> left;
  const int code = impl_->ask(
      NFT_MSG_GETSETELEM, 0,
      [&left](const nlmsghdr* m) {
        for (const RawElement& element : observe_elements(m)) left = element.left;
      },
      [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, kTable);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set.c_str());
        nlattr* const list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
        nlattr* const element = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
        nlattr* const value = mnl_attr_nest_start(m, NFTA_SET_ELEM_KEY);
        mnl_attr_put(m, NFTA_DATA_VALUE, key.size(), key.data());
        mnl_attr_nest_end(m, value);
        mnl_attr_nest_end(m, element);
        mnl_attr_nest_end(m, list);
      });
  if (code == ENOENT) return std::nullopt;
  if (code == EPERM) {
    return fail(ErrorCode::permission, needs_root("the firewall cannot be read"));
  }
  if (code != 0) return fail_errno(ErrorCode::kernel_refused, "cannot read set " + set, code);
  return left;
}

Result<std::uint32_t> Kernel::count_elements(const std::string& set) {
  std::uint32_t count = 0;
  const int code = impl_->ask(
      NFT_MSG_GETSETELEM, NLM_F_DUMP,
      [&count](const nlmsghdr* m) {
        for_each_attribute(m, sizeof(nfgenmsg), [&count](const nlattr* a) {
          if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS) return;
          for_each_nested(a, [&count](const nlattr*) { ++count; });
        });
      },
      [&set](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, kTable);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set.c_str());
      });
  if (code != 0) return fail_errno(ErrorCode::kernel_refused, "cannot read set " + set, code);
  return count;
}

Result<std::vector<std::string>> Kernel::label_writers(const Bytes& bits) {
  std::set<std::string> places;
  for (int tries = 1;; ++tries) {
    const int code = impl_->ask(
        NFT_MSG_GETRULE, NLM_F_DUMP,
        [&](const nlmsghdr* m) {
          if (auto place = label_writer(m, bits)) places.insert(std::move(*place));
        },
        [](nlmsghdr* m) {  // of all families
          static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(m))->nfgen_family = AF_UNSPEC;
        });
    if (code == 0) return std::vector(places.begin(), places.end());
    if (code != EINTR || tries == kReadTries) return std::unexpected(refusal(code, nullptr, {}));
  }
}

Result<void> Kernel::commit(Batch& batch) {
  batch.finish();
  const int fd = mnl_socket_get_fd(impl_->socket.get());
  const int room = static_cast<int>(std::min<std::size_t>(batch.size() + (1u << 20), 1u << 30));
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0) {
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  }
  std::vector<iovec> pieces = batch.pieces();
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  if (sendmsg(fd, &message, 0) < 0) {
    if (errno == EPERM) {
      return fail(ErrorCode::permission, needs_root("the firewall cannot be changed"));
    }
    return fail_errno(ErrorCode::kernel_refused, "the transaction could not be sent", errno);
  }
  // The kernel has done its work by now; its answers wait. The last message asked for one.
  const std::uint32_t last = batch.first_sequence() + batch.messages();
  for (;;) {
    const ssize_t got = recv(fd, impl_->buffer.get(), kReceiveBytes, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return fail_errno(ErrorCode::kernel_refused, "the kernel did not confirm the transaction",
                        errno);
    }
    for (const nlmsghdr* const answer : Messages(impl_->buffer.get(), got)) {
      if (answer->nlmsg_type != NLMSG_ERROR) continue;
      const int code = error_of(answer);
      if (code == 0 && answer->nlmsg_seq == last) return {};
      if (code == 0) continue;
      // Drain what else was said, so that the next request starts clean.
      auto error = refusal(code, batch.origin(answer->nlmsg_seq), extended_ack(answer));
      while (recv(fd, impl_->buffer.get(), kReceiveBytes, MSG_DONTWAIT) > 0) {
      }
      return std::unexpected(std::move(error));
    }
  }
}

Result<std::optional<std::uint32_t>> commit_with_retry(Kernel& kernel, const MakeAttempt& make,
                                                       const AroundLarge& around) {
  for (int tried = 1;; ++tried) {
    auto attempt = make();
    if (!attempt) return std::unexpected(attempt.error());
    if (!*attempt) return std::nullopt;
    Batch& batch = (*attempt)->batch;
    const bool large = batch.size() > kLargeBytes;
    if (large && around.begins) around.begins();
    const auto done = kernel.commit(batch);
    if (large && around.ends) around.ends();
    if (done && !(*attempt)->more) return next_generation(batch.generation());
    const bool busy = !done && done.error().code == ErrorCode::kernel_busy;
    if (!done && (!busy || tried == fw::kApplyTries)) return std::unexpected(done.error());
    if (tried == fw::kApplyTries) {
      return fail(ErrorCode::kernel_busy,
                  "another program keeps undoing the changes to the firewall; try again");
    }
  }
}

}  // namespace chains
