# The rig: up to 1000 SSH hosts without systemd, for speed. Each is an sshd with a root, process, mount and host name
# space of its own, listening on an address of the loopback device of the rig's network. With "one" they are one machine
# that listens on all of the addresses: thousands of hosts in little memory, which share their files.

RIG=$STORE/rig
RIG_NETNS=kopsrun-rig
RIG_USAGE="usage: lab rig up N [one] [python] | down | in COMMAND..."
# Directories that lie under a host's root, the uppermost first.
RIG_LOWER=

rig() {
  case ${1:-} in
    up) shift; rig_up "$@" ;;
    down) rig_down ;;
    in) shift; exec nsenter --net="/run/netns/$RIG_NETNS" env PATH="$(kopsrun_path)" "$@" ;;
    *) die "$RIG_USAGE" ;;
  esac
}

rig_address() { echo "127.1.$(($1 / 250)).$((1 + $1 % 250))"; }

rig_up() {
  local count=${1:?$RIG_USAGE} one='' python='' i
  shift
  for i; do
    case $i in
      one) one=1 ;;
      python) python=1 ;;
      *) die "$RIG_USAGE" ;;
    esac
  done
  [[ $count =~ ^[0-9]+$ ]] && [ "$count" -ge 1 ] && [ "$count" -le 1000 ] || die "from 1 to 1000 hosts"
  rig_down
  image
  RIG_LOWER=$(image_dir)
  [ -z "$python" ] || { rig_python; RIG_LOWER=$(rig_python_dir):$RIG_LOWER; }
  mkdir -p "$RIG/hosts"
  ip netns add "$RIG_NETNS"
  ip -n "$RIG_NETNS" link set lo up
  nsenter --net="/run/netns/$RIG_NETNS" sysctl -qw net.core.somaxconn=4096 net.ipv4.ip_local_port_range="1024 65535" 2>/dev/null || true
  ssh-keygen -q -t ed25519 -N '' -f "$RIG/id" -C rig
  ssh-keygen -q -t ed25519 -N '' -f "$RIG/hostkey" -C rig
  if [ -n "$one" ]; then rig_host 0 0.0.0.0; else for ((i = 0; i < count; i++)); do rig_host "$i" "$(rig_address "$i")"; done; fi
  rig_files "$count"
  for ((i = 0; i < (${one:-0} ? 1 : count); i++)); do rig_wait "$i"; done
  echo "rig: $count hosts"
}

# Python for hosts, which the programs that kopsrun is compared with need: packages unpacked beside the image.
rig_python_dir() { echo "$(image_dir).python"; }

rig_python() {
  local dir deb top
  dir=$(rig_python_dir)
  [ ! -e "$dir/.done" ] || return 0
  rm -rf --one-file-system "$dir" "$dir.debs"
  mkdir -p "$dir" "$dir.debs/partial"
  apt-get -qq -o Dir::State::status="$(image_dir)/var/lib/dpkg/status" -o Dir::Cache::archives="$dir.debs" --download-only \
    --no-install-recommends -y install python3 </dev/null >&2 || die "cannot fetch Python for the hosts: apt-get update?"
  for deb in "$dir.debs"/*.deb; do dpkg-deb -x "$deb" "$dir"; done
  # In the image these are links below /usr, which directories would hide.
  for top in bin sbin lib lib64; do
    [ ! -d "$dir/$top" ] || { mkdir -p "$dir/usr/$top"; cp -a "$dir/$top/." "$dir/usr/$top/"; rm -r "${dir:?}/$top"; }
  done
  rm -rf --one-file-system "$dir.debs"
  touch "$dir/.done"
}

# Process 1 of a host: $0 is its root, $1 its name.
# shellcheck disable=SC2016
RIG_BOOT='mount --make-rprivate /; mount --rbind /dev "$0/dev"; mount -t proc proc "$0/proc"; mount -t sysfs -o ro sysfs "$0/sys"
mount -t tmpfs tmpfs "$0/run"; mkdir -p "$0/run/sshd"; hostname "$1"; exec chroot "$0" /usr/sbin/sshd -D -e'

rig_host() {
  local name=r$1 dir=$RIG/hosts/r$1
  mkdir -p "$dir/up" "$dir/work" "$dir/root"
  mount -t overlay "rig-$name" -o "lowerdir=$RIG_LOWER,upperdir=$dir/up,workdir=$dir/work" "$dir/root"
  echo "$name" >"$dir/root/etc/hostname"
  echo "127.0.0.1 localhost $name" >"$dir/root/etc/hosts"
  # One key for all of them: they are one machine that plays many.
  install -m 600 "$RIG/hostkey" "$dir/root/etc/ssh/ssh_host_ed25519_key"
  install -d -m 700 "$dir/root/root/.ssh"
  install -m 600 "$RIG/id.pub" "$dir/root/root/.ssh/authorized_keys"
  # Key exchange is fixed, so that clients are compared on the same work.
  printf '%s\n' "ListenAddress $2" 'HostKey /etc/ssh/ssh_host_ed25519_key' 'PidFile none' 'UsePAM no' 'UseDNS no' \
    'PermitRootLogin prohibit-password' 'KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org' 'MaxStartups 4096' \
    'MaxSessions 1000' 'PrintMotd no' 'Subsystem sftp /usr/lib/openssh/sftp-server' >"$dir/root/etc/ssh/sshd_config"
  setsid nsenter --net="/run/netns/$RIG_NETNS" unshare --mount --pid --uts --ipc --fork --kill-child \
    bash -c "$RIG_BOOT" "$dir/root" "$name" </dev/null >>"$dir/log" 2>&1 9>&- &
  disown
}

rig_wait() {
  local i
  for ((i = 0; i < 200; i++)); do
    # shellcheck disable=SC2016
    ! nsenter --net="/run/netns/$RIG_NETNS" timeout 1 bash -c \
      'exec 3<>"/dev/tcp/$0/22"; read -t1 -r line <&3; [[ $line == SSH-* ]]' "$(rig_address "$1")" 2>/dev/null || return 0
    sleep 0.05
  done
  die "rig host r$1 doesn't answer; see $RIG/hosts/r$1/log"
}

rig_files() {
  local i
  {
    echo '[all]'
    for ((i = 0; i < $1; i++)); do echo "r$i ansible_host=$(rig_address "$i")"; done
    printf '\n[all:vars]\nansible_user=root\nansible_ssh_private_key_file=%s/id\nansible_ssh_common_args=-o UserKnownHostsFile=%s/known_hosts -o StrictHostKeyChecking=yes\n' "$RIG" "$RIG"
  } >"$RIG/inventory.ini"
  for ((i = 0; i < $1; i++)); do echo "$(rig_address "$i") $(cut -d' ' -f1,2 "$RIG/hostkey.pub")"; done >"$RIG/known_hosts"
  printf 'UserKnownHostsFile %s/known_hosts\nStrictHostKeyChecking yes\nIdentityFile %s/id\nIdentitiesOnly yes\nUser root\nLogLevel ERROR\n' "$RIG" "$RIG" >"$RIG/ssh_config"
}

rig_down() {
  local mount pid
  # Everything that lives in the rig's network, whoever left it there.
  if [ -e "/run/netns/$RIG_NETNS" ]; then
    for pid in $(ip netns pids "$RIG_NETNS"); do [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null || true; done
    sleep 0.2
    ip netns del "$RIG_NETNS"
  fi
  for mount in $(awk -v under="$RIG/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r); do
    umount "$mount" 2>/dev/null || umount -l "$mount"
  done
  rm -rf --one-file-system "$RIG"
}
