// A machine that is installed on: systemd and its units in namespaces of its own, over a copy of
// this root file system that is forgotten with it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "tests/lab/firewall.hpp"
#include "tests/lab/process.hpp"

namespace lab {

class Machine {
 public:
  /// Its network is that of a namespace. One at a time, for there is one hierarchy of control
  /// groups for all of them, and each systemd takes it for its own.
  explicit Machine(const Namespace& host)
      : host_(host),
        turn_(::open("/tmp/cloudron-fw-machine.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (::flock(turn_.get(), LOCK_EX) != 0) fail("no turn");
    write_file(dir_ / "begin",
               fmt::format(kBegin, dir_.path(), CLOUDRON_FW_TESTS "/..", program()));
    systemd_ = std::make_unique<Process>(
        host, std::vector<std::string>{"unshare", "--mount", "--propagation", "private", "--pid",
                                       "--cgroup", "--fork", "--kill-child", "bash", "-e",
                                       dir_ / "begin"});
    const auto begun = [&] { return run({"systemctl", "is-active", "dbus.socket"}).ok(); };
    if (!eventually(begun)) fail("systemd does not start: " + systemd_->err_so_far());
  }

  /// Words that run others inside.
  std::vector<std::string> words(const std::vector<std::string>& command) const {
    const std::string children = fmt::format("/proc/{0}/task/{0}/children", systemd_->id());
    const std::string init = read_file(children);
    std::vector<std::string> all{"nsenter", "-t", init.substr(0, init.find(' ')), "-m", "-p",
                                 "-r",      "-w"};
    all.insert(all.end(), command.begin(), command.end());
    return all;
  }
  Output run(const std::vector<std::string>& command) const {
    return lab::run(host_, words(command));
  }
  void must(const std::vector<std::string>& command) const {
    (void)must_run(host_, words(command));
  }
  Process start(const std::vector<std::string>& command) const { return {host_, words(command)}; }
  void file(const std::string& path, const std::string& text) const {
    (void)must_run(host_, words({"sh", "-ec", "mkdir -p $(dirname $0) && cat >$0", path}), text);
  }

  /// Where /tmp/... of outside is inside.
  static constexpr const char* kOutside = "/mnt";
  /// packaging/install of this tree, with the program under test.
  static constexpr const char* kInstall = "/srv/tree/packaging/install";
  static constexpr const char* kUninstall = "/srv/tree/packaging/uninstall";

 private:
  static constexpr const char* kBegin = R"(
d={0} r={0}/m/root
mkdir $d/m
mount -t tmpfs machine $d/m
mkdir $d/m/upper $d/m/work $d/m/proc $r
mount -t overlay overlay -o lowerdir=/,upperdir=$d/m/upper,workdir=$d/m/work $r
mount -t proc proc $r/proc
mount --bind $r/proc/sys $r/proc/sys
mount -o remount,bind,ro $r/proc/sys  # of the kernel, but for what is of the network
mount -t proc proc $d/m/proc
mount --bind $d/m/proc/sys/net $r/proc/sys/net
mount -t sysfs -o ro sysfs $r/sys
mount -t tmpfs tmp $r/tmp
mkdir -p $r/mnt/tmp
mount --bind /tmp $r/mnt/tmp
mkdir -p $r/srv/tree/build/release/bin
cp -a {1}/packaging {1}/docs {1}/*.md {1}/LICENSE $r/srv/tree
cp {2} {2}-tls $r/srv/tree/build/release/bin/
mount -t tmpfs cgroup $r/sys/fs/cgroup
mkdir $r/sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup $r/sys/fs/cgroup/systemd ||
  mount -t cgroup2 cgroup $r/sys/fs/cgroup
mount -t tmpfs dev $r/dev
for node in null zero full random urandom tty; do
  touch $r/dev/$node
  mount --bind /dev/$node $r/dev/$node
done
mkdir $r/dev/pts $r/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts $r/dev/pts
ln -s pts/ptmx $r/dev/ptmx
touch $r/dev/console
mount -t tmpfs run $r/run
rm -rf $r/etc/cloudron-fw $r/var/lib/cloudron-fw
echo >$r/etc/machine-id
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot $r \
  /lib/systemd/systemd --system --unit=dbus.socket --log-target=null --show-status=no
)";

  const Namespace& host_;
  Fd turn_;
  TempDir dir_;
  std::unique_ptr<Process> systemd_;
};

}  // namespace lab
